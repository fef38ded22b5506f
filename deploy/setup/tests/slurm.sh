#!/bin/sh
# Installs a Slurm cluster and munge for the tests of jobs: Debian's slurm-wlm, 14 MB, once.
set -eu
cd "$(dirname "$0")/../../.."

say() { printf '%s\n' "$*" >&2; }

packages="slurm-wlm munge"

if command -v slurmctld >/dev/null 2>&1 && command -v slurmd >/dev/null 2>&1 && command -v munged >/dev/null 2>&1; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" != 0 ]; then
    say "Slurm and munge are not installed; install them as root (apt-get install --no-install-recommends $packages)"
    exit 3
fi
say "installing Slurm for the tests (once)"
# shellcheck disable=SC2086 # two packages
if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } >&2; then
    say "$packages could not be installed; check the network and Debian's packages, then call this again"
    exit 3
fi
