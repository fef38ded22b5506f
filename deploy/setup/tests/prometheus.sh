#!/bin/sh
# Fetches Debian's Prometheus with promtool for the tests of metrics into target/prometheus, 19 MB, once. The package is only
# unpacked, so that no service starts.
set -eu
cd "$(dirname "$0")/../../.."

say() { printf '%s\n' "$*" >&2; }

package=prometheus
folder=${CARGO_TARGET_DIR:-target}/prometheus

if "$folder/usr/bin/promtool" --version >/dev/null 2>&1 && "$folder/usr/bin/prometheus" --version >/dev/null 2>&1; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-deb >/dev/null 2>&1; then
    say "Prometheus cannot be fetched without apt-get and dpkg-deb; put prometheus and promtool into $folder/usr/bin"
    exit 3
fi
say "fetching Prometheus for the tests (19 MB, once)"
rm -rf "$folder"
mkdir -p "$folder/package"
trap 'rm -rf "$folder/package"' EXIT INT TERM
download() { (cd "$folder/package" && apt-get download -qq "$package") >&2; }
# The lists of packages may be missing or too old.
if ! download && ! { apt-get update -qq >&2 && download; }; then
    say "$package could not be fetched; check the network and Debian's packages, then call this again"
    exit 3
fi
dpkg-deb --extract "$folder"/package/*.deb "$folder"
if ! "$folder/usr/bin/promtool" --version >/dev/null; then
    say "the promtool of Debian's $package does not start on this machine"
    exit 3
fi
