"""Probabilities as WSInfer writes them: ``model-outputs-csv/{slide}.csv``, a patch a line.

``minx, miny, width, height`` in level-0 pixels, then a column ``prob_{class}`` for each class: the
probabilities in that order are the patch's code.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from napari_nic.disk import check_regular
from napari_nic.embeddings.interchange.coordinates import common_side
from napari_nic.embeddings.interchange.hdf5 import existing_file, has_datasets, read_number
from napari_nic.embeddings.interchange.partners import partner_of
from napari_nic.embeddings.interchange.registry import Importer
from napari_nic.embeddings.interchange.table import ForeignCodes, ImportHints
from napari_nic.errors import StoreError
from napari_nic.geometry import MPP_MAX, MPP_MIN
from napari_nic.jobs import CancellationToken
from napari_nic.names import has_suffix, without_suffix

PLACE = ("minx", "miny", "width", "height")
PROBABILITY = "prob_"

_MOST_HEADER, _MOST_CLASSES, _MOST_LINE = 2**16, 4096, 2**17
_AT_ONCE = 4096


def recognises(path: Path) -> bool:
    """Whether a table has WSInfer's columns."""
    if not has_suffix(path, ".csv"):
        return False
    try:
        return bool(_columns(path))
    except StoreError:
        return False


@contextmanager
def read(path: Path, hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read probabilities; the resolution that was asked for stands in the patches' file, if that is near."""
    columns = _columns(path)
    if not columns:
        raise StoreError("no table of WSInfer", path=path, expected=f"columns {', '.join(PLACE)}, prob_...")
    table = _read(path, columns, token)
    patches = _patches(path, hints)
    yield ForeignCodes(
        features=table[:, len(PLACE) :].astype(np.float32),
        corners=table[:, 1::-1].copy(),
        patch=common_side(table[:, 3:1:-1], path),
        patch_size=hints.patch_size,
        mpp=_spacing(patches) if patches else hints.mpp,
        encoder_name=f"WSInfer ({', '.join(name.removeprefix(PROBABILITY) for name in columns[4:])})"[:200],
        slide_name=without_suffix(path.name, (".csv",)),
    )


def files(path: Path, hints: ImportHints) -> tuple[Path, ...]:
    """The table, and the file of the patches if it is near."""
    patches = _patches(path, hints)
    return (path, patches) if patches else (path,)


def _patches(path: Path, hints: ImportHints) -> Path | None:
    named = path.with_name(
        without_suffix(path.name, (".csv",)) + ".pt"
    )  # partners are found by known suffixes
    found = partner_of(named, hints, "../patches/{stem}.h5")
    return found if found is not None and has_datasets(found, "coords") else None


def _spacing(patches: Path) -> float | None:
    with existing_file(patches) as file:
        attributes = dict(file["coords"].attrs)
    if "patch_spacing_um_px" not in attributes:
        return None
    spacing = read_number(attributes, "patch_spacing_um_px", patches)
    if not MPP_MIN <= spacing <= MPP_MAX:
        raise StoreError("patches of a resolution that cannot be", path=patches, found=f"{spacing:g} um/px")
    return spacing


def _columns(path: Path) -> list[str]:
    """Return the columns of place, then those of probabilities; none where it is another table."""
    check_regular(path, StoreError)
    try:
        with path.open("rb") as file:
            head = file.readline(_MOST_HEADER).decode("utf-8-sig")
        names = next(csv.reader([head]), [])
    except (OSError, ValueError, csv.Error) as error:
        raise StoreError("no table of text", path=path, found=str(error)) from error
    classes = [name for name in names if name.startswith(PROBABILITY)]
    if not set(PLACE) <= set(names) or not classes or len(set(names)) < len(names):
        return []
    return [*PLACE, *classes[:_MOST_CLASSES]]


def _read(path: Path, columns: list[str], token: CancellationToken) -> np.ndarray:
    """Read the columns: float64, (N, columns)."""
    parts: list[np.ndarray] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(iter(lambda: file.readline(_MOST_LINE), ""))
            names = next(lines)
            at = [names.index(name) for name in columns]
            rows: list[list[float]] = []
            for line in lines:
                rows += [[float(line[column]) for column in at]] if line else []
                if len(rows) == _AT_ONCE:
                    token.checkpoint()
                    parts.append(np.array(rows))
                    rows = []
            parts.append(np.array(rows).reshape(-1, len(columns)))
    except (OSError, ValueError, IndexError, csv.Error) as error:
        raise StoreError("a line of the table holds no numbers", path=path, found=str(error)[:200]) from error
    return np.concatenate(parts)


IMPORTER = Importer("WSInfer probabilities (.csv)", recognises, read, files)
