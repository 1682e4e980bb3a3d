#!/usr/bin/env bash
# Speaks the wake word, trains a network for it, quantises it and listens: detections and false alarms.
#   examples/wake_word/run.sh BUILD OUT [LITE_BUILD ...]
# BUILD is the release build, OUT a folder for all that is made, LITE_BUILD builds of the small runtime (build-lite,
# build-aarch64, build-armv7); those for ARM run under qemu-user. TENON_PYTHON is a Python with NumPy.
set -euo pipefail
cd "$(dirname "$0")/../.."
usage="usage: examples/wake_word/run.sh BUILD OUT [LITE_BUILD ...]"
build=${1:?$usage}
out=${2:?$usage}
shift 2
python=${TENON_PYTHON:-.venv/bin/python}
here=examples/wake_word
mkdir -p "$out"
for program in espeak-ng "$python"; do
  command -v "$program" >/dev/null || { echo "run.sh: $program is not installed" >&2; exit 1; }
done

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# listen NAME MODEL PROGRAM...: to both streams; what was heard stands in OUT/NAME.*.
listen() {
  local name=$1 model=$2
  shift 2
  "$@" "$out/$model" "$out/words.wav" > "$out/$name.heard"
  "$here/check.py" "$out/$name.heard" "$out/words.txt" --missed 0.2
  "$@" "$out/$model" "$out/other.wav" > "$out/$name.other" 2>/dev/null
  printf 'other words: '
  "$here/check.py" "$out/$name.other" --false 20
}

# Before the program of a build folder: qemu where it is for ARM.
emulator() {
  case $(LC_ALL=C readelf -h "$1/wake_word" | sed -n 's/ *Machine: *//p') in
    AArch64) echo qemu-aarch64 -L /usr/aarch64-linux-gnu ;;
    ARM) echo qemu-arm -L /usr/arm-linux-gnueabihf ;;
  esac
}

say "1. Speak"
"$python" -B "$here/sounds.py" "$out" --seed 1

say "2. Train, and judge on voices it has not heard"
"$build/tenon" train --model "$here/cnn.json" --data "$out/train.npz" --x_key x --y_key y \
  --optimizer adam --loss sparse_categorical_crossentropy --metrics accuracy \
  --epochs 10 --batch_size 64 --seed 1 --save "$out/wake.keras"
"$build/tenon" evaluate --model "$out/wake.keras" --data "$out/test.npz" --x_key x --y_key y --json

say "3. Convert: floats, and int8"
"$build/tenon" convert "$out/wake.keras" --to tflite --output "$out/wake_float.tflite"
"$build/tenon" convert "$out/wake.keras" --to tflite --quantize int8 --representative "$out/representative.npz" \
  --output "$out/wake.tflite"

say "4. Listen, in floats"
listen float wake_float.tflite "$build/wake_word"
say "5. Listen, in int8"
listen int8 wake.tflite "$build/wake_word"
head -n 5 "$out/int8.heard"

for lite in "$@"; do
  say "6. Listen by $lite: $(stat -c %s "$lite/wake_word") bytes"
  read -ra before <<< "$(emulator "$lite")"
  listen "$(basename "$lite")" wake.tflite "${before[@]}" "$lite/wake_word"
done
