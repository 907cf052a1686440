from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from napari_nic.training.augmentation.draws import SYMMETRIES, draw
from napari_nic.training.augmentation.options import AugmentOptions
from napari_nic.training.augmentation.warp import _displacement, crop, turn, warp


def draws_of(options, count=1, seed=0):
    return draw(options, count, torch.Generator().manual_seed(seed))


def plain(count=1, **changes):
    """Draws that change nothing but what is given."""
    return replace(draws_of(AugmentOptions(symmetries=False), count), **changes)


def picture(side=32, seed=0):
    smooth = gaussian_filter(np.random.default_rng(seed).random((3, side, side)), (0, 2, 2))
    return torch.from_numpy(smooth[None]).float()


@pytest.mark.parametrize("symmetry", range(SYMMETRIES))
def test_every_symmetry_is_that_of_numpy(symmetry):
    image = picture()
    expected = np.rot90(image[0].numpy(), symmetry % 4, axes=(1, 2))
    expected = expected[:, :, ::-1] if symmetry >= 4 else expected
    np.testing.assert_array_equal(turn(image, torch.tensor([symmetry]))[0].numpy(), expected)


def test_all_symmetries_are_drawn():
    assert set(draws_of(AugmentOptions(), 200).symmetry.tolist()) == set(range(SYMMETRIES))


@pytest.mark.parametrize(("side", "size"), [(32, 32), (32, 20), (33, 20), (32, 21)])
def test_a_warp_by_nothing_is_the_middle(side, size):
    image = picture(side)
    changed = warp(image, plain(), size=size, elastic=False)
    torch.testing.assert_close(changed, crop(image, size), atol=1e-5, rtol=0)


def test_shift_moves_by_pixels_of_the_patch():
    image = picture()
    changed = warp(image, plain(shift=torch.tensor([[2.0, -3.0]])), size=20, elastic=False)
    torch.testing.assert_close(changed, image[:, :, 8:28, 3:23], atol=1e-5, rtol=0)


def test_zoom_magnifies_about_the_middle():
    ramp = torch.arange(40.0).expand(1, 3, 40, 40)
    changed = warp(ramp, plain(zoom=torch.tensor([1.25])), size=20, elastic=False)[0, 0, 0]
    assert float(changed.mean()) == pytest.approx(19.5, abs=1e-3)
    torch.testing.assert_close(changed.diff(), torch.full((19,), 1 / 1.25), atol=1e-4, rtol=0)


def test_beyond_the_patch_lies_its_mirror_image():
    image = picture() + 0.2
    changed = warp(image, plain(shift=torch.tensor([[0.0, 5.0]])), size=32, elastic=False)
    torch.testing.assert_close(changed[..., -5:], image[..., -5:].flip(3), atol=1e-5, rtol=0)
    zoomed_out = warp(image, plain(zoom=torch.tensor([0.5])), size=32, elastic=False)
    assert zoomed_out.min() >= image.min() - 1e-6


def test_displacements_are_those_of_smoothed_noise():
    count, side = 64, 128
    options = AugmentOptions(elastic_alpha=100, elastic_sigma=10)
    ours = _displacement(
        replace(draws_of(options, count), elastic_sigma=torch.full((count,), 10.0)),
        torch.arange(side) + 0.5 - side / 2,
        unit=1,
    ).numpy()
    rng = np.random.default_rng(0)
    noise = rng.uniform(-1, 1, (64, side, side))
    reference = gaussian_filter(noise, (0, 10, 10), mode="wrap") * 100
    assert ours.std() == pytest.approx(reference.std(), rel=0.1)
    for lag in (5, 10, 20):
        similar = [(f[..., lag:] * f[..., :-lag]).mean() / f.var() for f in (ours, reference)]
        assert similar[0] == pytest.approx(similar[1], abs=0.08)


def test_deformation_keeps_the_order_of_pixels():
    """Strong draws stretch and squeeze; neighbours that change places would tear the picture."""
    options = AugmentOptions(elastic_alpha=100, elastic_sigma=10)
    steps = torch.arange(128) + 0.5 - 64
    field = _displacement(draws_of(options, 200), steps, unit=1)
    assert (1 + field[:, 0].diff(dim=1) > 0).float().mean() > 0.9999
    assert (1 + field[:, 1].diff(dim=2) > 0).float().mean() > 0.9999


def test_deformation_grows_with_the_patch():
    small = picture(32, 1)
    large = functional.interpolate(small, scale_factor=4.0, mode="bilinear")
    draws = draws_of(AugmentOptions(symmetries=False, elastic_alpha=300))
    moved = functional.avg_pool2d(warp(large, draws, size=128, elastic=True), 4)
    expected = warp(functional.avg_pool2d(large, 4), draws, size=32, elastic=True)
    assert (moved - expected).abs().mean() < 0.25 * (moved - small).abs().mean()
