"""Which layers an edit of a document changes, and by which numbers they show its objects."""

from __future__ import annotations

import pytest
from napari.layers import Shapes
from shapely.geometry import box

from napari_nic.annotations import Annotation, AnnotationSet
from napari_nic.editing import AnnotationObject, Edit
from napari_nic.plugin.annotation_layers import AnnotationTag
from napari_nic.plugin.controllers.shown_changes import FEW, Shown, changes_of

SHAPES = 40


@pytest.fixture
def shown() -> Shown:
    """A layer of many shapes: the last one is there anew under another number, and one is not shown."""
    shapes = tuple(Annotation("tumor", "rectangle", box(n, 0, n + 1, 1)) for n in range(SHAPES))
    tag = AnnotationTag("annotations", None, "some", annotations=AnnotationSet(shapes, {"tumor": (9, 9, 9)}))
    tag.ids = [f"id-{n}" for n in range(SHAPES - 1)] + ["id-3"]
    return Shown(Shapes(ndim=2), tag, set(range(SHAPES)) - {3, 5})


@pytest.mark.parametrize("others", [0, FEW, 3 * FEW])
def test_numbers_are_found_alike_among_few_and_many(shown, others):
    ids = ["id-0", "id-3", "id-5", *(f"id-{10 + n}" for n in range(others))]
    items = {i: AnnotationObject(i, Annotation("tumor", "rectangle", box(0, 0, 9, 9))) for i in ids}
    new = AnnotationObject("new", Annotation("tumor", "rectangle", box(0, 0, 9, 9)))
    changes, homeless = changes_of(Edit("move", {}, {**items, "new": new, "id-1": None}), [shown])
    ((layer, one),) = changes.items()
    assert layer is shown.layer
    assert set(one.changed) == {0, SHAPES - 1, *range(10, 10 + others)}
    assert set(one.added) == {5}
    assert one.removed == [1]
    assert homeless == [new]


def test_an_edit_of_classes_alone_changes_no_layer(shown):
    assert changes_of(Edit("recolour", {}, {}), [shown]) == ({}, [])
