#!/bin/sh
# Puts the Python readers of exports, for the tests, into target/readers: pandas, polars, DuckDB,
# TensorBoard and MLflow. 0.7 GB, once.
# A second call downloads nothing unless the list has changed.
set -eu
cd "$(dirname "$0")/../../.."

list=deploy/setup/tests/readers.txt
folder=${CARGO_TARGET_DIR:-target}/readers
what="the readers of exports for the tests"
size="0.7 GB installed"
. deploy/setup/environment.sh

if is_current; then
    exit 0
fi
install_packages --requirement "$list"
is_complete
