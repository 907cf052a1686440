"""A learned codec as the training loop sees it: lambda x distortion + bits a pixel."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import nn

from napari_nic.patches import PatchSource
from napari_nic.recompression.codec_training.ms_ssim import ms_ssim
from napari_nic.recompression.codec_training.recipe import CodecRecipe, Crops, Patches
from napari_nic.training import TrainOptions
from napari_nic.training.objectives.base import Batch, Objective, ToInput, shares

AUXILIARY_RATE = 1e-3
"""Learning rate of the quantiles, which tables are cut by: fixed."""

CLIP = 1.0
"""Longest gradient (its norm) that a step follows."""

_LEAST_LIKELIHOOD = 1e-9


class CodecObjective(Objective):
    """A network and its loss: lambda x 255^2 x MSE + R, or lambda x (1 - MS-SSIM) + R.

    Parameters
    ----------
    net : Module
        Gives (pixels, likelihoods) of pixels, with noise for rounding while it is trained.
    recipe : CodecRecipe
    """

    citation = "Balle, Minnen, Singh, Hwang and Johnston, ICLR 2018"
    limits = (
        "Bright-field slides only. What it has not seen comes out worse: each tile that is written is "
        "compared with its source, and falls back to JPEG XL where it is not as good as asked."
    )
    learning_rate: ClassVar[float] = 1e-4
    augmentation: ClassVar[str] = "none"

    def __init__(self, net: nn.Module, recipe: CodecRecipe) -> None:
        nn.Module.__init__(self)  # no encoder: that of the class above is not made
        self.net = net
        self.input_size = recipe.size
        self.name, self.title = f"{recipe.network} {recipe.loss}", recipe.network  # type: ignore[misc]
        self._loss, self._lambda = recipe.loss, recipe.lam

    def optimisers(self, rate: float) -> list[torch.optim.Optimizer]:
        """Adam for the network, and another one for the quantiles."""
        quantiles = [value for name, value in self.named_parameters() if name.endswith("quantiles")]
        others = [value for name, value in self.named_parameters() if not name.endswith("quantiles")]
        return [torch.optim.Adam(others, lr=rate), torch.optim.Adam(quantiles, lr=AUXILIARY_RATE)]

    def draw(self, sources: Sequence[PatchSource], count: int, rng: np.random.Generator) -> Batch:
        """Draw crops, as evenly from all sources as `count` allows."""
        return draw_crops(sources, count, rng)

    def loss(self, batch: Batch, to_input: ToInput) -> tuple[torch.Tensor, dict[str, float]]:
        """Return lambda x distortion + bits a pixel, and its parts."""
        x = to_unit(batch, to_input)
        made, likelihoods = self.net(x)
        rate = bits_of(likelihoods.values()) / (x.numel() / x.shape[1])
        error = nn.functional.mse_loss(made, x)
        terms = {"bits": float(rate.detach()), "psnr": psnr_of(error)}
        if self._loss == "mse":
            return self._lambda * 255**2 * error + rate, terms
        similarity = ms_ssim(made, x)
        terms["ms_ssim"] = float(similarity.detach())
        return self._lambda * (1 - similarity) + rate, terms

    def train_step(
        self, batch: Batch, to_input: ToInput, optimisers: Sequence[torch.optim.Optimizer]
    ) -> tuple[float, dict[str, float]]:
        """Do a step of the network, then one of the quantiles."""
        main, auxiliary = optimisers
        loss, terms = self.loss(batch, to_input)
        main.zero_grad(set_to_none=True)
        auxiliary.zero_grad(set_to_none=True)
        loss.backward()
        own = [value for group in main.param_groups for value in group["params"]]
        nn.utils.clip_grad_norm_(own, CLIP)
        main.step()
        for group in auxiliary.param_groups:
            group["lr"] = AUXILIARY_RATE
        auxiliary.zero_grad(set_to_none=True)
        extra = cast("Any", self.net).aux_loss()
        extra.backward()
        auxiliary.step()
        return float(loss.detach()), terms | {"auxiliary": float(extra.detach())}


class DistilObjective(Objective):
    """A light decoder that learns what a frozen one makes of its symbols, and the source itself.

    Parameters
    ----------
    net : Module
        The codec; it is not changed.
    light : Module
        Maps what the codec's synthesis takes to pixels.
    options : TrainOptions
    size : int
        Side of the crops, px.
    """

    name, title = "light decoder", "light decoder"
    citation = CodecObjective.citation
    limits = CodecObjective.limits
    learning_rate: ClassVar[float] = 1e-3
    augmentation: ClassVar[str] = "none"

    def __init__(self, net: nn.Module, light: nn.Module, options: TrainOptions, size: int) -> None:
        nn.Module.__init__(self)
        del options
        self.light = light
        self.input_size = size
        self._frozen = [net.requires_grad_(False).eval()]  # in a list: its weights are no weights of this

    def draw(self, sources: Sequence[PatchSource], count: int, rng: np.random.Generator) -> Batch:
        """Draw crops, as evenly from all sources as `count` allows."""
        return draw_crops(sources, count, rng)

    def loss(self, batch: Batch, to_input: ToInput) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the mean of the errors to the source and to what the full decoder makes of it."""
        x = to_unit(batch, to_input)
        net = cast("Any", self._frozen[0])
        with torch.no_grad():
            rounded = net.latents(x).clone()
            full = net.g_s(rounded).clamp(0, 1)
        made = self.light(rounded)
        to_source, to_full = nn.functional.mse_loss(made, x), nn.functional.mse_loss(made, full)
        terms = {
            "psnr": psnr_of(to_source),
            "psnr_of_full": psnr_of(nn.functional.mse_loss(full, x)),
            "psnr_to_full": psnr_of(to_full),
        }
        return 255**2 * (to_source + to_full) / 2, terms


def draw_crops(sources: Sequence[PatchSource], count: int, rng: np.random.Generator) -> Crops:
    """Draw crops, as evenly from all sources as `count` allows; which come short, chance decides."""
    sources = [sources[index] for index in rng.permutation(len(sources))]
    parts = [(cast("Patches", source), part) for source, part in shares(sources, count) if part]
    drawn = [source.draw(part, rng).images for source, part in parts]
    return Crops(np.concatenate(drawn))


def to_unit(batch: Batch, to_input: ToInput) -> torch.Tensor:
    """Return crops as (B, 3, s, s) in [0, 1]."""
    crops: Crops = batch
    return (to_input(crops.images) + 1) / 2


def bits_of(likelihoods: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return the bits that symbols of these probabilities take."""
    return torch.stack([-torch.log2(one.clamp(min=_LEAST_LIKELIHOOD)).sum() for one in likelihoods]).sum()


def psnr_of(error: torch.Tensor) -> float:
    """Return the PSNR, dB, of a mean squared error of samples in [0, 1]."""
    return -10 * math.log10(max(float(error.detach()), 1e-12))
