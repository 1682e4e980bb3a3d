#!/bin/sh
# usage: links.sh PROGRAM CASES   the program loads a model, and neither it nor a library of it is protobuf or gRPC
set -eu
"$1" "$2/cnn_digits/1" > /dev/null
found=$(ldd "$1" | grep -E 'lib(protobuf|grpc|gpr|upb)' || true)
if [ -n "$found" ]; then
  echo "$1 links what the engine does without:"
  echo "$found"
  exit 1
fi
