#!/usr/bin/env bash
# Builds the program a second time, in a folder of another name and without ccache, and compares it byte for byte
# with BUILD/tenon. Where they differ it names the first section and the first object file that do.
# --self-test proves that a difference is found and named.
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

# object_of A B: the first object file that two build folders do not have equal.
object_of() {
  local archive member
  while read -r archive; do
    cmp -s "$1/$archive" "$2/$archive" && continue
    while read -r member; do
      cmp -s <(ar p "$1/$archive" "$member") <(ar p "$2/$archive" "$member") || { printf '%s of %s\n' "$member" "$archive"; return; }
    done < <(ar t "$1/$archive")
  done < <(cd "$1" && find . -name 'libtenon_*.a' -printf '%P\n' | sort)
  printf 'none: the linker\n'
}

self_test() {
  local side
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  mkdir "$folder/a" "$folder/b"
  for side in a b; do
    printf 'const char* where() { return "%s"; }\n' "$side" > "$folder/$side/x.cc"
    (cd "$folder/$side" && c++ -c x.cc -o x.o && ar cDr libtenon_x.a x.o)
  done
  [[ $(section_of "$folder/a/x.o" "$folder/b/x.o") == .rodata* ]]
  [[ $(object_of "$folder/a" "$folder/b") == "x.o of libtenon_x.a" ]]
}

if [[ ${1:-} == --self-test ]]; then
  self_test
  exit
fi
build=$(realpath "${1:?usage: tools/check_reproducible.sh BUILD}")
other=$(mktemp -d "${TMPDIR:-/tmp}/tenon-other-folder.XXXXXX")
trap 'rm -rf "$other"' EXIT
mkdir "$other/source"
git ls-files -co --exclude-standard -z | tar --null -T - -c --ignore-failed-read | tar -x -C "$other/source"

export CCACHE_DISABLE=1
cmake -S "$other/source" --preset release >/dev/null
cmake --build "$other/source/build" -j "${TENON_JOBS:-$(nproc)}" --target tenon >/dev/null
if cmp "$build/tenon" "$other/source/build/tenon"; then
  echo "two builds gave the same $(stat -c %s "$build/tenon") bytes"
  exit 0
fi
echo "first section that differs: $(section_of "$build/tenon" "$other/source/build/tenon")"
echo "first object that differs: $(object_of "$build" "$other/source/build")"
exit 1
