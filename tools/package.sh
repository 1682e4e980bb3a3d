#!/usr/bin/env bash
# package.sh BUILD OUTPUT: packs what `cmake --install BUILD` installs: OUTPUT/tenon-<version>-<machine>.deb and a .tar.gz of the
# same files. Equal builds give equal bytes: files are sorted and root's, and their time is SOURCE_DATE_EPOCH, or the last commit's.
# --self-test BUILD packs twice and compares.
set -euo pipefail

pack() {
  local deb
  # Folders get their modes from it.
  umask 022
  cpack --config "$1/CPackConfig.cmake" -G DEB -B "$2" >"$2.log" 2>&1 || { cat "$2.log" >&2; return 1; }
  rm -rf "$2.log" "$2/_CPack_Packages"
  for deb in "$2"/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | gzip -9n > "${deb%.deb}.tar.gz"
  done
}

if [[ -z ${SOURCE_DATE_EPOCH:-} ]]; then
  SOURCE_DATE_EPOCH=$(git -C "$(dirname "$0")" log -1 --format=%ct)
fi
export SOURCE_DATE_EPOCH
if [[ $1 != --self-test ]]; then
  mkdir -p "$2"
  pack "$1" "$2"
  exit
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/a" "$folder/b"
(umask 022; pack "$2" "$folder/a")
(umask 077; pack "$2" "$folder/b")
(cd "$folder/a" && sha256sum ./*.deb ./*.tar.gz) | tee "$folder/sums"
(cd "$folder/b" && sha256sum -c --quiet "$folder/sums")
tar -tzf "$folder"/a/*.tar.gz > "$folder/names"
grep -qx ./usr/bin/tenon "$folder/names"
grep -qx ./usr/lib/cmake/Tenon/TenonTargets.cmake "$folder/names"
if tar --numeric-owner -tvzf "$folder"/a/*.tar.gz | awk '$2 != "0/0"' | grep .; then exit 1; fi
