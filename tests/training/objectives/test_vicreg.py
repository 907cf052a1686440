import numpy as np
import pytest
import torch

from napari_nic.training.objectives.vicreg import VicregSettings, vicreg_loss


def reference(first, second, settings):
    """Equations 1, 3 and 6 of the paper, by numpy, dimension by dimension."""
    invariance = ((first - second) ** 2).mean()
    variance, covariance = [], 0.0
    for view in (first, second):
        variance.append(np.maximum(0, 1 - np.sqrt(view.var(0, ddof=1) + 1e-4)).mean())
        matrix = np.cov(view.T)
        for row in range(len(matrix)):
            for column in range(len(matrix)):
                covariance += matrix[row, column] ** 2 / len(matrix) if row != column else 0
    total = settings.invariance * invariance + settings.variance * np.mean(variance)
    return total + settings.covariance * covariance


def test_the_loss_is_the_papers():
    rng = np.random.default_rng(0)
    first = 0.5 * rng.normal(size=(20, 5))
    second = first + 0.1 * rng.normal(size=(20, 5))
    settings = VicregSettings(invariance=3.0, variance=2.0, covariance=0.5)
    loss, terms = vicreg_loss(torch.from_numpy(first), torch.from_numpy(second), settings)
    assert float(loss) == pytest.approx(reference(first, second, settings), rel=1e-6)
    assert set(terms) == {"invariance", "variance", "covariance"}


def test_a_collapsed_code_costs_more_than_a_spread_one():
    spread = torch.randn(64, 8, generator=torch.Generator().manual_seed(0))
    collapsed = torch.zeros(64, 8)
    settings = VicregSettings()
    assert vicreg_loss(collapsed, collapsed, settings)[0] > 5 * vicreg_loss(spread, spread, settings)[0]
