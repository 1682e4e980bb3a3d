#!/bin/bash
# The devel image: other readers see in it what was locked, and the SDK as it is installed. dockerfiles.sh compiles a
# custom op in it.
source "$(dirname "$0")/common.sh"
need umoci skopeo dpkg-query apt-get cmake
cmake --install "${TENON_BUILD:-$root/build}" --component sdk --prefix "$work/sdk" >/dev/null
[ -f "$work/sdk/include/tenon/plugin.h" ] || fail "the SDK has no plugin.h"
# Once: compressing it takes most of a minute, and train.sh builds such layers twice.
"$tenon" image build devel --lock "$shared/devel.lock" --tenon "$tenon" --name tenon-test --sdk "$work/sdk" --output "$shared/devel.tar"
skopeo copy --quiet "docker-archive:$shared/devel.tar" "oci:$work/layout:x"
umoci --log error unpack --rootless --image "$work/layout:x" "$work/bundle"
check_packages devel "$work/bundle/rootfs"
diff -r "$work/sdk/include/tenon" "$work/bundle/rootfs/usr/include/tenon"
diff -r "$work/sdk/lib/cmake/Tenon" "$work/bundle/rootfs/usr/lib/cmake/Tenon"
echo "ok: devel $(stat -c %s "$shared/devel.tar") bytes"
