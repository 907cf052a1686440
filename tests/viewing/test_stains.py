"""Stains are taken apart as scikit-image does it, and tones are what their formulas say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import combine_stains, separate_stains
from skimage.color.colorconv import rgb_from_hed

from napari_nic.errors import InvalidParameterError
from napari_nic.viewing import (
    OWN,
    STAIN_SETS,
    Display,
    StainSet,
    Tone,
    format_stains,
    parse_stains,
    stain_picture,
)

HE, _, HED = STAIN_SETS


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(3).integers(1, 256, (40, 50, 3), np.uint8)


@pytest.mark.parametrize("stains", STAIN_SETS, ids=lambda one: one.name)
def test_stains_are_those_of_scikit_image(picture, stains):
    amounts = separate_stains(picture, np.linalg.inv(stains.matrix()))
    for index in range(len(stains.stains)):
        alone = np.zeros_like(amounts)
        alone[..., index] = amounts[..., index]
        expected = np.rint(255 * combine_stains(alone, stains.matrix()))
        assert np.abs(stain_picture(picture, stains, index) - expected).max() <= 1


def test_vectors_are_those_of_ruifrok_and_johnston():
    unit = rgb_from_hed / np.linalg.norm(rgb_from_hed, axis=1, keepdims=True)
    assert np.allclose(HED.matrix(), unit)


def test_a_pure_stain_stays_and_the_other_goes():
    hematoxylin, eosin = HE.matrix()[:2]
    for own, other, index in ((hematoxylin, eosin, 0), (eosin, hematoxylin, 1)):
        pure = np.rint(255 * np.exp(-0.8 * own)).astype(np.uint8).reshape(1, 1, 3)
        foreign = np.rint(255 * np.exp(-0.8 * other)).astype(np.uint8).reshape(1, 1, 3)
        assert np.abs(stain_picture(pure, HE, index).astype(int) - pure).max() <= 2
        assert stain_picture(foreign, HE, index).min() >= 250


def test_glass_stays_white_and_black_is_no_error():
    white, black = np.full((2, 2, 3), 255, np.uint8), np.zeros((2, 2, 3), np.uint8)
    for index in range(3):
        assert (stain_picture(white, HED, index) == 255).all()
        assert stain_picture(black, HED, index).shape == (2, 2, 3)


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ([(0.65, 0.7, 0.29)], "two or three stains"),
        ([(0.65, 0.7, 0.29), (0, 0, 0)], "none of a stain"),
        ([(0.65, 0.7, 0.29), (-0.1, 1, 0)], "none of a stain"),
        ([(0.65, 0.7, 0.29), (0.651, 0.7, 0.29)], "too much alike"),
        ([(1, 0, 0), (0, 1, 0), (0.5, 0.5, 0.001)], "too much alike"),
        ([(0.65, 0.7, float("nan")), (1, 0, 0)], "none of a stain"),
    ],
)
def test_what_cannot_be_taken_apart_is_refused(vectors, said):
    with pytest.raises(InvalidParameterError, match=said):
        StainSet("x", tuple((f"{n}", vector) for n, vector in enumerate(vectors)))


def test_a_stain_that_there_is_not(picture):
    with pytest.raises(InvalidParameterError, match="has no stain 2"):
        stain_picture(picture, HE, 2)


def test_typed_vectors_are_read_as_they_are_written():
    typed = parse_stains("0.65, 0.70, 0.29; 0.07 0.99 0.11;")
    assert typed.name == OWN
    assert np.allclose(typed.matrix(), HE.matrix())
    assert parse_stains(format_stains(typed)) == typed
    for wrong in ("0.65 0.7; 1 0 0", "a b c; 1 0 0", ""):
        with pytest.raises(InvalidParameterError):
            parse_stains(wrong)


values = st.integers(0, 255)


@given(value=values, brightness=st.floats(-1, 1), contrast=st.floats(-1, 0.98), gamma=st.floats(0.2, 5))
def test_a_tone_is_its_formula(value, brightness, contrast, gamma):
    slope = np.tan((contrast + 1) * np.pi / 4)
    expected = 255 * np.clip((value / 255 - 0.5) * slope + 0.5 + brightness, 0, 1) ** (1 / gamma)
    assert abs(int(Tone(brightness, contrast, gamma).table()[value]) - expected) <= 0.5 + 1e-6


@given(brightness=st.floats(-1, 1), contrast=st.floats(-1, 1), gamma=st.floats(0.1, 10))
def test_a_tone_never_turns_light_and_dark_around(brightness, contrast, gamma):
    assert (np.diff(Tone(brightness, contrast, gamma).table().astype(int)) >= 0).all()


def test_no_tone_changes_nothing(picture):
    assert (Tone().table() == np.arange(256)).all()
    assert Display().is_plain
    assert (Display().apply(picture) == picture).all()


def test_gamma_above_1_brightens(picture):
    assert Display(Tone(gamma=2)).apply(picture).mean() > picture.mean()
    with pytest.raises(InvalidParameterError, match="out of range"):
        Tone(gamma=0)


def test_the_stain_is_taken_out_before_the_tone(picture):
    tone = Tone(brightness=0.1)
    alone = stain_picture(picture, HE, 1)
    assert (Display(tone, HE, 1).apply(picture) == tone.table()[alone]).all()
