#!/usr/bin/env bash
# Every benchmark with its peers in the same run; figures go to the screen and to bench/out.
#   bench/run.sh [deploy|promote|load|backup|restore|redis|catalogue] [--rounds N] [--scale N]
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
  deploy | promote | load | backup | restore | redis | catalogue) which=("$1"); shift ;;
  *) which=(deploy promote load backup restore redis catalogue) ;;
esac
for b in "${which[@]}"; do
  if [ "$b" = catalogue ]; then bench/catalogue.sh; else python3 "bench/$b.py" "$@"; fi
done
