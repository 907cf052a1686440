"""Prove exports by the programs that they are for: each reads them with its own code.

    python scripts/check_interchange.py
    python scripts/check_interchange.py lazyslide squidpy --cache ~/environments
    python scripts/check_interchange.py --clam CLONE --stamp CLONE --trident CLONE

A slide is painted and compressed twice, with patches edge to edge and overlapping, and exported for each.
Programs of the registry are installed into environments under the cache (gigabytes, for those that bring
PyTorch); CLAM, STAMP and TRIDENT are read from a clone, by an interpreter that has what they need
(``--python``). The registry's packages called ``clam`` and ``stamp`` are other programs. What cannot be had
is "not run", with the reason. Exit code 1 if a program does not read what was exported.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_nic import compress
from napari_nic.embeddings import CompressedSlide, export_store
from napari_nic.embeddings.interchange import CodeTable
from napari_nic.embeddings.interchange.table import side_px, step_px
from napari_nic.pipeline import GridOptions
from napari_nic.synthetic import make_test_slide

READERS = Path(__file__).parent / "interchange_readers"
PASSED, FAILED, NOT_RUN = "pass", "FAIL", "not run"
_READ_SECONDS = 600


@dataclass(frozen=True)
class Program:
    """Another program, and how to come by it.

    Attributes
    ----------
    formats : tuple of str
        Exports that it reads.
    packages : tuple of str
        Of the registry; empty for one that comes as a clone.
    prepares : bool
        It writes a folder first, to which an export is added.
    """

    formats: tuple[str, ...]
    packages: tuple[str, ...] = ()
    prepares: bool = False


PROGRAMS = {
    "lazyslide": Program(("wsidata",), ("wsidata", "lazyslide"), prepares=True),
    "squidpy": Program(("anndata",), ("squidpy",)),
    "polars": Program(("parquet",), ("polars", "numpy")),
    "tiatoolbox": Program(("trident",), ("tiatoolbox", "h5py")),
    "slideflow": Program(("slideflow",), ("slideflow",)),
    "clam": Program(("clam",)),
    "stamp": Program(("stamp",)),
    "trident": Program(("trident", "titan")),
}


@dataclass(frozen=True)
class Result:
    """What came of a program: `outcome`, and what it read or why not."""

    outcome: str
    said: str


def make_exports(folder: Path) -> Iterator[Path]:
    """Write a slide, its exports and what is true of them: patches edge to edge, and overlapping."""
    for name, stride in (("edge", None), ("overlap", 96)):
        case = folder / name
        slide = make_test_slide(case / f"{name}.v1.tif", seed=3, side=1536).path
        store = compress(slide, options=GridOptions(stride=stride))
        table = CodeTable.of(store)
        for form in sorted({form for program in PROGRAMS.values() for form in program.formats}):
            export_store(store, case / form, form)
        true = {"side": side_px(store.grid), "step": step_px(store.grid), "mpp": store.grid.pixel_size.mean}
        np.savez(
            case / "true.npz",
            corners=table.coords_xy,
            cells=table.cells,
            codes=store.read()[tuple(table.cells.T)].astype(np.float32),
            **true,
        )
        yield case


def interpreter(name: str, program: Program, cache: Path) -> Path | Result:
    """Return the Python of a program's environment, which is made if it is not there."""
    folder = cache / name
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True)
        command = [str(python), "-m", "pip", "install", "--quiet", *program.packages]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["?"]
            return Result(NOT_RUN, f"pip cannot install it: {said[-1][:120]}")
        (folder / "ready").touch()
    return python


def read_by(name: str, python: Path, case: Path, clone: Path | None, *mode: str) -> Result:
    """Let a program read the exports of a case."""
    command = [str(python), str(READERS / f"{name}_reader.py"), str(case), *mode]
    paths = [READERS, *([clone, clone / "src"] if clone else [])]
    environment = {"PYTHONPATH": ":".join(map(str, paths)), "PATH": "/usr/bin:/bin", "HOME": str(Path.home())}
    try:
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=environment, timeout=_READ_SECONDS
        )
    except subprocess.TimeoutExpired:
        return Result(FAILED, f"no end after {_READ_SECONDS} s")
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return Result(PASSED if done.returncode == 0 else FAILED, lines[-1][:160] if lines else "nothing said")


def check(name: str, cases: list[Path], args: argparse.Namespace) -> Result:
    """Prove the exports for one program, in all cases."""
    program, clone = PROGRAMS[name], getattr(args, name, None)
    if not program.packages and clone is None:
        return Result(NOT_RUN, f"it is in no registry: give a clone (--{name} PATH)")
    python = interpreter(name, program, args.cache) if program.packages else Path(args.python)
    if isinstance(python, Result):
        return python
    said = []
    for case in cases:
        if program.prepares:
            made = read_by(name, python, case, clone, "prepare")
            if made.outcome == FAILED:
                return made
            store = CompressedSlide.open(next(case.glob("*.nic.zarr")))
            export_store(store, case / f"{name}.zarr", program.formats[0])
        result = read_by(name, python, case, clone, "read")
        if result.outcome == FAILED:
            return Result(FAILED, f"{case.name}: {result.said}")
        said.append(result.said)
    return Result(PASSED, said[-1])


def main() -> int:
    """Check the programs that are named, all by default, and print a line for each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("programs", nargs="*", help=f"of {', '.join(PROGRAMS)}; all by default")
    parser.add_argument("--cache", type=Path, help="folder of the environments; default: a temporary one")
    parser.add_argument("--python", default=sys.executable, help="interpreter that reads clones")
    parser.add_argument("--json", action="store_true")
    for name in (name for name, program in PROGRAMS.items() if not program.packages):
        parser.add_argument(f"--{name}", type=Path, metavar="PATH", help=f"clone of {name.upper()}")
    args = parser.parse_args()
    if unknown := set(args.programs) - set(PROGRAMS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        args.cache = args.cache or Path(folder, "environments")
        cases = list(make_exports(Path(folder, "exports")))
        results = {}
        for name in args.programs or PROGRAMS:
            results[name] = result = check(name, cases, args)
            if not args.json:
                forms = ", ".join(PROGRAMS[name].formats)
                print(f"{name:11} {forms:15} {result.outcome:8} {result.said}", flush=True)
    if args.json:
        print(json.dumps({name: [result.outcome, result.said] for name, result in results.items()}))
    return int(any(result.outcome == FAILED for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
