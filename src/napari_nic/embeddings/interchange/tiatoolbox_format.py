"""Features as TIAToolbox keeps them, with places in pixels of the resolution that was asked for.

Since 2.0 a Zarr group ``{slide}.zarr`` of ``features`` (N, D) float32 and ``coordinates`` (N, 4) int64, (x0,
y0, x1, y1), without any attribute; before, ``{number}.features.{head}.npy`` and ``{number}.position.npy``.
Neither says what the resolution was, nor how large the slide's pixels are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from napari_nic.embeddings.interchange.coordinates import common_side, corners_yx
from napari_nic.embeddings.interchange.numpy_files import map_array
from napari_nic.embeddings.interchange.partners import partner_of
from napari_nic.embeddings.interchange.registry import Importer
from napari_nic.embeddings.interchange.table import ForeignCodes, ImportHints, Rows, needs_slide
from napari_nic.embeddings.interchange.zarr_tables import files_below, is_zarr, open_folder
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken
from napari_nic.names import slide_stem

_NUMBERED = re.compile(r"(\d+)\.features\.[^.]+\.npy")
"""Files of version 1: which slide a number means stands in a pickle beside them, which is never opened."""


def recognises(path: Path) -> bool:
    """Whether it is a Zarr of features and coordinates alone, or an array that version 1 wrote."""
    if _NUMBERED.fullmatch(path.name):
        return path.is_file()
    return is_zarr(path) and is_zarr(path / "features") and is_zarr(path / "coordinates")


@contextmanager
def read(path: Path, hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read features; their places are measured by the resolution and the slide that `hints` name."""
    if _NUMBERED.fullmatch(path.name):
        yield _located(map_array(path), map_array(_position(path, hints)), path, hints, None)
        return
    with open_folder(path) as folder:
        features = folder.array("features")
        boxes = folder.array("coordinates", is_whole=False).read(token)
        yield _located(features, boxes, path, hints, slide_stem(path))


def files(path: Path, hints: ImportHints) -> tuple[Path, ...]:
    """All files of the Zarr; of version 1 both arrays."""
    if _NUMBERED.fullmatch(path.name):
        return path, _position(path, hints)
    return files_below(path)


def _position(path: Path, hints: ImportHints) -> Path:
    number = path.name.partition(".")[0]
    found = partner_of(path, hints, f"{number}.position.npy")
    if found is None:
        raise StoreError(
            "features of TIAToolbox without their places",
            path=path,
            expected=f"{number}.position.npy beside it",
            hint="copy it there, or name it (import --coords)",
        )
    return found


def _located(
    features: Rows, boxes: np.ndarray, path: Path, hints: ImportHints, slide_name: str | None
) -> ForeignCodes:
    if len(features.shape) != 2:
        raise StoreError(
            "maps of features, not one vector a patch",
            path=path,
            expected="features (N, D)",
            found=f"shape {features.shape}",
            hint="extract features with a model that pools them",
        )
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise StoreError("the places are no boxes (x0, y0, x1, y1)", path=path, found=f"shape {boxes.shape}")
    if hints.mpp is None:
        raise StoreError(
            "TIAToolbox does not write at which resolution the patches were cut, in whose pixels they lie",
            path=path,
            expected="that resolution in um/px",
            hint="say it as it was given to TIAToolbox: --target-mpp 0.5 for 20x, for instance",
        )
    if hints.pixel_size is None:
        raise needs_slide(path, "its places are pixels of another resolution than the slide's finest")
    side = common_side((boxes[:, 2:] - boxes[:, :2]).astype(np.float64), path)
    pixel = hints.pixel_size
    return ForeignCodes(
        features=features,
        corners=corners_yx(boxes, path),
        unit_px=(hints.mpp / pixel.y, hints.mpp / pixel.x),
        patch=side,
        patch_size=None if side is None else round(side),
        mpp=hints.mpp,
        encoder_name="unknown (TIAToolbox features)",
        slide_name=slide_name,
    )


IMPORTER = Importer("TIAToolbox features (.zarr, .npy)", recognises, read, files)
