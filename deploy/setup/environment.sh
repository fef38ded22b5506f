# An environment of Python packages for tools and tests; sourced.
# $folder is where it goes, $list the file with its packages, $what says what it is, to people, and $size how large.

say() { printf '%s\n' "$*" >&2; }

# Whether the folder has what the list says.
is_current() { cmp -s "$list" "$folder/installed.txt"; }

# Makes the environment anew, with the packages that the arguments name to pip.
install_packages() {
    mkdir -p "$(dirname "$folder")"
    rm -rf "$folder"
    if ! python3 -m venv "$folder" 2>/dev/null; then
        rm -rf "$folder"
        say "Python cannot make a virtual environment for $what (apt-get install python3-venv)"
        exit 3
    fi
    say "fetching $what ($size, once)"
    if ! "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --only-binary=:all: "$@"; then
        rm -rf "$folder"
        say "$what could not be fetched; check the network and pip's index, then call this again"
        exit 3
    fi
}

# Called last, so that an interrupted installation is not taken for a complete one.
is_complete() { cp "$list" "$folder/installed.txt"; }
