#!/usr/bin/env bash
# A control plane with very many backups: lists through the API, watchdog, retention, schedules, start.
#   bench/catalogue.sh [CLUSTERS [EACH [STORE-URL]]]      default: 10000 clusters of 100 backups, SQLite
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bench/out
cargo run -q --release --locked -p mainstay-api --example catalogue -- "$@" | tee bench/out/catalogue.txt
cargo run -q --release --locked -p mainstay-control --example retention | tee -a bench/out/catalogue.txt
