#!/bin/bash
# The runtime image's SBOMs hold to their formats' own schemas: spdx-tools and cyclonedx-python-lib validate them
# (PYTHON: an interpreter that has both). TRIVY, where given, must list the same packages.
source "$(dirname "$0")/common.sh"
python=${PYTHON:-$root/.venv/bin/python}
cp "$shared/runtime.tar" "$work/a.tar"
"$tenon" image sbom "$work/a.tar" --output "$work/a.spdx.json"
"$tenon" image sbom "$work/a.tar" --format cyclonedx --output "$work/a.cdx.json"
"$python" - "$work/a.spdx.json" "$work/a.cdx.json" <<'PY'
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document
problems = validate_full_spdx_document(parse_file(sys.argv[1]))
assert not problems, [p.validation_message for p in problems]
error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(open(sys.argv[2]).read())
assert error is None, error
PY
if [ -n "${TRIVY:-}" ]; then
  "$TRIVY" image --quiet --input "$work/a.tar" --format cyclonedx --offline-scan --skip-db-update \
    --cache-dir "$work/trivy" --output "$work/trivy.json"
  python3 - "$work/a.cdx.json" "$work/trivy.json" <<'PY'
import json, re, sys, urllib.parse
def packages(path):
    # Trivy gives the epoch as a qualifier, purl's deb type as part of the version.
    return {re.sub(r"@\d+:", "@", urllib.parse.unquote(c["purl"].split("?")[0])) for c in json.load(open(path))["components"]
            if c.get("purl", "").startswith("pkg:deb")}
ours, theirs = map(packages, sys.argv[1:])
assert ours == theirs, ours ^ theirs
print("trivy lists the same", len(ours), "packages")
PY
fi
echo "ok: sbom"
