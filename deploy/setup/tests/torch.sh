#!/bin/sh
# Puts torch into target/torch, for the tests of the wheels: with the two small CUDA libraries that libtorch_cpu asks for, and
# without the gigabytes of other dependencies. 1.3 GB, once. A second call downloads nothing unless the list has changed.
set -eu
cd "$(dirname "$0")/../../.."

say() { printf '%s\n' "$*" >&2; }

list=deploy/setup/libtorch-$(uname -m).txt
target=${CARGO_TARGET_DIR:-target}
folder=$target/torch
# What libtorch.sh has downloaded.
kept=$target/torch-wheels

if [ "$(uname -s)" != Linux ] || [ ! -f "$list" ]; then
    say "there is no ready torch for $(uname -s)-$(uname -m), so the wheels cannot be tested here"
    exit 3
fi
if cmp -s "$list" "$folder/installed.txt"; then
    exit 0
fi
mkdir -p "$kept"
rm -rf "$folder"
if ! python3 -m venv "$folder" 2>/dev/null; then
    rm -rf "$folder"
    say "Python cannot make a virtual environment for torch (apt-get install python3-venv)"
    exit 3
fi
# The list has the bytes for Python 3.11; another Python takes other wheels of the same versions.
sed 's/ --hash=.*//' "$list" >"$folder/wheels.txt"
say "installing torch for the tests of the wheels (1.3 GB installed, once)"
if ! "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-compile \
    --only-binary=:all: --find-links "$kept" --requirement "$folder/wheels.txt"; then
    rm -rf "$folder"
    say "torch could not be fetched; check the network and pip's index, then call this again"
    exit 3
fi
rm -rf "$kept"
# The list is copied last, so that an interrupted installation is not taken for a complete one.
cp "$list" "$folder/installed.txt"
