"""Aperio ImageScope's XML."""

from __future__ import annotations

import math

import pytest
import shapely

from napari_nic.annotations import UNCLASSIFIED, read_annotations, write_annotations
from napari_nic.errors import AnnotationError

SQUARE = [(0, 0), (10, 0), (10, 10), (0, 10)]


def region(points=SQUARE, kind=0, negative=0, identity=1):
    vertices = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in points)
    head = f'<Region Id="{identity}" Type="{kind}" Text="t" NegativeROA="{negative}">'
    return f"{head}<Vertices>{vertices}</Vertices></Region>"


def layer(*regions, name="", color=65280):
    inner = "".join(regions)
    return f'<Annotation Id="1" Name="{name}" LineColor="{color}"><Regions>{inner}</Regions></Annotation>'


@pytest.fixture
def read(tmp_path):
    def _read(*layers):
        text = f'<Annotations MicronsPerPixel="0.25">{"".join(layers)}</Annotations>'
        (tmp_path / "a.xml").write_text(text)
        return read_annotations(tmp_path / "a.xml")

    return _read


def test_layers_are_classes_with_colours(read):
    # LineColor has red in its low byte.
    found = read(layer(region(), name="Tumor", color=255), layer(region(), region(), color=0x010203))
    assert found.counts() == {"Tumor": 1, "Layer 2": 2}
    assert found.colors == {"Tumor": (255, 0, 0), "Layer 2": (3, 2, 1)}
    assert (found.annotations[0].name, found.annotations[0].id) == ("t", "1")
    assert read(layer(region())).labels() == (UNCLASSIFIED,)


@pytest.mark.parametrize(
    ("kind", "points", "ours", "wkt"),
    [
        (0, SQUARE, "polygon", "POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0))"),
        (1, [(10, 10), (0, 0)], "rectangle", "POLYGON ((0 0, 10 0, 10 10, 0 10, 0 0))"),
        (3, [(1, 2), (3, 4)], "line", "LINESTRING (1 2, 3 4)"),
        (4, [(1, 2), (3, 4)], "measurement", "LINESTRING (1 2, 3 4)"),
        (5, [(1, 2)], "point", "POINT (1 2)"),
        (5, [(1, 2), (3, 4)], "points", "MULTIPOINT ((1 2), (3 4))"),
    ],
)
def test_every_type(read, kind, points, ours, wkt):
    (annotation,) = read(layer(region(points, kind))).annotations
    assert annotation.kind == ours
    assert annotation.geometry.equals(shapely.from_wkt(wkt))


def test_ellipse_fills_its_box(read):
    (annotation,) = read(layer(region([(0, 0), (40, 20)], kind=2))).annotations
    assert annotation.geometry.area == pytest.approx(math.pi * 20 * 10, rel=2e-3)
    assert annotation.geometry.bounds == pytest.approx((0, 0, 40, 20))


def test_negative_regions_are_cut_out_of_their_layer(read):
    hole = [(2, 2), (4, 2), (4, 4), (2, 4)]
    outer = [(-1, -1), (11, -1), (11, 11), (-1, 11)]
    found = read(
        layer(region(), region(hole, negative=1), name="a"),
        layer(region(), region([(0, 0), (1, 1)], kind=4), name="b"),
        layer(region(), region(outer, negative=1), name="c"),
    )
    assert [(a.label, a.geometry.area) for a in found.annotations] == [("a", 96), ("b", 100), ("b", 0)]


def test_degenerate_regions_are_left_out_and_counted(read):
    bad = (region([(1, 1), (2, 2)], identity=2), region([], identity=3), region([], kind=2, identity=4))
    found = read(layer(region(), *bad))
    assert len(found) == 1
    (note,) = found.notes
    assert note == (
        "3 shapes without extent were left out: layer 1, region 2; layer 1, region 3; layer 1, region 4"
    )


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([layer(region([("x", 0)]))], "line 1: .*Vertex.* whose X is no number"),
        ([region()], "outside of"),
        ([layer(region([("inf", 0), *SQUARE]))], "layer 1, region 1: .*not finite"),
    ],
)
def test_damage_names_file_and_element(read, layers, said):
    with pytest.raises(AnnotationError, match=rf"(?s)a\.xml.*{said}"):
        read(*layers)


def test_the_format_is_read_only(read, tmp_path):
    with pytest.raises(AnnotationError, match="cannot be written as 'imagescope'"):
        write_annotations(read(layer(region())), tmp_path / "b.xml", format="imagescope")
