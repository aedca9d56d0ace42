#!/usr/bin/env bash
# Every benchmark with its peers in the same run; figures go to the screen and to bench/out.
#   bench/run.sh [deploy|promote|backup|restore] [--rounds N] [--scale N]
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
  deploy | promote | backup | restore) which=("$1"); shift ;;
  *) which=(deploy promote backup restore) ;;
esac
for b in "${which[@]}"; do python3 "bench/$b.py" "$@"; done
