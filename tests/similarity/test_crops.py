"""Pictures of matches are cut where the match lies, from the slide that the codes are of."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from napari_nic.cli.main import main
from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import SlideNotFoundError
from napari_nic.jobs import result_of
from napari_nic.similarity import Match, crop_matches, slide_of
from napari_nic.slides import SlideFolder


@pytest.fixture
def compressed(slide_path, tmp_path):
    """A slide in a folder, its store in another one, mean-RGB codes."""
    folder = tmp_path / "slides"
    folder.mkdir()
    shutil.copy(slide_path, folder / "made.tif")
    stores = tmp_path / "stores"
    assert main(["compress", str(folder), "--out", str(stores), "--encoder", "mean-rgb", "--quiet"]) == 0
    return CompressedSlide.open(stores / "made.nic.zarr"), folder


def matches_of(store, count=3):
    cells = np.argwhere(store.encoded())[:: store.encoded().sum() // count][:count]
    return [Match.of(store, row, col, 0.5) for row, col in cells.tolist()]


def test_a_picture_shows_the_patch_and_frames_it(compressed, slide_image) -> None:
    store, folder = compressed
    matches = matches_of(store)
    bare = result_of(crop_matches(matches, folder, side=128, context=1))
    framed = result_of(crop_matches(matches, folder, side=128, context=2))
    for match, plain, around in zip(matches, bare, framed, strict=True):
        y, x, height, width = (int(value) for value in match.box_px)
        truth = slide_image[y : y + height, x : x + width].astype(float)
        assert plain.image is not None
        assert around.image is not None
        assert abs(plain.image.astype(float).mean((0, 1)) - truth.mean((0, 1))).max() < 2
        assert np.corrcoef(plain.image.ravel(), truth.ravel())[0, 1] > 0.9
        assert (around.image[32, 32:96] == 0).all()
        assert (around.image[32:96, 95] == 0).all()


def test_a_slide_that_is_not_there_has_a_reason(compressed, tmp_path) -> None:
    store, folder = compressed
    (tmp_path / "empty").mkdir()
    for crop in result_of(crop_matches(matches_of(store), tmp_path / "empty")):
        assert crop.image is None
        assert "is not found" in crop.problem
    with pytest.raises(SlideNotFoundError, match="--slides"):
        slide_of(store)
    shutil.copy(folder / "made.tif", store.path.parent / "made.tif")
    with slide_of(store) as slide:
        assert slide.fingerprint == store.header.slide_fingerprint


def test_another_slide_of_that_name_is_not_taken(compressed, make_tissue, make_tiff) -> None:
    store, folder = compressed
    make_tiff(folder / "made.tif", make_tissue(1100, 1500, seed=5))
    (crop,) = result_of(crop_matches(matches_of(store, 1), folder))
    assert crop.image is None
    with pytest.raises(SlideNotFoundError):
        slide_of(store, SlideFolder.of(folder))
