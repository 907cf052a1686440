"""The input made row by row is the input made at once; features made in strips are those of the whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.errors import InvalidParameterError
from napari_nic.slide_models import SlideNetConfig, Standardiser
from napari_nic.slide_models.canvas import Canvas
from napari_nic.slide_models.inputs import frame
from napari_nic.slide_models.striped import features_in_strips, strips_of

STANDARDISER = Standardiser(np.array([1.0, -2.0], np.float32), np.array([2.0, 0.5], np.float32))


@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    inset=st.tuples(st.integers(-12, 12), st.integers(-12, 12)),
    first=st.integers(0, 12),
    count=st.integers(1, 12),
)
def test_rows_are_those_of_the_framed_slide(
    shape: tuple[int, int], inset: tuple[int, int], first: int, count: int
) -> None:
    rng = np.random.default_rng(0)
    codes, mask = rng.normal(size=(9, 11, 2)).astype(np.float16), rng.random((9, 11)) < 0.6
    rows = Canvas(codes, mask, STANDARDISER, shape, inset).rows(first, first + count)
    whole = frame(STANDARDISER.apply(codes, mask), -inset[0], -inset[1], (first + count, shape[1]))
    assert rows.dtype == np.float32
    np.testing.assert_array_equal(rows, whole[first:])


def test_a_scale_lies_between_an_empty_slide_and_the_slide() -> None:
    codes, mask = np.ones((4, 5, 2), np.float16), np.ones((4, 5), bool)
    slide = Canvas(codes, mask, STANDARDISER, (4, 5)).rows(0, 4)
    np.testing.assert_allclose(Canvas(codes, mask, STANDARDISER, (4, 5), scale=0.25).rows(0, 4), slide / 4)
    assert not Canvas(codes, mask, STANDARDISER, (4, 5), scale=0).rows(0, 4).any()


def test_codes_of_other_sizes_are_refused() -> None:
    codes, mask = np.ones((4, 5, 2), np.float16), np.ones((4, 5), bool)
    with pytest.raises(InvalidParameterError, match="do not fit the model"):
        Canvas(codes[..., :1], mask, STANDARDISER, (4, 5))
    with pytest.raises(InvalidParameterError, match="do not fit the model"):
        Canvas(codes, mask[1:], STANDARDISER, (4, 5))


@pytest.mark.parametrize("strides", [(2, 2, 2, 1, 1), (1, 2, 1, 1), (2,)])
@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_features_in_strips_are_those_of_the_whole(toys: Any, strides: tuple[int, ...], rows: int) -> None:
    bundle = toys.untrained(toys.card(SlideNetConfig(toys.code_size, 1, 100, 8, strides)))
    codes = np.random.default_rng(0).normal(size=(83, 71, toys.code_size)).astype(np.float16)
    canvas = Canvas(codes, np.ones((83, 71), bool), bundle.standardiser, (90, 80), (3, 4))
    net = bundle.network()
    x = torch.from_numpy(canvas.rows(0, 90)).permute(2, 0, 1)[None]
    with torch.inference_mode():
        strips = features_in_strips(net, canvas, strip_bytes=rows * 80 * toys.code_size * 4)
        whole = net.features(x)
    torch.testing.assert_close(strips, whole, rtol=1e-5, atol=1e-6)


@given(rows=st.integers(0, 200), budget=st.integers(1, 10_000), step=st.integers(1, 8))
def test_strips_cover_all_rows_once_within_the_budget(rows: int, budget: int, step: int) -> None:
    canvas = Canvas(np.zeros((3, 5, 2), np.float16), np.ones((3, 5), bool), STANDARDISER, (3, 5))
    strips = list(strips_of(rows, canvas, step, budget))
    assert [row for first, last in strips for row in range(first, last)] == list(range(rows))
    assert all((last - first) * step * 5 * 2 * 4 <= budget for first, last in strips if last - first > 1)
