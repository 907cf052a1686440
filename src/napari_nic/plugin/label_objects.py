"""The objects that the numbers of a painted layer of labels are: strokes to areas, edits to pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely

from napari_nic.annotations import UNCLASSIFIED
from napari_nic.annotations.label_image import fill
from napari_nic.annotations.region_outlines import region_outlines

if TYPE_CHECKING:
    from napari.layers import Layer

MOST_BYTES = 2**27
"""A larger layer is not taken in: what it showed last is kept beside it, to tell what a stroke changed."""


ROUNDING_PX = 1e-6


def can_be_painted(layer: Layer) -> bool:
    """Whether a layer is one of labels that napari's brush paints in, and of a size that can be followed."""
    return _is_painted_by_napari(layer) and layer.data.nbytes <= MOST_BYTES


def too_large_text(layer: Layer) -> str:
    """Say that labels are too large to be followed, and what to do; empty if they are not."""
    if not _is_painted_by_napari(layer) or layer.data.nbytes <= MOST_BYTES:
        return ""
    return (
        f"What is painted in {layer.name} stays napari's own, since it is larger than "
        f"{MOST_BYTES >> 20} MiB: the dock Paint labels is for slides of any size"
    )


def _is_painted_by_napari(layer: Layer) -> bool:
    data = getattr(layer, "data", None)
    if layer._type_string != "labels" or not isinstance(data, np.ndarray):
        return False
    return bool(np.issubdtype(data.dtype, np.integer))


@dataclass(frozen=True)
class Known:
    """An area as it was made of pixels.

    Attributes
    ----------
    geometry : shapely geometry
        Level-0 pixels, as the annotation has it.
    in_layer : shapely geometry
        The same in pixels of the layer, corner-based: whole numbers, so that strokes join without seams.
    """

    geometry: Any
    in_layer: Any


def _unclassified() -> str:
    return UNCLASSIFIED


@dataclass(eq=False)
class LabelObjects:
    """Which annotation of a layer's tag each number of the layer is.

    Attributes
    ----------
    shown : ndarray
        The layer's numbers as they were looked at last.
    class_of_new : callable
        The class of a number that is painted for the first time.
    numbers : dict of int to int
        By value in the layer, the number of the annotation in the layer's tag; of those too that are gone.
    selected : set of str
        Ids of objects that are selected; napari cannot select a label.
    """

    shown: np.ndarray
    class_of_new: Callable[[], str] = _unclassified
    numbers: dict[int, int] = field(default_factory=dict)
    selected: set[str] = field(default_factory=set)
    _known: dict[int, Known] = field(default_factory=dict)
    _matrix: np.ndarray = field(default_factory=lambda: np.eye(3))
    _read: tuple[dict[int, Known], np.ndarray] = field(default_factory=lambda: ({}, np.eye(3)))

    # -- strokes -> areas --------------------------------------------------------------------------------

    def areas(self, data: np.ndarray, matrix: np.ndarray, geometries: Mapping[int, Any]) -> dict[int, Any]:
        """Return the areas of values that are other ones now, level-0 pixels; empty where a value is gone.

        Parameters
        ----------
        data : ndarray of int, (rows, cols)
            What the layer shows now.
        matrix : ndarray, (3, 3)
            Maps (y, x, 1) of the layer, corner-based, to level-0 pixels.
        geometries : mapping of int to geometry
            Areas as they are known, by value.
        """
        whole = data.shape != self.shown.shape  # the layer got other pixels altogether
        before = np.zeros_like(data) if whole else self.shown
        in_layer = self._changed(data, before, matrix, {} if whole else geometries)
        if whole:
            in_layer = dict.fromkeys(geometries, shapely.Polygon()) | in_layer
        elif not np.allclose(matrix, self._matrix, rtol=0, atol=1e-9):  # it was moved as a whole
            for value, geometry in geometries.items():
                in_layer.setdefault(value, self._in_layer(value, geometry, self._matrix))
        found = {value: Known(_moved(area, matrix), area) for value, area in in_layer.items()}
        self._read = found, matrix
        return {value: known.geometry for value, known in found.items()}

    def _changed(
        self, data: np.ndarray, before: np.ndarray, matrix: np.ndarray, geometries: Mapping[int, Any]
    ) -> dict[int, Any]:
        """Areas of values whose pixels changed, in pixels of the layer."""
        differs = data != before
        rows, cols = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
        if not len(rows):
            return {}
        part = slice(rows[0], rows[-1] + 1), slice(cols[0], cols[-1] + 1)
        corner = np.array([cols[0], rows[0]])
        lost = _traced(np.where(differs[part], before[part], 0), corner)
        gained = _traced(np.where(differs[part], data[part], 0), corner)
        found = {}
        for value in dict.fromkeys((*lost, *gained)):
            area = self._in_layer(value, geometries.get(value), matrix)
            if value in lost:
                area = shapely.difference(area, lost[value])
            if value in gained:
                area = shapely.union(area, gained[value])
            found[value] = _areas_of(shapely.simplify(area, 0))
        return found

    def _in_layer(self, value: int, geometry: Any, matrix: np.ndarray) -> Any:
        """An area in pixels of the layer: as it was made of them, unless it was edited elsewhere since."""
        if geometry is None:
            return shapely.Polygon()
        known = self._known.get(value)
        if known is not None and (known.geometry is geometry or known.geometry == geometry):
            return known.in_layer
        return shapely.transform(_moved(geometry, np.linalg.inv(matrix)), _on_pixels)

    def note(self, data: np.ndarray, numbers: Mapping[int, int]) -> None:
        """Take what :meth:`areas` found last as known; `numbers` are those of values that are new."""
        known, self._matrix = self._read
        self._known |= known
        self.numbers.update(numbers)
        self._show(data)

    def _show(self, data: np.ndarray) -> None:
        if data.shape == self.shown.shape:
            np.copyto(self.shown, data)
        else:
            self.shown = data.copy()

    # -- edits -> pixels ---------------------------------------------------------------------------------

    def put(
        self, data: np.ndarray, areas: Mapping[int, Any], matrix: np.ndarray, gone: Iterable[int]
    ) -> None:
        """Show areas of annotations, by their numbers in the tag, in place of what was shown of them.

        Parameters
        ----------
        data : ndarray of int, (rows, cols)
            Of the layer; changed in place.
        areas : mapping of int to geometry
            Level-0 pixels.
        matrix : ndarray, (3, 3)
            See :meth:`areas`.
        gone : iterable of int
            Numbers that are shown no more.
        """
        values = [self._value_of(number) for number in (*areas, *gone)]
        data[np.isin(data, [value for value in values if value is not None])] = 0
        for number, geometry in areas.items():
            value = self._value_of(number) or self._new_value(number, data)
            in_layer = self._in_layer(value, geometry, matrix)
            self._known[value] = Known(geometry, in_layer)
            if shapely.area(in_layer) > 0:
                top, bottom = _rows_of(in_layer, data.shape[0])
                fill(data[top:bottom], in_layer, value, top)
        self._matrix = matrix
        self._show(data)

    def put_back(self, data: np.ndarray) -> None:
        """Show what was there before: what was painted may not be."""
        data[...] = self.shown

    def _value_of(self, number: int) -> int | None:
        return next((value for value, known in self.numbers.items() if known == number), None)

    def _new_value(self, number: int, data: np.ndarray) -> int:
        value = self.free_value()
        if value > np.iinfo(data.dtype).max:  # of one that is gone
            taken = set(np.unique(data).tolist())
            value = next((v for v in range(1, np.iinfo(data.dtype).max) if v not in taken), 1)
        self.numbers[value] = number
        return value

    def free_value(self) -> int:
        """Return a value that no annotation has or had."""
        return max(self.numbers, default=0) + 1


def _traced(picture: np.ndarray, corner: np.ndarray) -> dict[int, Any]:
    """Areas by value along the edges of pixels, (x, y), moved by a corner."""
    return {
        value: shapely.transform(shapely.union_all(parts), lambda points: points + corner)
        for value, parts in region_outlines((picture,)).items()
    }


def _on_pixels(points: np.ndarray) -> np.ndarray:
    """Put corners that lie on corners of pixels, but for rounding, exactly there."""
    whole = np.rint(points)
    return np.where(np.abs(points - whole) < ROUNDING_PX, whole, points)


def _moved(geometry: Any, matrix: np.ndarray) -> Any:
    """Map a geometry (x, y) by a matrix of (y, x, 1)."""
    if np.array_equal(matrix, np.eye(3)):
        return geometry
    return shapely.transform(
        geometry, lambda points: (points[:, ::-1] @ matrix[:2, :2].T + matrix[:2, 2])[:, ::-1]
    )


def _areas_of(geometry: Any) -> Any:
    """What of a geometry covers ground."""
    parts = [part for part in shapely.get_parts(geometry) if part.geom_type == "Polygon" and part.area > 0]
    if not parts:
        return shapely.Polygon()
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _rows_of(geometry: Any, rows: int) -> tuple[int, int]:
    _, top, _, bottom = geometry.bounds
    return max(0, int(np.floor(top))), min(rows, int(np.ceil(bottom)) + 1)
