"""From shapes to the codes that are learned from."""

from __future__ import annotations

import numpy as np
import shapely

from napari_nic.annotations import UNCLASSIFIED, Annotation, AnnotationSet
from napari_nic.probe import CellFinder, strokes_of


def shape(label: str, geometry: shapely.Geometry, kind: str = "polygon") -> Annotation:
    return Annotation(label, kind, geometry)


def test_a_stroke_holds_the_codes_of_its_cells(resident):
    found = strokes_of(AnnotationSet((shape("gland", shapely.box(16, 32, 64, 48)),)), resident)
    (stroke,) = found.strokes
    assert stroke.label == "gland"
    assert stroke.cells.tolist() == [[2, 1], [2, 2], [2, 3]]
    np.testing.assert_array_equal(stroke.codes, resident.codes[resident.index[2, 1:4]])
    assert found.notes == ()


def test_a_cell_belongs_to_the_shape_that_was_drawn_last(resident):
    shapes = (
        shape("gland", shapely.box(16, 32, 64, 48)),
        shape("gland", shapely.box(16, 32, 32, 48)),
        shape("stroma", shapely.Point(40, 40), "point"),
    )
    found = strokes_of(AnnotationSet(shapes), resident)
    assert [(stroke.label, stroke.cells.tolist()) for stroke in found.strokes] == [
        ("gland", [[2, 3]]),
        ("gland", [[2, 1]]),
        ("stroma", [[2, 2]]),
    ]


def test_what_cannot_be_learned_from_is_told(resident):
    shapes = (
        shape("glass", shapely.box(0, 0, 64, 16)),  # the first row is not encoded
        shape(UNCLASSIFIED, shapely.box(16, 32, 64, 48)),
        shape("gland", shapely.box(5000, 5000, 5100, 5100)),
        shape("ruler", shapely.LineString([(0, 40), (90, 40)]), "measurement"),
        shape("gland", shapely.box(0, 8, 64, 40)),
    )
    found = strokes_of(AnnotationSet(shapes), resident)
    assert [stroke.label for stroke in found.strokes] == ["gland"]
    assert found.strokes[0].cells[:, 0].min() == 1
    without, off, bare = found.notes
    assert without == "1 shape without a class: not learned from"
    assert off == "1 shape off the slide: not learned from"
    assert "not compressed" in bare
    assert "glass 1" in bare


def test_shapes_that_were_seen_are_not_looked_at_again(resident, monkeypatch):
    finder = CellFinder(resident.grid)
    first = AnnotationSet((shape("gland", shapely.box(16, 32, 64, 48)),))
    again = AnnotationSet(
        (shape("stroma", shapely.box(16, 32, 64, 48)), shape("a", shapely.Point(1, 33), "point"))
    )
    strokes_of(first, resident, finder)
    asked = []
    from napari_nic.probe import strokes as module

    real = module.labelled_cells
    monkeypatch.setattr(
        module,
        "labelled_cells",
        lambda *args, **options: asked.append(args[0].label) or real(*args, **options),
    )
    found = strokes_of(again, resident, finder)
    assert asked == ["a"]
    assert [stroke.label for stroke in found.strokes] == ["stroma", "a"]


def test_the_key_tells_what_a_stroke_teaches(resident):
    def one(label: str, box: tuple[int, ...]):
        return strokes_of(AnnotationSet((shape(label, shapely.box(*box)),)), resident).strokes[0].key

    assert one("a", (16, 32, 64, 48)) == one("a", (16, 32, 64, 47.9))
    assert one("a", (16, 32, 64, 48)) != one("b", (16, 32, 64, 48))
    assert one("a", (16, 32, 64, 48)) != one("a", (16, 32, 80, 48))
