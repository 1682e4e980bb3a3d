#!/bin/bash
# The Dockerfiles of examples/images build with buildah on our images, run hardened, and answer curl.
source "$(dirname "$0")/common.sh"
need podman buildah curl nsenter
[ "$(id -u)" = 0 ] || skip "buildah's chroot isolation and the checks need root"
unshare --net --mount true 2>"$work/unshare" || skip "no network and mount namespaces: $(cat "$work/unshare")"
podman load --quiet --input "$shared/runtime.tar" >/dev/null
runtime=localhost/$(name_of "$shared/runtime.tar")

# Builds the context $2 as image $1; further words are buildah's options.
build_image() {
  local image=$1 context=$2
  shift 2
  buildah --runtime runc build --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network host --isolation chroot \
    --build-arg RUNTIME="$runtime" --tag "$image" "$@" "$context" >"$work/log" 2>&1 ||
    { tail -20 "$work/log" >&2; fail "buildah on $context"; }
}
# Serves image $1 by podman, or by chroot where podman cannot start containers; model $2 answers with digits.
served_digits() {
  if podman_starts "localhost/$1"; then
    check_served_by_podman "$2" "localhost/$1"
  else
    podman push --quiet "localhost/$1" "oci:$work/$1:x" >/dev/null
    umoci unpack --image "$work/$1:x" "$work/$1-bundle"
    check_served_by_chroot "$2" "$work/$1-bundle"
  fi
}

mkdir "$work/serve"
cp "$root/examples/images/serve/Dockerfile" "$work/serve/"
cp -r "$shared/digits" "$work/serve/digits"
build_image digits "$work/serve"
served_digits digits digits
echo "ok: serving image"
