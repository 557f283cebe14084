#!/usr/bin/env bash
# Runs a command beside a fresh PostgreSQL of its own, and removes that again:
#   scripts/throwaway-postgres.sh COMMAND [ARGUMENT…]
# The command finds an empty database, with the right to make more, in THROWAWAY_DATABASE_URL. The server listens on
# a socket and a free loopback port, runs as a user that is not root, and does not care to survive a crash.
# THROWAWAY_PRELOAD names a library for the server to preload (the real-input script moves its clock that way).
set -euo pipefail

if [ $# -eq 0 ]; then
  sed -n '2,/^set /{/^#/s/^# \{0,1\}//p;}' "$0" >&2
  exit 2
fi

# The folder of the server programs: version 15 where there is a choice.
server_programs() {
  local dir
  for dir in /usr/lib/postgresql/15/bin \
    "$(dirname "$(readlink -f "$(command -v initdb || echo /none/none)")")" \
    "$(pg_config --bindir 2>/dev/null || true)" \
    /usr/lib/postgresql/*/bin; do
    if [ -x "$dir/initdb" ] && [ -x "$dir/pg_ctl" ]; then
      echo "$dir"
      return
    fi
  done
  echo "throwaway-postgres: no PostgreSQL server programs (initdb, pg_ctl) here: install postgresql-15" >&2
  return 1
}

bin=$(server_programs)
# In memory where there are 2 GB of it: the server need not survive a crash.
parent=${TMPDIR:-/tmp}
if [ "$(df --output=avail -k /dev/shm 2>/dev/null | tail -n 1)" -gt 2000000 ] 2>/dev/null; then
  parent=/dev/shm
fi
dir=$(mktemp -d "$parent/throwaway-postgres.XXXXXX")
chmod 711 "$dir"
as_owner=()
if [ "$(id -u)" -eq 0 ]; then
  # The server refuses to run as root.
  chown postgres "$dir"
  as_owner=(runuser -u postgres --)
fi
in_dir() { (cd "$dir" && ${as_owner[@]+"${as_owner[@]}"} "$@"); }

clean_up() {
  if [ -f "$dir/data/postmaster.pid" ]; then
    in_dir "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop >/dev/null || true
  fi
  rm -rf "$dir"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

in_dir "$bin/initdb" -D "$dir/data" -U sidebyside -A trust -E UTF8 --locale=C --no-sync >"$dir/initdb.log"

start() {
  local settings="-p $1 -c listen_addresses=127.0.0.1 -c unix_socket_directories=$dir -c max_connections=300"
  settings+=" -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c shared_buffers=256MB"
  in_dir env ${THROWAWAY_PRELOAD:+"LD_PRELOAD=$THROWAWAY_PRELOAD"} \
    "$bin/pg_ctl" -D "$dir/data" -l "$dir/server.log" -w -t 60 -o "$settings" start >"$dir/start.log"
}
port=
for _ in 1 2 3 4 5; do
  candidate=$((RANDOM % 20000 + 20000))
  if start "$candidate"; then
    port=$candidate
    break
  fi
done
if [ -z "$port" ]; then
  echo "throwaway-postgres: the server does not start:" >&2
  tail -n 20 "$dir/server.log" >&2
  exit 1
fi
in_dir "$bin/createdb" -h 127.0.0.1 -p "$port" -U sidebyside sidebyside

export THROWAWAY_DATABASE_URL="postgres://sidebyside@127.0.0.1:$port/sidebyside"
"$@"
