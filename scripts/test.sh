#!/usr/bin/env bash
# Every test, the fast ones first; ends with one line that counts them.
set -uo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
run() {
  printf '== %s\n' "$*"
  "$@" 2>&1 | tee -a "$log"
  local end=${PIPESTATUS[0]}
  [ "$end" = 0 ] || { status=1; printf '== failed (%s): %s\n' "$end" "$*"; }
}
# Unit tests of everything, then the suites with real engines, processes and stores.
run cargo test --locked --workspace --lib --bins --no-fail-fast
run cargo test --locked --workspace --test '*' --no-fail-fast
# The dashboard's own: types, rules, and what can be tested without a browser.
run npm --prefix web run --silent check
run npm --prefix web run --silent test
if [ -x /usr/bin/chromium ]; then
  run npm --prefix web run --silent e2e
else
  printf 'SKIPPED the dashboard in a browser: Chromium is not installed\n' | tee -a "$log"
fi
passed=$(grep -oE '^test result: .* ([0-9]+) passed' "$log" | grep -oE '[0-9]+ passed' | awk '{n+=$1} END {print n+0}')
failed=$(grep -oE '; ([0-9]+) failed' "$log" | awk '{n+=$2} END {print n+0}')
# Vitest counts in a line of its own: `Tests  2 failed | 122 passed (124)`.
plain=$(sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -E '^ +Tests  ')
passed=$((passed + $(grep -oE '[0-9]+ passed' <<<"$plain" | awk '{n+=$1} END {print n+0}')))
failed=$((failed + $(grep -oE '[0-9]+ failed' <<<"$plain" | awk '{n+=$1} END {print n+0}')))
skipped=$(grep -cE '^SKIPPED' "$log")
grep -E '^SKIPPED' "$log" || true
printf '%s passed, %s failed, %s skipped\n' "$passed" "$failed" "$skipped"
[ "$status" = 0 ] && [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
