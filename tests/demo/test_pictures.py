"""Pictures: the overlay lies where its cells are, the outline where the annotation is."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from PIL import Image

from napari_nic.annotations import Annotation, AnnotationSet
from napari_nic.demo import save_picture, slide_picture
from napari_nic.errors import StoreError
from napari_nic.explain import Overlay
from napari_nic.geometry import PixelSize, Placement
from napari_nic.slides import Overview

PIXEL = PixelSize(0.5, 0.5)
GREY = 200


@pytest.fixture
def overview():
    """1280 x 1600 um of plain grey, at 4 um/px."""
    return Overview(np.full((320, 400, 3), GREY, np.uint8), Placement((0.0, 0.0), (4.0, 4.0)), 0, 8)


@pytest.fixture
def overlay():
    """4 x 5 cells of 256 um that start 128 um in; only cell [1, 2] means something."""
    mask = np.zeros((4, 5), bool)
    mask[1, 2] = True
    return Overlay(
        "Score",
        "saliency",
        np.ones((4, 5), np.float32),
        mask,
        Placement((128.0, 128.0), (256.0, 256.0)),
        unit="raw",
        limits=(0.0, 1.0),
        note="What it shows.",
    )


def test_only_the_pixels_of_shown_cells_are_painted(overview, overlay):
    picture = slide_picture(overview, PIXEL, overlay=overlay)
    changed = (picture[:320] != GREY).any(axis=-1)
    rows, cols = np.nonzero(changed)
    # Cell [1, 2] spans 384 to 640 um down and 640 to 896 um across.
    assert (rows.min(), rows.max() + 1, cols.min(), cols.max() + 1) == (96, 160, 160, 224)
    assert changed.sum() == 64 * 64


def test_outlines_are_drawn_in_the_frame_of_level_0(overview):
    square = Annotation("Lesion", "polygon", shapely.box(800, 400, 1600, 1200))
    picture = slide_picture(overview, PIXEL, annotations=AnnotationSet((square,), {"Lesion": (255, 0, 0)}))
    red = (picture[:320] == (255, 0, 0)).all(axis=-1)
    rows, cols = np.nonzero(red)
    middle = (rows.min() + rows.max()) / 2, (cols.min() + cols.max()) / 2
    assert middle == pytest.approx((100, 150), abs=1)
    assert rows.max() - rows.min() == pytest.approx(100, abs=4)
    assert not red[100, 150]


def test_the_foot_says_what_is_seen(overview, overlay):
    plain = slide_picture(overview, PIXEL)
    full = slide_picture(overview, PIXEL, overlay=overlay)
    assert plain.shape == full.shape
    assert (plain[320:] == 255).all()
    # The colour bar goes from one end of the map to the other.
    ends = [(68, 1, 84), (253, 231, 37)]
    for color in ends:
        assert (np.abs(full[320:].astype(int) - color).sum(axis=-1) < 30).any()


def test_a_picture_is_written(tmp_path, overview):
    picture = slide_picture(overview, PIXEL, title="A slide")
    path = save_picture(picture, tmp_path / "a.png")
    with Image.open(path) as image:
        assert (np.asarray(image) == picture).all()
    with pytest.raises(StoreError, match="cannot be written"):
        save_picture(picture, path / "a.png")  # below a file
