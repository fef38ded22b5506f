#!/bin/sh
# Puts libtorch 2.11.0 into ./libtorch. A second call downloads nothing; a damaged libtorch is replaced.
# Where LIBTORCH is set, that one is used as it is.
set -eu
cd "$(dirname "$0")/../.."

version=2.11.0
say() { printf '%s\n' "$*" >&2; }

if [ -n "${LIBTORCH:-}" ]; then
    if [ ! -f "$LIBTORCH/lib/libtorch_cpu.so" ]; then
        say "LIBTORCH is $LIBTORCH, but there is no lib/libtorch_cpu.so in it; unset LIBTORCH, or point it to libtorch $version"
        exit 3
    fi
    found=$(cat "$LIBTORCH/build-version" 2>/dev/null || echo unknown)
    case $found in
        $version* | unknown) exit 0 ;;
        *)
            say "LIBTORCH is $LIBTORCH, which is libtorch $found; biosweep is built against $version"
            exit 3
            ;;
    esac
fi

intact() { (cd libtorch && sha256sum --check --quiet --strict MANIFEST) >/dev/null 2>&1; }

if [ -d libtorch ]; then
    intact && exit 0
    say "the files in ./libtorch are not what was installed there; installing them anew"
fi

machine=$(uname -s)-$(uname -m)
case $machine in
    Linux-x86_64 | Linux-aarch64) ;;
    *)
        say "there is no ready libtorch for $machine; install libtorch $version and set LIBTORCH to where it is"
        exit 3
        ;;
esac
arch=$(uname -m)

partial=libtorch.partial
rm -rf "$partial"
mkdir -p "$partial/wheels"
trap 'rm -rf "$partial"' EXIT INT TERM

# Always the wheels of one Python version, whichever runs pip: nothing in them that is used depends on it.
fetch() {
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
        --only-binary=:all: --implementation cp --python-version 3.11 --abi cp311 --abi none \
        --platform "manylinux_2_28_$arch" --platform "manylinux_2_25_$arch" \
        --platform "manylinux_2_17_$arch" --platform "manylinux2014_$arch" \
        --dest "$partial/wheels" --requirement "deploy/setup/wheels-$arch.txt" "$@"
}

say "fetching libtorch $version (about 550 MB, once)"
if ! fetch; then
    say "the download failed or was not what it should be; trying once more, past pip's cache"
    if ! fetch --no-cache-dir; then
        say "libtorch could not be fetched; check the network and pip's index, then call this again"
        exit 3
    fi
fi

python3 deploy/setup/unpack.py "$partial/wheels" "$partial/libtorch"
(cd "$partial/libtorch" && find . -type f ! -name MANIFEST -print0 | sort -z | xargs -0 sha256sum >MANIFEST)
rm -rf libtorch
mv "$partial/libtorch" libtorch
say "libtorch $version is in $(pwd)/libtorch"
