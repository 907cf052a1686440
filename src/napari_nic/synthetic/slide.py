"""Write a synthetic slide as a tiled pyramid, as scanners do, with the outlines of its lesions."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile

from napari_nic.geometry import RegionPx
from napari_nic.synthetic.histology import TILE as SCENE_TILE
from napari_nic.synthetic.histology import Scene
from napari_nic.synthetic.spec import SyntheticSlideSpec

TILE = 256
"""Side of the tiles of the file; a whole fraction of the squares in which a scene is painted."""

LEVEL_FACTOR = 4
"""Each level is this much coarser than the one before, as in Aperio's slides."""

JPEG_QUALITY = 85
"""Between Aperio's 70 and Hamamatsu's 90."""

SMALLEST_LEVEL = 2 * TILE
"""The pyramid ends with the first level whose longer side is at most this."""

PAINTERS = 2
"""Threads that paint; more of them would queue for the interpreter's lock."""

UM_PER_CM = 1e4


@dataclass(frozen=True, eq=False)
class SyntheticSlide:
    """A slide on disk whose lesions are known.

    Attributes
    ----------
    path : Path
        The tiled pyramidal TIFF.
    spec : SyntheticSlideSpec
    outlines : tuple of ndarray of float64, (n, 2)
        Closed polygons (first corner = last) around the lesions, (y, x) in level-0 pixels, corner-based,
        largest first; empty for normal tissue.
    """

    path: Path
    spec: SyntheticSlideSpec
    outlines: tuple[np.ndarray, ...]


def write_slide(path: Path | str, spec: SyntheticSlideSpec) -> SyntheticSlide:
    """Paint a slide and write it as a tiled JPEG TIFF with levels of 1, 4, 16 ...

    Pixels are painted and written strip by strip, so that memory holds a sixteenth of the slide at most.

    Parameters
    ----------
    path : Path or str
        Of the TIFF; replaced if it exists. Its folder must exist.
    spec : SyntheticSlideSpec

    Returns
    -------
    SyntheticSlide
    """
    path, scene = Path(path), Scene(spec)
    shapes = level_shapes(spec.height, spec.width)
    second = np.zeros((*(shapes[1] if len(shapes) > 1 else (0, 0)), 3), np.uint8)
    with tifffile.TiffWriter(path, bigtiff=_needs_bigtiff(spec)) as tif:
        _write_level(tif, _painted_tiles(scene, second), shapes[0], spec.mpp, 0)
        image = second
        for index, shape in enumerate(shapes[1:], start=1):
            _write_level(tif, _cut_tiles(image), shape, spec.mpp * LEVEL_FACTOR**index, index)
            image = _shrink(image)
    return SyntheticSlide(path, spec, tuple(scene.lesion_outlines()))


def level_shapes(height: int, width: int) -> list[tuple[int, int]]:
    """(rows, cols) of the levels, finest first; partial pixels at the far edges are dropped."""
    shapes = [(height, width)]
    while max(shapes[-1]) > SMALLEST_LEVEL and min(shapes[-1]) >= LEVEL_FACTOR:
        rows, cols = shapes[-1]
        shapes.append((rows // LEVEL_FACTOR, cols // LEVEL_FACTOR))
    return shapes


def _needs_bigtiff(spec: SyntheticSlideSpec) -> bool:
    """Whether even a poorly compressed pyramid could pass the 4 GB of a classic TIFF."""
    return spec.height * spec.width > 2**31


def _write_level(
    tif: tifffile.TiffWriter, tiles: Iterator[np.ndarray], shape: tuple[int, int], mpp: float, index: int
) -> None:
    tif.write(
        tiles,
        shape=(*shape, 3),
        dtype=np.uint8,
        photometric="rgb",
        tile=(TILE, TILE),
        compression="jpeg",
        compressionargs={"level": JPEG_QUALITY},
        subfiletype=int(index > 0),
        resolution=(UM_PER_CM / mpp, UM_PER_CM / mpp),
        resolutionunit="CENTIMETER",
        software="napari-nic synthetic",
        metadata=None,
    )


def _painted_tiles(scene: Scene, second: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the tiles of level 0 in the file's order, and fill in level 1 as it goes."""
    spec = scene.spec
    with ThreadPoolExecutor(PAINTERS) as pool:
        for top in range(0, spec.height, SCENE_TILE):
            height = min(SCENE_TILE, spec.height - top)
            regions = [
                RegionPx(top, left, height, min(SCENE_TILE, spec.width - left))
                for left in range(0, spec.width, SCENE_TILE)
            ]
            strip = np.concatenate(list(pool.map(scene.read, regions)), axis=1)
            if second.size:
                small = _shrink(strip)
                row = top // LEVEL_FACTOR
                second[row : row + len(small)] = small[: len(second) - row]
            yield from _cut_tiles(strip)


def _cut_tiles(image: np.ndarray) -> Iterator[np.ndarray]:
    """Yield tiles row by row; those at the far edges are filled up with their last pixels."""
    for top in range(0, image.shape[0], TILE):
        for left in range(0, image.shape[1], TILE):
            tile = image[top : top + TILE, left : left + TILE]
            missing = TILE - tile.shape[0], TILE - tile.shape[1]
            if any(missing):
                tile = np.pad(tile, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")
            yield np.ascontiguousarray(tile)


def _shrink(image: np.ndarray) -> np.ndarray:
    """Average squares of ``LEVEL_FACTOR`` pixels; what is left over at the far edges is dropped."""
    rows, cols = image.shape[0] // LEVEL_FACTOR, image.shape[1] // LEVEL_FACTOR
    if rows == 0 or cols == 0:
        return np.zeros((rows, cols, 3), np.uint8)
    whole = image[: rows * LEVEL_FACTOR, : cols * LEVEL_FACTOR]
    return cv2.resize(whole, (cols, rows), interpolation=cv2.INTER_AREA)
