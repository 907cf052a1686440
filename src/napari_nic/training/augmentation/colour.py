"""Colour of patches: stain densities, hue, saturation, value, brightness and contrast.

All functions take and return float32 (B, 3, h, w) RGB in [0, 1] and one set of numbers per patch.
"""

from __future__ import annotations

import math

import torch
from skimage.color.colorconv import hed_from_rgb, rgb_from_hed

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in a grey level (ITU-R BT.601)."""

DARKEST = 1 / 255
"""Added to intensities before their logarithm, so that black has a density."""

SEXTANTS = 6
"""Parts of the hue circle."""

_PEAKS = (0, 2, 4)
"""Where red, green and blue are at their full, in sextants."""


def jitter_stains(images: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor) -> torch.Tensor:
    """Change the densities of haematoxylin, eosin and DAB.

    The optical density, where stains add up, is unmixed with the matrix of Ruifrok and Johnston (2001),
    changed and mixed again; all three steps are one 3 x 3 matrix per patch.

    Parameters
    ----------
    images : tensor
    scale, offset : tensor, (B, 3)
        ``density * scale + offset`` in natural logarithms. The group's own code takes the logarithm of
        intensity + 2 instead, where the same offset is a larger change.
    """
    unmix = torch.as_tensor(hed_from_rgb, dtype=images.dtype, device=images.device)
    mix = torch.as_tensor(rgb_from_hed, dtype=images.dtype, device=images.device)
    matrix = (unmix * scale[:, None, :]) @ mix
    # Density is log(white) - log(image + DARKEST); what is constant in it goes into the offset.
    white = math.log(1 + DARKEST)
    constant = white * (1 - matrix.sum(1)) - offset @ mix
    log = (images + DARKEST).log_().flatten(2)
    mixed = torch.baddbmm(constant[:, :, None], matrix.transpose(1, 2), log)
    return mixed.exp_().sub_(DARKEST).clamp_(0, 1).view(images.shape)


def shift_hsv(images: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    """Shift hue, saturation and value.

    Parameters
    ----------
    images : tensor
    shifts : tensor, (B, 3)
        Hue in turns. For a shift d of the saturation S: S (1 + d) when d is negative, else S (1 + (1 - S) d);
        of the value V: V (1 + d) when negative, else V + (1 - V) d. So both stay in [0, 1], and what is grey
        stays grey.
    """
    hue, saturation, value = _to_hsv(images)
    turn, more_saturation, more_value = (shift[:, None, None] for shift in shifts.T)
    less, more = more_saturation.clamp(max=0), more_saturation.clamp(min=0)
    saturation = saturation * ((1 + less + more) - saturation * more)
    less, more = more_value.clamp(max=0), more_value.clamp(min=0)
    value = value * (1 + less - more) + more
    return _from_hsv(hue + turn, saturation, value)


def _to_hsv(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return hue in turns, -1/6 to 5/6, saturation and value, each (B, h, w)."""
    red, green, blue = images.unbind(1)
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    tiny = torch.finfo(images.dtype).tiny
    share = (chroma * SEXTANTS).clamp_min_(tiny).reciprocal_()
    towards_green = (blue - red).mul_(share).add_(_PEAKS[1] / SEXTANTS)
    towards_blue = (red - green).mul_(share).add_(_PEAKS[2] / SEXTANTS)
    # The sign is 0 for the largest channel and 1 for others; choosing by it is faster than by a mask.
    hue = torch.lerp(towards_green, towards_blue, (value - green).sign_())
    hue = torch.lerp((green - blue).mul_(share), hue, (value - red).sign_())
    return hue, chroma.div_(value.clamp_min(tiny)), value


def _from_hsv(hue: torch.Tensor, saturation: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Return RGB (B, 3, h, w): a channel loses the chroma the more, the farther the hue is from its peak."""
    chroma = saturation * value
    highest = value + chroma
    result = value.new_empty(value.shape[0], 3, *value.shape[1:])
    for channel, peak in enumerate(_PEAKS):
        away = hue - peak / SEXTANTS
        # Distance round the circle: none of the chroma is lost within one sextant, all of it from two on.
        away = away.sub_(away.round()).abs_().clamp_(1 / SEXTANTS, 2 / SEXTANTS)
        torch.addcmul(highest, chroma, away, value=-SEXTANTS, out=result[:, channel])
    return result


def change_contrast(images: torch.Tensor, brightness: torch.Tensor, contrast: torch.Tensor) -> torch.Tensor:
    """Stretch intensities about the patch's mean grey, then darken or lighten all.

    Parameters
    ----------
    images : tensor
    brightness : tensor, (B,)
        0 to 2. Below 1 intensities are multiplied by it; above 1 what they lack of white is multiplied by 2
        less it. Multiplying intensities there would make white of most tissue, which is bright already.
    contrast : tensor, (B,)
        Factor of the difference from the mean luma; what leaves [0, 1] is clipped.
    """
    shape = (-1, 1, 1, 1)
    luma = torch.tensor(LUMA, dtype=images.dtype, device=images.device)
    grey = images.mean((2, 3)) @ luma * (1 - contrast)
    stretched = torch.addcmul(grey.view(shape), images, contrast.view(shape)).clamp_(0, 1)
    lighter = brightness - 1
    return stretched.mul_(1 - lighter.abs().view(shape)).add_(lighter.clamp(min=0).view(shape))
