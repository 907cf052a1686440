"""Labelled patches as encoders see them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.encoders import get_spec, load_encoder
from napari_nic.errors import CancelledError, InvalidParameterError
from napari_nic.evaluation import LabelledSet, encode_set
from napari_nic.evaluation.cutting import Sight, cover, cut_set, stained_share
from napari_nic.jobs import CancellationToken

SLIDE = r"^(.\d)-"
SIGHT = Sight(64, 1.0)


@given(st.integers(1, 500), st.integers(1, 500))
def test_patches_cover_a_length_inside_it(length: int, side: int) -> None:
    if side > length:
        return
    places = cover(length, side)
    assert places[0] == 0
    assert places[-1] == length - side
    assert all(0 < b - a <= side for a, b in pairwise(places))


def test_network_sees_patches_averaged_to_its_input() -> None:
    assert Sight.of(get_spec("nic-default")) == Sight(64, 1.0)


def test_set_is_cut_with_class_slide_and_tile(class_folder: Path) -> None:
    patches = cut_set(LabelledSet("s", class_folder, 0.5, group=SLIDE), SIGHT)
    assert patches.images.shape == (16 * 4, 64, 64, 3)
    assert patches.class_names == ("blue", "pink")
    assert np.bincount(patches.labels).tolist() == [32, 32]
    assert len(set(patches.groups)) == 8
    assert len(set(patches.tiles)) == 16
    assert not patches.left_out


def test_pixels_are_area_averages_of_the_tile(class_folder: Path) -> None:
    patches = cut_set(LabelledSet("s", class_folder, 0.5, group=SLIDE), SIGHT)
    tile = cv2.imread(str(class_folder / "blue" / "b0-0.png"))[..., ::-1].astype(float)
    mean = tile.reshape(128, 2, 128, 2, 3).mean(axis=(1, 3))
    assert np.abs(patches.images[0] - mean[:64, :64]).max() <= 0.5


def test_number_of_patches_of_a_tile_is_bounded_and_the_choice_repeats(class_folder: Path) -> None:
    labelled = LabelledSet("s", class_folder, 0.5, group=SLIDE)
    first, again = (cut_set(labelled, SIGHT, patches_per_tile=3) for _ in range(2))
    assert np.bincount(first.tiles).max() == 3
    assert np.array_equal(first.images, again.images)


@pytest.fixture
def mixed_folder(tmp_path: Path, make_tissue: Callable[..., np.ndarray]) -> Path:
    """One tile of tissue, and one each that is glass, grey glass, small, and no picture."""
    folder = tmp_path / "tiles" / "a"
    folder.mkdir(parents=True)
    tissue = make_tissue(400, 400)[168:232, 168:232]
    grey = np.full((64, 64, 3), 215, np.uint8)
    pictures = {"tissue": tissue, "glass": grey + 30, "grey": grey, "small": tissue[:60]}
    for name, image in pictures.items():
        cv2.imwrite(str(folder / f"{name}.png"), image[..., ::-1])
    (folder / "text.png").write_text("no picture", encoding="utf-8")
    cv2.imwrite(str(tmp_path / "tiles" / "loose.png"), tissue)
    return tmp_path / "tiles"


def test_what_cannot_be_used_is_counted(mixed_folder: Path) -> None:
    patches = cut_set(LabelledSet("s", mixed_folder, 1.0), SIGHT)
    assert len(patches) == 1
    assert patches.left_out == {
        "patches of glass": 2,
        "tiles smaller than a patch": 1,
        "tiles that are no readable picture": 1,
        "tiles without a class": 1,
    }


def test_grey_and_white_are_not_stained() -> None:
    image = np.full((2, 2, 3), 250, np.uint8)
    image[0, 0] = (200, 200, 205)
    image[0, 1] = (120, 90, 170)
    assert stained_share(image) == 0.25


def test_set_without_a_patch_says_what_was_found(mixed_folder: Path) -> None:
    with pytest.raises(InvalidParameterError, match="tiles smaller than a patch"):
        cut_set(LabelledSet("s", mixed_folder, 0.1), SIGHT)


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="nowhere"):
        cut_set(LabelledSet("s", tmp_path / "nowhere", 1.0), SIGHT)


def test_cutting_can_be_cancelled(class_folder: Path) -> None:
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        cut_set(LabelledSet("s", class_folder, 0.5), SIGHT, token=token)


def test_codes_are_those_of_the_patches(class_folder: Path) -> None:
    encoder = load_encoder("mean-rgb")
    encoded = encode_set(encoder, LabelledSet("s", class_folder, 0.5, group=SLIDE))
    assert encoded.codes.shape == (len(encoded.labels), 3)
    mean = encoded.patches.images.mean(axis=(1, 2)) / 127.5 - 1
    np.testing.assert_allclose(encoded.codes, mean, atol=1e-6)
