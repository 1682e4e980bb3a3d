#!/bin/bash
# An image in a registry as base: pulled when it is locked, kept in the store and vendored, so that the build needs no
# registry; a base that has changed since is not taken.
source "$(dirname "$0")/common.sh"
need docker-registry skopeo
export TENON_IMAGE_STORE=$work/store
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$work/registry.yml" <<YML
version: 0.1
log: {level: error}
storage: {filesystem: {rootdirectory: $work/registry}}
http: {addr: 127.0.0.1:$port}
YML
docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 &
registry=$!
cleanup_commands+=('kill $registry')
for _ in $(seq 300); do
  (echo >"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
  sleep 0.1
done

push_base() { # CONTENT: an image with this in /base becomes the base
  cat >"$work/base.yaml" <<YML
name: base
version: 1.0.0
files: [{path: /base, content: $1}]
YML
  rm -f "$work/base.lock"
  "$tenon" image lock "$work/base.yaml" --output "$work/base.lock"
  "$tenon" image build "$work/base.yaml" --lock "$work/base.lock" --output "$work/base.tar" >/dev/null
  skopeo copy --quiet --dest-tls-verify=false "oci-archive:$work/base.tar" "docker://127.0.0.1:$port/team/base:1.0"
}
push_base one
cat >"$work/image.yaml" <<YML
name: top
version: 1.0.0
base: oci:docker://127.0.0.1:$port/team/base:1.0
files: [{path: /top, content: top}]
YML
"$tenon" image lock "$work/image.yaml" --output "$work/lock"
"$tenon" image build "$work/image.yaml" --lock "$work/lock" --output "$work/a.tar" >/dev/null
"$tenon" image explain "$work/a.tar" /base >/dev/null
"$tenon" image vendor "$work/lock" --output "$work/vendored" >/dev/null

# The store's copy is what was locked; without it the registry's is taken, if it is the same.
push_base two
"$tenon" image build "$work/image.yaml" --lock "$work/lock" --output "$work/b.tar" >/dev/null
cmp "$work/a.tar" "$work/b.tar" || fail "a build takes another base than the lock's"
expect_error "the lock was made with" "$tenon" image build "$work/image.yaml" --lock "$work/lock" --store "$work/empty" \
  --output "$work/c.tar"
[ ! -e "$work/c.tar" ] || fail "a changed base is built on"
kill $registry
"$tenon" image build "$work/image.yaml" --lock "$work/vendored/image.lock.json" --store "$work/vendored" \
  --output "$work/d.tar" >/dev/null
cmp "$work/a.tar" "$work/d.tar" || fail "a vendored base gives another image"
expect_error "does not hold the base" "$tenon" image lock "$work/image.yaml" --output "$work/none" --offline --store "$work/empty2"
echo "ok: registry base"
