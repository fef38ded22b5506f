"""Puts the licences of biosweep, and of every crate that a program contains, into a wheel."""

import json
import os
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

CRATES = "LICENSES-OF-CRATES.txt"
NAMES = ("license", "licence", "copying", "copyright", "notice", "unlicense")
RULE = "=" * 100


def add(unpacked: Path, package: str, files: list[Path]) -> None:
    """Adds licence files to the metadata of an unpacked wheel."""
    (metadata,) = unpacked.glob("*.dist-info/METADATA")
    folder = metadata.parent / "licenses"
    folder.mkdir(exist_ok=True)
    for file in files:
        shutil.copyfile(file, folder / file.name)
    (folder / CRATES).write_text(of_crates(package), encoding="utf-8")
    head, body = (metadata.read_text(encoding="utf-8") + "\n\n").split("\n\n", 1)
    lines = [line for line in head.splitlines() if not line.startswith("License-File: ")]
    lines += [f"License-File: {path.name}" for path in sorted(folder.iterdir())]
    metadata.write_text("\n".join(lines) + "\n\n" + body.lstrip("\n"), encoding="utf-8")


def of_crates(package: str) -> str:
    """The licences of the crates in a program. Texts with equal words appear once, below the crates that have them."""
    crates = _crates(package)
    texts, owners = {}, defaultdict(list)
    for crate in crates:
        for text in _texts(Path(crate["manifest_path"]).parent):
            words = " ".join(text.split())
            texts.setdefault(words, text)
            owners[words].append(_name(crate))
    parts = ["The program contains these crates, under these licences:\n"]
    parts += [f"  {_name(crate)}: {crate['license'] or crate['license_file']}" for crate in crates]
    for words, names in owners.items():
        parts += ["", RULE, *sorted(set(names)), "", texts[words]]
    return "\n".join(parts) + "\n"


def _crates(package: str) -> list[dict]:
    tree = ["tree", "--locked", "--package", package, "--all-features", "--edges", "normal,no-proc-macro"]
    lines = _cargo(*tree, "--prefix", "none", "--format", "{p}").splitlines()
    wanted = {tuple(line.split()[:2]) for line in lines}
    packages = json.loads(_cargo("metadata", "--locked", "--format-version", "1"))["packages"]
    # Crates without a source are our own.
    found = [one for one in packages if one["source"] and (one["name"], f"v{one['version']}") in wanted]
    return sorted(found, key=_name)


def _texts(folder: Path) -> list[str]:
    files = (path for path in sorted(folder.rglob("*")) if path.name.lower().startswith(NAMES))
    files = (path for path in files if path.is_file() and path.suffix != ".rs")
    return [path.read_text(encoding="utf-8", errors="replace").strip() for path in files]


def _name(crate: dict) -> str:
    return f"{crate['name']} {crate['version']}"


def _cargo(*arguments: str) -> str:
    cargo = os.environ["BIOSWEEP_CARGO"]
    return subprocess.run([cargo, *arguments], check=True, text=True, stdout=subprocess.PIPE).stdout
