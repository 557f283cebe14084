#!/usr/bin/env bash
# Prints the commands that a document tells people to type, so that CI runs the document itself:
#   scripts/document-block.sh FILE NAME
# prints, in order, every fenced block of FILE that follows a line `<!-- run: NAME -->`. FILE is relative to the repository.
set -euo pipefail

file=${1:?usage: scripts/document-block.sh FILE NAME}
name=${2:?usage: scripts/document-block.sh FILE NAME}
blocks=$(awk -v mark="<!-- run: $name -->" '
  $0 == mark { wanted = 1; next }
  /^```/ { if (inside) { inside = 0 } else if (wanted) { inside = 1; wanted = 0 } next }
  inside { print }
' "$(dirname "$0")/../$file")
if [ -z "$blocks" ]; then
  echo "document-block: $file has no block marked '<!-- run: $name -->'" >&2
  exit 1
fi
printf '%s\n' "$blocks"
