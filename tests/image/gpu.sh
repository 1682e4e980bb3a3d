#!/bin/bash
# The images on GPUs, as far as a machine without one shows it: serving-gpu equal when built twice, one layer of CUDA's
# libraries for all, NVIDIA's contract, licences in the SBOM, and by chroot as 65532: one sentence without a driver and
# with drivers that will not do, libraries that hold every function that the plug-in calls, NVRTC's compiler, and the
# list of devices in Python. Some 5 GB of disk while it runs.
source "$(dirname "$0")/common.sh"
need umoci skopeo cmake cc unshare
plugins=${TENON_BUILD:-$root/build}/plugins
[ -e "$plugins/cuda.so" ] || skip "the build has no CUDA plug-in (./dev build --preset cuda)"
PATH=$(dirname "${PYTHON:-$root/.venv/bin/python}"):$PATH
for name in serving-gpu gpu gpu-jupyter; do
  "$tenon" image lock "$name" --output "$shared/$name.lock" --tenon "$tenon"
done
cmake --install "${TENON_BUILD:-$root/build}" --component python --prefix "$work/python" >/dev/null

layer_of() { # NAME TAR: the digest and the diff_id of the layer
  python3 - "$@" <<'PY'
import json, sys, tarfile
with tarfile.open(sys.argv[2]) as tar:
    read = lambda name: json.load(tar.extractfile(name))
    blob = lambda digest: read("blobs/" + digest.replace(":", "/"))
    manifest = blob(read("index.json")["manifests"][0]["digest"])
    config = blob(manifest["config"]["digest"])
    at = [h["comment"] if "comment" in h else h["created_by"] for h in config["history"]]
    (i,) = [i for i, text in enumerate(at) if text.endswith("layer " + sys.argv[1])]
    print(manifest["layers"][i]["digest"], config["rootfs"]["diff_ids"][i])
PY
}
check_image() { # NAME MOST_BYTES [FLAGS OF lint]
  local image=$shared/$1.tar bytes
  "$tenon" image lint "$image" "${@:3}" >"$work/lint" || fail "$1: $(cat "$work/lint")"
  bytes=$(stat -c %s "$image")
  ((bytes < $2)) || fail "the image $1 has $bytes bytes, more than $2"
  layer_of cuda "$image" >>"$work/layers"
  echo "$1: $bytes bytes"
}
build_twice serving-gpu --plugins "$plugins"
check_image serving-gpu 910000000
"$tenon" image explain "$shared/serving-gpu.tar" | head -8
lock=(--lock "$shared/serving-gpu.lock")
"$tenon" image sbom "$shared/serving-gpu.tar" "${lock[@]}" --output "$work/a.spdx.json"
"$tenon" image sbom "$shared/serving-gpu.tar" "${lock[@]}" --format cyclonedx --output "$work/a.cdx.json"
python3 - "$work/a.spdx.json" "$work/a.cdx.json" <<'PY'
import json, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
problems = validate_full_spdx_document(parse_file(sys.argv[1]))
assert not problems, [p.validation_message for p in problems]
spdx, cdx = (json.load(open(path)) for path in sys.argv[1:])
wheels = {p["externalRefs"][0]["referenceLocator"]: p for p in spdx["packages"] if p["name"].startswith("nvidia-")}
assert sorted(w.split("@")[0] for w in wheels) == ["pkg:pypi/nvidia-" + name for name in (
    "cublas", "cuda-nvrtc", "cudnn-cu13", "nccl-cu13")], wheels
for wheel in wheels.values():
    assert wheel["licenseDeclared"] == "LicenseRef-NVIDIA-Proprietary" and wheel["versionInfo"], wheel
    assert len(wheel["checksums"]) == 1, wheel
texts = {t["licenseId"]: t["extractedText"] for t in spdx["hasExtractedLicensingInfos"]}
text = texts["LicenseRef-NVIDIA-Proprietary"]
assert "End User License Agreement" in text and "nvidia-nccl-cu13" in text
assert set(wheels) <= {c.get("purl") for c in cdx["components"]}
error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[2]).read())
assert error is None, error
PY
unpack() { # NAME: as $work/NAME; its tar goes
  skopeo copy --quiet "docker-archive:$shared/$1.tar" "oci:$work/layout:x"
  rm "$shared/$1.tar"
  umoci --log error unpack --image "$work/layout:x" "$work/$1"
  rm -r "$work/layout"
}
[ "$(id -u)" = 0 ] || skip "the rest needs root, for chroot"
unpack serving-gpu
inside() { # NAME COMMAND...: as 65532 with the image's environment
  python3 - "$work/$1" "${@:2}" <<'PY'
import json, os, sys
bundle, *command = sys.argv[1:]
environment = dict(e.split("=", 1) for e in json.load(open(bundle + "/config.json"))["process"]["env"])
os.chdir("/")
os.execve("/usr/sbin/chroot", ["chroot", "--userspec=65532:65532", bundle + "/rootfs", *command], environment)
PY
}
says() { # TEXT: doctor ends well and says it, in one line, of the plug-in
  inside serving-gpu /usr/bin/tenon doctor >"$work/output" 2>&1 || fail "doctor: $(cat "$work/output")"
  [ "$(grep -c "^plug-in .*$1" "$work/output")" = 1 ] || fail "doctor does not say '$1': $(cat "$work/output")"
  inside serving-gpu /usr/bin/tenon devices | grep -q '^\* /device:CPU:0' || fail "models do not run on the CPU then"
}
says 'there is no NVIDIA driver: .*--gpus all'
# Drivers of few functions where Kubernetes engines mount one: too old, without a GPU, and not to be started.
driver() { # VERSION RESULT_OF_cuInit
  mkdir -p "$work/serving-gpu/rootfs/usr/local/nvidia/lib64"
  printf '%s\n' "int cuInit(unsigned f) { return $2; }" "int cuDriverGetVersion(int* v) { *v = $1; return 0; }" \
    'int cuGetErrorString(int e, const char** t) { *t = "stub"; return 0; }' >"$work/driver.c"
  cc -shared -fPIC -o "$work/serving-gpu/rootfs/usr/local/nvidia/lib64/libcuda.so.1" "$work/driver.c"
}
driver 12040 0
says 'the NVIDIA driver is for CUDA 12.4, this plug-in needs one for CUDA 13.0'
driver 13000 100
says 'the NVIDIA driver does not start: stub (error 100)'
driver 13000 0
says 'the NVIDIA driver shows no GPU: '
licences=("$work"/serving-gpu/rootfs/usr/lib/python3/dist-packages/nvidia_*.dist-info/licenses/License.txt)
[ "${#licences[@]}" = 4 ] || fail "licence files: ${licences[*]}"
rm -r "$work/serving-gpu"

"$tenon" image build gpu --lock "$shared/gpu.lock" --tenon "$tenon" --name tenon-test --python "$work/python" \
  --plugins "$plugins" --output "$shared/gpu.tar"
check_image gpu 980000000 --allow_shell
unpack gpu
inside gpu /usr/bin/python3 -m pip check || fail "pip check"
[ "$(inside gpu /usr/bin/python3 -m pip list 2>/dev/null | grep -c '^nvidia-')" = 4 ] || fail "pip does not list the wheels"
inside gpu /usr/bin/python3 -c "import tensorflow as tf; print(tf.config.list_physical_devices('GPU'))" \
  >"$work/output" 2>"$work/errors" || fail "Python lists no devices: $(cat "$work/errors")"
grep -qx '\[\]' "$work/output" || fail "Python lists GPUs: $(cat "$work/output")"
# Every library that is there loads with what it links, and each function of the plug-in's tables is in one.
python3 - "$root/plugins/cuda/libraries.h" >"$work/functions" <<'PY'
import re, sys
text = open(sys.argv[1]).read()
prefixes = {"CUBLASLT": "cublasLt", "CUDNN": "cudnn", "NVRTC": "nvrtc", "NCCL": "nccl"}
for table, rows in re.findall(r"#define TENON_(\w+)_FUNCTIONS\(X\)((?:.*\\\n)*.*)", text):
    print(*(prefixes[table] + name for name in re.findall(r"X\((\w+)\)", rows)))
PY
cp "$work/functions" "$work/gpu/rootfs/tmp/functions"
inside gpu /usr/bin/python3 - <<'PY' || fail "CUDA's libraries"
import ctypes, glob
nvidia = "/usr/lib/python3/dist-packages/nvidia/"
paths = sorted(glob.glob(nvidia + "*/lib/*.so*"))
assert len(paths) == 11, paths
libraries = [ctypes.CDLL(path) for path in paths]
names = open("/tmp/functions").read().split()
assert len(names) > 50, names
for name in names:
    assert any(hasattr(library, name) for library in libraries), name
PY
# The plug-in's own way to them: here without CUDA elsewhere, its kernels' sources compile with NVRTC's builtins.
if [ -x "${TENON_BUILD:-$root/build}/test_cuda" ]; then
  unshare --mount bash -c '
    for home in /usr/local/cuda*; do [ ! -d "$home" ] || mount -t tmpfs none "$(realpath "$home")"; done
    TENON_CUDA_WHEELS=$0 "$1" --gtest_filter="*Compiles*:*FusedProgram*"' \
    "$work/gpu/rootfs/usr/lib/python3/dist-packages" "${TENON_BUILD:-$root/build}/test_cuda" >"$work/output" 2>&1 ||
    fail "the kernels do not compile: $(tail -5 "$work/output")"
  ! grep -q SKIPPED "$work/output" || fail "the plug-in does not find the libraries: $(cat "$work/output")"
fi
rm -r "$work/gpu"

"$tenon" image build gpu-jupyter --lock "$shared/gpu-jupyter.lock" --tenon "$tenon" --name tenon-test --python "$work/python" \
  --plugins "$plugins" --output "$shared/gpu-jupyter.tar"
check_image gpu-jupyter 1070000000 --allow_shell
rm "$shared/gpu-jupyter.tar"
[ "$(sort -u "$work/layers" | wc -l)" = 1 ] || fail "the layer cuda is not the same in all: $(cat "$work/layers")"
echo "ok: gpu"
