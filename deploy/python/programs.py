"""Checks that a program keeps what the tag manylinux_2_34 promises, and changes it for a wheel."""

import os
import re
import subprocess
import sys
from pathlib import Path

# The newest versions of symbols on a machine with glibc 2.34 and GCC 11, as the policy of manylinux_2_34 lists them.
NEWEST = {"GLIBC": (2, 34), "GLIBCXX": (3, 4, 29), "CXXABI": (1, 3, 13), "GCC": (7, 0, 0)}
# The libraries of every such machine.
SYSTEM = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libgcc_s.so.1", "libstdc++.so.6"}
LOADER = re.compile(r"ld-linux-.*\.so\.\d")


def check(program: Path, libraries: list[str]) -> None:
    """Ends with an error if the program needs a newer symbol, or a library that is neither of the system nor a given one."""
    problems = [
        f"it needs {name}_{version}, which is newer than {name}_{'.'.join(map(str, NEWEST[name]))}"
        for name, version in sorted(_symbol_versions(program))
        if name in NEWEST and tuple(map(int, version.split("."))) > NEWEST[name]
    ]
    for library in _dynamic(program, "NEEDED"):
        if library not in SYSTEM and library not in libraries and not LOADER.fullmatch(library):
            problems.append(f"it needs {library}, which a machine need not have")
    if problems:
        sys.exit(
            f"{program.name} does not run on every machine with glibc 2.34:\n  "
            + "\n  ".join(problems)
            + "\nbuild the wheels on an older system, such as Debian 12"
        )


def strip(program: Path) -> None:
    """Removes the numbers of lines for backtraces, which are two thirds of a program. The names of functions stay."""
    subprocess.run(["strip", "--strip-debug", program], check=True)


def set_run_path(program: Path, path: str) -> None:
    """Makes this the only path of the program to libraries, in place of that to the libtorch of the build.

    As DT_RPATH, which precedes LD_LIBRARY_PATH, such as that of an active conda environment.
    """
    subprocess.run(["patchelf", "--force-rpath", "--set-rpath", path, program], check=True)
    found = _dynamic(program, "RPATH") + _dynamic(program, "RUNPATH")
    if found != [path]:
        sys.exit(f"patchelf left the run path {found} in {program.name}; it must be {path}")


def _symbol_versions(program: Path) -> set[tuple[str, str]]:
    printed = _readelf("--version-info", program)
    found = set(re.findall(r"Name: ([A-Z]+)_([0-9.]+) ", printed))
    if not any(name == "GLIBC" for name, _ in found):
        sys.exit(f"readelf finds no version of glibc in {program}; its output has another form than expected")
    return found


def _dynamic(program: Path, tag: str) -> list[str]:
    return re.findall(rf"\({tag}\)[^\[]*\[([^\]]*)\]", _readelf("--dynamic", program))


def _readelf(option: str, program: Path) -> str:
    command = ["readelf", "--wide", option, program]
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env=environment).stdout
