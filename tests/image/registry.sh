#!/bin/bash
# Push, resume, mount and pull against Debian's docker-registry with a password, by HTTP and by TLS, and skopeo
# beside it.
source "$(dirname "$0")/common.sh"
need docker-registry skopeo openssl
python3 - "$work/htpasswd" <<'PY'
import crypt, sys
open(sys.argv[1], "w").write("user:" + crypt.crypt("secret", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)) + "\n")
PY
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
host=127.0.0.1:$port
configure() { # further lines of the section http
  cat >"$work/registry.yml" <<YML
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $work/registry}}
auth: {htpasswd: {realm: test, path: $work/htpasswd}}
http:
  addr: $host
  secret: kept over restarts
$1
YML
}
registry=0
start_registry() {
  docker-registry serve "$work/registry.yml" >>"$work/registry.log" 2>&1 &
  registry=$!
  for _ in $(seq 600); do
    (echo >"/dev/tcp/127.0.0.1/$port") 2>/dev/null && return
    kill -0 $registry 2>/dev/null || break
    sleep 0.1
  done
  fail "docker-registry does not start: $(tail -3 "$work/registry.log")"
}
stop_registry() {
  kill -9 $registry
  wait $registry 2>/dev/null || true
}
push_until() { # starts a push, and stops the registry when it holds more than $1 of an upload
  "$tenon" image push "$work/a.tar" "$host/team/big:1.0.0" --chunk_bytes 32768 >"$work/first" 2>&1 &
  push=$!
  until [ -n "$(find "$work/registry" -path '*_uploads*' -name data -size "+$1" 2>/dev/null)" ]; do
    kill -0 $push 2>/dev/null || fail "the push ends early: $(cat "$work/first")"
    sleep 0.02
  done
  stop_registry
}
cleanup_commands+=('kill $registry')
configure ""
start_registry

python3 -c 'import os, sys; open(sys.argv[1], "wb").write(os.urandom(12_000_000))' "$work/blob"
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
# podman's file for it, as `podman login` writes it, serves too.
mkdir -p "$work/run/containers"
cp "$work/docker/config.json" "$work/run/containers/auth.json"
XDG_RUNTIME_DIR=$work/run expect_code 1 "$tenon" image pull "$host/team/none:1" --output "$work/none.tar"
grep -q NOT_FOUND "$work/output" || fail "podman's auth.json is not read: $(cat "$work/output")"
export DOCKER_CONFIG=$work/docker

# The registry dies in the middle of a push. While it is away the push says so in one line, and the tag is not
# there; run again, the push sends what is missing.
push_until 100k
! wait $push || fail "a push to a dead registry succeeds"
[ "$(grep -c '^error: UNAVAILABLE: ' "$work/first")" = 1 ] && [ "$(wc -l <"$work/first")" = 1 ] ||
  fail "an interrupted push says: $(cat "$work/first")"
start_registry
expect_code 1 "$tenon" image pull "$host/team/big:1.0.0" --output "$work/none.tar"
[ ! -e "$work/none.tar" ] || fail "half an image is pulled"

# It dies again and comes back within the second: the same push goes on.
push_until 4000k
start_registry
wait $push || fail "a push does not survive a restart: $(cat "$work/first")"
"$tenon" image push "$work/a.tar" "$host/team/big:1.0.0" | grep -q '0 blobs sent' || fail "sent twice"
"$tenon" image push "$work/a.tar" "$host/team/other:1.0.0" --mount_from team/big |
  grep -q '2 mounted' || fail "nothing was mounted"

"$tenon" image sign --new_key "$work/key.pem"
"$tenon" image sign "$work/a.tar" --key "$work/key.pem" --lock "$work/lock"
"$tenon" image sbom "$work/a.tar" --attach
# cosign's format, by both kinds of keys: what a push stores for cosign is read by another reader below.
"$tenon" image sign --new_key "$work/cosign.pem" --key_type ecdsa-p256
"$tenon" image sign --new_key "$work/other.pem" --key_type ecdsa-p256
for key in key cosign; do
  "$tenon" image sign "$work/a.tar" --key "$work/$key.pem" --lock "$work/lock" --identity "$host/team/big"
done
"$tenon" image push "$work/a.tar" "$host/team/big:1.0.0"
"$tenon" image pull "$host/team/big:1.0.0" --output "$work/pulled.tar"
"$tenon" image verify "$work/pulled.tar" --key "$work/key.pem.pub"
"$tenon" image diff "$work/a.tar" "$work/pulled.tar" | grep -q ^identical || fail "the pull differs"
digest=$(skopeo inspect --creds user:secret --tls-verify=false --format '{{.Digest}}' \
  "docker://$host/team/big:1.0.0")
"$tenon" image pull "$host/team/big@$digest" --output "$work/by-digest/"
verified_by() { # KEY: the signatures and bundles that another reader finds good for it, by cosign's rules
  python3 "$root/tests/image/cosign_reader.py" "http://$host" user:secret team/big 1.0.0 "$host/team/big" "$work/$1.pem.pub"
}
for row in "cosign 1 2" "key 1 2" "other 0 0"; do
  read -r key signatures bundles <<<"$row"
  [ "$(verified_by "$key")" = "$digest: $signatures signatures, $bundles bundles" ] ||
    fail "by cosign's rules the key '$key' verifies $(verified_by "$key"), not $signatures and $bundles"
done
skopeo copy --quiet --src-creds user:secret --src-tls-verify=false \
  "docker://$host/team/other:1.0.0" "oci:$work/skopeo:x"
"$tenon" image diff "$work/a.tar" "$work/skopeo" | grep -q ^identical || fail "skopeo's pull differs"

# TLS: a certificate of an unknown authority is refused, one that SSL_CERT_FILE names is taken.
stop_registry
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=registry \
  -addext "subjectAltName = IP:127.0.0.1" -keyout "$work/tls.key" -out "$work/tls.crt" 2>/dev/null
configure "  tls: {certificate: $work/tls.crt, key: $work/tls.key}"
start_registry
expect_error "certificate" "$tenon" image pull "$host/team/big:1.0.0" --output "$work/none.tar" --tls
[ ! -e "$work/none.tar" ] || fail "an image comes from an unknown registry"
export SSL_CERT_FILE=$work/tls.crt
"$tenon" image pull "$host/team/big:1.0.0" --output "$work/by-tls.tar" --tls
"$tenon" image push "$work/by-tls.tar" "$host/team/by-tls:1.0.0" --tls
[ "$(skopeo inspect --creds user:secret --format '{{.Digest}}' "docker://$host/team/by-tls:1.0.0")" = "$digest" ] ||
  fail "skopeo sees another image by TLS"
echo "ok: registry $digest"
