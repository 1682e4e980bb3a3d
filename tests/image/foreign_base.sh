#!/bin/bash
# An OCI layout that another tool made, umoci, of another distribution, as base: its layers come first and unchanged,
# its dpkg database counts as installed, packages and the program go on top, and the result runs.
source "$(dirname "$0")/common.sh"
need skopeo umoci dpkg-query
umoci=(umoci --log error)
rootless=()
[ "$(id -u)" = 0 ] || rootless=(--rootless)

# What the base holds: the runtime image's system without Tenon, called Ubuntu, with the database that dpkg itself keeps.
skopeo copy --quiet "docker-archive:$shared/runtime.tar" "oci:$work/runtime:x"
"${umoci[@]}" unpack "${rootless[@]}" --image "$work/runtime:x" "$work/plain"
"${umoci[@]}" init --layout "$work/ubuntu"
"${umoci[@]}" new --image "$work/ubuntu:24.04"
"${umoci[@]}" unpack "${rootless[@]}" --image "$work/ubuntu:24.04" "$work/made"
cp -a "$work/plain/rootfs/." "$work/made/rootfs/"
rm -r "$work/made/rootfs/usr/bin/"{tenon,tensorflow_model_server,tf_serving_entrypoint.sh} \
  "$work/made/rootfs/var/lib/dpkg/status.d" "$work/made/rootfs/usr/share/zoneinfo"
python3 - "$work/made/rootfs/var/lib/dpkg/status" <<'PY'
import sys
stanzas = [s for s in open(sys.argv[1]).read().split("\n\n") if s.strip() and not s.startswith("Package: tzdata\n")]
open(sys.argv[1], "w").write("\n\n".join(stanzas) + "\n\n")
PY
cat >"$work/made/rootfs/usr/lib/os-release" <<'OS'
PRETTY_NAME="Ubuntu 24.04 LTS"
ID=ubuntu
VERSION_ID="24.04"
VERSION_CODENAME=noble
OS
"${umoci[@]}" repack --image "$work/ubuntu:24.04" "$work/made"
"${umoci[@]}" config --image "$work/ubuntu:24.04" --config.env LANG=en_US.UTF-8 --config.env KEPT=yes

cat >"$work/image.yaml" <<YML
name: onubuntu
version: 1.0.0
base: oci:ubuntu
archive:
$(awk '{print "  - {uri: \"" $3 "\", suites: [" $4 "], components: [main], keyring: /usr/share/keyrings/debian-archive-keyring.gpg}"}' "$shared/apt.list")
packages: [tzdata]
waive: [debconf, debconf-2.0]
layers:
  - name: tenon
    files: [{path: /usr/bin/tenon, source: "@tenon", mode: "0755"}]
environment: {LANG: C.UTF-8}
user: "65532:65532"
entrypoint: [/usr/bin/tenon]
YML
"$tenon" image lock "$work/image.yaml" --output "$work/lock"
"$tenon" image build "$work/image.yaml" --lock "$work/lock" --tenon "$tenon" --output "$work/top.tar"
"$tenon" image build "$work/image.yaml" --lock "$work/lock" --tenon "$tenon" --threads 1 --output "$work/again.tar"
cmp "$work/top.tar" "$work/again.tar" || fail "two builds differ"

skopeo inspect --config "docker-archive:$work/top.tar" | python3 -c 'import json, subprocess, sys
top = json.load(sys.stdin)
base = json.loads(subprocess.run(["skopeo", "inspect", "--config", sys.argv[1]], check=True, capture_output=True).stdout)
ours, theirs = top["rootfs"]["diff_ids"], base["rootfs"]["diff_ids"]
assert ours[:len(theirs)] == theirs and len(ours) == len(theirs) + 2, (ours, theirs)
assert {"KEPT=yes", "LANG=C.UTF-8"} <= set(top["config"]["Env"]), top["config"]["Env"]' "oci:$work/ubuntu:24.04"
skopeo copy --quiet "docker-archive:$work/top.tar" "oci:$work/top:x"
"${umoci[@]}" unpack "${rootless[@]}" --image "$work/top:x" "$work/bundle"
dpkg-query --root="$work/bundle/rootfs" -W -f '${Package}\n' | sort >"$work/listed"
dpkg-query --root="$work/plain/rootfs" -W -f '${Package}\n' | sort | diff - "$work/listed" || fail "the packages differ"
"$tenon" image sbom "$work/top.tar" --format cyclonedx | grep 'pkg:deb/ubuntu/' >/dev/null || fail "the SBOM does not name Ubuntu"
expect_code 3 "$tenon" image scan "$work/top.tar"

# A changed base is not what the lock was made with.
"${umoci[@]}" config --image "$work/ubuntu:24.04" --config.env KEPT=no
expect_error "the lock was made with" "$tenon" image build "$work/image.yaml" --lock "$work/lock" --tenon "$tenon" \
  --output "$work/changed.tar"
[ "$(id -u)" = 0 ] || skip "running it needs root, for chroot"
chroot --userspec=65532:65532 "$work/bundle/rootfs" /usr/bin/tenon --version
echo "ok: foreign base"
