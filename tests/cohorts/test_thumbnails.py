"""Small pictures of slides in a report."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.cohorts.report import Shown, _slide
from napari_nic.cohorts.thumbnails import SIDE_PX, Thumbnail, _photograph
from napari_nic.encoders import load_encoder
from napari_nic.errors import DamagedSlideError
from napari_nic.jobs import CancellationToken
from napari_nic.pipeline import prepare_store
from napari_nic.slides import Slide, open_slide
from napari_nic.slides.hatching import hatched


@pytest.fixture
def slide_file(tmp_path, make_tissue, make_tiff):
    """8 x 11 tiles of 128 px."""
    return make_tiff(tmp_path / "one.tif", make_tissue(1000, 1400), factors=(1,), tile=128)


def photograph(path):
    with open_slide(path) as slide, prepare_store(slide, load_encoder("mean-rgb"), tissue=None) as store:
        return _photograph(path, store, CancellationToken())


def share_hatched(image: np.ndarray) -> float:
    return float((image == hatched(*image.shape[:2])).all(axis=2).mean())


def test_what_cannot_be_read_is_hatched_and_told(slide_file, monkeypatch):
    whole = photograph(slide_file)
    assert whole.note == ""
    assert share_hatched(whole.image) == 0
    read_tile = Slide.read_stored_tile

    def read(self, level, row, col):
        if (row, col) in ((2, 3), (2, 4)):
            raise DamagedSlideError("the tile cannot be decoded", path=self.path)
        return read_tile(self, level, row, col)

    monkeypatch.setattr(Slide, "read_stored_tile", read)
    damaged = photograph(slide_file)
    assert damaged.note == "2 tiles cannot be read (hatched)"
    assert share_hatched(damaged.image) == pytest.approx(2 * 128**2 / (1000 * 1400), rel=0.3)
    assert max(damaged.image.shape) >= SIDE_PX


def test_the_report_says_it_below_the_picture():
    row = type("Row", (), {"slide": "a<b"})()
    shown = Shown(row, "lesion", Thumbnail("data:,", "data:,", note="1 tile cannot be read (hatched)"))
    assert "a&lt;b: lesion<br>1 tile cannot be read (hatched)</figcaption>" in _slide(shown)
