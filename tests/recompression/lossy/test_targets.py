"""The lowest quality that reaches what is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_nic.encoders import load_encoder
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import result_of
from napari_nic.recompression.lossy import (
    PIXEL_CODECS,
    CosineMeasure,
    FoundQuality,
    SourcePicture,
    Target,
    find_settings,
    make_settings,
)
from napari_nic.recompression.quality import psnr, ssim


def found(slide: Path, codec_name: str, target: Target, measure: Callable[..., float]) -> FoundQuality:
    codec, picture = PIXEL_CODECS.get(codec_name)(), SourcePicture(slide)
    try:
        return result_of(find_settings(picture, codec, make_settings(codec), target, measure))
    finally:
        picture.close()


@pytest.mark.parametrize(("kind", "value", "measure"), [("ssim", 0.9, ssim), ("psnr", 36.0, psnr)])
@pytest.mark.parametrize("codec", ["jpeg", "jpegxl", "jpeg2000"])
def test_the_quality_is_just_high_enough(
    plain_slide: Path, codec: str, kind: str, value: float, measure: Callable[..., float]
) -> None:
    quality = found(plain_slide, codec, Target(kind, value), measure)  # type: ignore[arg-type] # one of them
    scale = PIXEL_CODECS.get(codec)().scale
    assert scale.least < quality.settings.quality < scale.best
    assert quality.mean >= value
    lower = found(plain_slide, codec, Target(kind, value * 0.97), measure)  # type: ignore[arg-type] # likewise
    assert lower.settings.quality < quality.settings.quality


def test_a_target_of_what_a_model_sees(plain_slide: Path) -> None:
    measure = CosineMeasure(load_encoder("mean-rgb"), 0.5)
    quality = found(plain_slide, "jpeg", Target("cosine", 0.9999), measure)
    assert quality.least > 0.999


def test_cosine_of_patches() -> None:
    rng = np.random.default_rng(0)
    tile = rng.integers(0, 255, (256, 256, 3), dtype=np.uint8)
    measure = CosineMeasure(load_encoder("mean-rgb"), 0.5)
    assert measure(tile, tile) == pytest.approx(1)
    swapped = tile.copy()
    swapped[:128, :128, 0] = 0
    assert measure(tile, swapped) < 0.9, "one patch of four is enough"


def test_what_cannot_be_reached_says_so(plain_slide: Path) -> None:
    with pytest.raises(InvalidParameterError, match="cannot reach"):
        found(plain_slide, "webp", Target("ssim", 0.9999), ssim)
    with pytest.raises(InvalidParameterError, match="no such ssim"):
        Target("ssim", 1.2)


def test_glass_says_nothing_of_a_quality(tmp_path: Path) -> None:
    slide = tmp_path / "a.tif"
    tifffile.imwrite(slide, np.full((300, 300, 3), 244, np.uint8), tile=(128, 128), photometric="rgb")
    with pytest.raises(InvalidParameterError, match="no tile shows anything"):
        found(slide, "jpeg", Target("psnr", 40.0), psnr)
