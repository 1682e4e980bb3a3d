#!/bin/bash
# The python image: its wheels as pip, dpkg and Python itself see them, and as 65532 on a
# read-only root `import tensorflow` is tenon.tf and Keras trains.
source "$(dirname "$0")/common.sh"
need umoci skopeo dpkg-query apt-get cmake
[ -f "$shared/python.lock" ] || skip "prepare.sh has not locked python"
cmake --install "${TENON_BUILD:-$root/build}" --component python --prefix "$work/python" >/dev/null
[ -f "$work/python/packages/tenon/__init__.py" ] || skip "the build has no Python package"
# Once: jupyter.sh, which is slow, builds the same layers twice.
image=$shared/python.tar
"$tenon" image build python --lock "$shared/python.lock" --tenon "$tenon" --python "$work/python" --output "$image"
[[ $(name_of "$image") =~ ^tenon:[0-9.]+$ ]] || fail "the image is called $(name_of "$image")"
compressed=$(stat -c %s "$image")
((compressed < 90000000)) || fail "the python image has $compressed bytes, more than 90 MB"

# The SBOM names each wheel of the lock with its digest, and an advisory against one of them is found.
"$tenon" image sbom "$image" --lock "$shared/python.lock" --output "$work/spdx.json"
python3 - "$shared/python.lock" "$work/spdx.json" "$work/osv.json" <<'PY'
import json, sys
wheels = json.load(open(sys.argv[1]))["wheels"]
packages = {r["referenceLocator"]: p for p in json.load(open(sys.argv[2]))["packages"]
            for r in p.get("externalRefs", []) if r["referenceType"] == "purl"}
assert all("://" not in json.dumps(w) for w in wheels), "the lock names an index"
for w in wheels:
    package = packages[f"pkg:pypi/{w['name']}@{w['version']}"]
    assert package["checksums"][0]["checksumValue"] == w["sha256"], package
numpy = next(w for w in wheels if w["name"] == "numpy")
json.dump({"id": "PYSEC-0000-1", "modified": "2026-01-01T00:00:00Z", "affected": [
    {"package": {"ecosystem": "PyPI", "name": "NumPy"}, "versions": [numpy["version"]]}]}, open(sys.argv[3], "w"))
PY
code=0
"$tenon" image scan "$image" --osv "$work/osv.json" >"$work/scan" 2>&1 || code=$?
{ [ "$code" = 1 ] || [ "$code" = 4 ]; } && grep -q PYSEC-0000-1 "$work/scan" || fail "the scan: $(cat "$work/scan")"

skopeo copy --quiet "docker-archive:$image" "oci:$work/layout:x"
umoci --log error unpack --rootless --image "$work/layout:x" "$work/bundle"
rootfs=$work/bundle/rootfs
check_packages python "$rootfs"
[ "$(id -u)" = 0 ] || skip "the rest needs root, for chroot"
mkdir -p "$rootfs/dev"
mknod -m 666 "$rootfs/dev/null" c 1 3 2>"$work/mknod" || skip "no device files: $(cat "$work/mknod")"
# Python in the image: as 65532, with the image's environment.
inside() {
  python3 - "$work/bundle/config.json" "$rootfs" "$@" <<'PY'
import json, os, sys
environment = dict(e.split("=", 1) for e in json.load(open(sys.argv[1]))["process"]["env"])
os.execve("/usr/sbin/chroot", ["chroot", "--userspec=65532:65532", "--groups=65532", *sys.argv[2:]], environment)
PY
}
inside python - <<'PY' || fail "the wheels are not as pip would install them"
import base64, csv, glob, hashlib, importlib.util, marshal, os, re
site = "/usr/lib/python3/dist-packages"
records = glob.glob(site + "/*.dist-info/RECORD")
assert len(records) > 10, records
for record in records:
    for path, digest, size in csv.reader(open(record)):
        content = open(os.path.join(site, path), "rb").read()
        if not digest: continue
        found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        assert digest == "sha256=" + found and int(size) == len(content), (record, path)
# Every module is compiled: unchecked (PEP 552), of this Python, to the code that this source has.
modules = compiled = 0
for folder, _, names in os.walk("/usr/lib"):
    for name in names:
        path = os.path.join(folder, name)
        if not name.endswith(".py") or not folder.startswith("/usr/lib/python3"): continue
        modules += 1
        cache = importlib.util.cache_from_source(path)
        if not os.path.exists(cache): continue
        content, source = open(cache, "rb").read(), open(path, "rb").read()
        assert content[:8] == importlib.util.MAGIC_NUMBER + b"\1\0\0\0", path
        assert content[8:16] == importlib.util.source_hash(source), path
        if hash(path) % 20 == 0:
            assert marshal.loads(content[16:]) == compile(source, path, "exec", dont_inherit=True, optimize=0), path
        compiled += 1
print(compiled, "of", modules, "modules compiled")
assert compiled > 0.99 * modules
PY
inside python -m pip check >/dev/null || fail "pip check"
inside python -m pip list >"$work/list" 2>/dev/null || fail "pip list"
grep -qE '^tenon.tensorflow.shim ' "$work/list" || fail "pip does not list the shim: $(cat "$work/list")"
inside python -c "import tensorflow as tf; print(tf.config.list_physical_devices())" >"$work/out" 2>"$work/err" ||
  fail "import tensorflow: $(cat "$work/err")"
grep -q "PhysicalDevice(name='/physical_device:CPU:0', device_type='CPU')" "$work/out" || fail "devices: $(cat "$work/out")"
[ "$(grep -c 'is not TensorFlow' "$work/err")" = 1 ] || fail "at its first import it says: $(cat "$work/err")"
inside python - 2>"$work/err" <<'PY' || fail "TensorFlow's names: $(cat "$work/err")"
import sys
import tensorflow as tf
import tensorflow, tensorflow.keras.layers
from tensorflow import keras
from tensorflow.keras import layers
from tensorflow.keras.models import Sequential
import tenon.tf, numpy as np
assert tf is tenon.tf is tensorflow and keras is tf.keras and layers is tensorflow.keras.layers
assert keras.backend.backend() == "tenon"
for missing in ("tensorflow.python", "tensorflow.nothing", "tensorflow.keras.nothing"):
    try:
        __import__(missing)
    except ModuleNotFoundError as error:
        assert missing in str(error), error
    else:
        raise AssertionError(missing)
model = Sequential([layers.Input((2,)), layers.Dense(1)])
model.compile("sgd", "mse")
x = np.random.default_rng(1).normal(size=(256, 2)).astype("float32")
history = model.fit(x, x @ np.float32([[1], [2]]), epochs=20, batch_size=16, verbose=0)
assert history.history["loss"][-1] < 1e-3 < history.history["loss"][0], history.history
PY
# Beside a distribution of TensorFlow it refuses.
mkdir -p "$rootfs/tmp/real/tensorflow_cpu-2.21.0.dist-info"
printf 'Metadata-Version: 2.1\nName: tensorflow-cpu\nVersion: 2.21.0\n' >"$rootfs/tmp/real/tensorflow_cpu-2.21.0.dist-info/METADATA"
chmod -R a+rX "$rootfs/tmp/real"
! inside env PYTHONPATH=/tmp/real python -c "import tensorflow" 2>"$work/err" || fail "it does not refuse beside TensorFlow"
grep -q '^ImportError: tensorflow-cpu 2.21.0 is installed beside' "$work/err" || fail "it refuses with $(cat "$work/err")"
echo "ok: python $compressed bytes"
