#!/bin/bash
# The image of the small runtime: one index of the platforms whose program was built (./dev lite, and its cross builds), equal
# when built twice, below 12 MB each, without a shell; each program runs a stored model out of the unpacked image, those for
# ARM under qemu-user.
source "$(dirname "$0")/common.sh"
need gpgv umoci skopeo
python=${PYTHON:-$root/.venv/bin/python}
declare -A builds=([linux/amd64]=build-lite [linux/arm64]=build-aarch64 [linux/arm/v7]=build-armv7)
declare -A emulators=([linux/amd64]= [linux/arm64]=qemu-aarch64 [linux/arm/v7]=qemu-arm)
flags=()
platforms=()
for platform in linux/amd64 linux/arm64 linux/arm/v7; do
  program=$root/${builds[$platform]}/tenon-lite
  if [[ -x $program ]]; then
    platforms+=("$platform")
    flags+=(--tenon "$platform=$program" --platform "$platform")
  else
    echo "$platform is left out: ${builds[$platform]}/tenon-lite is not built"
  fi
done
((${#platforms[@]})) || skip "no tenon-lite is built"

mkdir -p "$shared"
lock=$shared/lite.lock
declaration=lite
rm -f "$lock"
if ! "$tenon" image lock lite --output "$lock" 2>"$work/locking"; then
  # Mirrors may lag behind for one architecture's security updates; the release itself is everywhere.
  grep -q '^error: DATA_LOSS.*security' "$work/locking" || { cat "$work/locking" >&2; fail "locking"; }
  echo "without security updates, whose index the mirror does not have: $(cut -c -200 "$work/locking")"
  declaration=$work/lite.yaml
  # Machines have the one file or the other.
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
    sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\?\([^ ]*\).*/\2/p' | sed -n 1p) || true
  version=$("$tenon" --version | sed -n '1s/^[^0-9]*\([0-9.]*\).*/\1/p')
  sed -e "s/@VERSION@/$version/" -e 's|^packages:|archive: [{uri: "'"$mirror"'", suites: [bookworm, bookworm-updates], components: [main], keyring: /usr/share/keyrings/debian-archive-keyring.gpg}]\npackages:|' \
    "$root/tenon/image/declarations/lite.yaml" >"$declaration"
  "$tenon" image lock "$declaration" --output "$lock"
fi

image=$shared/lite.tar
"$tenon" image build "$declaration" --lock "$lock" "${flags[@]}" --output "$image"
(umask 077; cd "$work"; TZ=Asia/Tokyo TENON_IMAGE_NOW=2000000000 "$tenon" image build "$declaration" --lock "$lock" \
  "${flags[@]}" --threads 1 --output "$work/second.tar" >/dev/null)
cmp "$image" "$work/second.tar" || fail "two builds differ"
[[ $(name_of "$image") == tenon:*-lite ]] || fail "it is called $(name_of "$image")"
"$tenon" image lint "$image"
"$tenon" image verify "$image" "$declaration" --lock "$lock" "${flags[@]}" >/dev/null
"$tenon" image sbom "$image" >"$work/sbom"
grep -q '"libc6"' "$work/sbom" || fail "the SBOM does not name libc6"
# A program of another architecture is refused.
if [[ -x $root/build-lite/tenon-lite ]]; then
  expect_code 1 "$tenon" image build "$declaration" --lock "$lock" --platform linux/arm64 \
    --tenon "linux/arm64=$root/build-lite/tenon-lite" --output "$work/wrong.tar"
fi

for platform in "${platforms[@]}"; do
  architecture=${platform#linux/}
  variant=()
  [[ $architecture == */* ]] && variant=(--override-variant "${architecture#*/}")
  skopeo copy --quiet --override-os linux --override-arch "${architecture%%/*}" "${variant[@]}" "oci-archive:$image" \
    "oci:$work/layout:x"
  size=$(skopeo inspect --raw "oci:$work/layout:x" |
    python3 -c 'import json, sys; print(sum(l["size"] for l in json.load(sys.stdin)["layers"]))')
  ((size < 12000000)) || fail "$platform has $size bytes compressed"
  skopeo inspect --config "oci:$work/layout:x" | tr -d ' ' | grep -q '"User":"65532:65532"' || fail "$platform: user"
  rm -rf "$work/bundle"
  umoci --log error unpack --rootless --image "$work/layout:x" "$work/bundle"
  rootfs=$work/bundle/rootfs
  for shell in sh bash dash; do [[ ! -e $rootfs/bin/$shell ]] || fail "$platform has a shell"; done
  emulator=${emulators[$platform]}
  run=()
  if [[ -n $emulator ]]; then
    command -v "$emulator" >/dev/null || { echo "$platform is not started: no $emulator"; continue; }
    run=("$emulator" -L "$rootfs" "$rootfs/usr/bin/tenon-lite")
  else
    run=("$(find "$rootfs/usr/lib" "$rootfs/lib64" -name 'ld-linux-x86-64.so.2' | head -n 1)"
      --library-path "$rootfs/usr/lib/x86_64-linux-gnu:$rootfs/lib/x86_64-linux-gnu" "$rootfs/usr/bin/tenon-lite")
  fi
  for model in float16_net_mlp int8_net_cnn; do
    "$python" -B "$root/tests/image/lite_answer.py" "$root/tenon/lite/testdata/$model.tflite" "${run[@]}" ||
      fail "$platform answers otherwise"
  done
  echo "ok: $platform $size bytes compressed, program $(stat -c %s "$rootfs/usr/bin/tenon-lite")"
done
