#!/bin/bash
# The jupyter image: equal when built twice, and as 65532 and as a user id that a platform made up it serves the lab
# with a token, never without, and TensorBoard; its notebooks run to their end.
source "$(dirname "$0")/common.sh"
need umoci skopeo dpkg-query apt-get cmake curl unshare
PATH=$(dirname "${PYTHON:-$root/.venv/bin/python}"):$PATH "$tenon" image lock jupyter --output "$shared/jupyter.lock" --tenon "$tenon"
cmake --install "${TENON_BUILD:-$root/build}" --component python --prefix "$work/python" >/dev/null
build_twice jupyter --python "$work/python"
image=$shared/jupyter.tar
compressed=$(stat -c %s "$image")
((compressed < 170000000)) || fail "the jupyter image has $compressed bytes, more than 170 MB"
"$tenon" image explain "$image" | head -20
skopeo copy --quiet "docker-archive:$image" "oci:$work/layout:x"
[ "$(id -u)" = 0 ] || skip "the rest needs root, for chroot"
umoci --log error unpack --image "$work/layout:x" "$work/bundle"
rootfs=$work/bundle/rootfs
# As engines do.
echo "127.0.0.1 localhost" >"$rootfs/etc/hosts"
mkdir -p "$rootfs/proc" "$rootfs/dev"
unshare --net --mount true 2>"$work/unshare" || skip "no network and mount namespaces: $(cat "$work/unshare")"
[ "$(readlink "$rootfs/tf/workspace")" = ../workspace ] || fail "/tf/workspace is not /workspace"

# inside USER GROUP COMMAND...: on a network of its own, with the image's environment and ENVIRONMENT's words.
cat >"$work/inside" <<'SH'
mount --rbind /dev "$rootfs/dev" && mount -t proc proc "$rootfs/proc"
python3 -c 'import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14x", b"lo", 1))'
exec python3 - "$@" <<'PY'
import json, os, sys
bundle, user, group, *command = sys.argv[1:]
environment = dict(e.split("=", 1) for e in json.load(open(bundle + "/config.json"))["process"]["env"])
environment |= dict(e.split("=", 1) for e in os.environ["ENVIRONMENT"].split())
os.chdir("/")
os.execve("/usr/sbin/chroot", ["chroot", f"--userspec={user}:{group}", f"--groups={group}", bundle + "/rootfs", "/usr/bin/env",
                               "-C", "/workspace", *command], environment)
PY
SH
inside() {
  rootfs=$rootfs ENVIRONMENT=${ENVIRONMENT:-} unshare --net --mount --pid --fork --kill-child bash "$work/inside" \
    "$work/bundle" "$@"
}

inside 65532 65532 python -m pip check || fail "pip check"
ENVIRONMENT="MPLBACKEND=agg" inside 65532 65532 python -m jupyter nbconvert --to notebook --execute --output-dir /workspace/out \
  /tf/examples/notebooks/digits.ipynb >"$work/notebook" 2>&1 || fail "the notebook: $(tail -20 "$work/notebook")"
grep -q '"image/png"' "$rootfs/workspace/out/digits.ipynb" || fail "the notebook has no picture"
rm -r "$rootfs/workspace/out"

# The lab as user $1 of group $2 with the token $3 ("": its own).
check_lab() {
  local token=$3 pid tries=0
  ENVIRONMENT="JUPYTER_TOKEN=$token" inside "$1" "$2" tenon-lab >"$work/log" 2>&1 &
  local waiting=$!
  cleanup_commands+=("kill $waiting")
  pid=
  until [ -n "$pid" ] && nsenter --target "$pid" --net curl -sSf --noproxy '*' http://127.0.0.1:8888/api >"$work/api" 2>/dev/null; do
    kill -0 "$waiting" 2>/dev/null || fail "the lab ends: $(cat "$work/log")"
    ((++tries < 300)) || fail "the lab does not answer: $(cat "$work/log")"
    sleep 0.5
    pid=$(pgrep --parent "$waiting" || true)
  done
  ask_lab() { nsenter --target "$pid" --net curl -sS -o "$work/answer" -w '%{http_code}' --noproxy '*' --max-time 20 "$@"; }
  [ -n "$token" ] || token=$(sed -n 's/.*[?]token=\([0-9a-f]\{48\}\).*/\1/p' "$work/log" | head -1)
  [ -n "$token" ] || fail "the log has no token: $(cat "$work/log")"
  [ "$(ask_lab http://127.0.0.1:8888/api/contents)" = 403 ] || fail "the lab answers without a token"
  [ "$(ask_lab -H "Authorization: token wrong" http://127.0.0.1:8888/api/contents)" = 403 ] || fail "any token does"
  [ "$(ask_lab -H "Authorization: token $token" http://127.0.0.1:8888/api/contents)" = 200 ] || fail "its token does not do"
  python3 -c 'import json, sys
assert {e["name"] for e in json.load(open(sys.argv[1]))["content"]} == {"examples", "workspace"}' "$work/answer"
  [ "$(ask_lab -H "Authorization: token $token" -X POST -d '{"type": "notebook"}' http://127.0.0.1:8888/api/contents/workspace)" = 201 ] ||
    fail "it cannot write to /workspace: $(cat "$work/answer")"
  rm "$rootfs/workspace/"*.ipynb
  tries=0
  until [ "$(ask_lab http://127.0.0.1:6006/data/environment)" = 200 ]; do
    ((++tries < 100)) || fail "TensorBoard does not answer: $(cat "$work/log")"
    sleep 0.5
  done
  # The health check of the image, as an engine runs it.
  python3 -c 'import json, subprocess, sys
test = json.loads(sys.argv[1])["config"]["Healthcheck"]["Test"]
sys.exit(subprocess.run(["nsenter", "--target", sys.argv[2], "--net", "chroot", sys.argv[3], *test[1:]]).returncode)' \
    "$(skopeo inspect --config --raw "docker-archive:$image")" "$pid" "$rootfs" || fail "the health check"
  kill "$waiting"
  wait "$waiting" || true
}
check_lab 65532 65532 ""
check_lab 1000740000 0 "of-my-own"
# Without a token it does not start.
expect_code 1 inside 65532 65532 tenon-lab --IdentityProvider.token=
grep -q "without token and password" "$work/output" || fail "it refuses with $(cat "$work/output")"
echo "ok: jupyter $compressed bytes"
