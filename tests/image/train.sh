#!/bin/bash
# The train image: equal when built twice, its packages as other readers see them, and it trains the digits as 65532.
source "$(dirname "$0")/common.sh"
need umoci skopeo dpkg-query apt-get
build_twice train
skopeo copy --quiet "docker-archive:$shared/train.tar" "oci:$work/layout:x"
umoci --log error unpack --rootless --image "$work/layout:x" "$work/bundle"
rootfs=$work/bundle/rootfs
check_packages train "$rootfs"
[ "$(id -u)" = 0 ] || skip "the rest needs root, for chroot"
install -d -m 0777 "$rootfs/tmp"
install -m 0644 "$root/examples/digits/cnn.json" "$root/examples/digits/train.csv" "$rootfs/tmp/"
chroot --userspec=65532:65532 "$rootfs" /usr/bin/tenon train --model /tmp/cnn.json --data /tmp/train.csv --optimizer adam \
  --loss sparse_categorical_crossentropy --epochs 1 --batch_size 32 --export_dir /tmp/digits/1 >/dev/null
[ -s "$rootfs/tmp/digits/1/saved_model.pb" ] || fail "training in the image exports nothing"
echo "ok: train $(stat -c %s "$shared/train.tar") bytes"
