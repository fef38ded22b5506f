"""Finishes the wheels that maturin built: finish.py BUILT DIST.

The worker goes into its Python package, where its path to torch is known; the programs are checked; licences are added.
"""

import subprocess
import sys
from pathlib import Path

import licences
import programs

ROOT = Path(__file__).parents[2]
LICENCES = [ROOT / "LICENSE-APACHE", ROOT / "LICENSE-MIT"]
# maturin refuses a console script beside a program.
ENTRY_POINTS = "[console_scripts]\nbiosweep-worker = biosweep_worker:main\n"
FONT = ROOT / "coordinator/analysis/fonts/LICENSE-OFL.txt"


def wheel(*arguments) -> None:
    subprocess.run([sys.executable, "-m", "wheel", *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)


def finish_coordinator(unpacked: Path) -> None:
    (program,) = unpacked.glob("*.data/scripts/biosweep")
    programs.strip(program)
    programs.check(program, libraries=[])
    licences.add(unpacked, "biosweep", [*LICENCES, FONT])


def finish_worker(unpacked: Path) -> None:
    (script,) = unpacked.glob("*.data/scripts/biosweep-worker")
    program = unpacked / "biosweep_worker/bin/biosweep-worker"
    program.parent.mkdir()
    script.rename(program)
    script.parent.rmdir()
    script.parent.parent.rmdir()
    (metadata,) = unpacked.glob("*.dist-info")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS, encoding="utf-8")
    programs.strip(program)
    programs.set_run_path(program, "$ORIGIN/../../torch/lib")
    programs.check(program, libraries=["libc10.so", "libtorch_cpu.so"])
    licences.add(unpacked, "biosweep-worker", LICENCES)


def main() -> None:
    built, dist = map(Path, sys.argv[1:])
    finishers = {"biosweep": finish_coordinator, "biosweep_worker": finish_worker}
    for path in sorted(built.glob("*.whl")):
        name = path.name.split("-")[0]
        place = built / name
        wheel("unpack", "--dest", place, path)
        (unpacked,) = place.iterdir()
        finishers[name](unpacked)
        dist.mkdir(exist_ok=True)
        wheel("pack", "--dest-dir", dist, unpacked)
        print(f"built {dist / path.name}", file=sys.stderr)


main()
