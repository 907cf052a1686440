"""Real regions with an expert's outline as slides: the honest test beside composed and painted slides."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import shapely

from napari_nic.annotations import Annotation, AnnotationSet, write_annotations
from napari_nic.disk import replacing
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.names import check_apart
from napari_nic.patches.tiles import Tile, TileFolder, load_tile, tile_files
from napari_nic.synthetic import write_pyramid
from napari_nic.synthetic.cohorts.writing import CLASSES, COLUMNS, OUTLINE_SUFFIX, SLIDE_SUFFIX
from napari_nic.synthetic.slide import LESION_COLOR

REGIONS_TABLE = "regions.csv"
TUMOUR_LABEL = "Tumour"
TUMOUR_COLOR = LESION_COLOR
NORMAL_SUFFIX = "-normal"

SPECK_UM = 15.0
"""Outlines, and holes in them, of less than the square of this are left out: traces of JPEG in masks."""

TOLERANCE_UM = 0.5
"""Corners of an outline that deviate by less are left out."""

CELL_UM = 64.0
LEAST_NORMAL_CELLS = 3
"""A part without tumour is at least so many cells of 64 um high and wide."""


@dataclass(frozen=True)
class RegionsWritten(Progress):
    """The last report of :func:`write_regions`.

    Attributes
    ----------
    table : Path or None
        Cohort table of the regions, all of the part ``test``.
    skipped : tuple of (Path, str)
        Files that could not be used, and why.
    """

    table: Path | None = None
    skipped: tuple[tuple[Path, str], ...] = ()


@dataclass(frozen=True, eq=False)
class ArrayPainting:
    """A picture in memory as a painting.

    Attributes
    ----------
    image : ndarray of uint8, (rows, cols, 3), RGB
    mpp : float
    """

    image: np.ndarray
    mpp: float

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols)."""
        return int(self.image.shape[0]), int(self.image.shape[1])

    def read(self, region: RegionPx) -> np.ndarray:
        """Cut out a rectangle: (height, width, 3) uint8."""
        return self.image[region.slices]


def write_regions(
    folder: TileFolder,
    out: Path | str,
    *,
    normal_parts: bool = True,
    token: CancellationToken | None = None,
) -> Iterator[Progress]:
    """Make slides of pictures with masks.

    Parameters
    ----------
    folder : TileFolder
        Pictures, and masks of tumour of the same name in a folder ``masks``.
    out : Path or str
        Folder: for each picture a pyramidal TIFF and its outlines as QuPath GeoJSON in level-0 pixels, and
        ``regions.csv``.
    normal_parts : bool
        Make a slide of the largest rectangle without tumour of each picture as well, where it is at least
        192 um high and wide: there is no score of a region with tumour without one to compare it with.
    token : CancellationToken, optional

    Yields
    ------
    Progress
        The last one is a :class:`RegionsWritten`.

    Raises
    ------
    InvalidParameterError
        If no picture has a mask.
    StoreError
        If slides of two pictures would share a file.
    CancelledError
    """
    out, token = Path(out), token or CancellationToken()
    files = tile_files(folder.path)
    endings = (SLIDE_SUFFIX, f"{NORMAL_SUFFIX}{SLIDE_SUFFIX}")
    check_apart({file: tuple(out / f"{file.stem}{ending}" for ending in endings) for file in files})
    rows: list[tuple[str, ...]] = []
    skipped: list[tuple[Path, str]] = []
    for done, file in enumerate(files):
        token.checkpoint()
        yield Progress(done, len(files), "making slides of regions", "regions")
        tile = load_tile(file, folder, folder.mpp)
        if tile is None or tile.mask is None:
            skipped.append((file, "not a readable picture" if tile is None else "no mask"))
            continue
        rows += _write_region(out, file.stem, tile, folder.mpp, normal_parts=normal_parts)
    if not rows:
        raise InvalidParameterError(
            "no picture has a mask",
            path=folder.path,
            expected="pictures, and masks of the same name in a folder called masks",
            found=f"{len(files)} pictures without",
        )
    table = out / REGIONS_TABLE
    with replacing(table) as temporary, temporary.open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines).writerows([COLUMNS, *rows])
    yield RegionsWritten(len(files), len(files), "made", "regions", table=table, skipped=tuple(skipped))


def mask_polygons(mask: np.ndarray, mpp: float) -> list[shapely.Geometry]:
    """Outline a mask.

    Parameters
    ----------
    mask : ndarray of bool, (rows, cols)
    mpp : float

    Returns
    -------
    list of shapely.Polygon
        (x, y) in pixels, corner-based, valid, with holes, largest first.
    """
    contours, hierarchy = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    if hierarchy is None:
        return []
    speck = (SPECK_UM / mpp) ** 2
    holes: dict[int, list[np.ndarray]] = {}
    for contour, (_, _, _, parent) in zip(contours, hierarchy[0], strict=True):
        if parent >= 0 and cv2.contourArea(contour) >= speck:
            holes.setdefault(int(parent), []).append(contour[:, 0])
    polygons = []
    for number, (contour, (_, _, _, parent)) in enumerate(zip(contours, hierarchy[0], strict=True)):
        if parent < 0 and cv2.contourArea(contour) >= speck:
            polygons += _polygons(contour[:, 0], holes.get(number, []), TOLERANCE_UM / mpp)
    return sorted(polygons, key=lambda polygon: -polygon.area)


def normal_part(mask: np.ndarray, mpp: float) -> RegionPx | None:
    """Largest rectangle of whole cells of 64 um without any tumour; None if all are too small.

    Parameters
    ----------
    mask : ndarray of bool, (rows, cols)
        Of the tumour.
    mpp : float
    """
    cell = round(CELL_UM / mpp)
    rows, cols = mask.shape[0] // cell, mask.shape[1] // cell
    blocks = mask[: rows * cell, : cols * cell].reshape(rows, cell, cols, cell).any(axis=(1, 3))
    total = cv2.integral(blocks.astype(np.uint8))
    best: RegionPx | None = None
    for top in range(rows):
        for left in range(cols):
            found = _largest_from(total, top, left)
            if found and (best is None or found[0] * found[1] > best.height * best.width // cell**2):
                best = RegionPx(top * cell, left * cell, found[0] * cell, found[1] * cell)
    return best


def _largest_from(total: np.ndarray, top: int, left: int) -> tuple[int, int] | None:
    """(height, width) of the largest empty rectangle with this corner, from an integral image."""
    inside = total[top:, left:] - total[top, left:] - total[top:, left : left + 1] + total[top, left]
    heights, widths = np.nonzero(inside == 0)
    large = (heights >= LEAST_NORMAL_CELLS) & (widths >= LEAST_NORMAL_CELLS)
    if not large.any():
        return None
    index = int(np.argmax(heights * widths * large))
    return int(heights[index]), int(widths[index])


def _write_region(
    out: Path, name: str, tile: Tile, mpp: float, *, normal_parts: bool
) -> list[tuple[str, ...]]:
    """Write the slides of one picture; return their rows of the table."""
    assert tile.mask is not None  # noqa: S101 - those without were sorted out
    rows = [_write_slide(out / f"{name}{SLIDE_SUFFIX}", tile.image, tile.mask, mpp, case=name)]
    part = normal_part(tile.mask, mpp) if normal_parts else None
    if part is not None and tile.mask.any():
        file = out / f"{name}{NORMAL_SUFFIX}{SLIDE_SUFFIX}"
        rows.append(_write_slide(file, tile.image[part.slices], tile.mask[part.slices], mpp, case=name))
    return rows


def _write_slide(
    file: Path, image: np.ndarray, mask: np.ndarray, mpp: float, *, case: str
) -> tuple[str, ...]:
    write_pyramid(file, ArrayPainting(image, mpp))
    annotations = tuple(
        Annotation(TUMOUR_LABEL, "polygon", polygon, name=f"{TUMOUR_LABEL} {number}")
        for number, polygon in enumerate(mask_polygons(mask, mpp), start=1)
    )
    outlines = AnnotationSet(annotations, {TUMOUR_LABEL: TUMOUR_COLOR}, source="mask of a region")
    write_annotations(outlines, file.with_suffix(OUTLINE_SUFFIX))
    has_tumour = bool(annotations)
    size = f"{mask.mean():.6f}" if has_tumour else ""
    return file.name, case, CLASSES[has_tumour], "test", size, "region"


def _polygons(outer: np.ndarray, holes: list[np.ndarray], tolerance: float) -> list[shapely.Geometry]:
    """Polygons of a contour through the centres of its outermost pixels, and of its holes."""
    area = _grown(outer)
    for hole in holes:
        # Contours of holes run through the pixels around them.
        area = area.difference(shapely.Polygon(hole + 0.5).buffer(-0.5, join_style="mitre"))
    simple = shapely.make_valid(area.simplify(tolerance))
    return [part for part in shapely.get_parts(simple) if part.geom_type == "Polygon"]


def _grown(contour: np.ndarray) -> shapely.Geometry:
    """Area of the pixels that a contour of centres goes around."""
    centres = contour + 0.5
    shape = (
        shapely.Polygon(centres)
        if len(centres) > 2
        else shapely.LineString(np.vstack([centres, centres[:1]]))
    )
    return shapely.make_valid(shape).buffer(0.5, join_style="mitre")
