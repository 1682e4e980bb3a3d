#!/usr/bin/env bash
# libtenon_lite.so for Android as an AAR, which Gradle hands to CMake by prefab (docs/lite.md, "Android and iOS").
#
#   ANDROID_NDK_HOME=FOLDER deploy/android/build.sh OUT.aar [MODEL.tflite ...]
#
# With models, the library holds the kernels that these need and no others: build-lite/tenon-lite of this machine, which
# `./dev lite` makes, says which. TENON_ABIS and TENON_API choose ABIs and the oldest Android (28: 9, the first with aligned_alloc). Never tried: no NDK was
# there when it was written.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:?usage: ANDROID_NDK_HOME=FOLDER deploy/android/build.sh OUT.aar [MODEL.tflite ...]}
shift
ndk=${ANDROID_NDK_HOME:?it must name the folder of the NDK}
abis=${TENON_ABIS:-arm64-v8a armeabi-v7a x86_64}
api=${TENON_API:-28}
ops="" target=tenon_lite_shared where=""
if (($#)); then
  mkdir -p build-android
  build-lite/tenon-lite ops "$@" > build-android/ops.txt
  ops=$PWD/build-android/ops.txt target=tenon_lite_models_shared where=models/
fi
libraries=()
for abi in $abis; do
  build=build-android/$abi
  cmake -S . -B "$build" -G Ninja -DTENON_LITE=ON -DCMAKE_BUILD_TYPE=MinSizeRel -DTENON_LITE_OPS="$ops" \
    -DTENON_WARNINGS_AS_ERRORS=OFF -DCMAKE_TOOLCHAIN_FILE="$ndk/build/cmake/android.toolchain.cmake" \
    -DANDROID_ABI="$abi" -DANDROID_PLATFORM="android-$api" -DANDROID_STL=c++_static
  cmake --build "$build" --target "$target"
  libraries+=("$abi=$build/${where}libtenon_lite.so")
done
release=$(sed -n 's/^Pkg.Revision = \([0-9]*\).*/\1/p' "$ndk/source.properties")
python3 deploy/android/aar.py --out "$out" --api "$api" --ndk "$release" "${libraries[@]}"
