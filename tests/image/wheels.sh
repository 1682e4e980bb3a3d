#!/bin/bash
# Wheels by file name come from the index that pip is configured for, here a folder, are checked, locked without the
# index' address, and built from the store alone.
source "$(dirname "$0")/common.sh"
PATH=$(dirname "${PYTHON:-$root/.venv/bin/python}"):$PATH
unset PIP_FIND_LINKS PIP_NO_INDEX PIP_EXTRA_INDEX_URL
export PIP_CONFIG_FILE=/dev/null PIP_INDEX_URL=file://$work/index TENON_IMAGE_STORE=$work/store
# Two wheels, one for a system that is hardly this one.
python3 - "$work" <<'PY'
import hashlib, os, sys, zipfile
work = sys.argv[1]
lines = []
for name, file in (("demo", "demo-1.0-py3-none-any.whl"), ("other-one", "other_one-2.0-cp399-cp399-manylinux_2_99_riscv64.whl")):
    folder = f"{work}/index/{name}"
    os.makedirs(folder)
    with zipfile.ZipFile(f"{folder}/{file}", "w") as z:
        info = "-".join(file.split("-")[:2]) + ".dist-info"
        z.writestr(f"{name.replace('-', '_')}.py", f"print('{name}')\n")
        z.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {file.split('-')[1]}\n")
        z.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nTag: {'-'.join(file[:-4].split('-')[2:])}\n")
        z.writestr(f"{info}/RECORD", "")
    digest = hashlib.sha256(open(f"{folder}/{file}", "rb").read()).hexdigest()
    open(f"{folder}/index.html", "w").write(f'<a href="{file}#sha256={digest}">{file}</a>')
    lines.append(f"      - {{name: {name}, version: \"{file.split('-')[1]}\", file: {file}, sha256: {digest}}}\n")
open(f"{work}/image.yaml", "w").write("name: wheels\nlayers:\n  - name: a\n    wheels:\n" + "".join(lines))
PY
"$tenon" image lock "$work/image.yaml" --output "$work/lock" >/dev/null
! grep -q 'index\|://' "$work/lock" || fail "the lock says where the wheels came from"
"$tenon" image vendor "$work/lock" --output "$work/vendored" >/dev/null
mv "$work/index" "$work/gone"
for store in "$work/store" "$work/vendored"; do
  "$tenon" image build "$work/image.yaml" --lock "$work/lock" --store "$store" --output "$work/${store##*/}.tar" >/dev/null
done
cmp "$work/store.tar" "$work/vendored.tar" || fail "a vendored store gives another image"
# Without index and store, with another file under the name, and with another name there is no lock.
expect_error "pip does not find 2 wheels" "$tenon" image lock "$work/image.yaml" --output "$work/none" --store "$work/s1"
mv "$work/gone" "$work/index"
sed 's/file: demo-1.0-py3/file: demo-1.0-py2.py3/' "$work/image.yaml" >"$work/named.yaml"
expect_error "demo 1.0 not as demo-1.0-py2.py3-none-any.whl" "$tenon" image lock "$work/named.yaml" --output "$work/none" --store "$work/s2"
echo >>"$work/index/demo/demo-1.0-py3-none-any.whl"
sed -i 's/#sha256=[0-9a-f]*//' "$work/index/demo/index.html"
expect_error "DATA_LOSS: .*other bytes" "$tenon" image lock "$work/image.yaml" --output "$work/none" --store "$work/s3"
[ ! -e "$work/none" ] || fail "a lock of wheels that are not there"
echo "ok: wheels"
