"""Metrics against scikit-image, against a literal transcription of the paper, and published numbers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import convolve2d
from skimage.color import deltaE_cie76, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from napari_nic.errors import InvalidParameterError
from napari_nic.recompression.quality import color_error_map, ms_ssim, psnr, ssim
from napari_nic.recompression.quality.metrics import LEAST_MS_SSIM, WEIGHTS, to_lab

Pair = tuple[np.ndarray, np.ndarray]


def noisy(seed: int, noise: float, shape: tuple[int, ...]) -> Pair:
    rng = np.random.default_rng(seed)
    picture = cv2.GaussianBlur(rng.uniform(0, 255, shape).astype(np.float32), (0, 0), 3)
    picture = np.clip((picture - picture.mean()) * 6 + 150, 0, 255)
    other = picture + rng.normal(0, noise, shape)
    return picture.astype(np.uint8), np.clip(other, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def published() -> Pair:
    """The pictures of torchmetrics' documented examples."""
    first = torch.rand([3, 3, 256, 256], generator=torch.manual_seed(42)).numpy()
    return first.transpose(0, 2, 3, 1), (first * np.float32(0.75)).transpose(0, 2, 3, 1)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    noise=st.floats(0, 60),
    rows=st.integers(11, 90),
    cols=st.integers(11, 90),
    depth=st.sampled_from([(), (3,)]),
)
def test_as_scikit_image_has_it(
    seed: int, noise: float, rows: int, cols: int, depth: tuple[int, ...]
) -> None:
    one, other = noisy(seed, noise, (rows, cols, *depth))
    expected = structural_similarity(
        one,
        other,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2 if depth else None,
    )
    assert ssim(one, other) == pytest.approx(expected, abs=2e-5)
    if not np.array_equal(one, other):
        assert psnr(one, other) == pytest.approx(peak_signal_noise_ratio(one, other, data_range=255), 1e-6)


def test_as_published(published: Pair) -> None:
    pairs = list(zip(*published, strict=True))
    assert np.mean([ssim(a, b, peak=1) for a, b in pairs]) == pytest.approx(0.9219, abs=5e-5)
    assert np.mean([ms_ssim(a, b, peak=1) for a, b in pairs]) == pytest.approx(0.9627, abs=1e-4)


def literal_ms_ssim(one: np.ndarray, other: np.ndarray) -> float:
    """As Wang et al. write it, in float64 with plain convolutions."""
    line = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    x, y, product = one.astype(float), other.astype(float), 1.0
    for number, weight in enumerate(WEIGHTS):
        mx, my, xx, yy, xy = (convolve2d(v, window, "valid") for v in (x, y, x * x, y * y, x * y))
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        contrast = (2 * (xy - mx * my) + c2) / (xx - mx**2 + yy - my**2 + c2)
        whole = contrast * (2 * mx * my + c1) / (mx**2 + my**2 + c1)
        product *= (whole if number == 4 else contrast).mean() ** weight
        if number < 4:
            x, y = ((v[::2, ::2] + v[1::2, ::2] + v[::2, 1::2] + v[1::2, 1::2]) / 4 for v in (x, y))
    return product


@pytest.mark.parametrize("noise", [2, 20, 60])
def test_ms_ssim_as_the_paper_has_it(noise: float) -> None:
    one, other = noisy(5, noise, (192, 176))
    assert ms_ssim(one, other) == pytest.approx(literal_ms_ssim(one, other), abs=2e-5)


def test_equal_pictures() -> None:
    one, _ = noisy(1, 0, (LEAST_MS_SSIM, LEAST_MS_SSIM, 3))
    assert ssim(one, one) == ms_ssim(one, one) == pytest.approx(1)
    assert psnr(one, one) == float("inf")
    assert color_error_map(one, one).max() == 0


def test_colours_as_scikit_image_has_them() -> None:
    one, other = noisy(3, 25, (40, 50, 3))
    np.testing.assert_allclose(to_lab(one), rgb2lab(one), atol=0.4)
    whole = deltaE_cie76(rgb2lab(one)[8:16, 8:16].mean((0, 1)), rgb2lab(other)[8:16, 8:16].mean((0, 1)))
    assert color_error_map(one, other)[12, 12] == pytest.approx(whole, abs=0.3)


def test_a_local_colour_error_is_found_where_it_is() -> None:
    one = np.full((64, 64, 3), (200, 120, 160), np.uint8)
    other = one.copy()
    other[20:28, 40:48, 0] -= 20
    found = color_error_map(one, other)
    at = np.unravel_index(found.argmax(), found.shape)
    assert found.shape == (64, 64)
    assert abs(at[0] - 24) <= 1
    assert abs(at[1] - 44) <= 1
    assert found[50, 10] == 0


@pytest.mark.parametrize(
    ("measure", "one", "other"),
    [(psnr, (4, 4, 3), (4, 5, 3)), (ssim, (10, 40, 3), (10, 40, 3)), (ms_ssim, (175, 300), (175, 300))],
)
def test_what_cannot_be_compared(measure, one: tuple[int, ...], other: tuple[int, ...]) -> None:
    with pytest.raises(InvalidParameterError):
        measure(np.zeros(one, np.uint8), np.zeros(other, np.uint8))
