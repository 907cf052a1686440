"""Hamamatsu's NDPA as NDP.view writes it: every kind of shape, saved views, and files in another unit."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest
import shapely

from napari_nic.annotations import (
    UNCLASSIFIED,
    Annotation,
    AnnotationSet,
    SlideExtent,
    read_annotations,
    write_annotations,
)
from napari_nic.errors import AnnotationError
from napari_nic.geometry import PixelSize

# A pixel of 500 nm, the picture's centre in the middle of the glass: 0 nm is pixel 1000 and 500.
EXTENT = SlideExtent((1000, 2000), PixelSize(0.5, 0.5), centre_nm=(0, 0))


def state(annotation, title="Tumour", details="", unit="nanometers"):
    return (
        f'<ndpviewstate id="1"><title>{title}</title><details>{details}</details>'
        f"<coordformat>{unit}</coordformat><lens>20.0</lens><x>7</x><y>7</y><z>0</z><showtitle>0</showtitle>"
        f"{annotation}</ndpviewstate>"
    )


def shape(kind, body, color="#00ff00"):
    return f'<annotation type="{kind}" displayname="x" color="{color}">{body}</annotation>'


def freehand(*points, closed=1, special=""):
    listed = "".join(f"<point>\n<x>{x}</x>\n<y>{y}</y></point>" for x, y in points)
    return shape(
        "freehand",
        f"<measuretype>0</measuretype><closed>{closed}</closed><pointlist>{listed}</pointlist>{special}",
    )


SQUARE = [(0, 0), (5000, 0), (5000, 5000), (0, 5000)]


@pytest.fixture
def read(tmp_path):
    def _read(*states):
        head = '<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n'
        text = f"{head}<annotations>{''.join(states)}</annotations>"
        (tmp_path / "a.ndpi.ndpa").write_text(text)
        return read_annotations(tmp_path / "a.ndpi.ndpa", extent=EXTENT)

    return _read


@pytest.mark.parametrize(
    ("annotation", "kind", "bounds", "area"),
    [
        (freehand(*SQUARE), "polygon", (1000, 500, 1010, 510), 100),
        (
            freehand(*SQUARE, special="<specialtype>rectangle</specialtype>"),
            "rectangle",
            (1000, 500, 1010, 510),
            100,
        ),
        (freehand(*SQUARE, closed=0), "line", (1000, 500, 1010, 510), 0),
        (
            shape("circle", "<x>0</x><y>0</y><radius>5000</radius>"),
            "ellipse",
            (990, 490, 1010, 510),
            math.pi * 100,
        ),
        (shape("pin", "<x>500</x><y>-500</y><icon>pinred</icon>"), "point", (1001, 499, 1001, 499), 0),
        (shape("pointer", "<x1>0</x1><y1>0</y1><x2>500</x2><y2>0</y2>"), "arrow", (1000, 500, 1001, 500), 0),
        (
            shape("linearmeasure", "<x1>0</x1><y1>0</y1><x2>500</x2><y2>0</y2>"),
            "measurement",
            (1000, 500, 1001, 500),
            0,
        ),
    ],
)
def test_every_type(read, annotation, kind, bounds, area):
    found = read(state(annotation, details="a &amp; b"))
    (one,) = found.annotations
    assert (one.label, one.name, one.kind) == ("Tumour", "a & b", kind)
    assert one.geometry.bounds == pytest.approx(bounds)
    assert one.geometry.area == pytest.approx(area, rel=2e-3)
    assert found.colors == {"Tumour": (0, 255, 0)}


def test_offsets_move_the_picture_on_the_glass(tmp_path):
    path = tmp_path / "a.ndpa"
    path.write_text(f"<annotations>{state(freehand(*SQUARE))}</annotations>")
    moved = SlideExtent((1000, 2000), PixelSize(0.5, 0.25), centre_nm=(2500, -1000))
    (one,) = read_annotations(path, extent=moved).annotations
    assert one.geometry.bounds == pytest.approx((1000 - 10, 500 + 2, 1000 + 10, 500 + 12))


def test_views_are_left_out_and_bad_shapes_cost_only_themselves(read):
    found = read(
        state(""),
        state(freehand(*SQUARE), unit="pixels"),
        state(shape("star", "")),
        state(shape("pin", "<x>a</x><y>1</y>")),
        state(shape("pin", "<x>1</x>")),
        state(freehand(*SQUARE), title=""),
    )
    assert found.labels() == (UNCLASSIFIED,)
    assert len(found.faults) == 4
    assert "'pixels' instead of nanometers" in found.faults[0].text
    assert "saved views without a shape were left out: 1" in found.notes


def test_only_views_is_an_empty_set(read):
    assert len(read(state(""))) == 0


def test_a_pin_that_is_nowhere_is_refused_if_there_is_nothing_else(read):
    with pytest.raises(AnnotationError, match=r"view state 1 .'Tumour'.: <x> is no number"):
        read(state(shape("pin", "<x></x><y>1</y>")))


def test_what_is_written_is_in_whole_nanometres(tmp_path):
    shapes = (Annotation("Tumour", "polygon", shapely.Polygon([(0, 0), (10.3, 0), (10, 7.7)]), "nest"),)
    write_annotations(AnnotationSet(shapes, {"Tumour": (1, 2, 3)}), tmp_path / "a.ndpa", extent=EXTENT)
    root = ET.parse(tmp_path / "a.ndpa").getroot()  # noqa: S314 - our own file
    (one,) = root
    assert (one.findtext("title"), one.findtext("details")) == ("Tumour", "nest")
    assert one.findtext("coordformat") == "nanometers"
    assert one.find("annotation").get("color") == "#010203"
    points = {(int(p.findtext("x")), int(p.findtext("y"))) for p in one.iter("point")}
    assert points == {(-500_000, -250_000), (-494_850, -250_000), (-495_000, -246_150)}
