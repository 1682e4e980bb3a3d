#!/bin/bash
# The Dockerfiles of examples/images build with buildah on our images, run hardened, and answer curl.
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/containers.sh"
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
# Serves image $3 by podman, or by chroot where podman cannot start containers; function $1 asks model $2.
check_served() {
  if podman_starts "localhost/$3"; then
    check_served_by_podman "$1" "$2" "localhost/$3"
  else
    podman push --quiet "localhost/$3" "oci:$work/$3:x" >/dev/null
    umoci unpack --image "$work/$3:x" "$work/$3-bundle"
    check_served_by_chroot "$1" "$2" "$work/$3-bundle"
  fi
}

mkdir "$work/serve"
cp "$root/examples/images/serve/Dockerfile" "$work/serve/"
cp -r "$shared/digits" "$work/serve/digits"
build_image digits "$work/serve"
check_served check_digits digits digits
echo "ok: serving image"

# The custom op of the examples, compiled in devel; the model folds angles into [-2, 2).
podman load --quiet --input "$shared/devel.tar" >/dev/null
mkdir "$work/fold"
cp "$root/examples/images/custom_op/Dockerfile" "$work/fold/"
cp -r "$root/examples/custom_op" "$work/fold/op"
PYTHONPATH=$root/tests/support:$root/tests/e2e "${PYTHON:-$root/.venv/bin/python}" -B -c '
import sys
folder, sys.argv = sys.argv[1], ["plugins.py", "build"]
import plugins
plugins.fold_angle_model(folder)' "$work/fold/fold/1"
build_image fold "$work/fold" --build-arg DEVEL="localhost/$(name_of "$shared/devel.tar")"
check_fold() {
  check_server "$1" "$2"
  ask "$1" "$2:predict" -d '{"instances": [-5.0, -2.0, 0.0, 1.5, 2.0, 9.25, 100.0]}' >"$work/answer" ||
    fail "the answer: $(cat "$work/answer")"
  python3 -c 'import json, sys
assert json.load(open(sys.argv[1]))["predictions"] == [-1.0, -2.0, 0.0, 1.5, -2.0, 1.25, 0.0]' "$work/answer" ||
    fail "the answers: $(cat "$work/answer")"
}
check_served check_fold fold fold
echo "ok: custom op from devel to runtime"
