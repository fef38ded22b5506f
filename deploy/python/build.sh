#!/bin/sh
# Builds the wheels of biosweep and of its worker into ./dist. The arguments tell cargo which packages and features to build.
set -eu
cd "$(dirname "$0")/../.."

say() { printf '%s\n' "$*" >&2; }

root=$(pwd)
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
list=deploy/python/tools.txt
tools=$target/wheel-tools
built=$target/wheel-partial

if ! command -v readelf >/dev/null 2>&1 || ! command -v strip >/dev/null 2>&1; then
    say "readelf and strip, which check the programs and make them smaller, are not installed (apt-get install binutils)"
    exit 3
fi
if ! cmp -s "$list" "$tools/installed.txt"; then
    mkdir -p "$target"
    rm -rf "$tools"
    if ! python3 -m venv "$tools" 2>/dev/null; then
        rm -rf "$tools"
        say "Python cannot make a virtual environment for the tools that build wheels (apt-get install python3-venv)"
        exit 3
    fi
    say "fetching the tools that build wheels (12 MB, once)"
    if ! "$tools/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
        --only-binary=:all: --requirement "$list"; then
        rm -rf "$tools"
        say "the tools that build wheels could not be fetched; check the network and pip's index, then call this again"
        exit 3
    fi
    # The list is copied last, so that an interrupted installation is not taken for a complete one.
    cp "$list" "$tools/installed.txt"
fi

BIOSWEEP_CARGO=${CARGO:-cargo}
BIOSWEEP_SELECTION=$*
export BIOSWEEP_CARGO BIOSWEEP_SELECTION
"$BIOSWEEP_CARGO" build --release --locked "$@"

rm -rf "$built" dist
trap 'rm -rf "$built"' EXIT INT TERM
for package in biosweep worker; do
    (cd "deploy/python/$package" && CARGO="$root/deploy/python/cargo" "$tools/bin/maturin" build --quiet --locked --out "$built")
done
PATH="$tools/bin:$PATH" "$tools/bin/python" -B deploy/python/finish.py "$built" dist
