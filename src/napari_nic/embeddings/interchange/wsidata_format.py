"""Features as LazySlide (wsidata) keeps them, and as other programs of SpatialData do.

A folder ``{slide}.zarr`` holds tables ``tables/{model}_{tiles}``, whose rows name tiles by number, and the
tiles as boxes in ``shapes/{tiles}/shapes.parquet``, in level-0 pixels of the whole slide. Rows and tiles are
joined by that number: their order means nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_nic.embeddings.interchange.anndata_format import codes_of, header_of, said
from napari_nic.embeddings.interchange.anndata_nodes import features_of
from napari_nic.embeddings.interchange.coordinates import common_side, corners_yx, matched
from napari_nic.embeddings.interchange.geoparquet import read_boxes
from napari_nic.embeddings.interchange.registry import Importer
from napari_nic.embeddings.interchange.spatialdata_store import (
    SHAPES,
    TABLES,
    FeatureTable,
    boxes_file,
    chosen,
    described_by,
    feature_tables,
    unit_of,
)
from napari_nic.embeddings.interchange.table import ForeignCodes, ImportHints
from napari_nic.embeddings.interchange.wsidata_spec import PROPERTIES, SPEC, entry
from napari_nic.embeddings.interchange.zarr_tables import ZarrFolder, files_below, is_zarr, open_folder
from napari_nic.jobs import CancellationToken
from napari_nic.names import ZARR_FILES, slide_stem, without_suffix


def recognises(path: Path) -> bool:
    """Whether it is a folder of SpatialData with tables."""
    return is_zarr(path) and any(is_zarr(path / name) for name in TABLES)


@contextmanager
def read(path: Path, hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read the features of a table, and the places of its tiles."""
    with open_folder(path) as folder:
        described = described_by(folder, token)
        table = chosen(feature_tables(folder, token), described[SPEC], path, hints)
        yield _located(folder, table, described, hints, token)


def files(path: Path, hints: ImportHints) -> tuple[Path, ...]:
    """The table that is read, its shapes, and all descriptions."""
    token = CancellationToken()
    with open_folder(path) as folder:
        described = described_by(folder, token)
        table = chosen(feature_tables(folder, token), described[SPEC], path, hints)
        parts = [path / table.name]
        if boxes_file(folder, table.region):
            parts.append(path / SHAPES / table.region)
        if not entry(folder.attributes(), SPEC):
            parts += [path / group / name / "uns" for group in TABLES for name in folder.members(group)]
    own = [path / name for name in ZARR_FILES if (path / name).is_file()]
    return tuple(sorted({*own, *(file for part in parts for file in files_below(path, part))}))


def _located(
    folder: ZarrFolder,
    table: FeatureTable,
    described: Mapping[str, Any],
    hints: ImportHints,
    token: CancellationToken,
) -> ForeignCodes:
    """Join a table with its shapes; without any its own places count, if wsidata's description is there."""
    model = without_suffix(table.name.rpartition("/")[2], (f"_{table.region.lower()}",))
    file = boxes_file(folder, table.region)
    if file is None:
        return codes_of(table.table, described, folder.path, model, tiles=table.region)
    boxes = read_boxes(file, table.key, token)
    at = matched(boxes.ids, table.ids, file)
    bounds, left = boxes.bounds[at], len(boxes.ids) - len(at)
    spec, slide = said(described, table.region, file)
    return ForeignCodes(
        features=features_of(table.table),
        corners=corners_yx(bounds, file),
        unit_px=(1.0, 1.0) if described[PROPERTIES] else unit_of(folder, table.region),
        patch=common_side((bounds[:, 2:] - bounds[:, :2])[:, ::-1], file) or spec.side_px,
        stride=spec.stride_px,
        patch_size=spec.patch_size or hints.patch_size,
        mpp=spec.mpp or hints.mpp,
        pixel_size=slide.pixel_size,
        encoder_name=model,
        slide_name=slide_stem(folder.path),
        slide_shape=slide.shape,
        header=header_of(table.table),
        notes=(f"{left:,} of {len(boxes.ids):,} tiles have no features",) if left else (),
    )


IMPORTER = Importer("LazySlide or SpatialData (.zarr)", recognises, read, files)
