"""The library's ways of training, for patches of 9 px: other decoders and critics, the same losses."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from napari_nic.encoders.nets import LEAK
from napari_nic.patches import PatchSource
from napari_nic.training import TrainOptions
from napari_nic.training.objectives.base import Objective
from napari_nic.training.objectives.bigan import BiganObjective, PairCritic
from napari_nic.training.objectives.contrastive import ContrastiveObjective
from napari_nic.training.objectives.supervised import SupervisedObjective
from napari_nic.training.objectives.vae import VaeObjective
from napari_nic_experiments.digits.network import LAST_SIDE

_ENLARGE = 3
"""From the smallest feature map, 3 px, to the patch."""


def make_painter(code_size: int, width: int) -> nn.Sequential:
    """Return a network from codes (B, C) to patches (B, 3, 9, 9) in [-1, 1].

    Parameters
    ----------
    code_size : int
    width : int
        Channels of the convolution at full size.
    """
    return nn.Sequential(
        nn.Linear(code_size, 2 * width * LAST_SIDE**2),
        nn.BatchNorm1d(2 * width * LAST_SIDE**2),
        nn.LeakyReLU(LEAK),
        nn.Unflatten(1, (2 * width, LAST_SIDE, LAST_SIDE)),
        nn.Upsample(scale_factor=_ENLARGE),
        nn.Conv2d(2 * width, width, 3, padding=1),
        nn.BatchNorm2d(width),
        nn.LeakyReLU(LEAK),
        nn.Conv2d(width, 3, 3, padding=1),
        nn.Tanh(),
    )


class DigitVaeObjective(VaeObjective):
    """:class:`VaeObjective` with a decoder for 9 px."""

    DECODER_WIDTH = 32

    def __init__(self, options: TrainOptions, sources: Sequence[PatchSource]) -> None:
        super().__init__(options, sources)
        self.decoder = make_painter(options.code_size, self.DECODER_WIDTH)


class DigitCritic(PairCritic):
    """D for patches of 9 px: strided convolutions to 3 px, then the code joins; spectral norm."""

    DENSE = 256

    def __init__(self, code_size: int, width: int) -> None:
        nn.Module.__init__(self)
        self.look = nn.Sequential(
            spectral_norm(nn.Conv2d(3, width, 3, stride=2, padding=1)),
            nn.LeakyReLU(LEAK),
            spectral_norm(nn.Conv2d(width, width, 3, stride=2, padding=1)),
            nn.LeakyReLU(LEAK),
            nn.Flatten(),
        )
        self.score = nn.Sequential(
            spectral_norm(nn.Linear(width * LAST_SIDE**2 + code_size, self.DENSE)),
            nn.LeakyReLU(LEAK),
            spectral_norm(nn.Linear(self.DENSE, self.DENSE)),
            nn.LeakyReLU(LEAK),
            spectral_norm(nn.Linear(self.DENSE, 1)),
        )


class DigitBiganObjective(BiganObjective):
    """:class:`BiganObjective` with a generator and a critic for 9 px."""

    WIDTH = 32

    def __init__(self, options: TrainOptions, sources: Sequence[PatchSource]) -> None:
        super().__init__(options, sources)
        self.generator = make_painter(options.code_size, self.WIDTH)
        self.critic = DigitCritic(options.code_size, self.WIDTH)
        self.live_generator = copy.deepcopy(self.generator)
        self.generator.requires_grad_(requires_grad=False)


OBJECTIVES: dict[str, type[Objective]] = {
    "supervised": SupervisedObjective,
    "contrastive": ContrastiveObjective,
    "vae": DigitVaeObjective,
    "bigan": DigitBiganObjective,
}
"""Ways of training by the experiment's names for them."""


def make_objective(method: str, options: TrainOptions, sources: Sequence[PatchSource]) -> Objective:
    """Make an objective with random weights that the options' seed determines."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        return OBJECTIVES[method](options, sources)
