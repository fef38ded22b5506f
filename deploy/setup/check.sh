#!/bin/sh
# Checks that this machine has what a build needs, and says what to install where it has not. Exit code 3.
set -eu
cd "$(dirname "$0")/../.."

rust_minimum=92 # of 1.x; as `rust-version` in Cargo.toml says
problems=

missing() {
    problems="$problems
  $1
      $2"
}

if ! command -v cargo >/dev/null 2>&1 || ! command -v rustc >/dev/null 2>&1; then
    missing "Rust is not installed." "install it with rustup, as www.rust-lang.org/tools/install says"
elif ! rust=$(rustc --version 2>/dev/null); then
    missing "rustc does not run: rustup has no toolchain here." "rustup toolchain install stable"
else
    minor=$(printf '%s\n' "$rust" | sed -n 's/^rustc 1\.\([0-9]*\)\..*/\1/p')
    if [ "${minor:-0}" -lt "$rust_minimum" ]; then
        missing "$rust is too old: 1.$rust_minimum is needed." "rustup update stable"
    fi
fi

if ! command -v "${CXX:-c++}" >/dev/null 2>&1; then
    missing "There is no C++ compiler (${CXX:-c++})." "apt-get install g++"
fi
if ! command -v "${CC:-cc}" >/dev/null 2>&1; then
    missing "There is no C compiler (${CC:-cc})." "apt-get install gcc"
fi

if [ -z "${LIBTORCH:-}" ] && [ ! -d libtorch ]; then
    if ! command -v python3 >/dev/null 2>&1; then
        missing "Python 3 is not installed; libtorch is fetched with its pip." "apt-get install python3 python3-pip"
    elif ! python3 -m pip --version >/dev/null 2>&1; then
        missing "Python's pip is not installed; libtorch is fetched with it." "apt-get install python3-pip"
    fi
    need_mb=3500 # wheel 550, libtorch 500, build 1900, and some to spare
else
    need_mb=1000
fi
[ -d target ] && need_mb=$((need_mb / 3))

free_mb=$(df -Pm . | awk 'NR == 2 { print $4 }')
if [ "$free_mb" -lt "$need_mb" ]; then
    missing "Only $free_mb MB are free on the disk of $(pwd); $need_mb MB are needed." "make room there, or clone onto another disk"
fi

if [ -n "$problems" ]; then
    printf 'biosweep cannot be built here yet:%s\n' "$problems" >&2
    exit 3
fi
