"""Tables of AnnData alone, ``.h5ad`` or ``.zarr``: features in X, the places of tiles in ``obsm["spatial"]``.

Whether those are corners or centres AnnData does not say. They are corners where wsidata's ``tile_spec`` is
with them in ``uns``, or our own header.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.anndata_nodes import Table, ZarrTable, features_of, open_h5ad
from napari_nic.embeddings.interchange.coordinates import corners_yx
from napari_nic.embeddings.interchange.registry import Importer
from napari_nic.embeddings.interchange.table import (
    HEADER_ATTRIBUTE,
    ForeignCodes,
    ImportHints,
    header_from_text,
)
from napari_nic.embeddings.interchange.wsidata_spec import (
    PROPERTIES,
    SPEC,
    SlideProperties,
    TileSpec,
    entry,
    spec_of,
)
from napari_nic.embeddings.interchange.zarr_tables import files_below, is_zarr, open_folder
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken
from napari_nic.names import has_suffix, slide_stem, without_suffix

SUFFIX = ".h5ad"
_SPATIAL = "obsm/spatial"


def recognises(path: Path) -> bool:
    """Whether it is a table of AnnData by itself."""
    if has_suffix(path, SUFFIX):
        return path.is_file() and bool(h5py.is_hdf5(path))
    return is_zarr(path) and is_zarr(path / "X") and is_zarr(path / "obs")


@contextmanager
def read(path: Path, _hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read features and places of a table."""
    if has_suffix(path, SUFFIX):
        with open_h5ad(path) as file:
            yield codes_of(file, _said_by(file), path, "unknown (AnnData)")
        return
    with open_folder(path) as folder:
        table = ZarrTable(folder, "", token)
        yield codes_of(table, _said_by(table), path, "unknown (AnnData)")


def files(path: Path, _hints: ImportHints) -> tuple[Path, ...]:
    """The file, or all files of the folder."""
    return (path,) if has_suffix(path, SUFFIX) else files_below(path)


def codes_of(
    table: Table, described: Mapping[str, Any], path: Path, model: str, *, tiles: str | None = None
) -> ForeignCodes:
    """Take the places of tiles from their table.

    Parameters
    ----------
    table : Table
    described : mapping
        wsidata's ``slide_properties`` and ``tile_spec``, as far as they are there.
    path : Path
        What is imported.
    model : str
        Name of the encoder.
    tiles : str, optional
        Which entry of ``tile_spec`` is meant.

    Raises
    ------
    StoreError
        If there are no places, or it is not said whether they are corners.
    """
    header = header_of(table)
    if table.kind(_SPATIAL) != "array":
        raise StoreError(
            "a table of features without the places of their tiles",
            path=path,
            expected="shapes of the tiles, or obsm['spatial']",
            found="neither",
        )
    if header is None and spec_of(described, tiles) is None:
        raise StoreError(
            "places of which it is not said whether they are corners or centres",
            path=path,
            expected="wsidata's tile_spec beside obsm['spatial'], or the tiles as shapes",
            hint="import the folder of SpatialData that the table was taken from",
        )
    spec, slide = said(described, tiles, path)
    places = table.matrix(_SPATIAL)
    return ForeignCodes(
        features=features_of(table),
        corners=corners_yx(np.asarray(places[0 : places.shape[0]]), path),
        patch=spec.side_px,
        stride=spec.stride_px,
        patch_size=spec.patch_size,
        mpp=spec.mpp,
        pixel_size=slide.pixel_size,
        encoder_name=model,
        slide_name=slide_stem(without_suffix(path.name, (SUFFIX,))),
        slide_shape=slide.shape,
        header=header,
    )


def said(described: Mapping[str, Any], tiles: str | None, path: Path) -> tuple[TileSpec, SlideProperties]:
    """Read what wsidata says of a set of tiles and of the slide."""
    return (
        TileSpec.of(spec_of(described, tiles) or {}, path),
        SlideProperties.of(entry(described, PROPERTIES), path),
    )


def header_of(table: Table) -> StoreHeader | None:
    """Our header, where we wrote the table."""
    return header_from_text(table.value(f"uns/{HEADER_ATTRIBUTE}"), table.path)


def _said_by(table: Table) -> dict[str, Any]:
    return {name: entry({name: table.value(f"uns/{name}")}, name) for name in (PROPERTIES, SPEC)}


IMPORTER = Importer("AnnData (.h5ad, .zarr)", recognises, read, files)
