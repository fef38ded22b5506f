"""Starts the worker of biosweep with the libtorch of the installed torch."""

import os
import re
import signal
import sys
from importlib import metadata, util
from pathlib import Path
from typing import NoReturn, Optional

_PACKAGE = Path(__file__).parent
_PROGRAM = _PACKAGE / "bin" / "biosweep-worker"
# The run path of the program leads here.
_NEIGHBOUR = _PACKAGE.parent / "torch"
_LIBRARY = Path("lib", "libtorch_cpu.so")
# The worker's exit code for a machine on which it cannot train.
_UNFIT = 3


def main() -> NoReturn:
    """Becomes the worker: its process id stays, so signals of a batch system or a terminal reach it."""
    torch = _torch()
    if torch != _NEIGHBOUR:
        paths = [str(torch / "lib"), os.environ.get("LD_LIBRARY_PATH")]
        os.environ["LD_LIBRARY_PATH"] = ":".join(path for path in paths if path)
    # Python ignores these signals, and the program would inherit that.
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)
    try:
        os.execv(_PROGRAM, [str(_PROGRAM), *sys.argv[1:]])
    except OSError as error:
        _fail(f"cannot start {_PROGRAM}: {error.strerror}; install biosweep-worker again")


def _torch() -> Path:
    """The folder of the torch whose libtorch the program will load. It is not imported, which would take seconds."""
    (requirement,) = metadata.requires("biosweep-worker") or ()
    wanted = requirement.partition("==")[2]
    fix = f"install torch {wanted}: {sys.executable} -m pip install torch=={wanted}"
    folder = _NEIGHBOUR if (_NEIGHBOUR / _LIBRARY).is_file() else _elsewhere()
    if folder is None:
        _fail(f"biosweep-worker needs torch {wanted}, and {sys.prefix} has no torch; {fix}")
    found = _version(folder)
    # A part after `+` names the build, such as +cpu.
    if found.partition("+")[0] != wanted:
        _fail(f"biosweep-worker needs torch {wanted}, and {folder} is torch {found}; {fix}")
    if not (folder / _LIBRARY).is_file():
        _fail(f"biosweep-worker needs torch {wanted}, and {folder} has no {_LIBRARY}; {fix}")
    return folder


def _elsewhere() -> Optional[Path]:
    """The torch of another folder of packages, such as that of the system below a virtual environment."""
    spec = util.find_spec("torch")
    places = spec.submodule_search_locations if spec else None
    return next(map(Path, places or ()), None)


def _version(torch: Path) -> str:
    try:
        text = (torch / "version.py").read_text(encoding="utf-8")
    except OSError:
        text = ""
    found = re.search(r"^__version__ = ['\"]([^'\"]+)", text, re.MULTILINE)
    return found[1] if found else "of an unknown version"


def _fail(message: str) -> NoReturn:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(_UNFIT)
