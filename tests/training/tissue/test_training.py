"""A tissue U-Net learns, stops, goes on, and is written; its crops and their augmentation."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.errors import CancelledError, InvalidParameterError, WeightsError
from napari_nic.jobs import CancellationToken
from napari_nic.tissue.unet import find_unet, read_unet
from napari_nic.tissue.unet.predict import Predictor
from napari_nic.training.log import read_log
from napari_nic.training.options import TrainOptions
from napari_nic.training.tissue import MaskedPicture, TissueTiles, UnetRecipe, split_pictures
from napari_nic.training.tissue.augment import augment
from napari_nic.training.tissue.train import train_unet


@pytest.fixture(scope="session")
def pictures():
    """Six pictures of 64 px: violet discs on glass, at two magnifications."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64]
    made = []
    for number in range(6):
        middle = rng.uniform(20, 44, 2)
        mask = np.hypot(y - middle[0], x - middle[1]) < 16
        image = np.where(mask[..., None], (150, 80, 160), (240, 240, 240)) + rng.normal(0, 4, (64, 64, 3))
        picture = np.clip(image, 0, 255).astype(np.uint8)
        made.append(MaskedPicture(picture, mask.astype(np.uint8), (4.0, 8.0)[number % 2], f"slide {number}"))
    return made


def recipe(tmp_path, **changed):
    options = {
        "steps": 12,
        "batch_size": 4,
        "validate_every": 6,
        "checkpoint_every": 3,
        "learning_rate": 0.01,
    }
    own = {name: changed.pop(name) for name in ("widths", "size") if name in changed}
    return UnetRecipe(
        "made",
        out=tmp_path / "made",
        device="cpu",
        options=TrainOptions(**(options | changed)),
        **({"widths": (4, 8), "size": 32} | own),
    )


def weights_of(folder):
    return (folder / "weights.safetensors").read_bytes()


def test_it_learns_and_is_used_by_name(tmp_path, pictures, home):
    made = recipe(tmp_path, steps=150, validate_every=50, schedule="cosine")
    reports = list(train_unet(made, pictures))
    assert reports[-1].validation["dice"] > 0.9
    spec = read_unet(made.folder)
    assert spec.training["pictures"] == 5
    assert spec.training["pictures_held_out"] == 1
    assert "Dice" not in spec.summary
    share = Predictor.load(str(made.folder), device="cpu").share(pictures[0].image)
    found, wanted = share > 0.5, pictures[0].mask > 0
    assert 2 * (found & wanted).sum() / (found.sum() + wanted.sum()) > 0.9
    assert find_unet(made.folder) == made.folder


def test_stopped_and_resumed_is_the_same_run(tmp_path, pictures):
    list(train_unet(recipe(tmp_path / "whole"), pictures))
    token = CancellationToken()
    reports = train_unet(recipe(tmp_path / "parts"), pictures, token=token)
    for _ in range(5):
        next(reports)
    token.cancel()
    with pytest.raises(CancelledError):
        next(reports)
    assert not (tmp_path / "parts" / "made").exists()
    rest = list(train_unet(recipe(tmp_path / "parts"), pictures))
    assert rest[0].done == 6
    assert weights_of(tmp_path / "parts/made") == weights_of(tmp_path / "whole/made")
    with pytest.raises(WeightsError, match="other options"):
        next(iter(train_unet(recipe(tmp_path / "parts", widths=(4, 4)), pictures)))


def test_it_ends_early_when_nothing_is_gained(tmp_path, pictures):
    made = recipe(
        tmp_path, steps=100, validate_every=1, patience=3, learning_rate=1e-9, final_learning_rate=1e-9
    )
    reports = list(train_unet(made, pictures))
    assert len(reports) < 20
    assert len(read_log(made.checkpoint / "validation.csv")) == len(reports)


def test_crops_come_evenly_of_all_magnifications(pictures):
    few = [picture for picture in pictures if picture.mpp == 4.0][:1]
    many = [picture for picture in pictures if picture.mpp == 8.0]
    marked = [MaskedPicture(np.zeros_like(p.image), p.mask, p.mpp, p.group) for p in few]
    tiles = TissueTiles([*marked, *many], 32, augmented=False)
    drawn = tiles.draw(400, np.random.default_rng(1))
    assert 0.4 < (drawn.images.max((1, 2, 3)) == 0).mean() < 0.6
    assert tiles.magnifications == (4.0, 8.0)


def test_small_pictures_are_mirrored(pictures):
    drawn = TissueTiles(pictures[:1], 96, augmented=False).draw(2, np.random.default_rng(0))
    np.testing.assert_array_equal(drawn.images[0, :64, :64], pictures[0].image)
    np.testing.assert_array_equal(drawn.masks[0, 64:], drawn.masks[0, 32:64][::-1])


def test_slides_are_on_one_side_only(pictures):
    kept, away = split_pictures(pictures, held_out=0.3, seed=0)
    assert len(away) == 2
    assert not {p.group for p in kept} & {p.group for p in away}
    assert split_pictures(pictures[:1], held_out=0.3, seed=0)[1] == []


def test_augmentation_moves_the_mask_with_the_picture(pictures):
    rng = np.random.default_rng(3)
    for _ in range(40):
        image, mask = augment(pictures[0].image, pictures[0].mask, rng)
        assert image.dtype == np.uint8
        assert image.shape == pictures[0].image.shape
        inside, outside = image[mask == 1].mean(), image[mask == 0].mean()
        assert inside < outside - 20
        assert mask.sum() == pictures[0].mask.sum()


def test_lines_are_drawn_on_glass_alone():
    glass = np.full((60, 60, 3), 240, np.uint8)
    rng = np.random.default_rng(0)
    darkest = [augment(glass, np.zeros((60, 60), np.uint8), rng)[0].min() for _ in range(60)]
    assert min(darkest) < 120
    part = np.zeros((60, 60), np.uint8)
    part[0, 0] = 1
    assert min(augment(glass, part, rng)[0].min() for _ in range(60)) > 150


def test_what_cannot_be_trained_on_is_refused(tmp_path, pictures):
    with pytest.raises(InvalidParameterError, match="no pictures"):
        list(train_unet(recipe(tmp_path), []))
    with pytest.raises(InvalidParameterError, match="multiple of 4"):
        recipe(tmp_path, size=30)
    with pytest.raises(InvalidParameterError, match="one size"):
        MaskedPicture(pictures[0].image, pictures[0].mask[:-1], 4.0, "a")
