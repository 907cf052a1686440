import colorsys

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from skimage.color import hed2rgb, hsv2rgb, rgb2hed, rgb2hsv

from napari_nic.training.augmentation.colour import DARKEST, change_contrast, jitter_stains, shift_hsv


def colours(count=3, side=24, seed=0):
    """RGB (count, 3, side, side) in [0, 1], with grey, black, white and pure colours among them."""
    values = np.random.default_rng(seed).random((count, 3, side, side)).astype(np.float32)
    special = [(0, 0, 0), (1, 1, 1), (0.5, 0.5, 0.5), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (0, 1, 1)]
    values[:, :, 0, : len(special)] = np.array(special, np.float32).T
    return torch.from_numpy(values)


def last(images):
    """Channels last, as scikit-image has them."""
    return images.permute(0, 2, 3, 1).double().numpy()


def test_stain_jitter_is_that_of_the_hed_space_of_scikit_image():
    images = colours()
    scale = torch.tensor([[1.2, 0.8, 1.1], [0.9, 1.2, 0.8], [1, 1, 1.0]])
    offset = torch.tensor([[0.2, -0.1, 0.0], [-0.2, 0.2, 0.1], [0, 0, 0.0]])
    changed = last(jitter_stains(images, scale, offset))
    # scikit-image measures density in units of -log(1e-6), and sets negative densities to none.
    unit = -np.log(1e-6)
    hed = rgb2hed((last(images) + DARKEST) / (1 + DARKEST))
    shifted = hed * scale.numpy()[:, None, None] + offset.numpy()[:, None, None] / unit
    expected = hed2rgb(shifted) * (1 + DARKEST) - DARKEST
    comparable = (hed > 0).all(-1) & (expected > 0.01).all(-1) & (expected < 0.99).all(-1)
    assert comparable.sum() > 50
    np.testing.assert_allclose(changed[comparable], expected[comparable], atol=1e-4)


def test_no_jitter_is_no_change():
    images = colours()
    changed = jitter_stains(images, torch.ones(3, 3), torch.zeros(3, 3))
    torch.testing.assert_close(changed, images, atol=2e-5, rtol=0)


def test_more_haematoxylin_is_darker_and_bluer():
    stroma = torch.tensor([0.88, 0.67, 0.8]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    changed = jitter_stains(stroma, torch.ones(1, 3), torch.tensor([[0.3, 0.0, 0.0]]))
    fall = (changed / stroma)[0, :, 0, 0]
    assert (fall < 1).all()
    assert fall[2] > max(fall[0], fall[1])


@pytest.mark.parametrize(
    "shift", [(0.1, 0, 0), (-0.7, 0, 0), (0, 0.6, 0), (0, -0.4, 0), (0, 0, 0.3), (0.9, 0.5, -0.2)]
)
def test_shift_of_hsv_is_that_of_scikit_image(shift):
    images = colours()
    changed = last(shift_hsv(images, torch.tensor([shift] * 3)))
    hsv = rgb2hsv(last(images))
    turn, more_saturation, more_value = shift
    hsv[..., 0] = (hsv[..., 0] + turn) % 1
    gain = 1 + more_saturation * (1 if more_saturation < 0 else 1 - hsv[..., 1])
    hsv[..., 1] *= gain
    hsv[..., 2] += more_value * (hsv[..., 2] if more_value < 0 else 1 - hsv[..., 2])
    np.testing.assert_allclose(changed, hsv2rgb(hsv), atol=1e-5)


def test_shift_of_hue_is_that_of_the_standard_library():
    images = colours(1, 8)
    changed = last(shift_hsv(images, torch.tensor([[0.37, 0.0, 0.0]])))[0]
    for before, after in zip(last(images)[0].reshape(-1, 3), changed.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before)
        np.testing.assert_allclose(after, colorsys.hsv_to_rgb((hue + 0.37) % 1, saturation, value), atol=1e-5)


def test_grey_stays_grey_and_colours_in_range():
    changed = shift_hsv(colours(), torch.tensor([[0.3, 1, 1], [-0.8, -1, -1], [1, 1, -0.5]]))
    assert changed[:, :, 0, :3].std(1).max() < 1e-6
    assert changed.min() > -1e-6
    assert changed.max() < 1 + 1e-6


@pytest.mark.parametrize(("brightness", "contrast"), [(1.0, 0.65), (1.0, 1.35), (0.7, 0.8), (1.3, 1.2)])
def test_brightness_and_contrast_are_those_of_pillow(brightness, contrast):
    values = np.random.default_rng(0).integers(60, 180, (24, 24, 3), np.uint8)
    picture = ImageEnhance.Contrast(Image.fromarray(values)).enhance(contrast)
    if brightness < 1:
        picture = ImageEnhance.Brightness(picture).enhance(brightness)
    else:  # the negative becomes darker
        picture = ImageOps.invert(ImageEnhance.Brightness(ImageOps.invert(picture)).enhance(2 - brightness))
    expected = np.asarray(picture).astype(float)
    images = torch.from_numpy(values).permute(2, 0, 1)[None] / 255
    changed = last(change_contrast(images, torch.tensor([brightness]), torch.tensor([contrast])))[0] * 255
    assert np.abs(changed - expected).max() < 2.5  # Pillow rounds the mean and both steps


def test_no_brightness_makes_white_of_tissue():
    pale = torch.tensor([0.9, 0.75, 0.85]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
    changed = change_contrast(pale, torch.tensor([1.35]), torch.tensor([1.0]))[0, :, 0, 0]
    assert (changed < 0.95).all()
