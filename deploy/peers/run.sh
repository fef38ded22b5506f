#!/bin/sh
# Installs the peers into an environment of their own (once) and measures training beside them.
set -eu
here=$(dirname "$0")
venv=${PEERS_VENV:-target/peers}
if ! command -v python3 >/dev/null || ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    echo "bench-peers needs Python 3 with venv; on Debian: apt-get install python3 python3-venv" >&2
    exit 3
fi
if [ ! -x "$venv/bin/python" ]; then
    python3 -m venv "$venv"
fi
"$venv/bin/python" -m pip install --quiet --requirement "$here/requirements.txt"
exec "$venv/bin/python" "$here/bench.py" "$@"
