#!/usr/bin/env bash
# Fails where clang-format 14 would change a C++ source. --self-test proves that it can fail.
set -euo pipefail
cd "$(dirname "$0")/.."
if [[ ${1:-} == --self-test ]]; then
  if printf 'int  x ;\n' | clang-format-14 --dry-run -Werror --assume-filename=tenon/x.cc 2>/dev/null; then
    echo "clang-format accepts badly formatted code"
    exit 1
  fi
  exit 0
fi
git ls-files -co --exclude-standard -- '*.cc' '*.h' '*.cu' '*.cuh' | xargs -r clang-format-14 --dry-run -Werror
