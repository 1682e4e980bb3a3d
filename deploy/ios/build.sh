#!/usr/bin/env bash
# TenonLite.xcframework: the static library for iPhones and for the simulator (docs/lite.md, "Android and iOS"). On a Mac with Xcode,
# CMake, Ninja, and Highway's and FlatBuffers' headers (brew install highway flatbuffers).
#
#   deploy/ios/build.sh OUT.xcframework [MODEL.tflite ...]
#
# With models, the library holds the kernels that these need and no others: TENON_LITE, a tenon-lite that runs here, says which.
# TENON_IOS is the oldest iOS (14.0). Never tried: no Xcode was there when it was written.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:?usage: deploy/ios/build.sh OUT.xcframework [MODEL.tflite ...]}
shift
mkdir -p build-ios/headers/tenon
cp tenon/lite.h build-ios/headers/tenon/
cp deploy/ios/module.modulemap build-ios/headers/
ops="" target=tenon_lite where=""
if (($#)); then
  "${TENON_LITE:-build-lite/tenon-lite}" ops "$@" > build-ios/ops.txt
  ops=$PWD/build-ios/ops.txt target=tenon_lite_models where=models/
fi

# library FOLDER SDK ARCHITECTURES: build-ios/FOLDER/.../libtenon_lite.a
library() {
  cmake -S . -B "build-ios/$1" -G Ninja -DTENON_LITE=ON -DCMAKE_BUILD_TYPE=MinSizeRel -DTENON_LITE_OPS="$ops" \
    -DTENON_WARNINGS_AS_ERRORS=OFF -DCMAKE_SYSTEM_NAME=iOS -DCMAKE_OSX_SYSROOT="$2" -DCMAKE_OSX_ARCHITECTURES="$3" \
    -DCMAKE_OSX_DEPLOYMENT_TARGET="${TENON_IOS:-14.0}"
  cmake --build "build-ios/$1" --target "$target"
}

library device iphoneos arm64
library simulator iphonesimulator "arm64;x86_64"
rm -rf "$out"
xcodebuild -create-xcframework -output "$out" \
  -library "build-ios/device/${where}libtenon_lite.a" -headers build-ios/headers \
  -library "build-ios/simulator/${where}libtenon_lite.a" -headers build-ios/headers
