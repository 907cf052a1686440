"""Look into the built wheel and sdist: all that the program needs is in them, and nothing else.

    python scripts/check_dist.py dist

What the wheel must hold is what lies in ``src`` here, file by file, and no more.
"""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "napari_nic"
EXPERIMENTS = "napari_nic_experiments"
"""Comes with the sources alone."""

MARKS = ("py.typed", "napari.yaml")
LARGEST_MB = 20
"""A wheel above this has something in it that was not meant to be."""

SDIST = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "constraints.txt")


def wanted(package: str = PACKAGE) -> set[str]:
    """Return a package's files as a wheel names them."""
    source = ROOT / "src"
    return {
        path.relative_to(source).as_posix()
        for path in (source / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def check_wheel(wheel: Path) -> list[str]:
    """Return what is wrong with a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entries = next(name for name in names if name.endswith(".dist-info/entry_points.txt"))
        points = archive.read(entries).decode()
    files = {name for name in names if ".dist-info/" not in name}
    wrong = [f"{wheel.name} lacks {name}" for name in sorted(wanted() - files)]
    wrong += [f"{wheel.name} holds {name}" for name in sorted(files - wanted())]
    wrong += [f"{wheel.name} lacks {name}" for name in MARKS if f"{PACKAGE}/{name}" not in files]
    wrong += [
        f"{wheel.name} has no entry point {point}"
        for point in ("console_scripts", "napari.manifest")
        if f"[{point}]" not in points
    ]
    if wheel.stat().st_size > LARGEST_MB * 1e6:
        wrong.append(f"{wheel.name} has {wheel.stat().st_size / 1e6:.0f} MB")
    return wrong


def check_sdist(sdist: Path) -> list[str]:
    """Return what is wrong with a source distribution."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = [*SDIST, *(f"src/{name}" for name in sorted(wanted() | wanted(EXPERIMENTS)))]
    wrong = [f"{sdist.name} lacks {name}" for name in needed if name not in names]
    if not any(name.startswith("tests/") for name in names):
        wrong.append(f"{sdist.name} lacks the tests")
    return wrong


def main(folder: Path) -> int:
    """Check one wheel and one sdist; return the exit code."""
    wheels, sdists = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    if len(wheels) != 1 or len(sdists) != 1:
        sys.stderr.write(f"{folder}: one wheel and one sdist are expected\n")
        return 1
    wrong = check_wheel(wheels[0]) + check_sdist(sdists[0])
    sys.stderr.writelines(f"{line}\n" for line in wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
