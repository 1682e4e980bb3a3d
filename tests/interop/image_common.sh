# Sourced by image_*.sh: a scratch folder, the program, and the checks that they share.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tenon=${TENON:-$root/build/tenon}
work=$(mktemp -d)
# The store outlives a run where CI keeps one, so that packages are fetched once.
export TENON_IMAGE_STORE=${TENON_IMAGE_STORE:-$work/store}
cleanup_commands=()
cleanup() {
  local command
  for command in "${cleanup_commands[@]:-}"; do eval "$command" || true; done
  rm -rf "$work"
}
trap cleanup EXIT

fail() { echo "FAIL: $*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || fail "$1 is not installed (deps/apt.txt)"; }
expect_code() { # CODE COMMAND...: the command ends with this exit code
  local expected=$1 code=0
  shift
  "$@" >"$work/output" 2>&1 || code=$?
  [ "$code" = "$expected" ] || { cat "$work/output" >&2; fail "'$*' ends with $code, not $expected"; }
}

# Runs a container the way that restricted machines allow (podman with runc, no setrlimit).
podman_run() {
  podman --runtime runc run --rm --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
    --network host "$@"
}
# As uid 65532 on a read-only root: IMAGE ROOTFS COMMAND... Where podman cannot start containers, which it
# says, chroot with a changed uid stands in.
run_as_nonroot() {
  local image=$1 rootfs=$2 program=$3
  shift 3
  need podman
  podman_run --user 65532:65532 --read-only --cap-drop all --security-opt no-new-privileges \
    --entrypoint "$program" "$image" "$@" 2>"$work/podman.err" && return 0
  echo "podman: $(tail -1 "$work/podman.err"); chroot with a changed uid stands in" >&2
  chroot --userspec=65532:65532 "$rootfs" "$program" "$@"
}
