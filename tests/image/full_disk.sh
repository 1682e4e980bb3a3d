#!/bin/bash
# A disk that fills up while an image is built, fetched, pulled or recorded: one line that says so, the old output kept,
# nothing half-written left. The disks are small tmpfs mounts in a mount namespace of their own.
if [ "${1:-}" != inside ]; then
  why=$(unshare --mount true 2>&1) || { echo "SKIPPED: no mount namespaces: $why" >&2; exit 77; }
  exec unshare --mount bash "$0" inside
fi
source "$(dirname "$0")/common.sh"
disk=$work/disk
mkdir "$disk"
mount -t tmpfs -o size=8m tmpfs "$disk"
cleanup_commands+=('umount "$disk"')
python3 -c 'import os, sys; open(sys.argv[1], "wb").write(os.urandom(20_000_000))' "$work/blob"
cat >"$work/image.yaml" <<'YML'
name: big
version: 1.0.0
files: [{path: /opt/blob, source: blob}]
YML
"$tenon" image lock "$work/image.yaml" --output "$work/lock"
build=("$tenon" image build "$work/image.yaml" --lock "$work/lock")
left() { [ "$(ls -A "$disk" | tr '\n' ' ')" = "$1" ] || fail "$2 leaves $(ls -A "$disk")"; }

expect_error "No space left" "${build[@]}" --output "$disk/a.tar"
left "" "a build"
expect_error "No space left" "${build[@]}" --output "$disk/layout/"
left "" "a build of a layout"
echo old >"$disk/a.tar"
expect_error "No space left" "${build[@]}" --output "$disk/a.tar"
left "a.tar " "a build over an old file"
[ "$(cat "$disk/a.tar")" = old ] || fail "the old output has changed"
rm "$disk/a.tar"

# Scratch files and the store on the full disk.
mkdir "$disk/tmp"
TMPDIR=$disk/tmp expect_error "No space left" "$tenon" image build runtime --lock "$shared/runtime.lock" --tenon "$tenon" \
  --output "$work/none.tar"
[ ! -e "$work/none.tar" ] && [ -z "$(ls -A "$disk/tmp")" ] || fail "a build without scratch space leaves files"
rmdir "$disk/tmp"
expect_error "No space left" "$tenon" image vendor "$shared/runtime.lock" --output "$disk/store"
if find "$disk" -type f -size +0 | while read -r file; do
  [ "$(basename "$file")" = "$(sha256sum <"$file" | cut -d' ' -f1)" ] || echo "$file"
done | grep .; then
  fail "the store holds files that are not what they are called"
fi
echo "ok: full disk"
