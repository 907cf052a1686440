"""Outlines of the areas in a picture of numbers, exact to the pixel, band by band.

Corners are where the four pixels around a point are not two straight halves. In a row of corners of one
number the first and the second are joined, the third and the fourth and so on; in a column likewise; and what
is walked along these is the outlines. Only corners are kept, so a picture may be larger than the memory.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from napari_nic.jobs import CancellationToken, Progress, checked, result_of

MOST_CORNERS = 50_000_000
"""Corners take some ten numbers each: gigabytes beyond this."""

_PLACES = ("north west", "north east", "south west", "south east")
_SOUTH_EAST = 3
_DIAGONALS = ((0, 3), (1, 2))
"""Places of the pixels that touch at a point alone."""


class TooManyCornersError(ValueError):
    """A picture of noise rather than of areas."""


@dataclass(frozen=True)
class _Corners:
    """Corners of areas, arrays of one length.

    Attributes
    ----------
    value, x, y : ndarray of int64
        Number of the area, and the point in pixels, corner-based.
    east, south : ndarray of bool
        Of two corners of one area at one point, the side that the corner's own pixel lies on.
    inside : ndarray of bool
        Whether the pixel to the south east belongs to the area.
    """

    value: np.ndarray
    x: np.ndarray
    y: np.ndarray
    east: np.ndarray
    south: np.ndarray
    inside: np.ndarray

    def __len__(self) -> int:
        return len(self.value)

    @classmethod
    def joined(cls, several: Sequence[_Corners]) -> _Corners:
        names = ("value", "x", "y", "east", "south", "inside")
        return cls(*(np.concatenate([getattr(one, name) for one in several]) for name in names))


def region_outlines(
    bands: Iterable[np.ndarray], token: CancellationToken | None = None
) -> dict[int, list[shapely.Polygon]]:
    """Do what :func:`iter_region_outlines` does, in one go."""
    return result_of(iter_region_outlines(bands, token=token))


def iter_region_outlines(
    bands: Iterable[np.ndarray], rows: int = 0, token: CancellationToken | None = None
) -> Generator[Progress, None, dict[int, list[shapely.Polygon]]]:
    """Outline the connected areas of each number but 0.

    Parameters
    ----------
    bands : iterable of ndarray of int, (rows, cols)
        The picture from above; all of the same width.
    rows : int, optional
        Of the whole picture, for what is told of the progress; 0 if that is not known.
    token : CancellationToken, optional
        Asked at each band and at each area.

    Returns
    -------
    dict of int to list of shapely Polygon
        In pixels of the picture, (x, y), corner-based; valid. Pixels that touch at a corner alone are two
        areas.

    Raises
    ------
    TooManyCornersError
        If the picture is noise.
    """
    found, number, top = [], 0, 0
    for corners, n_rows in _corners_of(bands, token):
        found.append(corners)
        number += len(corners)
        top += n_rows
        if number > MOST_CORNERS:
            raise TooManyCornersError(f"more than {MOST_CORNERS:,} corners")
        yield Progress(top, rows, "Outlining areas", "rows")
    return _polygons(_Corners.joined(found), token) if number else {}


def _corners_of(
    bands: Iterable[np.ndarray], token: CancellationToken | None
) -> Iterator[tuple[_Corners, int]]:
    """Corners of each band, and its number of rows."""
    above: np.ndarray | None = None
    top = 0
    for band in checked(bands, token):
        before = np.zeros((1, band.shape[1]), band.dtype) if above is None else above
        yield _corners(np.concatenate([before, band]), top), len(band)
        above = band[-1:]
        top += len(band)
    if above is not None:
        yield _corners(np.concatenate([above, np.zeros_like(above)]), top), 0


def _corners(picture: np.ndarray, top: int) -> _Corners:
    """Corners of the points between the rows of a picture whose second row is the row `top` of the whole."""
    padded = np.pad(picture, ((0, 0), (1, 1)))
    four = (padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:])
    y, x = np.nonzero((four[0] != four[1]) | (four[0] != four[2]) | (four[0] != four[3]))
    pixels = np.stack([part[y, x] for part in four]).astype(np.int64)
    y, x = y + top, x
    parts = []
    for place in range(len(_PLACES)):
        value = pixels[place]
        own = pixels == value
        is_first = (value != 0) & ~own[:place].any(axis=0)
        parts += _at(own[:, is_first], value[is_first], x[is_first], y[is_first])
    return _Corners.joined(parts)


def _at(own: np.ndarray, value: np.ndarray, x: np.ndarray, y: np.ndarray) -> list[_Corners]:
    """Corners at points around which `own` (4, n) says which pixels have a number."""
    count = own.sum(axis=0)
    single = (count % 2).astype(bool)
    nowhere = np.zeros(int(single.sum()), bool)
    inside = own[_SOUTH_EAST]
    found = [_Corners(value[single], x[single], y[single], nowhere, nowhere, inside[single])]
    for one, other in _DIAGONALS:
        both = (count == len(_DIAGONALS)) & own[one] & own[other]
        for pixel in (one, other):
            east, south = (np.full(int(both.sum()), bool(side)) for side in (pixel % 2, pixel // 2))
            found.append(_Corners(value[both], x[both], y[both], east, south, east & south))
    return found


def _polygons(corners: _Corners, token: CancellationToken | None) -> dict[int, list[shapely.Polygon]]:
    across = _partners((corners.east, corners.x, corners.y, corners.value))
    down = _partners((corners.south, corners.y, corners.x, corners.value))
    rings = _walk(across.tolist(), down.tolist(), token)
    order = np.concatenate([np.array(ring) for ring in rings])
    sizes = np.array([len(ring) for ring in rings])
    starts = np.cumsum(sizes) - sizes
    points = np.stack([corners.x[order], corners.y[order]], axis=1).astype(np.float64)
    lines = shapely.linearrings(points, indices=np.repeat(np.arange(len(rings)), sizes))
    # Of each outline the corner that lies highest, and there the farthest to the west.
    firsts = [int(o[np.lexsort((corners.x[o], corners.y[o]))[0]]) for o in np.split(order, starts[1:])]
    first = np.array(firsts)
    is_hole = ~corners.inside[first]
    values = corners.value[first]
    above_hole = shapely.points(corners.x[first] + 0.5, corners.y[first] - 0.5)
    found: dict[int, list[shapely.Polygon]] = {}
    for value in checked(np.unique(values).tolist(), token):
        outer, inner = ((values == value) & kind for kind in (~is_hole, is_hole))
        found[int(value)] = _with_holes(lines[outer], lines[inner], above_hole[inner])
    return found


def _partners(keys: tuple[np.ndarray, ...]) -> np.ndarray:
    """Join the first and the second of each row, the third and the fourth...; each corner's other one."""
    order = np.lexsort(keys)
    partner = np.empty(len(order), np.int64)
    partner[order[::2]], partner[order[1::2]] = order[1::2], order[::2]
    return partner


def _walk(across: list[int], down: list[int], token: CancellationToken | None) -> list[list[int]]:
    """Follow the sides of outlines, one across and one down by turns."""
    seen = bytearray(len(across))
    rings = []
    for start in checked(range(len(across)), token):
        if seen[start]:
            continue
        ring, at = [], start
        while not seen[at]:
            other = across[at]
            seen[at] = seen[other] = 1
            ring += [at, other]
            at = down[other]
        rings.append(ring)
    return rings


def _with_holes(outer: np.ndarray, holes: np.ndarray, above: np.ndarray) -> list[shapely.Polygon]:
    """Put holes into the smallest outline that holds the pixel above them.

    Of one that touches itself at a corner, what it encloses there becomes a hole.
    """
    shells = shapely.polygons(outer)
    cut: dict[int, list[shapely.LinearRing]] = {}
    if len(holes):
        hole, shell = shapely.STRtree(shells).query(above, predicate="within")
        order = np.lexsort((shapely.area(shells[shell]), hole))
        numbers, begins = np.unique(hole[order], return_index=True)
        for number, owner in zip(numbers.tolist(), shell[order][begins].tolist(), strict=True):
            cut.setdefault(owner, []).append(holes[number])
    found = [
        shapely.polygons(ring, holes=cut[number]) if number in cut else shells[number]
        for number, ring in enumerate(outer)
    ]
    return [part for area in found for part in _valid_parts(area)]


def _valid_parts(area: shapely.Polygon) -> list[shapely.Polygon]:
    return [area] if area.is_valid else list(shapely.get_parts(shapely.make_valid(area, method="structure")))
