#!/bin/sh
# Puts libtorch 2.11.0 into ./libtorch. A second call downloads nothing; a damaged libtorch is replaced.
# Where LIBTORCH is set, that one is used as it is.
set -eu
cd "$(dirname "$0")/../.."

version=2.11.0
name=libtorch
what="libtorch $version"
. deploy/setup/wheels.sh

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

end_if_installed
list=deploy/setup/libtorch-$arch.txt
if [ "$(uname -s)" != Linux ] || [ ! -f "$list" ]; then
    say "there is no ready libtorch for $(uname -s)-$arch; install libtorch $version and set LIBTORCH to where it is"
    exit 3
fi
# deploy/setup/tests/torch.sh installs the same wheels, for tests.
if [ "${CI:-}" = true ]; then
    keep=${CARGO_TARGET_DIR:-target}/torch-wheels
fi
say "fetching $what (about 550 MB, once)"
install_from "$list"
