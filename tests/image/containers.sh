# Sourced after common.sh by what runs images.
# Containers: storage of the test's own, started the way that restricted machines allow (runc, no setrlimit).
# vfs copies every layer, so overlay is taken where the kernel gives it.
containers=(--root "$work/containers" --runroot "$work/containers-run" --storage-driver)
if command podman "${containers[@]}" overlay info >/dev/null 2>&1; then
  containers+=(overlay)
else
  rm -rf "$work/containers" "$work/containers-run"
  containers+=(vfs)
fi
podman() { command podman "${containers[@]}" --runtime runc --log-level error "$@"; }
buildah() { command buildah "${containers[@]}" "$@"; }
hardened=(--ulimit nofile=1024:1024 --ulimit nproc=1024:1024 --network none --user 65532:65532 --read-only
  --read-only-tmpfs=false --cap-drop all --security-opt no-new-privileges)

# Can podman start the image $1 here? Only what a machine withholds is a no; anything else fails the test.
podman_starts() {
  podman run --rm "${hardened[@]}" --entrypoint /usr/bin/tenon "$1" --version >"$work/output" 2>"$work/podman" &&
    return 0
  local why
  why=$(tail -1 "$work/podman")
  grep -qiE 'not permitted|permission denied|setrlimit|cgroup|namespace|unshare|clone|read-only file system' \
    "$work/podman" || fail "podman: $why"
  echo "podman cannot start containers here: $why" >&2
  return 1
}

# The process $1 runs as 65532 with no capability, and serves model $2 on the ports 8500 and 8501 of its own network.
check_server() {
  local pid=$1 model=$2 tries=0
  until ask "$pid" "$model" 2>/dev/null | grep -q '"AVAILABLE"'; do
    kill -0 "$pid" 2>/dev/null || fail "the server ends: $(cat "$work/server" 2>/dev/null)"
    ((++tries < 300)) || fail "$model is not available after a minute: $(cat "$work/server" 2>/dev/null)"
    sleep 0.2
  done
  awk '/^(Uid|Gid):/ && ($2 != 65532 || $3 != 65532) || /^Cap(Eff|Prm):/ && $2 !~ /^0+$/ {print; bad = 1} END {exit bad}' \
    "/proc/$pid/status" || fail "the server runs with more than uid 65532 has"
  nsenter --target "$pid" --net python3 -c 'import socket; socket.create_connection(("127.0.0.1", 8500), 20)'
}
# ask PID WHAT [CURL ARGUMENT...]: REST's answer in the network of the process.
ask() {
  local pid=$1 what=$2
  shift 2
  nsenter --target "$pid" --net curl -sS --fail-with-body --max-time 20 --noproxy '*' "$@" "http://127.0.0.1:8501/v1/models/$what"
}
# Most of ten digits are right.
check_digits() {
  check_server "$1" "$2"
  python3 -c 'import json, sys
rows = [line.split(",") for line in open(sys.argv[1])][:10]
print(json.dumps({"instances": [[float(x) for x in row[:64]] for row in rows]}))' \
    "$root/examples/digits/test.csv" >"$work/request"
  ask "$1" "$2:predict" -d "@$work/request" >"$work/answer" || fail "the answer: $(cat "$work/answer")"
  python3 -c 'import json, sys
rows = [line.split(",") for line in open(sys.argv[1])][:10]
answers = json.load(open(sys.argv[2]))["predictions"]
right = sum(answer.index(max(answer)) == int(float(row[64])) for row, answer in zip(rows, answers, strict=True))
print(right, "of 10 digits right")
sys.exit(right < 8)' "$root/examples/digits/test.csv" "$work/answer" || fail "the answers: $(cat "$work/answer")"
}

# Serves IMAGE by its own entry point, root file system read-only; CHECK, a function, asks MODEL of the process.
# Further words are podman's options.
check_served_by_podman() { # CHECK MODEL IMAGE [OPTION...]
  local check=$1 model=$2 image=$3
  shift 3
  podman run --detach --name served "${hardened[@]}" "$@" "$image" >/dev/null
  podman logs -f served >"$work/server" 2>&1 &
  "$check" "$(podman inspect --format '{{.State.Pid}}' served)" "$model"
  podman stop --time 30 served >/dev/null
  [ "$(podman inspect --format '{{.State.ExitCode}}' served)" = 0 ] || fail "stopping: $(cat "$work/server")"
  podman rm served >/dev/null
}
cleanup_commands+=('podman rm --all --force --time 0' 'umount "$work/containers/overlay"')

# The same without a container engine: chroot into what umoci unpacked (BUNDLE), with the entry point and
# environment of the image and a changed uid, on a read-only mount and in a network of its own.
check_served_by_chroot() { # CHECK MODEL BUNDLE
  local check=$1 model=$2 bundle=$3
  python3 - "$bundle/config.json" >"$work/start" <<'PY'
import json, shlex, sys
process = json.load(open(sys.argv[1]))["process"]
print(shlex.join(["env", "-i", *process["env"], "/usr/sbin/chroot", "--userspec=65532:65532", "--groups=65532",
                  "."] + process["args"]))
PY
  unshare --net --mount bash -c '
    mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && cd "$1" &&
    python3 -c "import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack(\"16sH14x\", b\"lo\", 1))" && eval "exec $2"' \
    - "$bundle/rootfs" "$(cat "$work/start")" >"$work/server" 2>&1 &
  local server=$!
  cleanup_commands+=("kill $server")
  "$check" "$server" "$model"
  kill "$server"
  wait "$server" || fail "stopping: $(cat "$work/server")"
}
