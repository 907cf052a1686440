"""Losses: Cox's partial likelihood against its definition, and labels of any unit."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nic.slide_models.losses import LabelScale, cox_loss, loss_of

cases = st.lists(
    st.tuples(st.floats(-3, 3), st.integers(1, 5), st.booleans()), min_size=1, max_size=9
).filter(lambda rows: any(event for _, _, event in rows))


def by_definition(rows: list[tuple[float, int, bool]]) -> float:
    """Efron's partial likelihood, written as in the textbooks: a product over the times of events."""
    total, events = 0.0, sum(event for _, _, event in rows)
    for time in {t for _, t, event in rows if event}:
        dead = [math.exp(r) for r, t, event in rows if event and t == time]
        at_risk = sum(math.exp(r) for r, t, _ in rows if t >= time)
        total += sum(math.log(hazard) for hazard in dead)
        total -= sum(math.log(at_risk - k / len(dead) * sum(dead)) for k in range(len(dead)))
    return -total / events


def tensors(rows: list[tuple[float, int, bool]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    risks, times, events = zip(*rows, strict=True)
    return (
        torch.tensor(risks, dtype=torch.float64),
        torch.tensor(times, dtype=torch.float64),
        torch.tensor(events),
    )


@settings(max_examples=60, deadline=None)
@given(cases)
def test_cox_loss_is_efrons_partial_likelihood(rows: list[tuple[float, int, bool]]) -> None:
    assert float(cox_loss(*tensors(rows))) == pytest.approx(by_definition(rows), abs=1e-9)


@settings(max_examples=20, deadline=None)
@given(cases, st.floats(-50, 50))
def test_risks_are_known_up_to_a_constant(rows: list[tuple[float, int, bool]], shift: float) -> None:
    risks, times, events = tensors(rows)
    torch.testing.assert_close(
        cox_loss(risks + shift, times, events), cox_loss(risks, times, events), atol=1e-6, rtol=1e-6
    )


def test_a_case_belongs_to_its_own_risk_set() -> None:
    # Two cases, the first dies: its odds among both; the last one's odds among itself are 1.
    risks = torch.tensor([0.3, -0.8])
    loss = cox_loss(risks, torch.tensor([1.0, 2.0]), torch.tensor([True, True]))
    assert float(loss) == pytest.approx((math.log(math.exp(0.3) + math.exp(-0.8)) - 0.3) / 2)


def test_the_average_over_all_orders_of_ties_is_approximated() -> None:
    risks = [0.2, -0.5, 0.9, 0.1]
    exact = []
    for order in itertools.permutations([0, 1]):
        times = [1 + 0.01 * order[0], 1 + 0.01 * order[1], 2, 3]
        rows = list(zip(risks, times, [True, True, False, False], strict=True))
        exact.append(math.exp(-by_definition(rows) * 2))
    tied = list(zip(risks, [1, 1, 2, 3], [True, True, False, False], strict=True))
    assert math.exp(-float(cox_loss(*tensors(tied))) * 2) == pytest.approx(sum(exact) / 2, rel=0.01)


def test_extreme_risks_and_no_event_stay_finite() -> None:
    risks = torch.tensor([500.0, -500.0, 0.0], requires_grad=True)
    times, events = torch.tensor([1.0, 1.0, 2.0]), torch.tensor([True, True, True])
    loss = cox_loss(risks, times, events)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(risks.grad).all()
    none = cox_loss(risks, times, torch.zeros(3, dtype=torch.bool))
    assert float(none.detach()) == 0
    none.backward()


def test_other_losses_are_those_of_their_tasks() -> None:
    events = torch.ones(2, dtype=torch.bool)
    two = loss_of("classification")(torch.zeros(2, 1), torch.tensor([0.0, 1.0]), events)
    three = loss_of("classification")(torch.zeros(2, 3), torch.tensor([0.0, 2.0]), events)
    assert float(two) == pytest.approx(math.log(2))
    assert float(three) == pytest.approx(math.log(3))
    assert float(loss_of("regression")(torch.zeros(2, 1), torch.tensor([1.0, 3.0]), events)) == 5


def test_labels_of_any_unit_are_learned_alike() -> None:
    labels = [900.0, 1000.0, 1100.0]
    scale = LabelScale.of("regression", labels)
    shrunk = scale.shrink(torch.tensor(labels))
    np.testing.assert_allclose([shrunk.mean(), shrunk.std(unbiased=False)], [0, 1], atol=1e-6)
    grown = scale.grow({"output.weight": torch.tensor([[2.0]]), "output.bias": torch.tensor([1.0])})
    x = torch.tensor([0.7])
    torch.testing.assert_close(
        grown["output.weight"] @ x + grown["output.bias"], (2 * x + 1) * scale.std + scale.mean
    )
    assert LabelScale.of("survival", labels) == LabelScale()
    assert LabelScale.of("regression", [4.0, 4.0]) == LabelScale(4.0, 1.0)
