#!/bin/bash
# Push, resume, mount and pull against Debian's docker-registry with a password, and skopeo beside it.
source "$(dirname "$0")/image_common.sh"
need docker-registry; need skopeo
python3 - "$work/htpasswd" <<'PY'
import crypt, sys
open(sys.argv[1], "w").write("user:" + crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH)) + "\n")
PY
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
host=127.0.0.1:$port
cat >"$work/registry.yml" <<YML
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $work/registry}}
auth: {htpasswd: {realm: test, path: $work/htpasswd}}
http: {addr: $host}
YML
start_registry() {
  docker-registry serve "$work/registry.yml" >>"$work/registry.log" 2>&1 &
  registry=$!
  for _ in $(seq 100); do
    (echo >"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
    sleep 0.1
  done
  fail "docker-registry does not start: $(tail -3 "$work/registry.log")"
}
registry=0
cleanup_commands+=('kill $registry')
start_registry

python3 -c 'import os, sys; open(sys.argv[1], "wb").write(os.urandom(40_000_000))' "$work/blob"
cat >"$work/image.yaml" <<YML
name: big
version: 1.0.0
files: [{path: /opt/blob, source: blob}]
user: "65532:65532"
YML
"$tenon" image lock "$work/image.yaml" --output "$work/lock"
"$tenon" image build "$work/image.yaml" --lock "$work/lock" --output "$work/a.tar"

expect_code 1 "$tenon" image push "$work/a.tar" "$host/team/big:1.0.0" --docker_config "$work/none.json"
grep -q PERMISSION_DENIED "$work/output" || fail "no credentials are not named"
mkdir "$work/docker"
printf '{"auths": {"%s": {"auth": "%s"}}}' "$host" "$(printf user:secret | base64)" \
  >"$work/docker/config.json"
export DOCKER_CONFIG=$work/docker

# The registry is stopped in the middle of a push and started again: the push goes on or, run again,
# sends what is missing; the tag appears only with the whole image.
"$tenon" image push "$work/a.tar" "$host/team/big:1.0.0" --chunk_bytes 65536 >"$work/first" 2>&1 &
push=$!
sleep 0.3
kill $registry; wait $registry 2>/dev/null || true
if ! wait $push; then
  grep -q '^error: ' "$work/first" || fail "an interrupted push says: $(cat "$work/first")"
fi
start_registry
"$tenon" image push "$work/a.tar" "$host/team/big:1.0.0"
"$tenon" image push "$work/a.tar" "$host/team/big:1.0.0" | grep -q '0 blobs sent' || fail "sent twice"
"$tenon" image push "$work/a.tar" "$host/team/other:1.0.0" --mount_from team/big |
  grep -q '2 mounted' || fail "nothing was mounted"

"$tenon" image sign --new_key "$work/key.pem"
"$tenon" image sign "$work/a.tar" --key "$work/key.pem" --lock "$work/lock"
"$tenon" image sbom "$work/a.tar" --attach
"$tenon" image push "$work/a.tar" "$host/team/big:1.0.0"
"$tenon" image pull "$host/team/big:1.0.0" --output "$work/pulled.tar"
"$tenon" image verify "$work/pulled.tar" --key "$work/key.pem.pub"
"$tenon" image diff "$work/a.tar" "$work/pulled.tar" | grep -q ^identical || fail "the pull differs"
digest=$(skopeo inspect --creds user:secret --tls-verify=false --format '{{.Digest}}' \
  "docker://$host/team/big:1.0.0")
"$tenon" image pull "$host/team/big@$digest" --output "$work/by-digest/"
skopeo copy --quiet --src-creds user:secret --src-tls-verify=false \
  "docker://$host/team/other:1.0.0" "oci:$work/skopeo:x"
"$tenon" image diff "$work/a.tar" "$work/skopeo" | grep -q ^identical || fail "skopeo's pull differs"
echo "ok: registry $digest"
