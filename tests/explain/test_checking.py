"""Whether maps should be believed: a model that is known is, a map of chance is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from napari_nic.errors import CancelledError, InvalidParameterError
from napari_nic.explain import CHECKS, MARKS, Reliability, check_saliency, grad_cam, integrated_gradients
from napari_nic.explain.checking import unlikeness
from napari_nic.explain.reliability import NOT_CALIBRATED, Check, Limits
from napari_nic.jobs import CancellationToken, result_of
from napari_nic.slide_models import ModelBundle, SlideNetConfig, Standardiser
from napari_nic.slide_models.gridnet import BN_EPS


def looking_at_one_channel(toys: Any) -> ModelBundle:
    """A network that is known in closed form: a bump in channel 0 within 3 x 3 cells, averaged, raises it."""
    network = SlideNetConfig(toys.code_size, 1, 24, toys.code_size, (1,))
    bundle = toys.untrained(toys.card(network))
    weights = {}
    for name, value in bundle.weights.items():
        array = np.zeros_like(value)
        if name.endswith("norm.weight"):
            array = np.ones_like(value)
        elif name.endswith("running_var"):
            array = np.full_like(value, 1 - BN_EPS)  # with which batch norm changes nothing
        elif name.endswith("depthwise.weight"):
            array[:] = 1 / 9
        elif name.endswith(("pointwise.weight", "dense.weight")):
            array[0, 0] = 1
        elif name == "output.weight":
            array[0, 0] = 12
        elif name == "output.bias":
            array[:] = -3
        weights[name] = array
    size = toys.code_size
    plain = Standardiser(np.zeros(size, np.float32), np.ones(size, np.float32))
    return ModelBundle(bundle.card, weights, plain)


@pytest.fixture(scope="module")
def known(toys: Any) -> ModelBundle:
    return looking_at_one_channel(toys)


@pytest.fixture(scope="module")
def slide(toys: Any) -> tuple[np.ndarray, np.ndarray]:
    """A lesion of 36 cells that the known model sees, in weak noise, and channels that it does not see."""
    codes = np.random.default_rng(0).normal(size=(20, 20, toys.code_size))
    codes[..., 0] = np.abs(codes[..., 0]) / 20
    codes[4:10, 5:11, 0] += 6
    return codes.astype(np.float16), np.ones((20, 20), bool)


def checked(bundle: ModelBundle, codes: np.ndarray, mask: np.ndarray, **options: Any) -> Reliability:
    saliency = grad_cam(bundle, codes, mask, device="cpu")
    return result_of(check_saliency(bundle, codes, saliency, device="cpu", **options))


def test_a_model_that_is_known_is_reliable(known: ModelBundle, slide: Any) -> None:
    found = checked(known, *slide, folds=[known])
    assert found.verdict == "reliable", found.reason
    assert found.score > 0.9
    assert found.deletion.scores[0] == pytest.approx(found.score)
    assert found.views == pytest.approx(1, abs=1e-5), "it is the same from all sides"
    assert found.folds == pytest.approx(1)
    assert np.nanmax(found.cell_spread) < 0.01
    assert found.line.startswith(MARKS["reliable"])


def test_a_map_of_chance_is_not_reliable(known: ModelBundle, slide: Any) -> None:
    codes, mask = slide
    saliency = grad_cam(known, codes, mask, device="cpu")
    chance = np.random.default_rng(1).normal(size=mask.shape).astype(np.float32)
    found = result_of(check_saliency(known, codes, replace(saliency, values=chance), device="cpu"))
    assert found.verdict == "not reliable"
    assert found.line.startswith(MARKS["not reliable"])
    assert abs(found.deletion_gain) < 0.1


def test_random_weights_are_not_reliable(toys: Any, slide: Any) -> None:
    assert checked(toys.untrained(toys.card()), *slide).verdict == "not reliable"


def test_the_score_is_that_of_the_network_on_the_slide(known: ModelBundle, slide: Any) -> None:
    """In closed form: the mean over the 3 x 3 sums within the frame, times 12, less 3, through a sigmoid."""
    codes, mask = slide
    found = checked(known, codes, mask)
    total = float(codes[..., 0].astype(np.float64).sum())
    frame = 24  # of zeros, as large as a crop
    logit = 12 * total / (frame - 2) ** 2 - 3
    assert found.score == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)


def test_equal_maps_get_equal_numbers(known: ModelBundle, slide: Any) -> None:
    first, again = (checked(known, *slide).to_dict() for _ in range(2))
    assert first == again


def test_distance_from_the_training_is_that_of_normal_distributions(toys: Any) -> None:
    """By numerical integration of p log(p / q), in one channel after the other."""
    rng, size = np.random.default_rng(0), toys.code_size
    scaling = Standardiser(
        rng.normal(size=size).astype(np.float32), rng.uniform(1, 2, size).astype(np.float32)
    )
    codes, mask = rng.normal(1, 1.5, (150, 9, size)).astype(np.float32), rng.random((150, 9)) < 0.8
    expected = []
    for channel in range(size):
        cells = codes[mask][:, channel].astype(np.float64)
        training = norm(float(scaling.mean[channel]), float(scaling.std[channel]))
        slide = norm(cells.mean(), cells.std())
        x = np.linspace(-30, 30, 20_001)
        density = training.pdf(x)
        expected.append(np.trapezoid(density * (training.logpdf(x) - slide.logpdf(x)), x))
    assert unlikeness(codes, mask, scaling) == pytest.approx(np.mean(expected), rel=1e-4)
    own = Standardiser.fit([(codes, mask)])
    assert unlikeness(codes, mask, own) == pytest.approx(0, abs=1e-6)


def test_a_slide_unlike_the_training_is_not_reliable(known: ModelBundle, slide: Any) -> None:
    codes, mask = slide
    found = checked(known, codes + np.float16(3) * (np.arange(codes.shape[2]) > 0), mask)
    assert found.verdict == "not reliable"
    assert "unlike" in found.reason


def test_only_what_was_calibrated_is_called_reliable(known: ModelBundle, slide: Any) -> None:
    codes, mask = slide
    saliency = grad_cam(known, codes, mask, method="HiResCAM", device="cpu")
    found = result_of(check_saliency(known, codes, saliency, device="cpu"))
    assert (found.verdict, found.reason) == ("uncertain", NOT_CALIBRATED)


@pytest.mark.parametrize(
    ("value", "state"), [(0.9, "reliable"), (0.8, "reliable"), (0.7, "uncertain"), (0.4, "not reliable")]
)
def test_limits_hold_both_ways(value: float, state: str) -> None:
    more = Check("views", "agreement", Limits(0.8, 0.5), "it changes")
    less = Check("unlike", "distance", Limits(-0.8, -0.5), "it is far")
    assert more.state(value) == state
    assert less.state(-value) == state
    assert more.state(float("nan")) == "reliable"
    assert ("at least 0.80" in more.explain(value), "at most -0.80" in less.explain(value)) == (True, True)


def test_every_check_is_a_number_of_the_result(known: ModelBundle, slide: Any) -> None:
    found = checked(known, *slide)
    assert {check.label for check in CHECKS} <= {name for name, _ in found.rows()}
    assert found.to_dict()["folds"] is None
    assert dict(found.rows())["agreement of folds"].startswith("none")


def test_it_stops_at_any_report(known: ModelBundle, slide: Any) -> None:
    codes, mask = slide
    saliency, token = grad_cam(known, codes, mask, device="cpu"), CancellationToken()
    job = check_saliency(known, codes, saliency, device="cpu", token=token)
    next(job)
    token.cancel()
    with pytest.raises(CancelledError):
        result_of(job)


def test_what_cannot_be_checked_is_refused(toys: Any, known: ModelBundle, slide: Any) -> None:
    codes, mask = slide
    by_integral = integrated_gradients(known, codes, mask, steps=1, device="cpu")
    with pytest.raises(InvalidParameterError, match="integrated gradients"):
        result_of(check_saliency(known, codes, by_integral, device="cpu"))
    other = toys.untrained(toys.card(class_names=("dog", "cat")))
    with pytest.raises(InvalidParameterError, match="no other fold"):
        checked(known, codes, mask, folds=[other])


def test_attention_is_checked_too(toys: Any, slide: Any) -> None:
    bundle = toys.untrained(toys.card(SlideNetConfig.attention(toys.code_size, 1, 24, width=8)))
    found = checked(bundle, *slide)
    assert found.views == pytest.approx(1, abs=1e-4), "attention does not see where cells lie"
    assert found.deletion.scores[-1] == pytest.approx(found.insertion.scores[0])
