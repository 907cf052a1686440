"""Bidirectional generative adversarial network (Donahue et al. 2017; Tellez et al. 2019, section 3.1).

::

    E: patch x -> code;  G: code z ~ N(0, 1) -> patch;  D: (patch, code) -> "encoded" or "generated"
    D tells (x, E(x)) from (G(z), z); E and G together try to be taken for each other.

At the optimum E inverts G. What keeps it from falling apart, beside the paper's recipe: spectral
normalisation of every layer of D, two steps of D for each of E and G, a hinge loss, Adam with beta1 = 0.5,
and a moving average of E's and G's weights, which is what is kept.

The joint distributions alone leave the pairing loose (Li et al. 2017, ALICE). Two weighted reconstruction
terms tie E and G to each other from the first step on: ``E(G(z))`` against z, and ``G(E(x))`` against x. Both
weights may be 0, which is the paper's BiGAN.

G must be told where in a patch things lie, and an encoder that reads statistics over space does not say it.
Such an encoder plays the game with a head on its last convolution that is dropped afterwards; its own code is
then made of its features, which are what transfers (Donahue and Simonyan 2019, BigBiGAN).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from napari_nic.encoders.nets import LEAK, EncoderNet, PooledEncoderNet
from napari_nic.jobs import CancellationToken
from napari_nic.patches import PatchSource
from napari_nic.training.objectives.base import Batch, Objective, Settings, ToInput, mixed_images
from napari_nic.training.objectives.codes import principal_codes
from napari_nic.training.objectives.vae import FIRST_SIDE
from napari_nic.training.options import Schedule, TrainOptions


@dataclass(frozen=True)
class BiganSettings(Settings):
    """Settings of the BiGAN.

    Attributes
    ----------
    generator_width, critic_width : int
        Channels of the convolutions; the appendix has 128 for both, less trains faster.
    critic_steps : int
        Steps of the discriminator for each of encoder and generator.
    code_cycle : float
        Weight of the mean squared error between z and E(G(z)).
    picture_cycle : float
        Weight of the mean absolute error between x and G(E(x)), pixels from -1 to 1.
    average : float
        Decay of the moving average of the weights that are kept.
    """

    generator_width: int = 64
    critic_width: int = 64
    critic_steps: int = 2
    code_cycle: float = 1.0
    picture_cycle: float = 5.0
    average: float = 0.995


class BiganObjective(Objective):
    """Encoder, generator and discriminator; see the module's diagram."""

    name = "bigan"
    title = "Bidirectional GAN"
    citation = (
        "Donahue et al., Adversarial feature learning, ICLR 2017; Li et al., ALICE, NeurIPS 2017; "
        "Tellez et al., TPAMI 2019"
    )
    limits = "It knows what a generator needs to paint a patch like it; it does not know diagnoses."
    learning_rate = 2e-4
    schedule: ClassVar[Schedule] = "constant"
    augmentation = "light"
    keeps_best = False
    settings_type: ClassVar[type[Settings]] = BiganSettings
    settings: BiganSettings

    def __init__(self, options: TrainOptions, sources: Sequence[PatchSource]) -> None:
        super().__init__(options, sources)
        self.code_size = options.code_size
        self.generator = make_generator(options.code_size, self.input_size, self.settings.generator_width)
        self.critic = PairCritic(options.code_size, self.input_size, self.settings.critic_width)
        self.latent = make_latent(self.encoder)
        self.live_encoder = copy.deepcopy(self.encoder)
        self.live_generator = copy.deepcopy(self.generator)
        self.live_latent = copy.deepcopy(self.latent)
        for kept in (self.encoder, self.generator, self.latent):
            kept.requires_grad_(requires_grad=False)

    def optimisers(self, rate: float) -> list[torch.optim.Optimizer]:
        """One for encoder and generator, one for the discriminator; beta1 = 0.5."""
        live = (self.live_encoder, self.live_latent, self.live_generator)
        painters = [weight for module in live for weight in module.parameters()]
        return [
            torch.optim.Adam(painters, lr=rate, betas=(0.5, 0.999)),
            torch.optim.Adam(self.critic.parameters(), lr=rate, betas=(0.5, 0.999)),
        ]

    def draw(self, sources: Sequence[PatchSource], count: int, rng: np.random.Generator) -> Batch:
        """Draw patches for every step of the discriminator and the one of encoder and generator."""
        return mixed_images(sources, count * (self.settings.critic_steps + 1), rng)

    def train_step(
        self, batch: Batch, to_input: ToInput, optimisers: Sequence[torch.optim.Optimizer]
    ) -> tuple[float, dict[str, float]]:
        """Do the discriminator's steps, then one of encoder and generator."""
        painters, critic = optimisers
        *parts, last = to_input(batch).chunk(self.settings.critic_steps + 1)
        gap = 0.0
        for x in parts:
            real, fake = self._discriminate(x)
            loss = torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()
            critic.zero_grad(set_to_none=True)
            loss.backward()
            critic.step()
            gap = float((real.detach() - fake.detach()).mean())
        loss, terms = self._fool(last)
        painters.zero_grad(set_to_none=True)
        loss.backward()
        painters.step()
        self._average()
        return float(loss.detach()), terms | {"critic_gap": gap}

    def loss(self, batch: Batch, to_input: ToInput) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the squared error of reconstructions G(E(x)), pixels from -1 to 1."""
        x = to_input(batch)
        error = torch.mean((self.reconstruct(x).float() - x.float()) ** 2)
        return error, {"reconstruction_mse": float(error.detach())}

    def reconstruct(self, x: torch.Tensor) -> torch.Tensor:
        """G(E(x)) with the averaged weights."""
        painted: torch.Tensor = self.generator(self.latent(self.encoder, x))
        return painted

    def generate(self, count: int) -> torch.Tensor:
        """G of codes drawn from the prior, with the averaged weights."""
        painted: torch.Tensor = self.generator(
            torch.randn(count, self.code_size, device=self.encoder.code.weight.device)
        )
        return painted

    def finish(self, patches: np.ndarray, token: CancellationToken | None = None) -> None:
        """Read the code off the features where a head played the game; bring it to a useful scale."""
        if isinstance(self.latent, PlacesHead):
            principal_codes(self.encoder, patches, token)
        super().finish(patches, token)

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        """E(x) of the game, (B, C)."""
        code: torch.Tensor = self.live_latent(self.live_encoder, x)
        return code

    def _discriminate(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Scores of (x, E(x)) and of (G(z), z) for the discriminator's step."""
        z = torch.randn(len(x), self.code_size, device=x.device)
        with torch.no_grad():
            code, painted = self._encode(x), self.live_generator(z)
        return self.critic(x, code).float(), self.critic(painted, z).float()

    def _fool(self, x: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        """Return the loss of encoder and generator: swap the two labels, and close both cycles."""
        z = torch.randn(len(x), self.code_size, device=x.device)
        code, painted = self._encode(x), self.live_generator(z)
        adversarial = (self.critic(x, code) - self.critic(painted, z)).float().mean()
        code_cycle = nn.functional.mse_loss(self._encode(painted).float(), z)
        picture_cycle = nn.functional.l1_loss(self.live_generator(code).float(), x.float())
        weights = self.settings
        loss = adversarial + weights.code_cycle * code_cycle + weights.picture_cycle * picture_cycle
        terms = {"adversarial": adversarial, "code_cycle": code_cycle, "picture_cycle": picture_cycle}
        return loss, {name: float(term.detach()) for name, term in terms.items()}

    @torch.no_grad()
    def _average(self) -> None:
        """Move the kept weights, and copy the statistics of the batch normalisations."""
        pairs = (
            (self.encoder, self.live_encoder),
            (self.generator, self.live_generator),
            (self.latent, self.live_latent),
        )
        for kept, live in pairs:
            for old, new in zip(kept.parameters(), live.parameters(), strict=True):
                old.lerp_(new, 1 - self.settings.average)
            for ours, theirs in zip(kept.buffers(), live.buffers(), strict=True):
                if theirs.is_floating_point():
                    ours.lerp_(theirs, 1 - self.settings.average)
                else:
                    ours.copy_(theirs)


class OwnCode(nn.Module):
    """The game is played with the encoder's own code."""

    def forward(self, encoder: EncoderNet, x: torch.Tensor) -> torch.Tensor:
        """Map patches (B, 3, s, s) to codes (B, C)."""
        code: torch.Tensor = encoder(x)
        return code


class PlacesHead(nn.Module):
    """The game is played with a code that is read off all places of the last convolution."""

    def __init__(self, encoder: PooledEncoderNet) -> None:
        super().__init__()
        width, places, code_size = encoder.WIDTHS[-1], encoder.LAST_SIDE**2, encoder.code.out_features
        self.read = nn.Sequential(nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width * places, code_size))

    def forward(self, encoder: PooledEncoderNet, x: torch.Tensor) -> torch.Tensor:
        """Map patches (B, 3, 64, 64) to codes (B, C)."""
        code: torch.Tensor = self.read(encoder.activations(x)[-1])
        return code


def make_latent(encoder: EncoderNet) -> nn.Module:
    """Return what the game's codes are read with."""
    if isinstance(encoder, PooledEncoderNet):
        return PlacesHead(encoder)
    return OwnCode()


class PairCritic(nn.Module):
    """D of the appendix: strided convolutions over the patch, then the code joins; spectral norm."""

    DENSE = 1024

    def __init__(self, code_size: int, side: int, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        while side > FIRST_SIDE:
            layers += [spectral_norm(nn.Conv2d(channels, width, 3, stride=2, padding=1)), nn.LeakyReLU(LEAK)]
            channels, side = width, side // 2
        self.look = nn.Sequential(*layers, nn.Flatten())
        self.score = nn.Sequential(
            spectral_norm(nn.Linear(channels * side**2 + code_size, self.DENSE)),
            nn.LeakyReLU(LEAK),
            spectral_norm(nn.Linear(self.DENSE, self.DENSE)),
            nn.LeakyReLU(LEAK),
            spectral_norm(nn.Linear(self.DENSE, 1)),
        )

    def forward(self, x: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        """Map patches (B, 3, s, s) and codes (B, C) to scores (B,)."""
        scores: torch.Tensor = self.score(torch.cat([self.look(x), code.to(x.dtype)], 1)).squeeze(1)
        return scores


def make_generator(code_size: int, side: int, width: int) -> nn.Sequential:
    """Return the appendix's G: dense 1024 -> 4 x 4 x 64, then doublings with convolutions of `width`."""
    channels = 64
    layers: list[nn.Module] = [
        nn.Linear(code_size, channels * FIRST_SIDE**2),
        nn.BatchNorm1d(channels * FIRST_SIDE**2),
        nn.LeakyReLU(LEAK),
        nn.Unflatten(1, (channels, FIRST_SIDE, FIRST_SIDE)),
    ]
    while side > FIRST_SIDE:
        layers += [
            nn.Upsample(scale_factor=2),
            nn.Conv2d(channels, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(LEAK),
        ]
        channels, side = width, side // 2
    return nn.Sequential(*layers, nn.Conv2d(channels, 3, 3, padding=1), nn.Tanh())
