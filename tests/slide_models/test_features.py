"""Where features lie, checked against what a network really sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.errors import InvalidParameterError
from napari_nic.slide_models import SlideNetConfig
from napari_nic.slide_models.features import FeatureGrid
from napari_nic.slide_models.network import SlideNet

strides_lists = st.lists(st.integers(1, 3), min_size=1, max_size=4)


def test_the_first_layer_of_the_paper() -> None:
    grid = FeatureGrid.after([2])
    assert (grid.start, grid.step, grid.field) == (1, 2, 3)
    assert grid.size(400) == 199


def test_the_paper_is_exact_at_400() -> None:
    config = SlideNetConfig(4, 1)
    sizes = [config.features(layer).size(400) for layer in range(8)]
    assert sizes == [199, 99, 49, 24, 11, 5, 3, 1]
    net = SlideNet(SlideNetConfig(4, 1, width=4)).eval()
    assert net.features(torch.zeros(1, 4, 400, 400)).shape == (1, 4, 1, 1)


@given(strides_lists, st.integers(0, 40))
def test_sizes_and_fields_are_those_of_convolutions(strides: list[int], extra: int) -> None:
    grid = FeatureGrid.after(strides)
    x = torch.zeros(1, 1, 1, grid.field + extra, requires_grad=True)
    y = x
    for stride in strides:
        kernel = torch.ones(1, 1, 1, 3)
        y = torch.nn.functional.conv2d(y, kernel, stride=stride)
    assert y.shape[-1] == grid.size(grid.field + extra)
    index = y.shape[-1] - 1
    y[0, 0, 0, index].backward()
    assert x.grad is not None
    seen = torch.nonzero(x.grad[0, 0, 0]).ravel()
    assert (int(seen[0]), int(seen[-1])) == (index * grid.step, index * grid.step + grid.field - 1)
    assert (seen[0] + seen[-1]) / 2 == index * grid.step + grid.start


@given(strides_lists, st.integers(1, 60), st.integers(1, 60))
def test_covering_reaches_from_the_first_to_the_last_cell(strides: list[int], rows: int, cols: int) -> None:
    grid = FeatureGrid.after(strides)
    for cells in (rows, cols):
        side = grid.covering(cells)
        last = (grid.size(side) - 1) * grid.step
        assert cells - 1 <= last < cells - 1 + grid.step
        assert side >= cells + grid.start


@given(strides_lists, st.integers(2, 30), st.integers(2, 30), st.floats(-2, 2), st.floats(-2, 2))
def test_a_slope_comes_back_as_the_same_slope(
    strides: list[int], rows: int, cols: int, by_row: float, by_col: float
) -> None:
    grid = FeatureGrid.after(strides)
    pad = grid.start
    size = [grid.size(grid.covering(cells)) for cells in (rows, cols)]
    y, x = (np.arange(n) * grid.step for n in size)
    features = by_row * y[:, None] + by_col * x
    cells = grid.to_cells(features, (rows, cols), inset=(pad, pad))
    expected = by_row * np.arange(rows)[:, None] + by_col * np.arange(cols)
    np.testing.assert_allclose(cells, expected, atol=1e-3)
    stacked = grid.to_cells(np.stack([features, -features], -1), (rows, cols), inset=(pad, pad))
    np.testing.assert_allclose(stacked, np.stack([expected, -expected], -1), atol=1e-3)


def test_beyond_the_outermost_features_values_are_repeated() -> None:
    cells = FeatureGrid.after([2]).to_cells(np.array([[1.0, 2.0], [3.0, 4.0]]), (6, 6))
    np.testing.assert_allclose(cells[0], [1, 1, 1.5, 2, 2, 2])
    np.testing.assert_allclose(cells[:, 0], [1, 1, 2, 3, 3, 3])


def test_crops_that_are_too_small_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="at least 383"):
        SlideNetConfig(128, 1, crop_size=382)
    with pytest.raises(InvalidParameterError, match="0 to 3"):
        SlideNetConfig.compact(8, 1).features(4)
    assert SlideNetConfig.compact(8, 1, 16).least_size <= 16


def test_config_as_json() -> None:
    config = SlideNetConfig.compact(8, 3, 48)
    assert SlideNetConfig.from_dict(config.to_dict()) == config
    with pytest.raises(InvalidParameterError):
        SlideNetConfig.from_dict({"code_size": 3})
