#!/usr/bin/env bash
# Builds the program a second time, in another folder and without ccache, and compares it byte for byte with the
# one in BUILD. Before there is a program, and beside it, the engine's static libraries are compared.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$(realpath "${1:?usage: tools/check_reproducible.sh BUILD}")
other=$(mktemp -d "${TMPDIR:-/tmp}/tenon-other-folder.XXXXXX")
trap 'rm -rf "$other"' EXIT
mkdir "$other/source"
git ls-files -co --exclude-standard -z | tar --null -T - -c --ignore-failed-read | tar -x -C "$other/source"
[[ -e ../shared ]] && ln -s "$(realpath ../shared)" "$other/shared"

mapfile -t outputs < <(cd "$build" && find . -name 'libtenon_*.a' ! -name 'libtenon_*pch.a' -printf '%P\n' | sort)
[[ -f $build/tenon ]] && outputs+=(tenon)
targets=()
for output in "${outputs[@]}"; do
  target=${output##*/}
  target=${target#lib}
  targets+=(--target "${target%.a}")
done
((${#targets[@]})) || { echo "nothing built in $build"; exit 1; }

export CCACHE_DISABLE=1
cmake -S "$other/source" --preset release >/dev/null
cmake --build "$other/source/build" -j "$(nproc)" "${targets[@]}" >/dev/null
differing=0
for output in "${outputs[@]}"; do
  if ! cmp "$build/$output" "$other/source/build/$output"; then
    differing=1
    # Names the first section that differs.
    diff <(readelf -SW "$build/$output") <(readelf -SW "$other/source/build/$output") | head -n 10 || true
  fi
done
((differing == 0)) && echo "equal: ${outputs[*]}"
exit "$differing"
