#!/bin/sh
# Builds the wheels of biosweep and of its worker into ./dist. The arguments tell cargo which packages and features to build.
set -eu
cd "$(dirname "$0")/../.."

root=$(pwd)
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
built=$target/wheel-partial
list=deploy/python/tools.txt
folder=$target/wheel-tools
what="the tools that build wheels"
size="12 MB"
. deploy/setup/environment.sh

if ! command -v readelf >/dev/null 2>&1 || ! command -v strip >/dev/null 2>&1; then
    say "readelf and strip, which check the programs and make them smaller, are not installed (apt-get install binutils)"
    exit 3
fi
if ! is_current; then
    install_packages --require-hashes --requirement "$list"
    is_complete
fi

BIOSWEEP_CARGO=${CARGO:-cargo}
BIOSWEEP_SELECTION=$*
export BIOSWEEP_CARGO BIOSWEEP_SELECTION
"$BIOSWEEP_CARGO" build --release --locked "$@"

rm -rf "$built" dist
trap 'rm -rf "$built"' EXIT INT TERM
for package in biosweep worker; do
    (cd "deploy/python/$package" && CARGO="$root/deploy/python/cargo" "$folder/bin/maturin" build --quiet --locked --out "$built")
done
PATH="$folder/bin:$PATH" "$folder/bin/python" -B deploy/python/finish.py "$built" dist
