#!/bin/sh
# Installs libfaketime, which shows a program another time, for the tests of clocks: Debian's faketime, 0.1 MB, once.
set -eu
cd "$(dirname "$0")/../../.."

say() { printf '%s\n' "$*" >&2; }

packages=faketime

if command -v faketime >/dev/null 2>&1; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
    say "faketime is not installed; install it as root (apt-get install --no-install-recommends $packages)"
    exit 3
fi
say "installing faketime for the tests (once)"
if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } >&2; then
    say "$packages could not be installed; check the network and Debian's packages, then call this again"
    exit 3
fi
