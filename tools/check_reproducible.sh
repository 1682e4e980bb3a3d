#!/usr/bin/env bash
# usage: tools/check_reproducible.sh BUILD [SHARE]
# Compiles the program's object files a second time, in a folder of another name and without ccache, and compares them
# byte for byte with BUILD's. With SHARE only one in SHARE of those that compile without other folders' libraries, other
# ones for each commit: that is what CI has the time for. Without, all of them, and the program that they are linked to;
# where it differs, the first section that does is named. --self-test proves that a difference is found and named.
set -euo pipefail
cd "$(dirname "$0")/.."

# section_of A B: the name of the first section in which two ELF files differ, or "between sections".
section_of() {
  local name
  while read -r name; do
    cmp -s <(readelf -x "$name" "$1") <(readelf -x "$name" "$2") || { printf '%s\n' "$name"; return; }
  done < <(readelf -SW "$1" | sed -n 's/^ *\[ *[1-9][0-9]*\] \([^ ]*\) .*/\1/p')
  printf 'between sections\n'
}

# objects_of BUILD: the object files that the program is linked from, their paths from BUILD.
objects_of() { ninja -C "$1" -t inputs tenon | grep '\.o$' | sort; }

# lone BUILD OBJECT...: those that take one compilation beside that of their precompiled header.
lone() {
  local build=$1 object
  shift
  for object in "$@"; do
    (($(ninja -C "$build" -t commands "$object" | grep -c -e ' -c ') > 2)) || printf '%s\n' "$object"
  done
}

# differing A B PATH...: those files that two folders do not have equal.
differing() {
  local a=$1 b=$2 path
  shift 2
  for path in "$@"; do cmp -s "$a/$path" "$b/$path" || printf '%s\n' "$path"; done
}

self_test() {
  local side
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  mkdir "$folder/a" "$folder/b"
  for side in a b; do
    printf 'const char* where() { return "%s"; }\n' "$side" > "$folder/$side/x.cc"
    printf 'int same() { return 1; }\n' > "$folder/$side/y.cc"
    (cd "$folder/$side" && c++ -c x.cc y.cc)
  done
  [[ $(section_of "$folder/a/x.o" "$folder/b/x.o") == .rodata* ]]
  [[ $(differing "$folder/a" "$folder/b" x.o y.o) == x.o ]]
}

if [[ ${1:-} == --self-test ]]; then
  self_test
  exit
fi
build=$(realpath "${1:?usage: tools/check_reproducible.sh BUILD [SHARE]}")
share=${2:-1}
other=$(mktemp -d "${TMPDIR:-/tmp}/tenon-other-folder.XXXXXX")
trap 'rm -rf "$other"' EXIT
mkdir "$other/source"
git ls-files -co --exclude-standard -z | tar --null -T - -c --ignore-failed-read | tar -x -C "$other/source"

export CCACHE_DISABLE=1
again=$other/source/build
cmake -S "$other/source" --preset release >/dev/null
mapfile -t objects < <(objects_of "$again")
if ((share > 1)); then
  first=$((16#$(git rev-parse --short=7 HEAD) % share))
  mapfile -t objects < <(lone "$again" "${objects[@]}" | awk -v share="$share" -v first="$first" 'NR % share == first')
fi
((${#objects[@]})) || { echo "no object files of tenon in $again"; exit 1; }
ninja -C "$again" -j "${TENON_JOBS:-$(nproc)}" "${objects[@]}" >/dev/null
mapfile -t different < <(differing "$build" "$again" "${objects[@]}")
if ((${#different[@]})); then
  echo "object files that differ: ${different[*]}"
  exit 1
fi
echo "two builds gave the same ${#objects[@]} object files"
((share == 1)) || exit 0
ninja -C "$again" tenon >/dev/null
if cmp "$build/tenon" "$again/tenon"; then
  echo "and the same $(stat -c %s "$build/tenon") bytes"
  exit 0
fi
echo "first section that differs: $(section_of "$build/tenon" "$again/tenon")"
exit 1
