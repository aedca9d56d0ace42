#!/usr/bin/env bash
# Installs moto's S3 server into a private Python environment in DIR (default: .deps/moto in the
# checkout), so that end-to-end tests have a bucket to talk to. The system is not touched.
#
# Usage: scripts/fetch-moto.sh [DIR]     then: DIR/bin/moto_server -H 127.0.0.1 -p PORT
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:-$here/../.deps/moto}
wanted=$here/moto-requirements.txt

say() { printf 'fetch-moto: %s\n' "$*"; }

if [[ -x $dir/bin/moto_server ]] && cmp -s "$wanted" "$dir/requirements.txt"; then
    say "$dir has it already"
    exit 0
fi
# The list goes in last: an interrupted run is begun anew.
rm -rf "$dir"
python3 -m venv "$dir"
say "installing $(grep -o '^moto==.*' "$wanted") and what it needs"
"$dir/bin/pip" install -q --disable-pip-version-check -r "$wanted"
cp "$wanted" "$dir/requirements.txt"
say "done: $dir"
