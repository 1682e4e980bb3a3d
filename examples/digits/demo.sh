#!/usr/bin/env bash
# Trains the digits' CNN, exports it, serves it, asks it by REST and by gRPC, shows metrics, stops everything.
#   examples/digits/demo.sh BUILD     (`./dev demo` builds and calls it)
set -euo pipefail
cd "$(dirname "$0")/../.."
build=${1:?usage: examples/digits/demo.sh BUILD}
work=$(mktemp -d "${TMPDIR:-/tmp}/tenon-digits.XXXXXX")
server=
stop() {
  if [[ -n $server ]]; then
    kill "$server" 2>/dev/null || true
    wait "$server" || true
  fi
  rm -rf "$work"
}
trap stop EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

# A TCP port on which nobody listens.
free_port() {
  local port
  while port=$((20000 + RANDOM)); (: < "/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  echo "$port"
}

say "1. Train on 1,438 real digits, and export"
"$build/tenon" train --model examples/digits/cnn.json --data examples/digits/train.csv \
  --optimizer adam --loss sparse_categorical_crossentropy --metrics accuracy \
  --epochs 20 --batch_size 32 --seed 1 --save "$work/digits.keras" --export_dir "$work/digits/1"

say "2. Judge on 359 digits it has not seen"
"$build/tenon" evaluate --model "$work/digits.keras" --data examples/digits/test.csv --json | tee "$work/evaluate.json"
awk 'match($0, /"accuracy": *[0-9.]+/) { split(substr($0, RSTART, RLENGTH), part, ":"); printf "accuracy: %.3f\n", part[2] }' \
  "$work/evaluate.json"

say "3. Serve"
port=$(free_port)
rest_port=$(free_port)
echo 'prometheus_config { enable: true }' > "$work/monitoring.config"
"$build/tenon" serve --model_name=digits --model_base_path="$work/digits" --port="$port" --rest_api_port="$rest_port" \
  --monitoring_config_file="$work/monitoring.config" &> "$work/serve.log" &
server=$!
url=http://127.0.0.1:$rest_port
until curl -sf "$url/v1/models/digits" 2>/dev/null | grep -q AVAILABLE; do
  kill -0 "$server" 2>/dev/null || { cat "$work/serve.log"; exit 1; }
  sleep 0.05
done
echo "gRPC on port $port, REST on port $rest_port"

say "4. Ask"
for line in 1 50 300; do
  pixels=$(sed -n "${line}p" examples/digits/test.csv | cut -d, -f1-64)
  "$build/digits_ask" "127.0.0.1:$port" "$pixels"
  printf 'by REST: '
  curl -sf -d "{\"instances\": [[$pixels]]}" "$url/v1/models/digits:predict" | tr -d ' \n'
  echo
done

say "5. Metrics"
curl -sf "$url/monitoring/prometheus/metrics" > "$work/metrics"
grep -E '^:tensorflow:serving:request_(count|latency_sum|latency_count)' "$work/metrics" | head -n 3

say "Done: the server is stopped, nothing is left behind"
