"""Write synthetic slides as pyramidal TIFF files, with the outlines of their lesions beside them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import tifffile

from napari_nic.annotations import Annotation, AnnotationSet, write_annotations
from napari_nic.geometry import RegionPx
from napari_nic.synthetic.histology import TILE, Scene
from napari_nic.synthetic.spec import Lesion, SyntheticSlideSpec

TIFF_TILE = 256
JPEG_QUALITY = 85
LEVEL_FACTOR = 4
"""Each level is so many times smaller than the one before, as scanners make them."""

SMALLEST_LEVEL = 512
"""Levels are added until the longer side is at most this."""

PAINTERS = 2
"""Threads that paint; more of them would queue for the interpreter's lock."""

UM_PER_CM = 1e4
BIGTIFF_BYTES = 2**31
"""Slides of more raw bytes are written as BigTIFF, to be safe below the 4 GiB of a plain TIFF."""

LESION_LABEL = "Lesion"
LESION_COLOR = (214, 39, 40)


@dataclass(frozen=True)
class SyntheticSlide:
    """Files of a synthetic slide.

    Attributes
    ----------
    path : Path
        The slide, a tiled pyramidal TIFF with JPEG tiles.
    annotation_path : Path
        Outlines of its lesions as QuPath GeoJSON, in level-0 pixels; without shapes if there are none.
    spec : SyntheticSlideSpec
    """

    path: Path
    annotation_path: Path
    spec: SyntheticSlideSpec

    @property
    def has_lesion(self) -> bool:
        """The slide's label."""
        return bool(self.spec.lesions)


def write_slide(path: Path | str, spec: SyntheticSlideSpec) -> SyntheticSlide:
    """Paint a slide and write it; both files appear under their names only when they are whole.

    Parameters
    ----------
    path : Path or str
        Of the TIFF; the outlines go to the same name with ``.geojson``.
    spec : SyntheticSlideSpec

    Returns
    -------
    SyntheticSlide

    Notes
    -----
    Levels below the first are kept in memory while level 0 is painted: a sixteenth of its raw size.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scene = Scene(spec)
    annotation_path = path.with_suffix(".geojson")
    write_annotations(lesion_annotations(scene), annotation_path)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        _write_pyramid(temporary, scene)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return SyntheticSlide(path, annotation_path, spec)


def make_test_slide(path: Path | str, *, seed: int = 0, side: int = 1536) -> SyntheticSlide:
    """Write a small square slide with one lesion, in about a second."""
    spec = SyntheticSlideSpec(side, side, seed=seed, lesions=(Lesion(0.3),), coverage=0.6)
    return write_slide(path, spec)


def lesion_annotations(scene: Scene) -> AnnotationSet:
    """Outlines of a scene's lesions as annotations in level-0 pixels."""
    annotations = tuple(
        Annotation(LESION_LABEL, "polygon", polygon, name=f"{LESION_LABEL} {number}")
        for number, polygon in enumerate(scene.lesion_polygons(), start=1)
    )
    return AnnotationSet(annotations, {LESION_LABEL: LESION_COLOR}, source="synthetic histology")


def _write_pyramid(path: Path, scene: Scene) -> None:
    spec = scene.spec
    strips = _Strips(scene)
    big = spec.width * spec.height * 3 > BIGTIFF_BYTES
    with tifffile.TiffWriter(path, bigtiff=big) as tif:
        _write_level(tif, strips.tiles(), (spec.height, spec.width), spec.mpp, reduced=False)
        level, mpp = strips.smaller, spec.mpp
        while level.shape[0] > 0 and level.shape[1] > 0:
            mpp *= LEVEL_FACTOR
            height, width = level.shape[:2]
            _write_level(tif, _cut(level), (height, width), mpp, reduced=True)
            if max(height, width) <= SMALLEST_LEVEL:
                break
            level = _shrink(level)


def _write_level(
    tif: tifffile.TiffWriter,
    tiles: Iterator[np.ndarray],
    shape: tuple[int, int],
    mpp: float,
    *,
    reduced: bool,
) -> None:
    tif.write(
        tiles,
        shape=(*shape, 3),
        dtype=np.uint8,
        tile=(TIFF_TILE, TIFF_TILE),
        photometric="rgb",
        compression="jpeg",
        compressionargs={"level": JPEG_QUALITY},
        subfiletype=1 if reduced else 0,
        resolution=(UM_PER_CM / mpp, UM_PER_CM / mpp),
        resolutionunit="CENTIMETER",
        software="napari-nic synthetic histology",
        metadata=None,
    )


class _Strips:
    """Level 0 as TIFF tiles, painted strip by strip; the next level is gathered on the way.

    Attributes
    ----------
    smaller : ndarray of uint8, (height // 4, width // 4, 3)
        Complete once all tiles were taken.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        height, width = scene.spec.height, scene.spec.width
        self.smaller = np.empty((height // LEVEL_FACTOR, width // LEVEL_FACTOR, 3), np.uint8)

    def tiles(self) -> Iterator[np.ndarray]:
        """Tiles of level 0 in the order of the file."""
        spec = self._scene.spec
        with ThreadPoolExecutor(PAINTERS) as pool:
            for top in range(0, spec.height, TILE):
                height = min(TILE, spec.height - top)
                regions = [
                    RegionPx(top, left, height, min(TILE, spec.width - left))
                    for left in range(0, spec.width, TILE)
                ]
                strip = np.concatenate(list(pool.map(self._scene.read, regions)), axis=1)
                small = _shrink(strip)
                first = top // LEVEL_FACTOR
                self.smaller[first : first + len(small)] = small
                yield from _cut(strip)


def _cut(image: np.ndarray) -> Iterator[np.ndarray]:
    """Tiles of an image, row by row; those at its edges repeat the last pixels, as scanners do."""
    pad = [(0, -side % TIFF_TILE) for side in image.shape[:2]]
    padded = np.pad(image, (*pad, (0, 0)), mode="edge")
    for top in range(0, padded.shape[0], TIFF_TILE):
        for left in range(0, padded.shape[1], TIFF_TILE):
            yield np.ascontiguousarray(padded[top : top + TIFF_TILE, left : left + TIFF_TILE])


def _shrink(image: np.ndarray) -> np.ndarray:
    """Average blocks of 4 x 4 pixels; what is left over at the edges is dropped."""
    height, width = image.shape[0] // LEVEL_FACTOR, image.shape[1] // LEVEL_FACTOR
    if height == 0 or width == 0:
        return np.empty((height, width, 3), np.uint8)
    whole = np.ascontiguousarray(image[: height * LEVEL_FACTOR, : width * LEVEL_FACTOR])
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA))
