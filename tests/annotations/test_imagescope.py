"""Aperio ImageScope's XML."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest
import shapely

from napari_nic.annotations import (
    FORMATS,
    UNCLASSIFIED,
    Annotation,
    AnnotationSet,
    read_annotations,
    write_annotations,
)
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
        (3, [(1, 2), (3, 4)], "arrow", "LINESTRING (1 2, 3 4)"),
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
    assert annotation.kind == "ellipse"
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
        ([layer(region([("x", 0)]))], "layer 1, region 1: .*Vertex.* whose X is no number"),
        ([region()], "outside of"),
        ([layer(region([("inf", 0), *SQUARE]))], "layer 1, region 1: .*not finite"),
    ],
)
def test_damage_names_file_and_element(read, layers, said):
    with pytest.raises(AnnotationError, match=rf"(?s)a\.xml.*{said}"):
        read(*layers)


@pytest.mark.parametrize("name", ["imagescope", "halo"])
def test_a_hole_cuts_nothing_else_of_its_class(tmp_path, name):
    ring = shapely.box(0, 0, 100, 100).difference(shapely.box(20, 20, 80, 80))
    island = shapely.box(40, 40, 60, 60)
    apart = shapely.box(200, 0, 300, 100).difference(shapely.box(220, 20, 280, 80))
    shapes = tuple(Annotation("a", "polygon", one) for one in (ring, island, apart))
    path = tmp_path / f"a{FORMATS.get(name).suffixes[0]}"
    write_annotations(AnnotationSet(shapes), path, name)
    again = read_annotations(path)
    assert again.counts() == {"a": 3}
    assert sorted(a.geometry.area for a in again.annotations) == [400, 6400, 6400]
    assert path.read_text().count("<Annotation ") == 2, "the ring around the island has a layer of its own"


def test_ranks_of_layers_and_regions_are_what_imagescope_counts(tmp_path):
    path = tmp_path / "a.xml"
    shapes = (Annotation("T", "polygon", shapely.box(0, 0, 9, 9).difference(shapely.box(2, 2, 3, 3)), "n"),)
    write_annotations(AnnotationSet(shapes, {"T": (1, 2, 3)}), path, "imagescope")
    root = ET.parse(path).getroot()  # noqa: S314 - our own file
    (one,) = root
    assert one.get("LineColor") == str(0x030201)
    assert [r.get("NegativeROA") for r in one.iter("Region")] == ["0", "1"]
    assert [r.get("Text") for r in one.iter("Region")] == ["n", ""]


@pytest.mark.parametrize("bad", ["x", "", "1,2,3"])
def test_a_bad_region_costs_only_itself(read, bad):
    found = read(layer(region(), region([(bad, 0), *SQUARE], identity=2)))
    assert len(found) == 1
    assert "region 2 (<Vertex> whose X is no number" in found.notes[0]
