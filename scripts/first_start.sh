#!/usr/bin/env bash
# Measures how long the README's first command takes in a fresh clone until the server is ready:
#   scripts/first_start.sh
# What is committed is cloned into a temporary folder; crates that were downloaded before are not downloaded again.
set -euo pipefail
cd "$(dirname "$0")/.."

clone=$(mktemp -d)
server=
clean_up() {
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$clone"
}
trap clean_up EXIT
git clone --quiet . "$clone"
cd "$clone"
port=$((RANDOM % 20000 + 20000))
export BIND=127.0.0.1:$port CARGO_TARGET_DIR=$clone/target

timeout_s=3600
begun=$(date +%s)
cargo run --release --locked >run.log 2>&1 &
server=$!
until curl -fsS -o /dev/null "http://127.0.0.1:$port/readyz" 2>/dev/null; do
  kill -0 "$server" 2>/dev/null || { tail -n 30 run.log >&2; exit 1; }
  [ $(($(date +%s) - begun)) -lt $timeout_s ] || { echo "first_start: not ready after $timeout_s s" >&2; exit 1; }
  sleep 0.2
done
took=$(($(date +%s) - begun))
printf 'cargo run --release in a fresh clone: ready after %d min %02d s\n' $((took / 60)) $((took % 60))
