#!/usr/bin/env bash
# All benches in one run, on SQLite and PostgreSQL, as ratios of that run:
#   scripts/bench.sh [--data FOLDER] [--runs N] [--seconds N]
# FOLDER holds group_runs.csv (real places of weekly runs). Needs wrk, and PostgreSQL's server programs. Not part of what
# is checked before a change lands: a machine's noise is no fault of the change.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v wrk >/dev/null || {
  echo "bench: please install wrk" >&2
  exit 2
}
cargo build --profile bench --locked --benches
# shellcheck disable=SC2016 # expanded inside, beside the server
scripts/throwaway-postgres.sh bash -euo pipefail -c '
  export TEST_DATABASE_URL=$THROWAWAY_DATABASE_URL
  cargo bench --locked --bench matching -- "$@"
  cargo bench --locked --bench match_requests
  cargo bench --locked --bench signups' bench "$@"
