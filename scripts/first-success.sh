#!/usr/bin/env bash
# Proves that the "first success" of docs/api.md works as written: starts the release binary in an empty folder and runs
# the lines of that document, from registering to the reminder mail.
#   scripts/first-success.sh sqlite
#   scripts/first-success.sh postgres      (starts a throw-away PostgreSQL)
# Only the port is changed, and only when 8080 is taken. Takes about two minutes: it waits for a real reminder.
set -euo pipefail

house=$(cd "$(dirname "$0")/.." && pwd)
database=${1:?usage: scripts/first-success.sh sqlite|postgres}
binary=${SIDEBYSIDE_BINARY:-$house/target/release/sidebyside}
[ -x "$binary" ] || { echo "first-success: build it first: cargo build --release" >&2; exit 1; }

case $database in
  sqlite) ;;
  postgres)
    if [ -z "${THROWAWAY_DATABASE_URL:-}" ]; then
      exec "$house/scripts/throwaway-postgres.sh" "$0" postgres
    fi
    export DATABASE_URL=$THROWAWAY_DATABASE_URL
    SECRET_KEY=$(od -An -tx1 -N32 /dev/urandom | tr -d ' \n')
    export SECRET_KEY
    ;;
  *) echo "first-success: sqlite or postgres, not '$database'" >&2; exit 2 ;;
esac

dir=$(mktemp -d)
server=
clean_up() {
  status=$?
  if [ -n "$server" ]; then
    kill "$server" 2>/dev/null || true
    wait "$server" || true
  fi
  if [ $status -ne 0 ] && [ -f "$dir/server.log" ]; then
    echo "--- the end of the server's log" >&2
    tail -n 30 "$dir/server.log" >&2
  fi
  rm -rf "$dir"
}
trap clean_up EXIT

# The lines of the document name target/release/sidebyside and ./data, so the folder looks like a clone that was just built.
mkdir -p "$dir/target/release"
ln -s "$binary" "$dir/target/release/sidebyside"
cd "$dir"

port=8080
while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
  port=$((RANDOM % 20000 + 20000))
done
if [ "$port" -ne 8080 ]; then
  echo "first-success: port 8080 is taken, so 127.0.0.1:8080 of the document becomes 127.0.0.1:$port"
  export BIND=127.0.0.1:$port BASE_URL=http://127.0.0.1:$port
fi
"$house/scripts/document-block.sh" docs/api.md first-success | sed "s/127\.0\.0\.1:8080/127.0.0.1:$port/g" >lines.sh

./target/release/sidebyside >server.log 2>&1 &
server=$!
for _ in $(seq 300); do
  if curl -fsS -o /dev/null "http://127.0.0.1:$port/readyz" 2>/dev/null; then break; fi
  kill -0 "$server" 2>/dev/null || { echo "first-success: the server stopped" >&2; exit 1; }
  sleep 0.1
done
curl -fsS -o /dev/null "http://127.0.0.1:$port/readyz" || { echo "first-success: the server is not ready" >&2; exit 1; }

timeout 300 bash -euo pipefail lines.sh | tee said.txt
grep -q 'It starts in about two hours' said.txt || { echo "first-success: no reminder in what the lines printed" >&2; exit 1; }

kill "$server"
wait "$server" || { echo "first-success: the server did not stop gracefully" >&2; exit 1; }
server=
echo "first success on $database: from registering to the reminder mail, as docs/api.md says it"
