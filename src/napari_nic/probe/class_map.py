"""A map of classes made fit to be worked with: no specks, no holes, outlines and areas of each class."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely

from napari_nic.annotations import Annotation, AnnotationSet, cell_area
from napari_nic.colors import RGB
from napari_nic.errors import InvalidParameterError
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken
from napari_nic.probe.applying import NOTHING, CellClasses
from napari_nic.probe.sieve import sieved

LEAST_MM2 = 0.05
"""Smaller parts are specks: at cells of 64 um twelve of them."""


@dataclass(frozen=True, eq=False)
class ClassMap:
    """Classes of a slide's cells.

    Attributes
    ----------
    class_names : tuple of str
    class_colors : tuple of (int, int, int)
    classes : ndarray of uint8, (rows, cols)
        Numbers of classes; :data:`~napari_nic.probe.NOTHING` where nothing is said.
    grid : PatchGrid
    """

    class_names: tuple[str, ...]
    class_colors: tuple[RGB, ...]
    classes: np.ndarray
    grid: PatchGrid

    @classmethod
    def of(cls, found: CellClasses) -> ClassMap:
        """Take what a probe said of a slide."""
        card = found.probe.card
        return cls(card.class_names, card.class_colors, found.raster(), found.resident.grid)

    @property
    def cell_mm2(self) -> float:
        """Area of a cell."""
        step = self.grid.stride_um
        return step[0] * step[1] / 1e6

    def cleaned(
        self,
        *,
        least_mm2: float = LEAST_MM2,
        hole_mm2: float = LEAST_MM2,
        token: CancellationToken | None = None,
    ) -> ClassMap:
        """Give specks to what surrounds them, and fill small holes.

        Parameters
        ----------
        least_mm2 : float
            A connected part (4-connected) of a class that is smaller becomes of the class that it shares most
            of its border with; the smallest parts first. One with no class beside it is left out.
        hole_mm2 : float
            A part of which nothing is said that is smaller, and enclosed, becomes of the class around it.
        token : CancellationToken, optional
            Asked at each part.

        Raises
        ------
        InvalidParameterError
            If an area is negative.
        """
        if not (0 <= least_mm2 < np.inf and 0 <= hole_mm2 < np.inf):
            raise InvalidParameterError(
                "areas must not be negative", found=f"{least_mm2:g} and {hole_mm2:g} mm2"
            )
        least = dict.fromkeys(range(len(self.class_names)), least_mm2 / self.cell_mm2)
        least[NOTHING] = hole_mm2 / self.cell_mm2
        return replace(self, classes=sieved(self.classes, least, nothing=NOTHING, token=token))

    def outlines(self, *, token: CancellationToken | None = None) -> AnnotationSet:
        """Outline each connected part of each class along the edges of its cells.

        Returns
        -------
        AnnotationSet
            Polygons with holes, level-0 pixels, class by class.
        """
        shapes = [
            Annotation(label, "polygon", part)
            for number, label in enumerate(self.class_names)
            for part in shapely.get_parts(cell_area(self.classes == number, self.grid, token=token))
        ]
        colors = dict(zip(self.class_names, self.class_colors, strict=True))
        return AnnotationSet(tuple(shapes), colors, source="napari-nic probe")

    def areas_mm2(self) -> dict[str, float]:
        """Area of each class."""
        counts = np.bincount(self.classes.ravel(), minlength=NOTHING + 1)
        return {label: float(counts[k] * self.cell_mm2) for k, label in enumerate(self.class_names)}
