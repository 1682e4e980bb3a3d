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
  # A container's own clean-up may still hold its storage for a moment.
  for _ in {1..15}; do rm -rf "$work" 2>/dev/null && return; sleep 2; done
  rm -rf "$work"
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
