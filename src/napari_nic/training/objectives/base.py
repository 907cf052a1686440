"""What a way of training an encoder has to offer; :mod:`napari_nic.training.loop` does the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import nn

from napari_nic.encoders.nets import EncoderNet
from napari_nic.encoders.networks import get_architecture
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken
from napari_nic.patches import PatchSource
from napari_nic.training.objectives.codes import standardise_codes
from napari_nic.training.options import Schedule, TrainOptions
from napari_nic.training.recipe import MARGIN

Batch = Any
"""What an objective draws for one step: arrays of patches and labels."""


class ToInput(Protocol):
    """Turn drawn patches into the network's input, augmented or not."""

    def __call__(self, images: np.ndarray, salt: int = 0) -> torch.Tensor:
        """Map (B, s, s, 3) uint8 to (B, 3, s', s') in [-1, 1]; another salt is another view."""
        ...


@dataclass(frozen=True)
class Settings:
    """Numbers that only one objective has; subclasses add fields with defaults."""


def read_settings(kind: type[Settings], given: Mapping[str, float]) -> Settings:
    """Make the settings of an objective from names and numbers.

    Raises
    ------
    InvalidParameterError
        If a name is unknown; the text lists those that are known.
    """
    known = [entry.name for entry in fields(kind)]
    wrong = sorted(set(given) - set(known))
    if wrong:
        raise InvalidParameterError(
            f"unknown setting {wrong[0]!r}",
            expected=f"one of {', '.join(known) or 'none: this objective has no settings'}",
        )
    defaults = kind()
    return replace(defaults, **{name: type(getattr(defaults, name))(value) for name, value in given.items()})


class Objective(nn.Module):
    """An encoder and whatever is trained beside it.

    Attributes
    ----------
    name, title : str
        As the command line and the model card call it.
    citation, limits : str
        For the model card: whom to cite, and what the codes are not good for.
    learning_rate, schedule, augmentation
        Used where the options leave them open.
    settings_type : type of Settings
    labelled : bool
        Whether patches need labels.
    validates_views : bool
        Whether validation, too, is about augmented views.
    keeps_best : bool
        Whether the weights of the best validation are kept, not the last.
    encoder : EncoderNet
    input_size : int
        Side of the encoder's input, px.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    citation: ClassVar[str] = (
        "Tellez et al., Neural Image Compression for Gigapixel Histopathology, TPAMI 2019"
    )
    limits: ClassVar[str]
    learning_rate: ClassVar[float] = 1e-3
    schedule: ClassVar[Schedule] = "plateau"
    augmentation: ClassVar[str] = "light"
    settings_type: ClassVar[type[Settings]] = Settings
    labelled: ClassVar[bool] = False
    validates_views: ClassVar[bool] = False
    keeps_best: ClassVar[bool] = True

    def __init__(self, options: TrainOptions, sources: Sequence[PatchSource]) -> None:
        super().__init__()
        self.encoder: EncoderNet = get_architecture(options.architecture).build(options.code_size)
        self.input_size = get_architecture(options.architecture).input_size
        self.settings = read_settings(self.settings_type, options.settings)
        del sources  # subclasses with labels look at them

    @classmethod
    def wanted(cls, options: TrainOptions) -> tuple[int, float]:
        """Return side, px, and resolution, um/px, of the patches that are drawn: the input and a margin."""
        architecture = get_architecture(options.architecture)
        return round(MARGIN * architecture.input_size), architecture.input_mpp

    def learned_from(self) -> list[dict[str, Any]]:
        """Return name, licence and checksum of each encoder that is learned from; none by default."""
        return []

    def draw_near(self, sources: Sequence[PatchSource], count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw patches as the encoder sees them, with their margin; (count, s, s, 3) uint8."""
        return mixed_images(sources, count, rng)

    def optimisers(self, rate: float) -> list[torch.optim.Optimizer]:
        """Return the optimisers, all with one learning rate unless the objective needs more."""
        return [torch.optim.Adam(self.parameters(), lr=rate)]

    def draw(self, sources: Sequence[PatchSource], count: int, rng: np.random.Generator) -> Batch:
        """Draw what one step needs; called in another thread than the rest."""
        return mixed_images(sources, count, rng)

    def loss(self, batch: Batch, to_input: ToInput) -> tuple[torch.Tensor, dict[str, float]]:
        """Return (loss, its parts as numbers) of a batch; in evaluation mode for validation."""
        raise NotImplementedError

    def train_step(
        self, batch: Batch, to_input: ToInput, optimisers: Sequence[torch.optim.Optimizer]
    ) -> tuple[float, dict[str, float]]:
        """Do one step of the optimisers; return (loss, its parts)."""
        loss, terms = self.loss(batch, to_input)
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        for optimiser in optimisers:
            optimiser.step()
        return float(loss.detach()), terms

    def reconstruct(self, x: torch.Tensor) -> torch.Tensor | None:
        """Return pictures, like `x` (B, 3, s, s), of what its codes still know; None where nothing can."""
        del x
        return None

    def generate(self, count: int) -> torch.Tensor | None:
        """Return `count` patches out of nothing, (count, 3, s, s) in [-1, 1]; None where nothing can."""
        del count
        return None

    def finish(self, patches: np.ndarray, token: CancellationToken | None = None) -> None:
        """Bring the trained encoder's codes to a useful scale, in place.

        Parameters
        ----------
        patches : ndarray of uint8, (n, s, s, 3)
        token : CancellationToken, optional
            Asked at each batch.
        """
        standardise_codes(self.encoder, patches, token)


def mixed_images(sources: Sequence[PatchSource], count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `count` patches, as evenly from all sources as `count` allows; (count, s, s, 3) uint8."""
    return np.concatenate([source.draw(part, rng).images for source, part in shares(sources, count) if part])


def shares(sources: Sequence[PatchSource], count: int) -> list[tuple[PatchSource, int]]:
    """Divide `count` evenly over the sources."""
    ends = [round(count * (index + 1) / len(sources)) for index in range(len(sources))]
    return [(source, end - start) for source, start, end in zip(sources, [0, *ends], ends, strict=False)]


def mlp_head(inputs: int, outputs: int, *, width: int = 256) -> nn.Sequential:
    """Return the appendix's head: dense, batch norm, LeakyReLU, dense."""
    return nn.Sequential(
        nn.Linear(inputs, width), nn.BatchNorm1d(width), nn.LeakyReLU(0.2), nn.Linear(width, outputs)
    )
