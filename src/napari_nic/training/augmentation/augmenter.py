"""Batches of patches -> what a network sees in training."""

from __future__ import annotations

import torch

from napari_nic.errors import InvalidParameterError
from napari_nic.training.augmentation.colour import change_contrast, jitter_stains, shift_hsv
from napari_nic.training.augmentation.draws import Draws, draw
from napari_nic.training.augmentation.options import AugmentOptions
from napari_nic.training.augmentation.sharpness import add_noise, blur
from napari_nic.training.augmentation.warp import crop, turn, warp

CACHED_PIXELS = 2**17
"""Pixels that a CPU changes at a time, 32 patches of 64 px: more leave its cache, with
fewer, starting operations takes longer than doing them."""

LEVELS = 255


class Augmenter:
    """Change every patch of a batch by itself, on the device where the network is.

    In the order of how a picture comes about: symmetry, zoom, shift and elastic deformation (the section),
    stain densities, hue, saturation and value (the stain), brightness and contrast, blur and noise (the
    scanner).

    Parameters
    ----------
    options : AugmentOptions
    device : str
        As resolved by :mod:`napari_nic.device`.
    """

    def __init__(self, options: AugmentOptions, *, device: str = "cpu") -> None:
        self.options = options
        self.device = torch.device(device)

    def __call__(self, images: torch.Tensor, *, seed: int, size: int | None = None) -> torch.Tensor:
        """Return changed patches as the network's input.

        Parameters
        ----------
        images : tensor of uint8, (B, s, s, 3) or (B, 3, s, s)
            RGB, on any device.
        seed : int
            The same seed gives the same batch. On another device noise differs, and nothing else but by
            rounding.
        size : int, optional
            Side of the result, at most s, which it is by default. The middle `size` pixels are what is seen;
            the margin around them is what zoom, shift and deformation draw in, before they mirror the patch.

        Returns
        -------
        tensor of float32, (B, 3, size, size)
            In [-1, 1], channels last in memory.

        Raises
        ------
        InvalidParameterError
            If the images are no batch of square uint8 RGB patches, or are smaller than `size`.
        """
        planes = _planes(images)
        side = planes.shape[-1]
        size = _checked_size(size, side)
        generator = torch.Generator().manual_seed(seed)
        draws = draw(self.options, len(planes), generator).to(self.device)
        if self.device.type != "cpu":
            generator = torch.Generator(self.device).manual_seed(seed)
        result = torch.empty(
            (len(planes), 3, size, size), device=self.device, memory_format=torch.channels_last
        )
        step = max(1, CACHED_PIXELS // side**2) if self.device.type == "cpu" else max(1, len(planes))
        for start in range(0, len(planes), step):
            part = slice(start, start + step)
            changed = self._change(planes[part], draws.part(start, start + step), size, generator)
            # Arithmetic in the order that the pixels are in; the copy to channels last does nothing else.
            result[part] = changed.mul_(2).sub_(1)
        return result

    def _change(self, planes: torch.Tensor, draws: Draws, size: int, noise: torch.Generator) -> torch.Tensor:
        """Return float32 (b, 3, size, size) in [0, 1] that belongs to the caller."""
        options = self.options
        moved = planes.to(self.device)
        images = moved.to(torch.float32, memory_format=torch.contiguous_format).mul_(1 / LEVELS)
        if options.symmetries:
            images = turn(images, draws.symmetry)
        if options.warps:
            images = warp(images, draws, size=size, elastic=options.elastic_alpha > 0)
        else:
            images = crop(images, size)
        if options.hed:
            images = jitter_stains(images, draws.stain_scale, draws.stain_offset)
        if options.shifts_hsv:
            images = shift_hsv(images, draws.hsv)
        if options.brightness or options.contrast:
            images = change_contrast(images, draws.brightness, draws.contrast)
        if options.blur:
            images = blur(images, draws.blur, largest=options.blur)
        if options.noise:
            images = add_noise(images, draws.noise, noise)
        return images


def _checked_size(size: int | None, side: int) -> int:
    """Return the side of the result, for patches of `side` px."""
    size = side if size is None else size
    if not 0 < size <= side:
        raise InvalidParameterError(
            "patches are smaller than what the network sees",
            expected=f"at most {side} px",
            found=f"{size} px",
        )
    return size


def _planes(images: torch.Tensor) -> torch.Tensor:
    """Return a view (B, 3, s, s) of patches in either order of axes."""
    shape = tuple(images.shape)
    last = len(shape) == 4 and shape[3] == 3
    planes = images.permute(0, 3, 1, 2) if last else images
    if (
        images.dtype != torch.uint8
        or planes.ndim != 4
        or planes.shape[1] != 3
        or len({*planes.shape[2:]}) != 1
    ):
        raise InvalidParameterError(
            "augmentation takes batches of square RGB patches",
            expected="uint8 (B, s, s, 3) or (B, 3, s, s)",
            found=f"{images.dtype} {shape}",
        )
    return planes
