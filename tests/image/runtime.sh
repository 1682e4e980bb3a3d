#!/bin/bash
# The runtime image: equal when built twice, read by skopeo, umoci, dpkg, apt and ldconfig as Tenon says, and with a
# model baked in it serves the digits as uid 65532 on a read-only root, by podman and by chroot.
source "$(dirname "$0")/common.sh"
source "$(dirname "$0")/containers.sh"
need skopeo umoci dpkg-query apt-get curl podman unshare nsenter
image=$shared/runtime.tar
lock=$shared/runtime.lock

build_twice runtime
"$tenon" image build runtime --lock "$lock" --tenon "$tenon" --name tenon-test --output "$work/layout"
"$tenon" image diff "$image" "$work/layout" | grep -q ^identical || fail "tar and layout differ"
"$tenon" image verify "$image" --lock "$lock" --tenon "$tenon" >/dev/null
"$tenon" image lint "$image"
compressed=$(stat -c %s "$image")
((compressed < 24000000)) || fail "the runtime image has $compressed bytes, more than 24 MB"
"$tenon" image build runtime --lock "$lock" --tenon "$tenon" --compression zstd --output "$work/zstd.tar"
((zstd = $(stat -c %s "$work/zstd.tar"), zstd < 20000000)) || fail "as zstd it has $zstd bytes, more than 20 MB"
skopeo inspect "oci-archive:$work/zstd.tar" >/dev/null
# What ICU and the image codecs take counts apart.
"$tenon" image explain "$image" | tee "$work/sizes" | awk '
  {mb = $(NF - 3) == "MB" ? $(NF - 4) : $(NF - 4) / 1000; all += mb}
  /^(libicu|libpng|libjpeg|libgif)/ {apart += mb}
  END {print all - apart; exit !(all - apart < 20)}' >"$work/rest" || fail "without ICU and codecs: $(cat "$work/rest") MB"
"$tenon" image explain "$image" /usr/bin/tenon --lock "$lock" | grep -q 'files entry /usr/bin/tenon' ||
  fail "where does /usr/bin/tenon come from?"

# skopeo reads both faces of the tar, which have one name, and copies it with its digest.
ref=$(name_of "$image")
skopeo inspect "oci-archive:$image" >/dev/null
digest=$(skopeo inspect --format '{{.Digest}}' "oci-archive:$image:$ref")
"$tenon" image diff "$image" "$image" | grep -q "$digest" || fail "skopeo sees $digest"
skopeo inspect "docker-archive:$image" >/dev/null
skopeo copy --quiet "oci-archive:$image:$ref" "oci:$work/copy:x"
"$tenon" image diff "$image" "$work/copy" | grep -q ^identical || fail "skopeo's copy differs"
skopeo inspect --config --raw "oci-archive:$image:$ref" | python3 -c 'import json, sys
config = json.load(sys.stdin)["config"]
assert config["User"] == "65532:65532" and sorted(config["ExposedPorts"]) == ["8500/tcp", "8501/tcp"], config
assert config["Healthcheck"]["Test"][:4] == ["CMD", "/usr/bin/tenon", "doctor", "--ready"], config
assert config["Entrypoint"] == ["/usr/bin/tf_serving_entrypoint.sh"], config
assert {"MODEL_NAME=model", "MODEL_BASE_PATH=/models"} <= set(config["Env"]), config'

# With the digits baked in, and refused with a model whose golden records it misses.
"$tenon" image build runtime --lock "$lock" --tenon "$tenon" --name tenon-test/digits --model "$shared/digits" \
  --output "$work/digits.tar"
train_digits "$work/other/1" --epochs 1 --seed 2
cp "$shared/digits/1/assets.extra/tf_serving_warmup_requests" "$work/other/1/assets.extra/"
mkdir "$work/empty"
expect_error "misses its golden records" "$tenon" image build runtime --lock "$lock" --tenon "$tenon" \
  --model "$work/other" --output "$work/empty/x.tar"
[ -z "$(ls -A "$work/empty")" ] || fail "a refused model leaves $(ls -A "$work/empty")"

# umoci unpacks; dpkg, apt and ldconfig agree with what is there.
skopeo copy --quiet "docker-archive:$work/digits.tar" "oci:$work/served:x"
umoci unpack --image "$work/served:x" "$work/bundle" 2>/dev/null || umoci unpack --rootless --image "$work/served:x" \
  "$work/bundle"
rootfs=$work/bundle/rootfs
check_packages runtime "$rootfs"
# ICU's own tool reads all 256 bytes, and the text of every encoding, by the image's data as by Debian's.
encodings() { # [FOLDER]: what uconv makes of them with the library there
  local name
  for name in $(uconv --list | awk '{print $1}' | sort -u); do
    printf '%s ' "$name"
    LD_LIBRARY_PATH=${1:-} uconv -f "$name" -t UTF-8 --from-callback escape "$work/bytes" 2>&1 | md5sum
    LD_LIBRARY_PATH=${1:-} uconv -f UTF-8 -t "$name" --to-callback escape "$work/text" 2>&1 | md5sum
  done
}
python3 - "$work/bytes" "$work/text" <<'PY'
import sys
open(sys.argv[1], "wb").write(bytes(range(256)) + bytes(b for a in range(0x81, 0xff) for c in range(0x40, 0xff) for b in (a, c)))
open(sys.argv[2], "w").write("".join(map(chr, (*range(32, 0xd800, 7), *range(0xe000, 0x20000, 23)))))
PY
encodings >"$work/debian"
mkdir "$work/icu"
cp -P "$rootfs"/usr/lib/*/libicudata.so.* "$work/icu/"
encodings "$work/icu" >"$work/shipped"
(($(wc -l <"$work/debian") > 300)) || fail "uconv lists few encodings"
diff "$work/debian" "$work/shipped" >"$work/diff" || fail "encodings differ: $(head -3 "$work/diff")"
for name in tensorflow_model_server tf_serving_entrypoint.sh; do
  [ "$(readlink "$rootfs/usr/bin/$name")" = tenon ] || fail "$name is no link to tenon"
done
for shell in "$rootfs"/usr/bin/{sh,bash,dash,busybox}; do
  [ ! -e "$shell" ] || fail "the runtime image has a shell: $shell"
done
[ "$(id -u)" = 0 ] || skip "the rest needs root, for chroot, mounts and network namespaces"
ldconfig -X -r "$rootfs" -C /etc/ld.so.theirs
diff <(ldconfig -p -C "$rootfs/etc/ld.so.cache" | grep '=>' | sort) \
  <(ldconfig -p -C "$rootfs/etc/ld.so.theirs" | grep '=>' | sort) || fail "ld.so.cache"
rm "$rootfs/etc/ld.so.theirs"
chroot --userspec=65532:65532 "$rootfs" /usr/bin/tensorflow_model_server --version

unshare --net --mount true 2>"$work/unshare" || skip "no network and mount namespaces: $(cat "$work/unshare")"
check_served_by_chroot check_digits digits "$work/bundle"
# Podman knows health checks of images in Docker's format alone.
podman pull --quiet "docker-archive:$image" >/dev/null
podman image inspect --format '{{json .HealthCheck}}' "localhost/$ref" | grep -q -- '"--ready"' || fail "no health check"
podman load --quiet --input "$work/digits.tar" >/dev/null
served=localhost/$(name_of "$work/digits.tar")
if podman_starts "$served"; then
  check_served_by_podman check_digits digits "$served"
  # The image without a model takes one from a mount, named by MODEL_NAME.
  podman load --quiet --input "$image" >/dev/null
  check_served_by_podman check_digits mine "localhost/$ref" --env MODEL_NAME=mine --volume "$shared/digits:/models/mine:ro"
fi
echo "ok: runtime $digest $compressed bytes"
