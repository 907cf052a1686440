"""One set of annotations from several readers, by a rule that it names: majority, STAPLE, or one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import shapely

from napari_nic.annotations import Annotation, AnnotationSet, in_um, joined
from napari_nic.colors import RGB
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize
from napari_nic.jobs import CancellationToken, checked
from napari_nic.reader_study.readings import Reading, labels_of

Ties = Literal["out", "in", "first"]

TIE_RULES: Mapping[Ties, str] = {
    "out": "what half of them have is left out",
    "in": "what half of them have belongs to it",
    "first": "what half of them have is as {first} says",
}
"""What becomes of places that exactly half of an even number of readers gave a class."""

SLIVER_PX = 1.0
"""Parts of a consensus smaller than a level-0 pixel are where outlines that nearly agree cross each other."""

UM2_PER_MM2 = 1e6


@dataclass(frozen=True, eq=False)
class Consensus:
    """What several readers say together.

    Attributes
    ----------
    annotations : AnnotationSet
        Areas of each class, one for each connected part. Its source and each area's name say the rule.
    rule : str
        In words, with the readers' names.
    tied_mm2 : mapping of str to float
        Class to the area that exactly half of the readers gave it; empty for an odd number and other rules.
    performance : mapping of str to tuple of (str, float, float)
        Class to (reader, sensitivity, specificity) as STAPLE estimates them; empty for other rules.
    """

    annotations: AnnotationSet
    rule: str
    tied_mm2: Mapping[str, float] = field(default_factory=dict)
    performance: Mapping[str, tuple[tuple[str, float, float], ...]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON form, without the areas."""
        return {
            "rule": self.rule,
            "areas": self.annotations.counts(),
            "tied_mm2": dict(self.tied_mm2),
            "performance": {
                label: [
                    {"reader": reader, "sensitivity": sensitivity, "specificity": specificity}
                    for reader, sensitivity, specificity in found
                ]
                for label, found in self.performance.items()
            },
        }


def majority(
    readings: Sequence[Reading],
    pixel: PixelSize,
    *,
    labels: Sequence[str] | None = None,
    ties: Ties = "out",
    token: CancellationToken | None = None,
) -> Consensus:
    """Return what more than half of the readers gave a class, exact.

    Parameters
    ----------
    readings : sequence of Reading
        Two or more.
    pixel : PixelSize
        Of level 0; for the areas that are told.
    labels : sequence of str, optional
        Classes; by default all that any reader has areas of. Each is decided for itself: where three
        readers give three classes, the consensus has none.
    ties : {"out", "in", "first"}
        See :data:`TIE_RULES`. With "in" an area can belong to two classes.
    token : CancellationToken, optional
        Asked at each class, reader and group of outlines.

    Raises
    ------
    InvalidParameterError
        If there are fewer than two readers, or the rule for ties is unknown.
    """
    check_readers(readings)
    if ties not in get_args(Ties):
        known = ", ".join(get_args(Ties))
        raise InvalidParameterError("unknown rule for ties", expected=known, found=repr(ties))
    names = [reading.name for reading in readings]
    rule = f"majority of {len(names)} readers ({', '.join(names)})"
    if len(names) % 2 == 0:
        rule += f"; {TIE_RULES[ties].format(first=names[0])}"
    areas, tied = {}, {}
    for label in checked(list(labels or labels_of(readings)), token):
        own = [joined(reading.annotations.polygons(label), token=token) for reading in readings]
        won, half = _votes(own, token)
        if half is not None:
            tied[label] = float(in_um(half, pixel).area) / UM2_PER_MM2
            won = _with_ties(won, half, own[0], ties)
        areas[label] = won
    return Consensus(consensus_set(areas, rule, colors_of(readings)), rule, tied)


def of_reader(readings: Sequence[Reading], name: str, *, labels: Sequence[str] | None = None) -> Consensus:
    """Take one reader for the consensus.

    Raises
    ------
    InvalidParameterError
        If nobody is called so.
    """
    chosen = next((reading for reading in readings if reading.name == name), None)
    if chosen is None:
        raise InvalidParameterError(
            "there is no such reader", expected=", ".join(reading.name for reading in readings), found=name
        )
    rule = f"reader {name}"
    areas = {label: joined(chosen.annotations.polygons(label)) for label in labels or labels_of([chosen])}
    return Consensus(consensus_set(areas, rule, colors_of([chosen])), rule)


def colors_of(readings: Sequence[Reading]) -> dict[str, RGB]:
    """Colour of each class as the first reading that has it gives it."""
    found: dict[str, RGB] = {}
    for reading in readings:
        found = dict(reading.annotations.colors) | found
    return found


def _votes(
    areas: Sequence[shapely.Geometry], token: CancellationToken | None
) -> tuple[shapely.Geometry, shapely.Geometry | None]:
    """Return what more than half of the areas cover and, of an even number, what exactly half do."""
    needed = len(areas) // 2 + 1
    # depth[k] is what at least k + 1 of the areas so far cover.
    depth = [shapely.MultiPolygon()] * needed
    for area in checked(areas, token):
        for k in range(needed - 1, 0, -1):
            depth[k] = shapely.union(depth[k], only_areas(shapely.intersection(depth[k - 1], area)))
        depth[0] = shapely.union(depth[0], area)
    won = depth[-1]
    if len(areas) % 2:
        return won, None
    return won, only_areas(shapely.difference(depth[-2], won))


def _with_ties(
    won: shapely.Geometry, half: shapely.Geometry, first: shapely.Geometry, ties: Ties
) -> shapely.Geometry:
    if ties == "out":
        return won
    return shapely.union(won, half if ties == "in" else only_areas(shapely.intersection(half, first)))


def only_areas(geometry: shapely.Geometry) -> shapely.Geometry:
    """Drop the lines and points that are left where outlines only touch."""
    parts = shapely.get_parts(geometry)
    return shapely.union_all(parts[shapely.get_dimensions(parts) == 2])


def consensus_set(
    areas: Mapping[str, shapely.Geometry], rule: str, colors: Mapping[str, RGB]
) -> AnnotationSet:
    """Return areas of classes (level-0 pixels) as annotations that name the rule."""
    found = []
    slivers = 0
    for label, area in areas.items():
        parts = shapely.get_parts(area)
        large = shapely.area(parts) >= SLIVER_PX
        slivers += int(np.count_nonzero(~large))
        found += [Annotation(label, "polygon", part, f"consensus: {rule}") for part in parts[large]]
    notes = (f"{slivers:,} parts smaller than a pixel were left out",) if slivers else ()
    kept = {label: colors[label] for label in areas if label in colors}
    return AnnotationSet(tuple(found), kept, f"consensus: {rule}", notes)


def check_readers(readings: Sequence[Reading]) -> None:
    """Refuse a consensus of one."""
    if len(readings) < 2:
        raise InvalidParameterError("a consensus needs two readers or more", found=str(len(readings)))
