"""Random weights, layer by layer: what depends on the model changes, what does not stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from napari_nic.errors import CancelledError, InvalidParameterError
from napari_nic.explain import Randomised, randomise_layers
from napari_nic.jobs import CancellationToken, result_of
from napari_nic.slide_models import ModelBundle, SlideNetConfig


def randomised(bundle: ModelBundle, codes: np.ndarray, **options: Any) -> Randomised:
    mask = np.ones(codes.shape[:2], bool)
    return result_of(randomise_layers(bundle, codes, mask, device="cpu", **options))


@pytest.fixture
def codes(toys: Any) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(20, 20, toys.code_size)).astype(np.float32)


def test_layers_are_made_random_from_the_top(toys: Any, codes: np.ndarray) -> None:
    bundle = toys.untrained(toys.card())
    found = randomised(bundle, codes, seeds=range(3))
    assert found.stages == ("output", "dense layer", "layer 4", "layer 3", "layer 2", "layer 1")
    assert found.signed.shape == found.sizes.shape == (6, 3)
    assert found.passes
    assert "depends on what the model learned" in found.line


def test_attention_has_a_stage_of_its_own(toys: Any, codes: np.ndarray) -> None:
    bundle = toys.untrained(toys.card(SlideNetConfig.attention(toys.code_size, 1, 24, width=8)))
    assert randomised(bundle, codes, seeds=[0]).stages == ("output", "dense layer", "attention", "layer 1")


def test_all_weights_are_drawn_in_the_end_and_the_rest_kept_until_then(toys: Any) -> None:
    bundle = toys.untrained(toys.card())
    state = torch.random.get_rng_state()
    part = bundle.randomised(["output.weight"], 5)
    whole = bundle.randomised(list(bundle.weights), 5)
    assert torch.equal(state, torch.random.get_rng_state()), "the caller's random numbers were moved"
    np.testing.assert_array_equal(part.weights["output.weight"], whole.weights["output.weight"])
    assert not np.array_equal(part.weights["output.weight"], bundle.weights["output.weight"])
    np.testing.assert_array_equal(part.weights["dense.weight"], bundle.weights["dense.weight"])
    whole.network()  # it fits


def test_a_model_that_learned_nothing_has_the_map_of_random_weights(toys: Any, codes: np.ndarray) -> None:
    fresh = toys.untrained(toys.card())
    fresh = fresh.randomised(list(fresh.weights), 3)
    found = randomised(fresh, codes, seeds=[3])
    np.testing.assert_allclose(found.signed, 1)
    assert not found.passes
    assert "hardly depends" in found.line


def test_equal_seeds_give_equal_numbers(toys: Any, codes: np.ndarray) -> None:
    bundle = toys.untrained(toys.card())
    first, again = (randomised(bundle, codes, seeds=[1]).to_dict() for _ in range(2))
    assert first == again
    assert randomised(bundle, codes, seeds=[2]).to_dict() != first


def test_it_is_cancelled_between_maps(toys: Any, codes: np.ndarray) -> None:
    token = CancellationToken()
    job = randomise_layers(
        toys.untrained(toys.card()), codes, np.ones((20, 20), bool), device="cpu", token=token
    )
    next(job)
    token.cancel()
    with pytest.raises(CancelledError):
        result_of(job)


def test_no_seed_is_refused(toys: Any, codes: np.ndarray) -> None:
    with pytest.raises(InvalidParameterError, match="at least one seed"):
        randomised(toys.untrained(toys.card()), codes, seeds=[])
