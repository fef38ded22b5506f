#!/bin/sh
# Puts the Python readers of exports, for the tests, into target/readers: pandas, polars, DuckDB,
# TensorBoard and MLflow. 0.7 GB, once.
# A second call downloads nothing unless the list has changed.
set -eu
cd "$(dirname "$0")/../../.."

say() { printf '%s\n' "$*" >&2; }

list=deploy/setup/tests/readers.txt
target=${CARGO_TARGET_DIR:-target}
folder=$target/readers

if cmp -s "$list" "$folder/installed.txt"; then
    exit 0
fi
mkdir -p "$target"
rm -rf "$folder"
if ! python3 -m venv "$folder" 2>/dev/null; then
    rm -rf "$folder"
    say "Python cannot make a virtual environment for the readers of exports (apt-get install python3-venv)"
    exit 3
fi
say "fetching the readers of exports for the tests (0.7 GB installed, once)"
if ! "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-compile \
    --only-binary=:all: --requirement "$list"; then
    rm -rf "$folder"
    say "the readers of exports could not be fetched; check the network and pip's index, then call this again"
    exit 3
fi
# The list is copied last, so that an interrupted installation is not taken for a complete one.
cp "$list" "$folder/installed.txt"
