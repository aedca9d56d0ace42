#!/usr/bin/env bash
# Fetches Debian 13's packages of PostgreSQL 17 and unpacks them into DIR (default: .deps/postgresql17
# in the checkout), so that tests can run a server with WAL summaries on a machine that has an older
# one. The system is not touched: the package lists and the cache are private to DIR.
#
# The programs bring all their libraries along, libc included, in DIR/library, and are made to look
# there by themselves: a library path in the environment would reach the shells they start as well,
# and those belong to this machine's own libc. The mirror is the one this machine uses for its own
# release; what apt needs to reach it (proxies, keys) stays as it is.
#
# Usage: scripts/fetch-postgres.sh [DIR]     then: MAINSTAY_ENGINE_DIRS=DIR cargo test ...
set -euo pipefail

dir=${1:-$(cd "$(dirname "$0")/.." && pwd)/.deps/postgresql17}
release=trixie
wanted=(postgresql-17 postgresql-client-17)

say() { printf 'fetch-postgres: %s\n' "$*"; }

if [[ -x $dir/usr/lib/postgresql/17/bin/postgres ]]; then
    say "$dir has it already"
    exit 0
fi

# shellcheck source=/dev/null
own=$(. /etc/os-release && echo "${VERSION_CODENAME:?this system names no release}")
mirror=$(apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Identifier: Packages' |
    awk -v release="$own" '$1 == release && $2 == "main" { print $3; exit }')
if [[ -z $mirror ]]; then
    say "no package source of this machine carries $own main; add one, or unpack the packages into $dir by hand" >&2
    exit 1
fi

mkdir -p "$dir"
dir=$(cd "$dir" && pwd -P)
work=$dir/.apt
keys=$(compgen -G '/usr/share/keyrings/debian-archive-keyring.*' | head -1 || true)

# apt for one release, with lists, cache and an empty package state of its own.
lists_of() {
    mkdir -p "$work/$1"/{lists/partial,archives/partial}
    : >"$work/$1/status"
    echo "deb ${keys:+[signed-by=$keys] }$mirror $1 main" >"$work/$1/sources.list"
    say "reading the lists of $1 from $mirror"
    apt_of "$1" update
}
apt_of() {
    local at=$work/$1
    shift
    apt-get -o "Dir::Etc::SourceList=$at/sources.list" -o "Dir::Etc::SourceParts=/dev/null" \
        -o "Dir::Etc::Preferences=/dev/null" -o "Dir::Etc::PreferencesParts=/dev/null" \
        -o "Dir::State::Lists=$at/lists" -o "Dir::State::Status=$at/status" -o "Dir::Cache=$at" \
        -o "Dir::Cache::Archives=$at/archives" -o "APT::Sandbox::User=$(id -un)" -o "Debug::NoLocking=1" -q -q "$@"
}
unpack() {
    for package in "$1"/*.deb; do dpkg-deb -x "$package" "$2"; done
}

rm -rf "$work"
lists_of "$release"
say "downloading ${wanted[*]} and the libraries they need"
# All that a machine without anything would need; of it only libraries are kept.
apt_of "$release" install --download-only --no-install-recommends --yes "${wanted[@]}"
rm -rf "$work/root"
unpack "$work/$release/archives" "$work/root"

patchelf=$(command -v patchelf || true)
if [[ -z $patchelf ]]; then
    lists_of "$own"
    (cd "$work/$own/archives" && apt_of "$own" download patchelf)
    unpack "$work/$own/archives" "$work/tools"
    patchelf=$work/tools/usr/bin/patchelf
fi

new=$work/new
mkdir -p "$new/library" "$new/usr/lib" "$new/usr/share"
# Without the compiler for queries, which is larger than all the rest.
rm -rf "$work"/root/usr/lib/postgresql/17/lib/{bitcode,llvmjit*}
find "$work/root/usr/lib" -name '*.so*' ! -path '*/postgresql/*' ! -path '*/perl*' ! -name 'libLLVM*' \( -type f -o -type l \) \
    -exec cp -a -t "$new/library" {} +
cp -a "$work/root/usr/lib/postgresql" "$new/usr/lib/"
cp -a "$work/root/usr/share/postgresql" "$new/usr/share/"
loader=$(basename "$(compgen -G "$new/library/ld-linux*.so*" | head -1)")
# What a program says of where to look holds for its libraries and modules too.
while IFS= read -r -d '' file; do
    [[ $(head -c 4 "$file" | tail -c 3) == ELF ]] || continue
    "$patchelf" --set-interpreter "$dir/library/$loader" --force-rpath --set-rpath "$dir/library" "$file"
done < <(find "$new/usr/lib/postgresql/17/bin" -type f -print0)

# Moved in last: an interrupted run leaves no half of it behind.
rm -rf "$dir/library" "$dir/usr"
mv "$new/library" "$dir/library"
mv "$new/usr" "$dir/usr"
rm -rf "$work"
"$dir/usr/lib/postgresql/17/bin/postgres" --version
say "done: MAINSTAY_ENGINE_DIRS=$dir"
