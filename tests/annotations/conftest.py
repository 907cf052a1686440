"""Random but valid sets of annotations."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import strategies as st

from napari_nic.annotations import UNCLASSIFIED, Annotation, AnnotationSet, ellipse_outline

LABELS = (UNCLASSIFIED, "Tumour", 'Stroma <dense> & "old"', "Normal", "Ärzte: Übung")

KINDS_DRAWN = ("polygon", "multi", "rectangle", "ellipse", "line", "arrow", "point", "points")


@st.composite
def star(draw, holes=True):
    """A star-shaped polygon, with or without a hole around its centre; coordinates of any fraction."""
    n = draw(st.integers(3, 12))
    radii = np.array(draw(st.lists(st.floats(20, 100), min_size=n, max_size=n)))
    centre = np.array(draw(st.tuples(st.floats(-50, 500), st.floats(-50, 500))))
    angles = np.linspace(0, 2 * np.pi, n, endpoint=False) + draw(st.floats(0, 1))
    ring = centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    # The innermost point of an edge is at least cos(60 deg) of its corners' distance for three corners.
    hole = centre + 4 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return shapely.Polygon(ring, [hole] if holes and draw(st.booleans()) else None)


@st.composite
def annotation(draw, kinds=KINDS_DRAWN):
    """One annotation."""
    kind = draw(st.sampled_from(kinds))
    coordinate = st.floats(-1000, 100_000)
    points = st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=5, unique=True)
    if kind == "polygon":
        geometry = draw(star())
    elif kind == "multi":
        second = shapely.transform(draw(star()), lambda xy: xy + 1000)
        kind, geometry = "polygon", shapely.MultiPolygon([draw(star()), second])
    elif kind == "rectangle":
        x, y = draw(coordinate), draw(coordinate)
        geometry = shapely.box(x, y, x + draw(st.floats(1, 100)), y + draw(st.floats(1, 100)))
    elif kind == "ellipse":
        radii = draw(st.tuples(st.floats(0.3, 200), st.floats(0.3, 200)))
        turn = draw(st.sampled_from([0.0, 0.0, 0.5, -3.0]))
        geometry = ellipse_outline((draw(coordinate), draw(coordinate)), radii, turn)
    elif kind == "arrow":
        geometry = shapely.LineString(draw(points)[:2])
    elif kind == "line":
        geometry = shapely.LineString(draw(points))
    elif kind == "point":
        geometry = shapely.Point(draw(points)[0])
    else:
        geometry = shapely.MultiPoint(draw(points))
    name = draw(st.sampled_from(["", "a", 'quoted "&<> name']))
    identity = draw(st.sampled_from(["", "7", "b7e23ec2-9bd4-4a5f-a2cb-b3d16c3a7e00"]))
    return Annotation(draw(st.sampled_from(LABELS)), kind, geometry, name, identity)


def annotation_sets(**options):
    """A set of up to six annotations."""
    return st.lists(annotation(**options), max_size=6).map(lambda shapes: AnnotationSet(tuple(shapes)))


@pytest.fixture(scope="session")
def strategies():
    """The strategies above, for tests (test folders are no packages)."""

    class Strategies:
        sets = staticmethod(annotation_sets)
        stars = staticmethod(star)

    return Strategies
