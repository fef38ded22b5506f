#!/bin/sh
# Installs what the tests of the live page need: Debian's Chromium with its driver (0.5 GB), and axe-core, the checker of
# accessibility, as target/browser/axe.min.js (0.6 MB). Once.
set -eu
cd "$(dirname "$0")/../../.."

say() { printf '%s\n' "$*" >&2; }

packages="chromium chromium-driver"
# A wheel that has axe-core 4.12.1 in it; it depends on no Python and no machine.
wheel=axe-playwright-python==0.1.8
wheel_sum=fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8
file=axe_playwright_python/axe.min.js
file_sum=84494fec757e4710dc751c8d7a636e457f4532f08f85c86dc9070133fbff53bc
folder=${CARGO_TARGET_DIR:-target}/browser

if ! command -v chromium >/dev/null 2>&1 || ! command -v chromedriver >/dev/null 2>&1; then
    if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
        say "chromium and chromedriver are not installed; install them as root (apt-get install $packages)"
        exit 3
    fi
    say "installing Chromium for the tests (0.5 GB, once)"
    # shellcheck disable=SC2086 # two packages
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } >&2; then
        say "$packages could not be installed; check the network and Debian's packages, then call this again"
        exit 3
    fi
fi

is_axe() { printf '%s  %s\n' "$file_sum" "$1" | sha256sum --check --quiet --strict >/dev/null 2>&1; }

if is_axe "$folder/axe.min.js"; then
    exit 0
fi
rm -rf "$folder"
mkdir -p "$folder"
trap 'rm -rf "$folder/wheel"' EXIT INT TERM
printf '%s --hash=sha256:%s\n' "$wheel" "$wheel_sum" >"$folder/wheel.txt"
if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: \
    --dest "$folder/wheel" --requirement "$folder/wheel.txt"; then
    say "axe-core could not be fetched; check the network and pip's index, then call this again"
    exit 3
fi
python3 -m zipfile --extract "$folder"/wheel/*.whl "$folder/wheel"
if ! is_axe "$folder/wheel/$file"; then
    say "the axe-core in $wheel is not what it should be"
    exit 3
fi
mv "$folder/wheel/$file" "$folder/axe.min.js"
