"""Exports as LazySlide (wsidata) keeps slides: ``{slide}.zarr``, a folder of SpatialData (Zarr v3).

Codes are a table ``tables/{encoder}_{tiles}``, patches are boxes in ``shapes/{tiles}``, and the root says how
they were cut (``tile_spec``) and of which slide (``slide_properties``). ``open_wsi(slide)`` finds the folder
beside the slide.

Where the folder exists the codes are **added** as one more table: on the tiles that are there if they are
the same, else on tiles of a name of their own. New parts are written beside and renamed into the folder; the
root's description, which names them, comes last. What was there is never changed; of an earlier export of
ours only the same table gives way, with ``--overwrite``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.descriptions import read_json
from napari_nic.disk import exclusive, replacing_folder, write_bytes
from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.exporter import Exporter
from napari_nic.embeddings.interchange.geoparquet import read_boxes
from napari_nic.embeddings.interchange.naming import named_header
from napari_nic.embeddings.interchange.spatialdata_writing import (
    INSTANCE_KEY,
    ROOT,
    SHAPES,
    SHAPES_FILE,
    TABLES,
    consolidated,
    group_of,
    write_codes,
    write_shapes,
)
from napari_nic.embeddings.interchange.table import HEADER_ATTRIBUTE, CodeTable, side_px
from napari_nic.embeddings.interchange.tiles_described import TILES, element_name, slide_properties, tile_spec
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.errors import StoreError, StoreMismatchError
from napari_nic.extras import check_installed
from napari_nic.jobs import CancellationToken
from napari_nic.names import ZARR_FILES, exists, is_folder, safe_name

SUFFIX = ".zarr"
MARK = "spatialdata_attrs"
_VERSION = {"version": "0.2"}
_OURS = "nic_tiles"
_SAME_PX = 0.5
_KINDS = (SHAPES, TABLES, "images", "labels", "points")
"""Names of elements must differ across all of these."""


def write(store: CompressedSlide, path: Path, token: CancellationToken) -> None:
    """Write a new folder of one table and its tiles."""
    _check_libraries()
    if exists(path):  # whether it may be replaced was asked; but only SpatialData is added to
        raise StoreError(
            "what lies there is no SpatialData, and is not replaced",
            path=path,
            hint="remove it, or choose another output (--out)",
        )
    table, header = CodeTable.of(store), named_header(store)
    with replacing_folder(path) as temporary:
        specs = {TILES: tile_spec(header.grid)}
        attributes = {MARK: _VERSION, "slide_properties": slide_properties(header), "tile_spec": specs}
        group_of(temporary, attributes)
        for part in (SHAPES, TABLES):
            group_of(temporary / part, {})
        write_shapes(temporary / SHAPES / TILES, table, token)
        name = table_name(header, TILES)
        write_codes(temporary / TABLES / name, table, header, TILES, np.arange(len(table)), token)
        (temporary / ROOT).write_bytes(consolidated(temporary, {}))


def add(store: CompressedSlide, path: Path, token: CancellationToken, *, overwrite: bool = False) -> None:
    """Add a table to a folder that exists.

    Raises
    ------
    StoreError
        If a table of its name is there, and `overwrite` is False or it is not ours; if the folder is of an
        earlier Zarr.
    StoreMismatchError
        If the folder is of another slide.
    """
    _check_libraries()
    table, header = CodeTable.of(store), named_header(store)
    with exclusive(path):
        root = _root_of(path)
        _check_slide(root.get("slide_properties"), header, path)
        tiles, ids = _tiles(path, root, table, token)
        name = table_name(header, tiles)
        _check_free(path / TABLES / name, overwrite=overwrite)
        is_new = ids is None
        if is_new:
            with replacing_folder(path / SHAPES / tiles) as temporary:
                write_shapes(temporary, table, token)
        numbers = np.arange(len(table)) if ids is None else ids
        with replacing_folder(path / TABLES / name) as temporary:
            write_codes(temporary, table, header, tiles, numbers, token)
        specs = {**_mapping(root.get("tile_spec"))}
        specs.setdefault(tiles, tile_spec(header.grid))
        for part in (SHAPES, TABLES):
            if not (path / part / ROOT).exists():
                group_of(path / part, {})
        write_bytes(path / ROOT, consolidated(path, {"tile_spec": specs}))


def _check_libraries() -> None:
    check_installed("anndata", "tables of SpatialData")
    check_installed("pyarrow", "tables of SpatialData")


def table_name(header: StoreHeader, tiles: str) -> str:
    """Name that LazySlide gives the codes of an encoder on some tiles."""
    return f"{element_name(header.encoder_name)}_{tiles}"


def joins(path: Path) -> bool:
    """Whether a folder is SpatialData."""
    if not is_folder(path) or not any((path / name).is_file() for name in ZARR_FILES):
        return False
    for name in (ROOT, ".zattrs"):
        try:
            found = json.loads((path / name).read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        if MARK in _mapping(_mapping(found).get("attributes", found)):
            return True
    return False


def _mapping(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _root_of(path: Path) -> dict[str, Any]:
    """Attributes of the root."""
    if not (path / ROOT).is_file():
        raise StoreError(
            "a SpatialData of an earlier Zarr, to which nothing can be added",
            path=path,
            expected="Zarr v3",
            hint="open it with a newer wsidata or spatialdata and write it anew, or choose another output",
        )
    return _mapping(read_json(path / ROOT, StoreError, what="the description").get("attributes"))


def _check_slide(properties: object, header: StoreHeader, path: Path) -> None:
    shape = _mapping(properties).get("shape")
    if shape is not None and tuple(int(side) for side in np.ravel(shape)) != header.slide_shape:
        raise StoreMismatchError(
            "the folder is of another slide",
            path=path,
            expected=f"{header.slide_shape[1]:,} x {header.slide_shape[0]:,} px",
            found=f"(height, width) {shape}",
        )


def _check_free(folder: Path, *, overwrite: bool) -> None:
    if not exists(folder):
        return
    if not exists(folder / "uns" / HEADER_ATTRIBUTE):
        raise StoreError(
            "another program's table has this name, and is not replaced",
            path=folder,
            hint="remove or rename it there, or choose another output (--out)",
        )
    if not overwrite:
        raise StoreError("the output exists", path=folder, hint="choose another name, or --overwrite")


def _tiles(
    path: Path, root: Mapping[str, Any], table: CodeTable, token: CancellationToken
) -> tuple[str, np.ndarray | None]:
    """Find tiles that are our patches, and the number of each; or a free name for new ones, and None."""
    known = [name for name in _mapping(root.get("tile_spec")) if element_name(name) == name]
    for name in dict.fromkeys((*known, TILES)):
        file = path / SHAPES / name / SHAPES_FILE
        ids = _ids_in(file, table, token) if file.is_file() else None
        if ids is not None:
            return name, ids
    taken = {entry.name.lower() for part in _KINDS for entry in (path / part).glob("*")}
    names = (TILES, _OURS, *(f"{_OURS}_{number}" for number in range(2, len(taken) + 4)))
    return next(name for name in names if name not in taken), None


def _ids_in(file: Path, table: CodeTable, token: CancellationToken) -> np.ndarray | None:
    """Numbers of the tiles of a file that are the patches, in their order; None unless all are the same."""
    boxes = read_boxes(file, INSTANCE_KEY, token)
    if len(boxes.ids) != len(table) or boxes.ids.dtype.kind not in "iu":
        return None
    corners, side = table.coords_xy, side_px(table.store.grid)
    wanted = np.concatenate([corners, corners + side], axis=1)
    theirs, ours = (np.lexsort(bounds[:, :2].T) for bounds in (boxes.bounds, wanted))
    if np.abs(boxes.bounds[theirs] - wanted[ours]).max(initial=0) > _SAME_PX:
        return None
    ids = np.empty(len(table), np.int64)
    ids[ours] = boxes.ids[theirs]
    return ids


def default_name(header: StoreHeader) -> Path:
    """``{slide}.zarr``, where LazySlide looks for it beside the slide."""
    return Path(f"{safe_name(header.slide_name)}{SUFFIX}")


EXPORTER = Exporter("LazySlide, SpatialData (.zarr)", SUFFIX, default_name, write, joins=joins, add=add)
