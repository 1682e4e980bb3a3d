# Sourced by the scripts of this folder: a scratch folder, the program, and the checks that they share.
# TENON is the program. TENON_IMAGE_TESTS is the folder that the tests of one build share; prepare.sh fills it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
tenon=${TENON:-$root/build/tenon}
shared=${TENON_IMAGE_TESTS:-$root/build/image_tests}
work=$(mktemp -d)
export TENON_IMAGE_STORE=$shared/store
unset SOURCE_DATE_EPOCH
cleanup_commands=()
cleanup() {
  local command
  for command in "${cleanup_commands[@]:-}"; do eval "$command" >"$work/cleanup" 2>&1 || true; done
  # A container's own clean-up may still write to its storage.
  rm -rf "$work" 2>/dev/null || { sleep 2; rm -rf "$work"; }
}
trap cleanup EXIT

fail() { echo "FAIL: $*" >&2; exit 1; }
# What the machine lacks; ctest counts the exit code as skipped.
skip() { echo "SKIPPED: $*" >&2; exit 77; }
need() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || fail "$program is not installed (deps/apt.txt)"
  done
}
expect_code() { # CODE COMMAND...: the command ends with this exit code; what it says is in $work/output
  local expected=$1 code=0
  shift
  "$@" >"$work/output" 2>&1 || code=$?
  [ "$code" = "$expected" ] || { cat "$work/output" >&2; fail "'$*' ends with $code, not $expected"; }
}
expect_error() { # TEXT COMMAND...: it fails with one line that holds the text
  local text=$1
  shift
  expect_code 1 "$@"
  [ "$(wc -l <"$work/output")" = 1 ] || { cat "$work/output" >&2; fail "'$*' says more than one line"; }
  grep -q "^error: .*$text" "$work/output" || { cat "$work/output" >&2; fail "'$*' does not say '$text'"; }
}

# Trains the digits' CNN of the examples and exports it as SavedModel $1.
train_digits() {
  local export_dir=$1
  shift
  "$tenon" train --model "$root/examples/digits/cnn.json" --data "$root/examples/digits/train.csv" --optimizer adam \
    --loss sparse_categorical_crossentropy --metrics accuracy --batch_size 32 --export_dir "$export_dir" "$@" \
    >"$work/train" 2>&1 || { cat "$work/train" >&2; fail "training the digits"; }
}

# The name of an image in a tar.
name_of() {
  tar -xOf "$1" manifest.json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["RepoTags"][0])'
}

# Two builds of the declaration $1, the second under another umask, zone, locale, clock, folder and number of
# threads; the first stays as $shared/$1.tar. Further words are flags of the build.
build_twice() {
  local name=$1
  shift
  local flags=(--lock "$shared/$name.lock" --tenon "$tenon" --name tenon-test "$@")
  "$tenon" image build "$name" "${flags[@]}" --output "$work/first.tar"
  mkdir -p "$work/second/deeper"
  (umask 077; cd "$work/second"
    TZ=Asia/Tokyo LC_ALL=C.UTF-8 TENON_IMAGE_NOW=2000000000 "$tenon" image build "$name" "${flags[@]}" \
      --threads 1 --output deeper/x.tar >/dev/null)
  cmp "$work/first.tar" "$work/second/deeper/x.tar" || fail "two builds of $name differ"
  rm -r "$work/second"
  mv "$work/first.tar" "$shared/$name.tar"
}

# dpkg-query on the files at $2 lists what the lock of $1 names; apt, on an empty system with the same archive
# metadata, would choose the same versions.
check_packages() {
  local name=$1 rootfs=$2
  dpkg-query --root="$rootfs" -W -f '${Package} ${Version}\n' | sort >"$work/listed"
  python3 -c 'import json, sys
for p in json.load(open(sys.argv[1]))["platforms"][0]["packages"]: print(p["name"], p["version"])' \
    "$shared/$name.lock" | sort >"$work/locked"
  diff "$work/listed" "$work/locked" || fail "dpkg-query and the lock of $name differ"
  : >"$work/status"
  # shellcheck disable=SC2046
  apt-get install --simulate --no-install-recommends -o Dir::State::status="$work/status" \
    -o Dir::State::lists="$shared/apt" -o Dir::Etc::sourcelist="$shared/apt.list" -o Dir::Etc::sourceparts=- \
    -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= $(cut -d' ' -f1 "$work/locked") 2>/dev/null |
    awk '/^Inst /{v = $3; gsub(/[()]/, "", v); n = $2; sub(/:.*/, "", n); print n, v}' | sort >"$work/apt"
  [ -z "$(comm -13 "$work/apt" "$work/locked")" ] || fail "apt would choose otherwise for $name"
}

# Containers: storage of the test's own, started the way that restricted machines allow (runc, no setrlimit).
containers=(--root "$work/containers" --runroot "$work/containers-run" --storage-driver vfs)
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
  nsenter --target "$pid" --net curl -sf --max-time 20 --noproxy '*' "$@" "http://127.0.0.1:8501/v1/models/$what"
}
# Most of ten digits are right.
check_digits() {
  check_server "$1" "$2"
  python3 -c 'import json, sys
rows = [line.split(",") for line in open(sys.argv[1])][:10]
print(json.dumps({"instances": [[float(x) for x in row[:64]] for row in rows]}))' \
    "$root/examples/digits/test.csv" >"$work/request"
  ask "$1" "$2:predict" -d "@$work/request" >"$work/answer"
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
cleanup_commands+=('[ ! -d "$work/containers" ] || podman rm --all --force --time 0')

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
