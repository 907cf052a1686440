"""What is learned from: the codes of the cells that each stroke labels, every cell in one stroke alone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.annotations import UNCLASSIFIED, Annotation, AnnotationSet, labelled_cells
from napari_nic.embeddings import ResidentCodes
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken, checked
from napari_nic.wording import counted

if TYPE_CHECKING:
    import shapely

MEASURES = "measurement"
"""A ruler is drawn to measure, not to teach."""


@dataclass(frozen=True, eq=False)
class Stroke:
    """The cells that one stroke, polygon or point labels.

    Attributes
    ----------
    label : str
        Class.
    cells : ndarray of int32, (n, 2)
        (row, col).
    codes : ndarray of float32, (n, C)
    """

    label: str
    cells: np.ndarray
    codes: np.ndarray

    @cached_property
    def key(self) -> str:
        """Same for strokes that teach the same."""
        told = hashlib.sha256(self.label.encode(errors="surrogatepass"))
        told.update(b"\0")
        told.update(self.cells.tobytes())
        return told.hexdigest()

    def __len__(self) -> int:
        return len(self.cells)


@dataclass(frozen=True, eq=False)
class StrokeSet:
    """The strokes of one slide.

    Attributes
    ----------
    strokes : tuple of Stroke
        In the order in which they were drawn.
    notes : tuple of str
        What was not learned from, and why.
    """

    strokes: tuple[Stroke, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(eq=False)
class CellFinder:
    """Finds the cells of shapes on one grid; those of shapes that it saw before it knows.

    Parameters
    ----------
    grid : PatchGrid
    """

    grid: PatchGrid
    _known: dict[tuple[bool, shapely.Geometry], np.ndarray] = field(default_factory=dict, repr=False)

    def cells_of(
        self, annotations: list[Annotation], token: CancellationToken | None = None
    ) -> list[np.ndarray]:
        """Cells of each shape; what is no longer among them is forgotten."""
        keys = [(annotation.is_area, annotation.geometry) for annotation in annotations]
        found: dict[tuple[bool, shapely.Geometry], np.ndarray] = {}
        for key, annotation in checked(zip(keys, annotations, strict=True), token):
            if key not in found:
                known = self._known.get(key)
                found[key] = labelled_cells(annotation, self.grid, token=token) if known is None else known
        self._known = found
        return [found[key] for key in keys]


def strokes_of(
    annotations: AnnotationSet,
    resident: ResidentCodes,
    finder: CellFinder | None = None,
    *,
    token: CancellationToken | None = None,
) -> StrokeSet:
    """Take the strokes of a slide from its annotations.

    Parameters
    ----------
    annotations : AnnotationSet
        In the order in which they were drawn.
    resident : ResidentCodes
    finder : CellFinder, optional
        Of the same grid; one that is kept makes the next call quick.
    token : CancellationToken, optional
        Asked at each shape.

    Returns
    -------
    StrokeSet
        A cell that several shapes label belongs to the last one, as the uppermost shape is the one that is
        seen. So no cell is learned from twice, and none is asked about by a stroke that another one of the
        same place has answered.
    """
    finder = finder or CellFinder(resident.grid)
    shapes = [
        annotation
        for annotation in annotations.annotations
        if annotation.label != UNCLASSIFIED and annotation.kind != MEASURES
    ]
    cells = finder.cells_of(shapes, token)
    owner = np.full(resident.shape, -1, np.int32)
    for number, place in enumerate(cells):
        owner[place[:, 0], place[:, 1]] = number
    strokes = []
    for number, (shape, place) in enumerate(zip(shapes, cells, strict=True)):
        mine = place[owner[place[:, 0], place[:, 1]] == number]
        codes = resident.index[mine[:, 0], mine[:, 1]]
        if (codes >= 0).any():
            strokes.append(Stroke(shape.label, mine[codes >= 0], resident.codes[codes[codes >= 0]]))
    return StrokeSet(tuple(strokes), tuple(_notes(annotations, shapes, cells, resident)))


def _notes(
    annotations: AnnotationSet, shapes: list[Annotation], cells: list[np.ndarray], resident: ResidentCodes
) -> list[str]:
    notes = []
    without = sum(annotation.label == UNCLASSIFIED for annotation in annotations.annotations)
    if without:
        notes.append(f"{counted(without, 'shape')} without a class: not learned from")
    off = sum(len(place) == 0 for place in cells)
    if off:
        notes.append(f"{counted(off, 'shape')} off the slide: not learned from")
    bare: dict[str, int] = {}
    for shape, place in zip(shapes, cells, strict=True):
        if len(place) and (resident.index[place[:, 0], place[:, 1]] < 0).all():
            bare[shape.label] = bare.get(shape.label, 0) + 1
    if bare:
        listed = ", ".join(f"{label} {number}" for label, number in bare.items())
        notes.append(
            f"on cells that are not compressed, not learned from: {listed}. To learn from glass too, "
            "compress the slide without its tissue mask"
        )
    return notes


def class_counts(strokes: Mapping[Any, tuple[Stroke, ...]]) -> dict[str, tuple[int, int]]:
    """Count (strokes, cells) of each class over several slides, in alphabetical order."""
    counts: dict[str, tuple[int, int]] = {}
    for stroke in (stroke for of_slide in strokes.values() for stroke in of_slide):
        number, cells = counts.get(stroke.label, (0, 0))
        counts[stroke.label] = (number + 1, cells + len(stroke))
    return dict(sorted(counts.items()))
