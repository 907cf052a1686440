"""Annotations of a slide: frozen values in level-0 pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import Any

import shapely

from napari_nic.annotations.colors import UNCLASSIFIED, label_colors
from napari_nic.annotations.kinds import AREA_KINDS, Kind
from napari_nic.annotations.scaling import Scaling, moved_extra
from napari_nic.colors import RGB


@dataclass(frozen=True)
class Annotation:
    """One shape and its class.

    Attributes
    ----------
    label : str
        Its class; :data:`~napari_nic.annotations.UNCLASSIFIED` if it has none.
    kind : str
        As what it was drawn: polygon, rectangle, ellipse, spline (areas), line, arrow, measurement, point,
        points. An ellipse is the outline of :func:`~napari_nic.annotations.ellipse_outline`; the last point
        of an arrow is its head.
    geometry : shapely geometry
        In level-0 pixels, corner-based, **(x, y)** as shapely has it; valid. Areas are Polygon or
        MultiPolygon and may have holes.
    name, id : str
        As the file gives them; empty if it does not.
    extra : mapping
        What the file says beside these and we do not use (measurements, locks, nuclei of cells): kept for
        the format that it came from.
    """

    label: str
    kind: Kind
    geometry: shapely.Geometry
    name: str = ""
    id: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def is_area(self) -> bool:
        """Whether it covers an area."""
        return self.kind in AREA_KINDS


@dataclass(frozen=True)
class Fault:
    """What is wrong with one object of a file.

    Attributes
    ----------
    where : str
        The object, as in "feature 7".
    text : str
        What is wrong with it.
    repaired : bool
        Whether it was repaired; left out otherwise.
    """

    where: str
    text: str
    repaired: bool = False


@dataclass(frozen=True)
class AnnotationSet:
    """The annotations of one slide, in the order of the file.

    Attributes
    ----------
    annotations : tuple of Annotation
    colors : mapping of label to (r, g, b)
        Of every label; what is not given is chosen by :func:`label_colors`.
    source : str
        File name or program.
    notes : tuple of str
        What a reader had to repair or leave out, for the user to see.
    faults : tuple of Fault
        The same object by object.
    recoloured : tuple of str
        Labels whose colour is another than was given, see :func:`label_colors`.
    """

    annotations: tuple[Annotation, ...] = ()
    colors: Mapping[str, RGB] = field(default_factory=dict)
    source: str = ""
    notes: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = field(default=(), compare=False, repr=False)
    recoloured: tuple[str, ...] = field(default=(), init=False, compare=False)

    def __post_init__(self) -> None:
        given, labels = self.colors, self.labels()
        object.__setattr__(self, "colors", label_colors(labels, given))
        classes = [label for label in labels if label in given and label != UNCLASSIFIED]
        changed = tuple(label for label in classes if given[label] != self.colors[label])
        object.__setattr__(self, "recoloured", changed)

    def __repr__(self) -> str:
        counts = ", ".join(f"{label} {number:,}" for label, number in self.counts().items())
        return f"<AnnotationSet {self.source}: {counts or 'empty'}>"

    def __len__(self) -> int:
        return len(self.annotations)

    def labels(self) -> tuple[str, ...]:
        """Labels in the order of their first shape."""
        return tuple(self._counts)

    def counts(self) -> dict[str, int]:
        """Number of shapes of each label."""
        return dict(self._counts)

    @cached_property
    def _counts(self) -> Counter[str]:
        """Kept, since it is asked for again and again, and a set may hold a million shapes."""
        return Counter(map(attrgetter("label"), self.annotations))

    def polygons(self, label: str | Iterable[str] | None = None) -> list[shapely.Geometry]:
        """Areas (Polygon or MultiPolygon) of one label, of several, or of all."""
        wanted = None if label is None else {label} if isinstance(label, str) else set(label)
        return [
            annotation.geometry
            for annotation in self.annotations
            if annotation.is_area and (wanted is None or annotation.label in wanted)
        ]

    def only(self, labels: Iterable[str] | None) -> AnnotationSet:
        """Return the shapes of some labels, in their order; all of them for None."""
        if labels is None:
            return self
        wanted = set(labels)
        return replace(self, annotations=tuple(a for a in self.annotations if a.label in wanted))

    def shifted(self, dx_px: float, dy_px: float) -> AnnotationSet:
        """Return the set moved by level-0 pixels.

        QuPath writes coordinates of the slide cropped to its bounds; moving by the bounds' corner brings
        them to our frame, which is the whole of level 0.
        """
        return self.moved(Scaling(offset=(dx_px, dy_px)))

    def moved(self, scaling: Scaling) -> AnnotationSet:
        """Return the set with all coordinates mapped, those of nuclei too."""
        if scaling == Scaling():
            return self
        geometries = shapely.transform([a.geometry for a in self.annotations], scaling)
        annotations = tuple(
            replace(annotation, geometry=geometry, extra=moved_extra(annotation.extra, scaling))
            for annotation, geometry in zip(self.annotations, geometries, strict=True)
        )
        return replace(self, annotations=annotations)


__all__ = ["AREA_KINDS", "UNCLASSIFIED", "Annotation", "AnnotationSet", "Fault", "Kind"]
