#!/usr/bin/env bash
# Installs what is missing on a Debian machine, says what it does, asks nothing.
#
#   scripts/setup.sh build   a C compiler
#   scripts/setup.sh demo    and the engines: PostgreSQL, and Valkey or else Redis
#   scripts/setup.sh test    and what the tests compare with: restic, borg, an SSH server that is not
#                            started, Chromium, file systems that share blocks, Valkey and PostgreSQL 17
#                            unpacked and an S3 server installed beside the checkout
#   scripts/setup.sh bench   the same, and what the benchmarks compare with: pgBackRest, zstd
#
# The packages' own services are kept from starting; package sources are not changed.
set -euo pipefail
cd "$(dirname "$0")/.."
level=${1:-build}

say() { printf 'setup: %s\n' "$*"; }
installed() { dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'; }

command -v cargo >/dev/null || { say "cargo is missing: install Rust 1.95 or later (https://rustup.rs), then run this again"; exit 1; }
command -v apt-get >/dev/null || { say "this machine has no apt-get: install a C compiler, PostgreSQL 15 or later, Valkey or Redis 7 or later, and restic by hand"; exit 1; }

command -v node >/dev/null && command -v npm >/dev/null || { say "node and npm are missing: the dashboard is built with them; install Node 20.19 or later, then run this again"; exit 1; }

packages=()
want() { for p in "$@"; do installed "$p" || packages+=("$p"); done; }
candidate() { apt-cache policy "$1" 2>/dev/null | grep -q 'Candidate: [0-9]'; }

command -v cc >/dev/null || want gcc libc6-dev
command -v make >/dev/null || want make
if [ "$level" != build ]; then
  ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || want postgresql
  if ! command -v valkey-server >/dev/null && ! command -v redis-server >/dev/null; then
    if candidate valkey-server; then want valkey-server; else want redis-server; fi
  fi
fi
if [ "$level" = bench ]; then
  want pgbackrest zstd python3-zstandard
  level=test
fi
if [ "$level" = test ]; then
  command -v restic >/dev/null || want restic
  command -v borg >/dev/null || want borgbackup
  command -v strace >/dev/null || want strace
  command -v ssh >/dev/null || want openssh-client
  [ -x /usr/sbin/sshd ] || want openssh-server
  command -v redis-server >/dev/null || want redis-server
  command -v redis-cli >/dev/null || want redis-tools
  command -v psql >/dev/null || want postgresql-client
  python3 -c 'import ensurepip, venv' 2>/dev/null || want python3 python3-venv
  want libjemalloc2 liblzf1
  command -v chromium >/dev/null || want chromium
  [ -x /sbin/mkfs.btrfs ] || want btrfs-progs
  [ -x /sbin/mkfs.xfs ] || want xfsprogs
  want python3-venv
fi

install_packages() {
  local sudo=()
  if [ "$(id -u)" != 0 ]; then
    if sudo -n true 2>/dev/null; then sudo=(sudo -n); else
      say "missing: ${packages[*]}. Installing them needs root; run: sudo apt-get install ${packages[*]}"
      exit 1
    fi
  fi
  say "installing ${packages[*]} (their own services are kept from starting)"
  local policy=/usr/sbin/policy-rc.d had_policy=no
  [ -e "$policy" ] && had_policy=yes
  if [ $had_policy = no ]; then
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
    "${sudo[@]}" chmod 755 "$policy"
    # shellcheck disable=SC2064
    trap "${sudo[*]} rm -f $policy" EXIT
  fi
  # PostgreSQL's package makes a cluster of its own unless it is told not to.
  if printf '%s\n' "${packages[@]}" | grep -qx postgresql && ! installed postgresql-common; then
    "${sudo[@]}" mkdir -p /etc/postgresql-common/createcluster.d
    echo 'create_main_cluster = false' | "${sudo[@]}" tee /etc/postgresql-common/createcluster.d/mainstay.conf >/dev/null
  fi
  if ! "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}" >.setup.log 2>&1; then
    "${sudo[@]}" apt-get update -q >>.setup.log 2>&1
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${packages[@]}" >>.setup.log 2>&1 ||
      { tail -20 .setup.log; say "the packages could not be installed; the log is .setup.log"; exit 1; }
  fi
  rm -f .setup.log
  if [ -d /run/systemd/system ]; then
    for unit in redis-server valkey-server postgresql; do
      if printf '%s\n' "${packages[@]}" | grep -q "^${unit}"; then "${sudo[@]}" systemctl disable -q "$unit" 2>/dev/null || true; fi
    done
    if printf '%s\n' "${packages[@]}" | grep -qx openssh-server; then "${sudo[@]}" systemctl disable -q ssh 2>/dev/null || true; fi
  fi
}

if [ ${#packages[@]} -gt 0 ]; then
  # A fresh machine has no package lists, and then nothing has a candidate.
  install_packages
fi
if [ "$level" = test ] && ! command -v valkey-server >/dev/null; then
  scripts/fetch-valkey.sh .deps/valkey || say "Valkey could not be fetched; its tests are counted as skipped"
fi
if [ "$level" = test ] && ! ls /usr/lib/postgresql/1[7-9]/bin/postgres >/dev/null 2>&1; then
  # The conformance suite looks for engines below .deps by itself.
  scripts/fetch-postgres.sh .deps/postgresql17 || say "PostgreSQL 17 could not be fetched; what needs it is not tried"
fi
if [ "$level" = test ]; then
  scripts/fetch-moto.sh .deps/moto || say "the S3 server could not be fetched; its tests are counted as skipped"
fi
exit 0
