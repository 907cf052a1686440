"""Exports as STAMP keeps features: ``feats`` (N, D) float16, ``coords`` (N, 2) float32 **(x, y)** in um.

STAMP takes the smallest step between two coordinates for the distance of tiles and counts cells by it, so
patches that another program cut off the grid are written at their cells, which is told.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import numpy as np

from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.exporter import Exporter, moved
from napari_nic.embeddings.interchange.hdf5_writing import write_table
from napari_nic.embeddings.interchange.naming import named_header
from napari_nic.embeddings.interchange.table import CodeTable, corners_of, header_attribute
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken
from napari_nic.names import safe_name
from napari_nic.telling import Notices, tell

_ONE_GRID = "STAMP counts cells of one grid"

FORMAT_VERSION = "2.1.0"
"""Version that the files claim. STAMP refuses what is newer than itself; 2.1 to 2.5 read these, which have
all entries of 2.5."""

EXTRACTORS = {
    name: (name, *others)
    for name, others in {
        "chief-ctranspath": ("chief",),
        "conch": ("conch-v1", "mahmood-conch"),
        "conch1_5": ("conch-v15", "conch-v1-5", "mahmood-conch1-5"),
        "ctranspath": (),
        "dino-bloom": (),
        "gigapath": ("prov-gigapath",),
        "h-optimus-0": ("hoptimus0",),
        "h-optimus-1": ("hoptimus1",),
        "keep": (),
        "mstar": (),
        "musk": (),
        "plip": (),
        "red-dino": (),
        "ticon": (),
        "uni": ("uni-v1", "mahmood-uni"),
        "uni2": ("uni-v2", "uni2-h", "mahmood-uni2"),
        "virchow": (),
        "virchow-full": (),
        "virchow2": ("virchow-v2",),
    }.items()
}
"""Names of extractors that STAMP knows, and what the same networks are called elsewhere."""


def extractor_of(encoder_name: str) -> str | None:
    """STAMP's own name for an encoder; None where it has none."""
    wanted = _letters(encoder_name)
    return next(
        (name for name, called in EXTRACTORS.items() if wanted in {_letters(text) for text in called}), None
    )


def _letters(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def write(store: CompressedSlide, path: Path, token: CancellationToken) -> None:
    """Write features and coordinates of the encoded cells, slab by slab."""
    table, header = CodeTable.of(store), named_header(store)
    grid = header.grid
    extractor = extractor_of(header.encoder_name)
    attributes = {
        "extractor": extractor or header.encoder_name,
        "unit": "um",
        "tile_size_um": _tile_um(grid),
        "tile_size_px": grid.patch_size,
        "stamp_version": FORMAT_VERSION,
        "code_hash": header.software,
        "feat_type": "tile",
    }
    places = (np.float32, partial(_coords, grid))
    write_table(path, table, "feats", places, {"/": attributes | header_attribute(header)}, token)
    notes = (*_unknown(extractor, header), *moved(table, _ONE_GRID), *_miscounted(table))
    if notes:
        tell(Notices(path.name, notes))


def _tile_um(grid: PatchGrid) -> float:
    """Side of a tile: STAMP takes ceil(um / mpp) for its pixels, which must not be one too many."""
    return grid.mpp * grid.patch_size * (1 - 1e-9)


def _unknown(extractor: str | None, header: StoreHeader) -> tuple[str, ...]:
    if extractor is not None:
        return ()
    return (
        f"STAMP has no extractor called {header.encoder_name}: it trains on these features, and its slide "
        "encoders refuse them",
    )


def _coords(grid: PatchGrid, cells: np.ndarray) -> np.ndarray:
    """(x, y) in um of cells (n, 2): float32, (n, 2)."""
    pixel = np.array([grid.pixel_size.x, grid.pixel_size.y])
    return np.asarray(corners_of(grid, cells)[:, ::-1] * pixel, np.float32)


def _miscounted(table: CodeTable) -> tuple[str, ...]:
    """Count cells as STAMP's heatmaps do, by float32 and the smallest step, and compare."""
    along = []  # of each axis the numbers of its cells and their places, which the other has no part in
    for axis in (0, 1):
        cells = np.zeros((int(table.encoded.any(axis=1 - axis).sum()), 2), np.int64)
        cells[:, axis] = np.flatnonzero(table.encoded.any(axis=1 - axis))
        along.append((cells[:, axis], _coords(table.store.grid, cells)[:, 1 - axis]))
    steps = [np.diff(np.unique(places)) for _, places in along]
    smallest = min((float(step.min()) for step in steps if len(step)), default=None)
    if smallest is None:
        return ()
    off = [np.rint(places / np.float32(smallest)) - numbers for numbers, places in along]
    if all((each == each[0]).all() for each in off):
        return ()
    return ("STAMP's heatmaps would miscount cells of so small a distance; its training is right",)


def default_name(header: StoreHeader) -> Path:
    """``{encoder}/{slide}.h5``."""
    return Path(safe_name(header.encoder_name), f"{safe_name(header.slide_name)}.h5")


EXPORTER = Exporter("STAMP features (.h5)", ".h5", default_name, write)
