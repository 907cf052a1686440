"""PCA colours: right against scikit-learn, deterministic, stable while cells arrive, fine with few cells."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from napari_nic.errors import CancelledError, InvalidParameterError
from napari_nic.explain import LivePca, PcaModel, pca, pca_overlay
from napari_nic.geometry import Placement
from napari_nic.jobs import CancellationToken


def make_codes(rows: int = 30, cols: int = 40, size: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Codes of three tissue types plus noise, and the mask of tissue."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:rows, :cols]
    factors = np.stack([y / rows, np.sin(x / 6), (y + x) % 9 < 4], axis=-1) * (5, 3, 2)
    codes = factors @ rng.normal(size=(3, size)) + rng.normal(0, 0.1, (rows, cols, size))
    return codes.astype(np.float16), (y - rows / 2) ** 2 + (x - cols / 2) ** 2 < (rows / 2) ** 2


def test_components_are_those_of_scikit_learn() -> None:
    codes, mask = make_codes()
    model = PcaModel.fit(codes, mask)
    oracle = PCA(3, svd_solver="full").fit(codes[mask].astype(np.float64))
    alike = np.abs(np.sum(model.components * oracle.components_, axis=1))
    np.testing.assert_allclose(alike, 1, atol=1e-9)
    np.testing.assert_allclose(model.explained, oracle.explained_variance_ratio_, rtol=1e-9)


def test_only_masked_cells_count_and_the_rest_is_transparent() -> None:
    codes, mask = make_codes()
    other = codes.copy()
    other[~mask] = 999
    first, second = PcaModel.fit(codes, mask), PcaModel.fit(other, mask)
    np.testing.assert_array_equal(first.to_rgb(codes, mask), second.to_rgb(other, mask))
    assert not first.to_rgb(codes, mask)[~mask].any()
    assert (first.to_rgb(codes, mask)[mask][:, 3] == 255).all()


def test_colors_span_the_range_robustly() -> None:
    codes, mask = make_codes()
    rgb = pca_overlay(codes, mask, Placement((0, 0), (1, 1))).data[mask][:, :3]
    assert rgb.min() == 0
    assert rgb.max() == 255
    codes[15, 20] = 3e4
    assert PcaModel.fit(codes, mask).to_rgb(codes, mask)[mask][:, 1].std() > 20


def test_signs_do_not_depend_on_the_order_of_cells() -> None:
    codes, mask = make_codes()
    turned = PcaModel.fit(codes[::-1], mask[::-1]).to_rgb(codes, mask)
    straight = PcaModel.fit(codes, mask).to_rgb(codes, mask)
    assert np.abs(turned.astype(int) - straight).max() <= 1


def test_every_component_has_a_positive_largest_coefficient() -> None:
    codes, mask = make_codes()
    components = PcaModel.fit(-codes, mask).components
    assert all(row[np.abs(row).argmax()] > 0 for row in components)


def test_a_model_like_another_keeps_order_and_signs() -> None:
    codes, mask = make_codes()
    model = PcaModel.fit(codes, mask)
    order = [1, 0, 2]
    flipped = PcaModel(
        model.mean, -model.components[order], model.low, model.high, model.n_cells, model.explained
    )
    again = PcaModel.fit(codes, mask, like=flipped)
    np.testing.assert_allclose(again.components, flipped.components, atol=1e-12)


def test_colors_hardly_move_while_cells_arrive() -> None:
    codes, mask = make_codes(60, 60)
    live = LivePca()
    seen = np.zeros_like(mask)
    pictures, fits = [], 0
    for row in range(0, 60, 3):
        seen[row : row + 3] = mask[row : row + 3]
        model, new = live.update(codes, seen)
        fits += new
        pictures.append(model.to_rgb(codes, mask)[mask][:, :3].astype(float))
    assert fits < 9
    assert np.corrcoef(pictures[-1].ravel(), pictures[-2].ravel())[0, 1] > 0.95


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_cells(count: int) -> None:
    codes, _ = make_codes()
    mask = np.zeros(codes.shape[:2], bool)
    mask.flat[:count] = True
    rgba = PcaModel.fit(codes, mask).to_rgb(codes, mask)
    assert (rgba[mask][:, 3] == 255).all()
    assert (rgba[mask][:, 2] == 127).all()
    if count == 2:
        assert set(rgba[mask][:, 0]) == {0, 255}


@pytest.mark.parametrize("size", [1, 2, 3])
def test_short_codes(size: int) -> None:
    codes, mask = make_codes(size=size)
    rgba = PcaModel.fit(codes, mask).to_rgb(codes, mask)
    assert (rgba[mask].std(axis=0)[:size] > 0).all()
    assert (rgba[mask][:, size:3] == 127).all()


def test_constant_codes_are_grey() -> None:
    codes, mask = np.ones((4, 4, 8), np.float16), np.ones((4, 4), bool)
    assert (PcaModel.fit(codes, mask).to_rgb(codes, mask)[..., :3] == 127).all()


def test_what_does_not_fit_is_refused() -> None:
    codes, mask = make_codes()
    with pytest.raises(InvalidParameterError):
        PcaModel.fit(codes, mask[1:])
    with pytest.raises(InvalidParameterError, match="C = 15"):
        PcaModel.fit(codes, mask).to_rgb(codes[..., 1:], mask)


@pytest.mark.parametrize("cells", [2, 5, 40, 900])
@pytest.mark.parametrize("falling", [False, True])
def test_of_many_channels_the_same_components_are_found(monkeypatch, cells: int, falling: bool) -> None:
    """Whatever their spectrum: of few cells, without any gap, falling."""
    codes = np.random.default_rng(cells).normal(size=(1, cells, 300))
    codes *= 1 / np.arange(1, 301) if falling else 1
    codes, mask = codes.astype(np.float16), np.ones((1, cells), bool)
    found = PcaModel.fit(codes, mask)
    assert np.array_equal(PcaModel.fit(codes, mask).components, found.components)
    monkeypatch.setattr(pca, "_MOST_AT_ONCE", 300)
    whole = PcaModel.fit(codes, mask)
    np.testing.assert_allclose(found.components, whole.components, atol=1e-9)
    np.testing.assert_allclose(found.explained, whole.explained, atol=1e-9)


def test_finding_components_of_many_channels_can_be_cancelled() -> None:
    class Last(CancellationToken):
        left = 10

        def checkpoint(self) -> None:
            self.left -= 1
            if not self.left:
                self.cancel()
            super().checkpoint()

    codes = np.random.default_rng(0).normal(size=(1, 50, 300)).astype(np.float16)
    with pytest.raises(CancelledError):
        PcaModel.fit(codes, np.ones((1, 50), bool), token=Last())
