#!/bin/sh
# Puts torch into target/torch, for the tests of the wheels: with the two small CUDA libraries that libtorch_cpu asks for, and
# without the gigabytes of other dependencies. 1.3 GB, once. A second call downloads nothing unless the list has changed.
set -eu
cd "$(dirname "$0")/../../.."

list=deploy/setup/libtorch-$(uname -m).txt
target=${CARGO_TARGET_DIR:-target}
folder=$target/torch
what="torch for the tests of the wheels"
size="1.3 GB installed"
. deploy/setup/environment.sh

# What libtorch.sh has downloaded.
kept=$target/torch-wheels

if [ "$(uname -s)" != Linux ] || [ ! -f "$list" ]; then
    say "there is no ready torch for $(uname -s)-$(uname -m), so the wheels cannot be tested here"
    exit 3
fi
if is_current; then
    exit 0
fi
mkdir -p "$kept"
# The list has the bytes for Python 3.11; another Python takes other wheels of the same versions.
sed 's/ --hash=.*//' "$list" >"$kept/wheels.txt"
install_packages --find-links "$kept" --requirement "$kept/wheels.txt"
rm -rf "$kept"
is_complete
