#!/bin/bash
# Images built twice under different surroundings are equal, and skopeo, umoci, podman, dpkg and apt agree
# with what Tenon says of them. Usage: image_readers.sh [DECLARATION...]; devel needs SDK.
source "$(dirname "$0")/image_common.sh"
need skopeo; need umoci; need dpkg-query; need apt-get; need gpgv
declarations=("$@")
[ ${#declarations[@]} -gt 0 ] || declarations=(runtime train)
sdk=${SDK:-}

for name in "${declarations[@]}"; do
  lock=$work/$name.lock.json
  image=$work/$name.tar
  "$tenon" image lock "$name" --output "$lock" --tenon "$tenon"
  flags=(--lock "$lock" --tenon "$tenon" ${sdk:+--sdk "$sdk"})

  # Two builds: other umask, zone, locale, threads, folder and clock.
  "$tenon" image build "$name" "${flags[@]}" --output "$image"
  mkdir -p "$work/second/deeper"
  (umask 077; TZ=Asia/Tokyo LC_ALL=C.UTF-8 TENON_IMAGE_NOW=2000000000 \
    "$tenon" image build "$name" "${flags[@]}" --threads 1 --output "$work/second/deeper/x.tar")
  cmp "$image" "$work/second/deeper/x.tar" || fail "two builds of $name differ"
  "$tenon" image build "$name" "${flags[@]}" --output "$work/$name-layout"
  "$tenon" image diff "$image" "$work/$name-layout" | grep -q ^identical || fail "tar and layout differ"
  "$tenon" image verify "$image" "${flags[@]}" >/dev/null

  # skopeo reads both faces of the tar and copies it with its digest.
  ref=$(tar -xOf "$image" manifest.json | python3 -c 'import json,sys; print(json.load(sys.stdin)[0]["RepoTags"][0])')
  digest=$(skopeo inspect --format '{{.Digest}}' "oci-archive:$image:$ref")
  "$tenon" image diff "$image" "$image" | grep -q "$digest" || fail "skopeo sees $digest"
  skopeo inspect "docker-archive:$image" >/dev/null
  skopeo copy --quiet "oci-archive:$image:$ref" "oci:$work/$name-copy:x"
  "$tenon" image diff "$image" "$work/$name-copy" | grep -q ^identical || fail "skopeo's copy differs"

  # umoci unpacks; dpkg-query lists what the lock names.
  umoci unpack --rootless --image "$work/$name-layout:$ref" "$work/$name-root" 2>/dev/null
  rootfs=$work/$name-root/rootfs
  dpkg-query --root="$rootfs" -W -f '${Package} ${Version}\n' | sort >"$work/listed"
  python3 -c 'import json, sys
for p in json.load(open(sys.argv[1]))["platforms"][0]["packages"]: print(p["name"], p["version"])' \
    "$lock" | sort >"$work/locked"
  diff "$work/listed" "$work/locked" || fail "dpkg-query and the lock of $name differ"

  # apt, asked for the same packages on an empty system, chooses the same versions.
  : >"$work/status"
  apt-get install --simulate --no-install-recommends -o Dir::State::status="$work/status" \
    $(cut -d' ' -f1 "$work/locked") 2>/dev/null |
    awk '/^Inst /{v = $3; gsub(/[()]/, "", v); n = $2; sub(/:.*/, "", n); print n, v}' |
    sort >"$work/apt"
  [ -z "$(comm -13 "$work/apt" "$work/locked")" ] || fail "apt would choose otherwise for $name"

  # The loader cache is ldconfig's.
  if [ "$(id -u)" = 0 ]; then
    ldconfig -X -r "$rootfs" -C /etc/ld.so.theirs
    diff <(ldconfig -p -C "$rootfs/etc/ld.so.cache" | grep '=>' | sort) \
      <(ldconfig -p -C "$rootfs/etc/ld.so.theirs" | grep '=>' | sort) || fail "ld.so.cache of $name"
    rm "$rootfs/etc/ld.so.theirs"
  fi

  # It runs as uid 65532 on a read-only root.
  podman load --quiet --input "$image" >/dev/null
  run_as_nonroot "localhost/$ref" "$rootfs" /usr/bin/tenon --help >/dev/null
  echo "ok: $name $digest $(stat -c %s "$image") bytes"
done
if [ -e "$work/runtime.tar" ]; then "$tenon" image lint "$work/runtime.tar"; fi
