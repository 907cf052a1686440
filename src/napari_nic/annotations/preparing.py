"""Geometries made fit to be written: valid, and on the numbers that a format can hold."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import shapely

from napari_nic.annotations.building import repair_area
from napari_nic.annotations.carrying import carried
from napari_nic.annotations.ellipses import ellipse_of
from napari_nic.annotations.model import Annotation, AnnotationSet
from napari_nic.jobs import CancellationToken, checked
from napari_nic.wording import counted, was_were


def ready_to_write(
    annotations: AnnotationSet,
    step: float = 0.0,
    token: CancellationToken | None = None,
    *,
    instead: Collection[str] = (),
) -> tuple[AnnotationSet, tuple[str, ...]]:
    """Repair outlines that cross themselves, which QuPath refuses, and round to what a format can hold.

    Parameters
    ----------
    annotations : AnnotationSet
    step : float
        Coordinates become whole multiples of it; 0 for any number. Outlines stay valid.
    token : CancellationToken, optional
        Asked at each shape.
    instead : collection of str
        Features that the format lacks: ellipses and arrows that it has not become polygons and lines. Those
        that it has are not rounded: their writer rounds what the file says of them.

    Returns
    -------
    annotations : AnnotationSet
        Without shapes of which nothing is left.
    notes : tuple of str
        What was changed.
    """
    shapes = tuple(_rounded_kind(carried(a, instead), step) for a in annotations.annotations)
    annotations = replace(annotations, annotations=shapes)
    geometries = np.array([a.geometry for a in annotations.annotations] + [None], object)[:-1]
    areas = np.array([a.is_area for a in annotations.annotations], bool)
    crossing = np.flatnonzero(areas & ~shapely.is_valid(geometries))
    unrepaired: dict[int, str] = {}
    for index in checked(crossing.tolist(), token):
        geometries[index] = repair_area(geometries[index], index, unrepaired) or shapely.Polygon()
    if step:
        for index in checked(range(len(geometries)), token):
            if annotations.annotations[index].kind != "ellipse":
                geometries[index] = shapely.set_precision(geometries[index], step)
    empty = shapely.is_empty(geometries)
    kept = tuple(
        replace(annotation, geometry=geometry)
        for annotation, geometry, gone in zip(annotations.annotations, geometries, empty, strict=True)
        if not gone
    )
    return replace(annotations, annotations=kept), _notes(len(crossing), int(empty.sum()))


def _rounded_kind(annotation: Annotation, step: float) -> Annotation:
    """Return an ellipse that is too small for the numbers of a format as a polygon."""
    found = ellipse_of(annotation.geometry) if step and annotation.kind == "ellipse" else None
    return replace(annotation, kind="polygon") if found and min(found.radii) < step else annotation


def _notes(crossing: int, gone: int) -> tuple[str, ...]:
    notes = []
    if crossing:
        themselves = "itself" if crossing == 1 else "themselves"
        notes.append(f"{counted(crossing, 'outline')} crossed {themselves} and {was_were(crossing)} repaired")
    if gone:
        notes.append(f"{counted(gone, 'shape')} without extent {was_were(gone)} left out")
    return tuple(notes)
