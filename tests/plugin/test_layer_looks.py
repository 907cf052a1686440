"""Which classes a layer shows, and in which colours: what a figure's legend says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from shapely.geometry import Point, box
from tests.plugin.conftest import write_geojson
from tests.plugin.test_keeping import open_window, window

from napari_nic.annotations import UNCLASSIFIED
from napari_nic.plugin import annotation_layers as module
from napari_nic.plugin.figure_layers import figure_layers
from napari_nic.plugin.slide_frames import SlideFrame

__all__ = ["open_window", "window"]  # fixtures

RED, GREEN = (255, 0, 0), (0, 255, 0)


def swatches(window) -> dict:
    frame = SlideFrame(window.session.slide, window.session.layer)
    legends = figure_layers(list(window.viewer.layers), frame).legends
    return {name: color for legend in legends for name, color in legend.swatches}


def set_class(window, name, **changes) -> None:
    classes = [replace(e, **changes) if e.name == name else e for e in window.document.classes]
    window.document.set_classes("classes", classes)


@pytest.fixture(params=[2_000, 2], ids=["shapes", "picture"])
def opened(window, tmp_path, monkeypatch, request):
    """Annotations as shapes, or as a picture of their outlines."""
    monkeypatch.setattr(module, "MAX_SHAPES", request.param)
    shapes = [("Tumour", box(n * 100, 0, n * 100 + 60, 60), (213, 94, 0)) for n in range(3)]
    path = write_geojson(tmp_path / "a.geojson", [*shapes, ("Stroma", box(0, 200, 90, 290), None)])
    window.annotating.open(path)
    return window


def test_a_legend_shows_the_colours_that_are_shown(opened):
    before = swatches(opened)
    assert before["Tumour"] == (213, 94, 0), "those of the file, at first"
    set_class(opened, "Tumour", color=RED)
    assert swatches(opened) == before | {"Tumour": RED}
    set_class(opened, "Stroma", visible=False)
    assert swatches(opened) == {"Tumour": RED}, "what is hidden is in no legend"
    item = opened.document.objects()[0]
    opened.document.put("colour", replace(item, color=GREEN))
    assert swatches(opened)["Tumour"] == RED, "one object's own colour is not that of its class"


def test_points_and_what_has_no_class_are_in_the_legend(window, tmp_path):
    path = write_geojson(tmp_path / "a.geojson", [("Mark", Point(50, 60), RED)])
    window.annotating.open(path)
    shapes = window.viewer.add_shapes(ndim=2)
    shapes.add(np.array([(0, 0), (0, 50), (50, 50)]), shape_type="polygon")
    found = swatches(window)
    assert found["Mark"] == RED
    assert UNCLASSIFIED in found
    window.documents.hidden = True
    assert swatches(window) == {}
