"""Arrays of codes: gathered and rendered ones agree, and training gets them whole and transformed."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.errors import InvalidParameterError
from napari_nic_experiments.digits import render
from napari_nic_experiments.digits.codes import DigitSlide, GatheredCodes, RenderedCodes
from napari_nic_experiments.digits.encoders import MEAN, encode_patches, load_digit_encoder


@pytest.fixture
def mean(tmp_path):
    """Return the encoder that needs no training."""
    return load_digit_encoder(MEAN, tmp_path)


@pytest.mark.parametrize("stride", [9, 18])
def test_gathered_codes_are_those_of_the_painted_picture(images, mean, tmp_path, stride) -> None:
    gathered = GatheredCodes(images, encode_patches(mean, images.glyphs.table), stride=stride)
    rendered = RenderedCodes(images, mean, tmp_path, stride=stride)
    assert gathered.mask.shape == rendered.mask.shape == (216 // stride,) * 2
    assert gathered.code_size == rendered.code_size == 3
    np.testing.assert_array_equal(gathered.codes(4), rendered.codes(4))


def test_any_stride_can_be_rendered_and_is_kept(images, mean, tmp_path) -> None:
    source = RenderedCodes(images, mean, tmp_path / "codes", stride=6)
    codes = source.codes(2)
    picture = render(images[2].cells, images.glyphs)
    assert codes.shape == (35, 35, 3)
    assert codes[3, 7, 0] == pytest.approx(picture[18:27, 42:51].mean() / 127.5 - 1, abs=1e-3)
    assert [file.suffix for file in (tmp_path / "codes").iterdir()] == [".npy"]
    np.testing.assert_array_equal(source.codes(2), codes)


def test_patches_that_cut_digits_cannot_be_gathered(images, mean) -> None:
    with pytest.raises(InvalidParameterError, match="cut digits"):
        GatheredCodes(images, encode_patches(mean, images.glyphs.table), stride=6)


def test_slides_tell_training_what_it_asks(images, mean) -> None:
    source = GatheredCodes(images, encode_patches(mean, images.glyphs.table))
    slide = DigitSlide(source, 13)
    codes, mask = slide.crop(0, 0, 24, transform=1)
    np.testing.assert_array_equal(codes, np.rot90(source.codes(13)))
    assert mask.all()
    assert (slide.label, slide.code_size, slide.name) == (3.0, 3, "1-13")
    assert slide.mask is DigitSlide(source, 2).mask
    beyond, there = slide.crop(-4, 0, 24)
    assert not there[:4].any()
    assert not beyond[:4].any()
    (strip, inside), *rest = slide.strips()
    assert not rest
    assert strip.shape == (24, 24, 3)
    assert inside.all()
