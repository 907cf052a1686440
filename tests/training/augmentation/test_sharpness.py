import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from napari_nic.training.augmentation.sharpness import add_noise, blur


def images(count=4, side=32):
    values = np.random.default_rng(0).random((count, 3, side, side)).astype(np.float32)
    return torch.from_numpy(values)


@pytest.mark.parametrize("sigma", [0.3, 0.7, 1.0])
def test_blur_is_gaussian(sigma):
    before = images(1)
    expected = gaussian_filter(before.numpy(), (0, 0, sigma, sigma), mode="nearest", truncate=4)
    changed = blur(before, torch.tensor([sigma]), largest=1.0).numpy()
    assert np.abs(changed - expected).max() < 0.03
    assert np.corrcoef(changed.ravel(), expected.ravel())[0, 1] > 0.999


def test_every_patch_has_its_own_blur_and_keeps_its_mean():
    before = torch.ones(3, 3, 16, 16) * 0.4
    before[:, :, 8, 8] = 1
    changed = blur(before, torch.tensor([0.0, 0.4, 0.8]), largest=0.8)
    assert torch.equal(changed[0], before[0])
    assert 1 > changed[1, 0, 8, 8] > changed[2, 0, 8, 8] > 0.4
    torch.testing.assert_close(changed.mean((1, 2, 3)), before.mean((1, 2, 3)))


def test_noise_has_the_asked_sigma_and_is_of_every_value_by_itself():
    before = torch.full((3, 3, 64, 64), 0.5)
    generator = torch.Generator().manual_seed(0)
    changed = add_noise(before, torch.tensor([0.0, 0.05, 0.1]), generator) - before
    np.testing.assert_allclose(changed.std((1, 2, 3)).numpy(), [0, 0.05, 0.1], rtol=0.03)
    channels = changed[2].flatten(1).numpy()
    assert np.abs(np.corrcoef(channels)[np.triu_indices(3, 1)]).max() < 0.05
