"""Prediction: crops and dihedral transforms averaged as said, cell scores at their true places."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_nic.embeddings import CompressedSlide
from napari_nic.embeddings.dihedral import N_DIHEDRAL, OPTION, transformed_path
from napari_nic.errors import CancelledError, InvalidParameterError
from napari_nic.jobs import CancellationToken
from napari_nic.slide_models import SlideNetConfig, predict, predict_codes
from napari_nic.slide_models.inputs import apply_dihedral, frame, prediction_corners
from napari_nic.slide_models.predict import scores_of


def test_the_mean_over_crops_and_turns_is_what_the_network_says(toys: Any) -> None:
    bundle = toys.untrained(toys.card())
    slide = toys.plant(2, seed=1, side=40)[1].slide
    result = predict_codes(bundle, slide.codes, slide.mask, toys.placement, device="cpu")
    net, values = bundle.network(), bundle.standardiser.apply(slide.codes, slide.mask)
    views = [
        apply_dihedral(frame(values, *corner, (24, 24)), transform)
        for corner in prediction_corners(slide.mask, 24, 10)
        for transform in range(8)
    ]
    x = torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        positive = torch.sigmoid(net(x)[:, 0]).numpy()
    assert (result.n_crops, result.n_views) == (10, 80)
    np.testing.assert_allclose(result.mean, [1 - positive.mean(), positive.mean()], atol=1e-5)
    np.testing.assert_allclose(result.std, [positive.std()] * 2, atol=1e-5)
    assert result.summary.startswith(result.class_names[result.best])


def test_a_store_is_predicted_like_its_codes(toys: Any, tmp_path: Path) -> None:
    bundle = toys.untrained(toys.card())
    slide = toys.plant(2, seed=1)[1].slide
    store = toys.store(tmp_path / "slide.nic.zarr", slide.codes, slide.mask)
    from_store = predict(bundle, store, device="cpu")
    from_codes = predict_codes(bundle, slide.codes, slide.mask, store.grid.placement, device="cpu")
    np.testing.assert_array_equal(from_store.mean, from_codes.mean)
    np.testing.assert_array_equal(from_store.cell_scores, from_codes.cell_scores)
    assert from_store.placement == store.grid.placement
    assert from_store.n_crops == 1


def with_transformed(toys: Any, folder: Path, slide: Any, stored: list[np.ndarray]) -> CompressedSlide:
    """A store that holds the codes of transformed patches too."""
    path = folder / "slide.nic.zarr"
    store = toys.store(path, slide.codes, slide.mask)
    for transform, codes in enumerate(stored, start=1):
        toys.store(transformed_path(path, transform), codes, slide.mask, options={OPTION: transform})
    return store


def test_codes_of_turned_patches_are_used_where_they_are_stored(toys: Any, tmp_path: Path) -> None:
    """Each view is the codes of that transform, transformed; not the upright codes, transformed."""
    bundle = toys.untrained(toys.card())
    slide = toys.plant(2, seed=1, side=40)[1].slide
    rng = np.random.default_rng(5)
    stored = [rng.normal(size=slide.codes.shape).astype(np.float16) for _ in range(1, N_DIHEDRAL)]
    store = with_transformed(toys, tmp_path, slide, stored)
    result = predict(bundle, store, device="cpu")
    sets = [bundle.standardiser.apply(codes, slide.mask) for codes in (slide.codes, *stored)]
    views = [
        apply_dihedral(frame(values, *corner, (24, 24)), transform)
        for corner in prediction_corners(slide.mask, 24, 10)
        for transform, values in enumerate(sets)
    ]
    with torch.inference_mode():
        outputs = bundle.network()(torch.from_numpy(np.stack(views)).permute(0, 3, 1, 2))
    positive = torch.sigmoid(outputs[:, 0]).numpy()
    np.testing.assert_allclose(result.mean, [1 - positive.mean(), positive.mean()], atol=1e-5)
    np.testing.assert_allclose(result.std, [positive.std()] * 2, atol=1e-5)
    assert result.transformed_patches
    assert "10 crops x 8 dihedral transforms, patches encoded anew" in result.summary


def test_transformed_patches_of_equal_codes_predict_like_transforms_of_the_grid(
    toys: Any, tmp_path: Path
) -> None:
    bundle = toys.untrained(toys.card())
    slide = toys.plant(2, seed=1, side=30)[1].slide
    store = with_transformed(toys, tmp_path, slide, [slide.codes] * (N_DIHEDRAL - 1))
    patches = predict(bundle, store, device="cpu")
    grid = predict(bundle, store, transformed=(), device="cpu")
    np.testing.assert_allclose(patches.mean, grid.mean, atol=1e-6)
    np.testing.assert_allclose(patches.std, grid.std, atol=1e-6)
    np.testing.assert_array_equal(patches.cell_scores, grid.cell_scores)
    assert not grid.transformed_patches
    assert "8 dihedral transforms of the grid" in grid.summary


@pytest.mark.parametrize("shape", [(5, 9), (24, 24), (37, 20)])
def test_cell_scores_are_the_head_at_crops_centred_on_the_cell(toys: Any, shape: tuple[int, int]) -> None:
    """At cells that carry a feature, the score is that of the field around the cell alone."""
    bundle = toys.untrained(toys.card())
    rng = np.random.default_rng(0)
    codes, mask = rng.normal(size=(*shape, toys.code_size)).astype(np.float16), rng.random(shape) > 0.2
    result = predict_codes(bundle, codes, mask, toys.placement, device="cpu")
    assert result.cell_scores.shape == (*shape, 2)
    grid, net = bundle.card.network.features(), bundle.network()
    values = bundle.standardiser.apply(codes, mask)
    for row, col in [(0, 0), (2 * grid.step, grid.step), ((shape[0] - 1) // grid.step * grid.step, 0)]:
        field = frame(values, row - grid.start, col - grid.start, (grid.field, grid.field))
        with torch.inference_mode():
            output = net(torch.from_numpy(field).permute(2, 0, 1)[None]).numpy()[0]
        np.testing.assert_allclose(result.cell_scores[row, col], scores_of(output, bundle.card), atol=1e-5)


def test_scores_of_several_classes_sum_to_one_and_values_stay(toys: Any) -> None:
    outputs = np.array([[1.0, 2.0, 400.0]])
    network = SlideNetConfig.compact(toys.code_size, 3, 24)
    classes = toys.card(network, class_names=("a", "b", "c"))
    np.testing.assert_allclose(scores_of(outputs, classes), [[0, 0, 1]])
    values = toys.card(network, class_names=("a", "b", "c"), task="regression")
    np.testing.assert_array_equal(scores_of(outputs, values), outputs)


def test_nothing_encoded_and_cancellation(toys: Any) -> None:
    bundle = toys.untrained(toys.card())
    slide = toys.plant(1, seed=0)[0].slide
    with pytest.raises(InvalidParameterError, match="compress the slide"):
        predict_codes(bundle, slide.codes, np.zeros_like(slide.mask), toys.placement, device="cpu")
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        predict_codes(bundle, slide.codes, slide.mask, toys.placement, device="cpu", token=token)


def test_importing_loads_neither_torch_nor_napari() -> None:
    code = (
        "import sys, napari_nic.slide_models, napari_nic.explain; "
        "sys.exit('torch' in sys.modules or 'napari' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - our own code
