#!/bin/bash
# Locks the shipped declarations, fetches their packages into the store of this build, and trains a model to serve.
# The archive may move on in between: all locks and apt stand on the same metadata in the end.
source "$(dirname "$0")/common.sh"
need gpgv apt-get
# `lock` fetches wheels by python3's pip, which the Python environment has.
PATH=$(dirname "${PYTHON:-$root/.venv/bin/python}"):$PATH
rm -rf "$shared/apt" "$shared"/*.lock "$shared"/*.tar
mkdir -p "$shared"
same_metadata() { # apt's copies of the archives' InRelease are those of all locks
  sha256sum "$shared/apt/"*InRelease | cut -d' ' -f1 | sort >"$work/apt"
  local name
  for name in runtime train devel python; do
    python3 -c 'import json, sys
for a in json.load(open(sys.argv[1]))["archives"]: print(a["releaseSha256"])' "$shared/$name.lock" | sort |
      cmp -s - "$work/apt" || return 1
  done
}
for attempt in 1 2 3; do
  for name in runtime train devel python; do
    rm -f "$shared/$name.lock"
    "$tenon" image lock "$name" --output "$shared/$name.lock" --tenon "$tenon"
  done
  python3 -c 'import json, sys
for a in json.load(open(sys.argv[1]))["archives"]:
    print("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]", a["uri"], a["suite"], "main")' \
    "$shared/runtime.lock" >"$shared/apt.list"
  mkdir -p "$shared/apt/partial"
  apt-get update -qq -o Acquire::Retries=3 -o Dir::State::lists="$shared/apt" -o Dir::Etc::sourcelist="$shared/apt.list" \
    -o Dir::Etc::sourceparts=- -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache=
  same_metadata && break
  ((attempt < 3)) || fail "apt and the locks see different metadata of the archives three times"
done
rm -rf "$shared/digits"
train_digits "$shared/digits/1" --epochs 20 --seed 1
echo "ok: locks of runtime, train, devel and python"
