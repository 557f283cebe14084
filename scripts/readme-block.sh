#!/usr/bin/env bash
# Prints what the README tells people to type, so that tests run the README itself:
#   scripts/readme-block.sh NAME
# prints, in order, every fenced block that follows a line `<!-- run: NAME -->`.
set -euo pipefail

name=${1:?usage: scripts/readme-block.sh NAME}
blocks=$(awk -v mark="<!-- run: $name -->" '
  $0 == mark { wanted = 1; next }
  /^```/ { if (inside) { inside = 0 } else if (wanted) { inside = 1; wanted = 0 } next }
  inside { print }
' "$(dirname "$0")/../README.md")
if [ -z "$blocks" ]; then
  echo "readme-block: README.md has no block marked '<!-- run: $name -->'" >&2
  exit 1
fi
printf '%s\n' "$blocks"
