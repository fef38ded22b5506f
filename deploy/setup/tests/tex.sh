#!/bin/sh
# Installs pdflatex with booktabs, for the test that compiles tables: Debian's texlive-latex-recommended, 0.2 GB, once.
set -eu
cd "$(dirname "$0")/../../.."

say() { printf '%s\n' "$*" >&2; }

package=texlive-latex-recommended

if command -v pdflatex >/dev/null 2>&1 && kpsewhich booktabs.sty >/dev/null 2>&1; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
    say "pdflatex with booktabs is not installed; install TeX Live as root (apt-get install $package)"
    exit 3
fi
say "installing pdflatex for the tests (0.2 GB, once)"
if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $package; } >&2; then
    say "$package could not be installed; check the network and Debian's packages, then call this again"
    exit 3
fi
