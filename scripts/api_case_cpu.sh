#!/usr/bin/env bash
# Measures the processor time of an average API case on SQLite, once the suite is compiled:
#   scripts/api_case_cpu.sh
# The cases that race, kill programs or try every route are left out: they do many cases' work each.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --quiet --locked --test suite --no-run
log=$(mktemp)
trap 'rm -f "$log"' EXIT
TIMEFORMAT='%R %U %S'
times=$({ time cargo test --quiet --locked --test suite -- api:: \
  --skip ::postgres --skip api::races --skip api::crash --skip api::roles >"$log" 2>&1; } 2>&1) || {
  tail -n 50 "$log" >&2
  exit 1
}
cases=$(grep -o '[0-9]* passed' "$log" | cut -d ' ' -f 1)
awk -v cases="$cases" '{ printf "%d API cases in %.1f s: %.3f s of processor time each\n", cases, $1, ($2 + $3) / cases }' <<<"$times"
