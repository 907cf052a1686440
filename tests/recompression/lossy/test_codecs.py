"""Contract of all lossy codecs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nic.errors import InvalidParameterError, UnknownNameError
from napari_nic.recompression.lossy import (
    PIXEL_CODECS,
    CodecSettings,
    PixelCodec,
    load_pixel_codec,
    make_settings,
)
from napari_nic.recompression.lossy.codecs import distance_of, quality_of


def tissue(rows: int = 96, cols: int = 128, seed: int = 0) -> np.ndarray:
    """Soft pinks and purples with texture, (rows, cols, 3) uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :cols] / 96
    base = np.stack([190 - 60 * y + 30 * np.sin(9 * x), 110 + 60 * x * y, 180 - 40 * x], -1)
    return np.clip(base + rng.normal(0, 6, (rows, cols, 1)), 0, 255).astype(np.uint8)


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = float(np.mean((one.astype(float) - other) ** 2))
    return 99.0 if error == 0 else 10 * np.log10(255**2 / error)


LEARNED = "neural"


@pytest.fixture(params=[*PIXEL_CODECS, LEARNED])
def codec(request: pytest.FixtureRequest) -> PixelCodec:
    name = request.param
    if name == LEARNED:
        name = f"{LEARNED}:{request.getfixturevalue('learned_folder')}"
    return load_pixel_codec(name)


def test_a_tile_comes_back_nearly_the_same(codec: PixelCodec) -> None:
    for subsampling in codec.subsamplings:
        data = codec.encode(tissue(), make_settings(codec, subsampling=subsampling))
        decoded = codec.decode(data)
        assert decoded.shape == (96, 128, 3)
        assert decoded.dtype == np.uint8
        assert psnr(decoded, tissue()) > (33 if subsampling == "4:4:4" else 30)
        assert len(data) < tissue().nbytes / 3


def test_colours_keep_their_order(codec: PixelCodec) -> None:
    """A swapped channel would pass every test on grey."""
    red = np.full((64, 64, 3), (200, 60, 90), np.uint8)
    decoded = codec.decode(codec.encode(red, make_settings(codec)))
    assert np.abs(decoded.astype(int) - (200, 60, 90)).max() <= 6


def test_white_stays_white_and_is_small(codec: PixelCodec) -> None:
    white = np.full((256, 256, 3), 255, np.uint8)
    data = codec.encode(white, make_settings(codec))
    assert codec.decode(data).min() >= 254
    assert len(data) < 2000


def test_better_quality_is_better_and_larger(codec: PixelCodec) -> None:
    scale = codec.scale
    steps = [scale.least + share * (scale.best - scale.least) for share in (0.2, 0.6, 1.0)]
    coded = [codec.encode(tissue(), make_settings(codec, quality)) for quality in steps]
    sizes = [len(data) for data in coded]
    found = [psnr(codec.decode(data), tissue()) for data in coded]
    assert sizes == sorted(sizes)
    assert found == sorted(found)


def test_what_falls_back_ends_at_the_best_there_is(codec: PixelCodec) -> None:
    chosen = make_settings(codec)
    found = [psnr(codec.decode(codec.encode(tissue(), chosen)), tissue())]
    while (better := codec.better(chosen)) is not None:
        chosen = better
        found.append(psnr(codec.decode(codec.encode(tissue(), chosen)), tissue()))
        assert len(found) < 8
    assert found == sorted(found)
    assert len(found) > 2
    assert found[-1] == 99.0 if chosen.is_lossless else found[-1] > 42


@given(st.integers(16, 90), st.integers(16, 90))
@settings(max_examples=8, deadline=None)
def test_any_size_comes_back(rows: int, cols: int) -> None:
    for name in PIXEL_CODECS:
        codec = PIXEL_CODECS.get(name)()
        assert codec.decode(codec.encode(tissue(rows, cols), make_settings(codec))).shape == (rows, cols, 3)


@pytest.mark.parametrize(("rows", "cols"), [(16, 16), (17, 90), (64, 33), (1, 5)])
def test_any_size_comes_back_from_a_learned_codec(learned_folder: Path, rows: int, cols: int) -> None:
    codec = load_pixel_codec(f"{LEARNED}:{learned_folder}")
    decoded = codec.decode(codec.encode(tissue(rows, cols), make_settings(codec)))
    assert decoded.shape == (rows, cols, 3)
    assert np.abs(decoded.astype(float) - tissue(rows, cols)).mean() < 8


def test_what_a_codec_cannot_is_refused(codec: PixelCodec) -> None:
    with pytest.raises(InvalidParameterError, match="no such quality"):
        make_settings(codec, codec.scale.best + 1)
    with pytest.raises(InvalidParameterError, match="no such quality"):
        make_settings(codec, codec.scale.least - 1)
    with pytest.raises(InvalidParameterError, match="subsampling"):
        make_settings(codec, subsampling="4:1:1")
    with pytest.raises(InvalidParameterError, match="effort"):
        make_settings(codec, effort=0)


def test_an_unknown_codec_names_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match="jpegxl"):
        PIXEL_CODECS.get("bpg")


def test_distances_of_jpeg_xl() -> None:
    assert distance_of(90) == pytest.approx(1.0)
    assert distance_of(100) == pytest.approx(0.1)
    for distance in (0.1, 0.5, 1.0, 3.0, 6.4):
        assert distance_of(quality_of(distance)) == pytest.approx(distance)
    assert distance_of(29.999) == pytest.approx(distance_of(30), abs=0.1)
    with pytest.raises(InvalidParameterError, match="distance"):
        quality_of(25)


def test_effort_costs_time_and_not_quality() -> None:
    codec = PIXEL_CODECS.get("jpegxl")()
    one = CodecSettings(90, effort=1)
    assert psnr(codec.decode(codec.encode(tissue(), replace(one, effort=3))), tissue()) > 33
