# Takes programs and libraries out of Python wheels; sourced by libtorch.sh and postgresql.sh.
# $name is the folder they go to, $what says what it is, to people. If $keep is set, the wheels stay in this folder.

say() { printf '%s\n' "$*" >&2; }

arch=$(uname -m)
partial=$name.partial

# Ends the script if the folder is there and its files are what was installed.
end_if_installed() {
    [ -d "$name" ] || return 0
    if (cd "$name" && sha256sum --check --quiet --strict MANIFEST) >/dev/null 2>&1; then
        exit 0
    fi
    say "the files in ./$name are not what was installed there; installing them anew"
}

# Always the wheels of one Python version, whichever runs pip: nothing in them that is used depends on it.
download() {
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes \
        --only-binary=:all: --implementation cp --python-version 3.11 --abi cp311 --abi none \
        --platform "manylinux_2_28_$arch" --platform "manylinux_2_27_$arch" --platform "manylinux_2_25_$arch" \
        --platform "manylinux_2_17_$arch" --platform "manylinux2014_$arch" \
        --dest "$partial/wheels" "$@"
}

# Fetches the wheels of a list with their hashes, and puts what is wanted of them into the folder: whole, or not at all.
install_from() {
    if ! python3 -m pip --version >/dev/null 2>&1; then
        say "Python's pip is not installed; $what is fetched with it (apt-get install python3-pip)"
        exit 3
    fi
    rm -rf "$partial"
    mkdir -p "$partial/wheels"
    trap 'rm -rf "$partial"' EXIT INT TERM
    if ! download --requirement "$1"; then
        say "the download failed or was not what it should be; trying once more, past pip's cache"
        if ! download --requirement "$1" --no-cache-dir; then
            say "$what could not be fetched; check the network and pip's index, then call this again"
            exit 3
        fi
    fi
    python3 deploy/setup/unpack.py "$name" "$partial/wheels" "$partial/$name"
    (cd "$partial/$name" && find . -type f ! -name MANIFEST -print0 | sort -z | xargs -0 sha256sum >MANIFEST)
    rm -rf "$name"
    mv "$partial/$name" "$name"
    if [ -n "${keep:-}" ]; then
        mkdir -p "$keep"
        mv "$partial"/wheels/*.whl "$keep"
    fi
    say "$what is in $(pwd)/$name"
}
