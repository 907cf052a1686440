"""A probe on a whole slide: block by block, the same whatever comes first."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy

from napari_nic.errors import BundleError, CancelledError, InvalidParameterError
from napari_nic.jobs import CancellationToken
from napari_nic.probe import (
    NOTHING,
    Learner,
    Probe,
    ProbeCard,
    apply_probe,
    class_overlay,
    classifying,
    least_certain,
    uncertainty_overlay,
)
from napari_nic.probe import applying as module


@pytest.fixture
def probe(slide, strokes, made) -> Probe:
    learner = Learner()
    learner.set_strokes(slide, strokes)
    return learner.train(made.colors).probe


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(module, "BLOCK_CELLS", 500)


def test_every_cell_gets_its_likeliest_class_and_its_uncertainty(probe, resident):
    found = apply_probe(probe, resident)
    likely = softmax((resident.codes @ probe.weights.T + probe.offsets) / probe.temperature, axis=1)
    np.testing.assert_array_equal(found.classes, likely.argmax(axis=1))
    np.testing.assert_allclose(found.uncertainty, entropy(likely, axis=1) / np.log(3), atol=1e-5)
    np.testing.assert_allclose(probe.probabilities(resident.codes), likely, atol=1e-5)
    raster = found.raster()
    assert (raster[0] == NOTHING).all()
    assert (raster[1:] < 3).all()


def test_cells_in_view_come_first_and_change_nothing(probe, resident):
    seen = resident.within(slice(20, 30), slice(10, 40))
    reports = classifying(probe, resident, first=seen)
    progress, found = next(reports)
    assert progress.done == len(seen) == 300
    known = found.classes != NOTHING
    np.testing.assert_array_equal(np.flatnonzero(known), seen)
    *_, (last, found) = reports
    assert last.done == last.total == len(resident)
    np.testing.assert_array_equal(found.classes, apply_probe(probe, resident).classes)


def test_it_can_be_cancelled_between_blocks(probe, resident):
    token = CancellationToken()
    reports = classifying(probe, resident, token=token)
    next(reports)
    token.cancel()
    with pytest.raises(CancelledError):
        next(reports)


def test_codes_of_another_encoder_are_refused(probe, made):
    with pytest.raises(BundleError, match="another encoder"):
        apply_probe(probe, made.resident("other", weights_sha256="1" * 64))


def test_overlays_show_what_was_classified(probe, resident):
    found = next(classifying(probe, resident, first=np.arange(100)))[1]
    classes, doubt = class_overlay(found), uncertainty_overlay(found)
    assert classes.is_classes
    assert classes.mask.sum() == doubt.mask.sum() == 100
    assert [name for name, _ in classes.legend] == ["gland", "glass", "stroma"]
    assert doubt.value_at(1, 5) == pytest.approx(found.uncertainty[5])


def test_the_least_certain_place_lies_away_from_what_is_labelled_and_was_shown(probe, resident):
    found = apply_probe(probe, resident)
    found.uncertainty[:] = 0
    for row, col, height in ((10, 10, 0.9), (10, 30, 0.8), (30, 50, 0.7)):
        found.uncertainty[resident.within(slice(row - 1, row + 2), slice(col - 1, col + 2))] = height
    found.uncertainty[resident.index[20, 20]] = 1.0  # one odd patch is no place
    labelled = np.array([[10, 12]])
    assert least_certain(found, labelled) == (10, 30)
    assert least_certain(found, labelled, [(10, 30)]) == (30, 50)
    assert least_certain(found, np.empty((0, 2), int)) == (10, 10)
    everywhere = np.argwhere(resident.encoded)
    assert least_certain(found, everywhere) is None


def test_cells_that_are_not_encoded_are_no_place_to_ask_about(probe, resident):
    found = apply_probe(probe, resident)
    found.uncertainty[:] = 0.5
    row, _ = least_certain(found, np.empty((0, 2), int))
    assert row >= 1


def test_a_probe_of_sizes_that_disagree_is_refused(made):
    card = ProbeCard("p", ("a", "b"), ((0, 0, 0), (1, 1, 1)), made.header().encoder)
    with pytest.raises(InvalidParameterError, match="do not fit"):
        Probe(card, np.zeros((2, 5), np.float32), np.zeros(2, np.float32), 1.0)
    with pytest.raises(InvalidParameterError, match="mean nothing"):
        Probe(card, np.full((2, 12), np.nan, np.float32), np.zeros(2, np.float32), 1.0)
    with pytest.raises(InvalidParameterError, match="different names"):
        ProbeCard("p", ("a", "a"), ((0, 0, 0), (1, 1, 1)), {})
