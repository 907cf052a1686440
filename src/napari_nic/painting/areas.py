"""Painted labels to annotations and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping

import numpy as np
import shapely

from napari_nic.annotations import RGB, Annotation, AnnotationSet, joined
from napari_nic.annotations.label_image import fill
from napari_nic.geometry import PixelSize, RegionPx
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.painting.history import Change
from napari_nic.painting.labels import PaintedLabels
from napari_nic.painting.tiles import TILE, Tile


def iter_areas(
    labels: PaintedLabels,
    classes: Mapping[str, int],
    pixel: PixelSize,
    tolerance_um: float = 0.0,
    *,
    colors: Mapping[str, RGB] | None = None,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, AnnotationSet]:
    """Outline what was painted, each place at the resolution it was painted at.

    Parameters
    ----------
    labels : PaintedLabels
    classes : mapping of str to int
        Their numbers.
    pixel : PixelSize
        Of level 0.
    tolerance_um : float
        Outlines are thinned so that none moves by more than this; 0 follows the pixels' edges exactly.
    colors : mapping of str to (r, g, b), optional
    token : CancellationToken, optional
        Asked at each tile and each class.

    Returns
    -------
    AnnotationSet
        A polygon, with its holes, for each connected part; level-0 pixels, (x, y). Parts that meet only at a
        corner are two.
    """
    existing = labels.tiles
    pieces: dict[int, list[shapely.Geometry]] = defaultdict(list)
    for number, tile in enumerate(sorted(existing)):
        if token is not None:
            token.checkpoint()
        for value, area in _tile_areas(labels, tile, existing):
            pieces[value].append(area)
        yield Progress(number + 1, len(existing), "Tracing outlines", "tiles")
    found: list[Annotation] = []
    rows, cols = labels.shapes[0]
    slide = shapely.box(0, 0, cols, rows)
    for label, value in classes.items():
        if pieces[value]:
            whole = shapely.intersection(joined(pieces.pop(value), token=token), slide)
            parts = _parts(_thinned(whole, pixel, tolerance_um))
            found += [Annotation(label, "polygon", part) for part in parts]
    given = {label: color for label, color in (colors or {}).items() if label in classes}
    return AnnotationSet(tuple(found), given, source="painted labels")


def iter_paint(
    labels: PaintedLabels,
    annotations: AnnotationSet,
    classes: Mapping[str, int],
    level: int,
    *,
    title: str = "paint annotations",
    token: CancellationToken | None = None,
) -> Generator[Progress, None, Change | None]:
    """Paint the areas of annotations, as one step.

    A pixel becomes of the class of the area that its centre lies in, of the last one where several do.

    Parameters
    ----------
    labels : PaintedLabels
    annotations : AnnotationSet
        Level-0 pixels.
    classes : mapping of str to int
        Classes that are not in it are left out.
    level : int
        The level that is painted at.
    title : str
        For "Undo ...".
    token : CancellationToken, optional
        Asked at each tile.

    Returns
    -------
    Change or None
        None if nothing changed.
    """
    areas = [a for a in annotations.annotations if a.is_area and a.label in classes]
    shapes = np.array([*(a.geometry for a in areas), None], object)[:-1]
    shapes = shapely.transform(shapes, lambda points: points / 2**level)
    tree = shapely.STRtree(shapes)
    rows, cols = labels.shapes[level]
    bounds = shapely.total_bounds(shapes) if len(shapes) else np.zeros(4)
    left, top = (max(0, int(side // TILE)) for side in bounds[:2])
    right, bottom = min(cols, int(bounds[2]) + 1), min(rows, int(bounds[3]) + 1)
    places = [(row, col) for row in range(top, -(-bottom // TILE)) for col in range(left, -(-right // TILE))]
    parts = []
    for number, (row, col) in enumerate(places):
        if token is not None:
            token.checkpoint()
        y, x = row * TILE, col * TILE
        touching = np.sort(tree.query(shapely.box(x, y, x + TILE, y + TILE))).tolist()
        if touching:
            picture = labels.tile(Tile(level, row, col)).copy()
            for index in touching:
                shape = shapely.transform(shapes[index], lambda points, x=x, y=y: points - (x, y))
                fill(picture, shape, classes[areas[index].label])
            parts.append((RegionPx(y, x, TILE, TILE), picture))
        yield Progress(number + 1, len(places), "Painting annotations", "tiles")
    return labels.paint_all(level, parts, title)


def _tile_areas(
    labels: PaintedLabels, tile: Tile, existing: frozenset[Tile]
) -> Iterator[tuple[int, shapely.Geometry]]:
    """Areas by number of what a tile shows and no finer one does, level-0 pixels."""
    picture = labels.tile(tile)
    finer = [child for child in tile.children if child in existing] if tile.level else []
    if finer:
        picture = picture.copy()
        for child in finer:
            picture[child.quadrant] = 0
    factor = 2**tile.level
    shift = np.array([tile.col, tile.row]) * TILE
    for value in np.unique(picture):
        if value:
            area = _traced(picture == value)
            yield int(value), shapely.transform(area, lambda points: (points + shift) * factor)


def _traced(mask: np.ndarray) -> shapely.Geometry:
    """Area of a mask along its elements' edges, (x, y): runs; those alike below each other are one box."""
    if mask.all():
        return shapely.box(0, 0, *mask.shape[::-1])
    steps = np.diff(np.pad(mask.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, first = np.nonzero(steps == 1)
    _, last = np.nonzero(steps == -1)
    order = np.lexsort((rows, last, first))
    rows, first, last = rows[order], first[order], last[order]
    goes_on = (np.diff(rows) == 1) & (np.diff(first) == 0) & (np.diff(last) == 0)
    begins = np.flatnonzero(np.concatenate([[True], ~goes_on]))
    ends = np.append(begins[1:], len(rows)) - 1
    return shapely.union_all(shapely.box(first[begins], rows[begins], last[begins], rows[ends] + 1))


def _thinned(area: shapely.Geometry, pixel: PixelSize, tolerance_um: float) -> shapely.Geometry:
    """Leave corners out, on the glass; those on straight sides always."""
    size = np.array([pixel.x, pixel.y])
    on_glass = shapely.transform(area, lambda points: points * size)
    thinner = shapely.simplify(on_glass, tolerance_um, preserve_topology=True)
    thinner = thinner if shapely.is_valid(thinner) else shapely.make_valid(thinner, method="structure")
    return shapely.transform(thinner, lambda points: points / size)


def _parts(area: shapely.Geometry) -> list[shapely.Polygon]:
    """Polygons of an area, from above."""
    parts = [part for part in shapely.get_parts(shapely.get_parts(area)) if part.geom_type == "Polygon"]
    return sorted(
        (part for part in parts if part.area > 0), key=lambda part: (part.bounds[1], part.bounds[0])
    )
