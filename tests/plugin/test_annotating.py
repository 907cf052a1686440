"""Annotations that count from the scanned part of a slide, and those that were there before the slide."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import Point, box

from napari_nic.annotations import Annotation, AnnotationSet, write_annotations
from napari_nic.annotations.frames import counts_from_bounds
from napari_nic.geometry import RegionPx
from napari_nic.plugin.controllers.annotating import AnnotationController
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.models import ModelController
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.tissue import TissueController
from napari_nic.plugin.readers import read_annotation_file

SCANNED = RegionPx(600, 500, 400, 900)


@pytest.fixture
def annotating(session, runner):
    tissue = TissueController(session, runner)
    overlays = OverlayController(
        session, CompressController(session, runner, tissue), ModelController(session), runner
    )
    made = AnnotationController(session, overlays, runner)
    yield made
    made.close()
    overlays.close()


@pytest.fixture
def cropped_file(tmp_path):
    """An area and a mark as QuPath writes them for a slide whose scanned part begins at (600, 500)."""
    path = tmp_path / "cropped.geojson"
    mark = Annotation("Mark", "point", Point(50, 60))
    write_annotations(AnnotationSet((*area(10, 20, 890, 390).annotations, mark)), path)
    return path


def area(*corners: float) -> AnnotationSet:
    return AnnotationSet((Annotation("Tumour", "polygon", box(*corners)),))


@pytest.mark.parametrize(
    ("corners", "expected"),
    [
        ((10, 20, 890, 390), True),
        ((-5, 0, 900, 402), True),
        ((510, 620, 1390, 990), False),
        ((10, 20, 950, 390), False),
        ((510, 620, 800, 700), False),
    ],
)
def test_only_what_lies_off_and_would_lie_on_is_told(corners, expected):
    assert counts_from_bounds(area(*corners), SCANNED) is expected


def test_nothing_to_tell_without_bounds():
    assert not counts_from_bounds(area(10, 20, 890, 390), None)
    assert not counts_from_bounds(area(10, 20, 890, 390), RegionPx(0, 0, 400, 900))
    assert not counts_from_bounds(AnnotationSet(), SCANNED)


def open_as_dropped(viewer, path):
    for data, options, kind in read_annotation_file(path):
        add = viewer.add_points if kind == "points" else viewer.add_shapes
        add(data, **options)


def corner(annotating) -> tuple[float, ...]:
    (polygon,) = annotating.annotations().polygons("Tumour")
    return polygon.bounds[:2]


def test_annotations_of_the_scanned_part_are_moved_if_wanted(opened, annotating, cropped_file, answers):
    opened.slide.bounds = SCANNED
    told = []
    annotating.shift_wanted.connect(lambda: told.append(1))
    annotating.open(cropped_file)
    assert told
    answers.agree = True
    annotating.ask_shift()
    assert len(answers.questions) == 1
    assert "begins at x 500, y 600 px" in answers.questions[0]
    assert corner(annotating) == (510, 620)
    assert [len(layer.data) for layer in annotating.layers()] == [1, 1]
    assert np.allclose(annotating.layers()[1].data[0], (660, 550))
    annotating.ask_shift()
    assert len(answers.questions) == 1


def test_annotations_stay_if_wanted(opened, annotating, cropped_file, answers):
    opened.slide.bounds = SCANNED
    annotating.open(cropped_file)
    annotating.ask_shift()
    annotating.ask_shift()
    assert len(answers.questions) == 1
    assert corner(annotating) == (10, 20)


def test_annotations_that_were_there_first_are_laid_on_the_slide(
    session, annotating, cropped_file, slide_file, add_slide
):
    open_as_dropped(session.viewer, cropped_file)
    add_slide(session.viewer, slide_file)
    assert [tuple(layer.scale) for layer in annotating.layers()] == [(0.5, 0.5), (0.5, 0.5)]
    assert [layer.units[0] for layer in annotating.layers()] == ["micrometer"] * 2
