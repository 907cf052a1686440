"""Training a variational autoencoder whose encoder becomes a NIC encoder (Tellez et al. 2019, section 3.1).

::

    patch x (B, 3, 64, 64) in [-1, 1]
      NicEncoderNet.features -> mean (B, C), log variance (B, C)
      code z = mean + exp(log variance / 2) * noise
      decoder: linear -> 4 x 4 -> 4 x [nearest x 2, conv 3 x 3, batch norm, LeakyReLU] -> conv, tanh
    loss = mean squared error + gamma * KL(N(mean, variance) || N(0, 1))

The KL term printed in the paper's Eq. 3 has the wrong sign for a minimisation; this is the usual one.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from napari_nic.encoders.networks import LEAK, NicEncoderNet
from napari_nic.errors import WeightsError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.patches import PatchSource
from napari_nic.training.augment import AugmentOptions, augment

CHECKPOINT_WEIGHTS, CHECKPOINT_STATE = "checkpoint.safetensors", "checkpoint.json"


@dataclass(frozen=True)
class VaeOptions:
    """How a VAE is trained; the defaults are the paper's appendix but for the decoder's width.

    Attributes
    ----------
    code_size : int
    steps, batch_size : int
    learning_rate, final_learning_rate : float
        The rate falls by 10 when the smoothed loss stops falling for `patience` steps, down to the final one.
    cooldown : float
        Share of the steps, at the end, that are trained with a tenth of the rate.
    gamma : float
        Weight of the KL term.
    decoder_width : int
        Channels of the decoder's first convolution; the appendix has 256, half of it trains four times
        faster.
    """

    code_size: int = 128
    steps: int = 20000
    batch_size: int = 64
    learning_rate: float = 1e-3
    final_learning_rate: float = 1e-5
    patience: int = 500
    cooldown: float = 0.1
    gamma: float = 5e-5
    decoder_width: int = 128
    seed: int = 0
    checkpoint_every: int = 500
    augmentation: AugmentOptions = field(default_factory=AugmentOptions)


@dataclass(frozen=True)
class TrainingProgress(Progress):
    """One training step.

    Attributes
    ----------
    loss : float
        Smoothed over the last steps.
    terms : mapping of str to float
        The parts of this step's loss, and the learning rate.
    """

    unit: str = "steps"
    loss: float = float("nan")
    terms: dict[str, float] = field(default_factory=dict)


class Vae(nn.Module):
    """Encoder, code and decoder; see the module's diagram."""

    def __init__(self, code_size: int, *, decoder_width: int = 128) -> None:
        super().__init__()
        self.encoder = NicEncoderNet(code_size)
        self.log_variance = nn.Linear(self.encoder.code.in_features, code_size)
        width = 2 * decoder_width
        layers: list[nn.Module] = [nn.Linear(code_size, width * 16), nn.Unflatten(1, (width, 4, 4))]
        for _ in range(4):
            layers += [
                nn.Upsample(scale_factor=2),
                nn.Conv2d(width, width // 2, 3, padding=1),
                nn.BatchNorm2d(width // 2),
                nn.LeakyReLU(LEAK),
            ]
            width //= 2
        self.decoder = nn.Sequential(*layers, nn.Conv2d(width, 3, 3, padding=1), nn.Tanh())

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return (reconstruction (B, 3, 64, 64), mean (B, C), log variance (B, C))."""
        features = self.encoder.features(x)
        mean, log_variance = self.encoder.code(features), self.log_variance(features).clamp(-10, 5)
        code = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        return self.decoder(code), mean, log_variance


def vae_loss(
    x: torch.Tensor,
    reconstruction: torch.Tensor,
    mean: torch.Tensor,
    log_variance: torch.Tensor,
    gamma: float,
) -> tuple[torch.Tensor, dict[str, float]]:
    """Mean squared error plus gamma times the KL divergence of the code, summed over its dimensions."""
    error = torch.mean((reconstruction.float() - x.float()) ** 2)
    mean, log_variance = mean.float(), log_variance.float()
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    terms = {"mse": float(error.detach()), "kl": float(divergence.detach())}
    return error + gamma * divergence, terms


def train_vae(
    patches: PatchSource,
    folder: Path,
    options: VaeOptions | None = None,
    *,
    device: str = "cpu",
    precision: str = "float32",
    token: CancellationToken | None = None,
) -> Iterator[TrainingProgress]:
    """Train, with checkpoints in `folder`; a checkpoint that is there is gone on from.

    Parameters
    ----------
    patches : PatchSource
    folder : Path
        Made when missing.
    device, precision : str
        As resolved by :mod:`napari_nic.encoders.device`.
    token : CancellationToken, optional

    Yields
    ------
    TrainingProgress
        After every step; a checkpoint has been written when the generator ends or is closed.

    Raises
    ------
    CancelledError
    WeightsError
        If the checkpoint was made with other options.
    """
    options, token = options or VaeOptions(), token or CancellationToken()
    trainer = _Trainer(options, device, precision)
    folder.mkdir(parents=True, exist_ok=True)
    trainer.resume(folder)
    try:
        while trainer.step < options.steps and not trainer.finished:
            token.checkpoint()
            terms = trainer.train_step(patches)
            if trainer.step % options.checkpoint_every == 0:
                trainer.save(folder)
            yield TrainingProgress(
                trainer.step, options.steps, "training the VAE", loss=trainer.smoothed, terms=terms
            )
    finally:
        trainer.save(folder)


class _Trainer:
    """Network, optimiser and counters of a run."""

    SMOOTHING = 0.99
    LEAST_GAIN = 0.998

    def __init__(self, options: VaeOptions, device: str, precision: str) -> None:
        torch.manual_seed(options.seed)
        self.options, self.device, self.precision = options, device, precision
        self.vae = Vae(options.code_size, decoder_width=options.decoder_width)
        self.vae.to(device).to(memory_format=torch.channels_last)
        self.optimiser = torch.optim.Adam(self.vae.parameters(), lr=options.learning_rate)
        self.step, self.smoothed, self.best, self.best_step = 0, float("nan"), float("inf"), 0
        self.plateau_rate, self.seconds = options.learning_rate, 0.0

    @property
    def rate(self) -> float:
        """Learning rate of the next step."""
        cooling = self.step >= (1 - self.options.cooldown) * self.options.steps
        return self.plateau_rate / 10 if cooling else self.plateau_rate

    @property
    def finished(self) -> bool:
        """Whether the loss stopped falling at the smallest learning rate too."""
        return self.plateau_rate < self.options.final_learning_rate * 0.99

    def train_step(self, patches: PatchSource) -> dict[str, float]:
        started = time.monotonic()
        rng = np.random.default_rng((self.options.seed, self.step))
        torch.manual_seed(self.options.seed + 1 + self.step)
        batch = augment(patches.draw(self.options.batch_size, rng).images, rng, self.options.augmentation)
        x = torch.from_numpy(batch).permute(0, 3, 1, 2).to(self.device).float() / 127.5 - 1
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate
        self.vae.train()
        with torch.autocast(
            self.device.partition(":")[0], torch.bfloat16, enabled=self.precision == "bfloat16"
        ):
            reconstruction, mean, log_variance = self.vae(x)
        loss, terms = vae_loss(x, reconstruction, mean, log_variance, self.options.gamma)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.step += 1
        self._follow(float(loss.detach()))
        self.seconds += time.monotonic() - started
        return terms | {"learning_rate": self.rate}

    def _follow(self, loss: float) -> None:
        """Smooth the loss and lower the learning rate on a plateau."""
        first = math.isnan(self.smoothed)
        self.smoothed = loss if first else self.SMOOTHING * self.smoothed + (1 - self.SMOOTHING) * loss
        if self.smoothed < self.best * self.LEAST_GAIN:
            self.best, self.best_step = self.smoothed, self.step
        elif self.step - self.best_step > self.options.patience:
            self.best_step = self.step
            self.plateau_rate /= 10

    def save(self, folder: Path) -> None:
        tensors = {f"net.{name}": value for name, value in self.vae.state_dict().items()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
        names = ("step", "smoothed", "best", "best_step", "plateau_rate", "seconds")
        counters = {name: getattr(self, name) for name in names}
        record = {"options": asdict(self.options), "counters": counters}
        temporary = folder / f"{CHECKPOINT_WEIGHTS}.new"
        save_file({name: value.contiguous() for name, value in tensors.items()}, temporary)
        (folder / CHECKPOINT_STATE).write_text(json.dumps(record, indent=2), encoding="utf-8")
        temporary.replace(folder / CHECKPOINT_WEIGHTS)

    def resume(self, folder: Path) -> None:
        if not (folder / CHECKPOINT_STATE).is_file():
            return
        record = json.loads((folder / CHECKPOINT_STATE).read_text(encoding="utf-8"))
        _check_options(record["options"], self.options, folder)
        tensors = load_file(folder / CHECKPOINT_WEIGHTS)
        self.vae.load_state_dict({n[4:]: v for n, v in tensors.items() if n.startswith("net.")})
        states: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("adam."):
                _, index, key = name.split(".")
                states.setdefault(int(index), {})[key] = value
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": states, "param_groups": groups})
        for name, value in record["counters"].items():
            setattr(self, name, value)


def _check_options(stored: dict[str, Any], options: VaeOptions, folder: Path) -> None:
    """Raise WeightsError unless a checkpoint may be gone on from; the number of steps may change."""
    asked = json.loads(json.dumps(asdict(options)))
    free = {"steps", "checkpoint_every"}
    wrong = [name for name in asked if name not in free and asked[name] != stored.get(name)]
    if wrong:
        raise WeightsError(
            "the checkpoint was made with other options",
            path=folder,
            expected=", ".join(f"{name}={stored.get(name)}" for name in wrong),
            found=", ".join(f"{name}={asked[name]}" for name in wrong),
            hint="choose another folder, or the same options",
        )


def training_effort(folder: Path) -> tuple[int, float]:
    """Return (steps, minutes spent in them) over all runs of a training folder."""
    counters = json.loads((folder / CHECKPOINT_STATE).read_text(encoding="utf-8"))["counters"]
    return int(counters["step"]), round(float(counters["seconds"]) / 60, 1)


def load_vae(folder: Path) -> Vae:
    """Read the network of the last checkpoint in a training folder, in evaluation mode."""
    record = json.loads((folder / CHECKPOINT_STATE).read_text(encoding="utf-8"))
    options = record["options"]
    vae = Vae(options["code_size"], decoder_width=options["decoder_width"])
    tensors = load_file(folder / CHECKPOINT_WEIGHTS)
    vae.load_state_dict({n[4:]: v for n, v in tensors.items() if n.startswith("net.")})
    return vae.eval()
