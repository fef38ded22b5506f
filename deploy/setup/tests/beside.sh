#!/bin/sh
# Installs what the tests need while a command runs, and fails if either does. Only with CI=true are large tools installed, and the
# machine changed; elsewhere a test that misses its tool says how it is installed.
set -u
cd "$(dirname "$0")"

install() {
    ../postgresql.sh || return
    [ "${CI:-}" = true ] || return 0
    # One after the other: most need the lock of Debian's package manager.
    for tool in readers tex browser torch slurm kubernetes prometheus clock; do
        "./$tool.sh" || return
    done
}

install &
tools=$!
(cd ../../.. && "$@")
status=$?
wait "$tools" || exit
exit "$status"
