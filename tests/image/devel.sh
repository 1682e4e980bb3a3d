#!/bin/bash
# The devel image: equal when built twice, and other readers see in it what was locked. dockerfiles.sh compiles a custom
# op in it.
source "$(dirname "$0")/common.sh"
need umoci skopeo dpkg-query apt-get cmake
cmake --install "${TENON_BUILD:-$root/build}" --component sdk --prefix "$work/sdk" >/dev/null
[ -f "$work/sdk/include/tenon/plugin.h" ] || fail "the SDK has no plugin.h"
build_twice devel --sdk "$work/sdk"
skopeo copy --quiet "docker-archive:$shared/devel.tar" "oci:$work/layout:x"
umoci --log error unpack --rootless --image "$work/layout:x" "$work/bundle"
check_packages devel "$work/bundle/rootfs"
diff -r "$work/sdk/include/tenon" "$work/bundle/rootfs/usr/include/tenon"
diff -r "$work/sdk/lib/cmake/Tenon" "$work/bundle/rootfs/usr/lib/cmake/Tenon"
echo "ok: devel $(stat -c %s "$shared/devel.tar") bytes"
