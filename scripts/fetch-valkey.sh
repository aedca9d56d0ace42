#!/usr/bin/env bash
# Fetches Valkey's Debian packages and unpacks them into DIR (default: .deps/valkey in the checkout),
# so that tests can run it without installing it. The system is not touched: the package lists and
# the cache are private to DIR.
#
# Debian carries Valkey in the backports of its releases before 13. The mirror is the one this
# machine uses for its own release; what apt needs to reach it (proxies, keys) stays as it is.
#
# Usage: scripts/fetch-valkey.sh [DIR]     then: MAINSTAY_ENGINE_DIRS=DIR cargo test ...
set -euo pipefail

dir=${1:-$(cd "$(dirname "$0")/.." && pwd)/.deps/valkey}
packages=(valkey-server valkey-tools)
libraries=(libjemalloc2 liblzf1)

say() { printf 'fetch-valkey: %s\n' "$*"; }

if [[ -x $dir/usr/bin/valkey-server ]]; then
    say "$dir has it already"
    exit 0
fi

# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "${VERSION_CODENAME:?this system names no release}")
mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Identifier: Packages' |
    awk -v release="$release" '$1 == release && $2 == "main" { print $3; exit }')
if [[ -z $mirror ]]; then
    say "no package source of this machine carries $release main; add one, or unpack the packages into $dir by hand" >&2
    exit 1
fi

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
work=$dir/.apt
mkdir -p "$work"/{lists/partial,archives/partial}
keys=$(compgen -G '/usr/share/keyrings/debian-archive-keyring.*' | head -1 || true)
for suite in "$release" "$release-backports"; do
    echo "deb ${keys:+[signed-by=$keys] }$mirror $suite main"
done >"$work/sources.list"

private=(
    -o "Dir::Etc::SourceList=$work/sources.list"
    -o "Dir::Etc::SourceParts=/dev/null"
    -o "Dir::State::Lists=$work/lists"
    -o "Dir::Cache=$work"
    -o "Dir::Cache::Archives=$work/archives"
    -o "APT::Sandbox::User=$(id -un)"
)

say "reading the lists of $release and $release-backports from $mirror"
apt-get "${private[@]}" -q -q update
say "downloading ${packages[*]} ${libraries[*]}"
(cd "$work/archives" && apt-get "${private[@]}" -q -q -t "$release-backports" download "${packages[@]}" "${libraries[@]}")

# Unpacked beside and moved in last: an interrupted run leaves no half of it behind.
rm -rf "$work/root"
for package in "$work"/archives/*.deb; do
    say "unpacking ${package##*/}"
    dpkg-deb -x "$package" "$work/root"
done
rm -rf "$dir/usr"
mv "$work/root/usr" "$dir/usr"
rm -rf "$work"
LD_LIBRARY_PATH=$dir/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo x86_64-linux-gnu) \
    "$dir/usr/bin/valkey-server" --version
say "done: MAINSTAY_ENGINE_DIRS=$dir"
