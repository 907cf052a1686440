"""What a training of a learned codec is, as a value; no PyTorch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.patches import PatchSource, PatchStore, TileFolder
from napari_nic.recompression.codec_training.augment import augment
from napari_nic.training import StoreSet, TileFolders, TrainOptions
from napari_nic.training.sets import Wanted

LAMBDAS: Mapping[str, tuple[float, ...]] = {
    "mse": (0.0018, 0.0035, 0.0067, 0.0130, 0.0250, 0.0483, 0.0932, 0.1800),
    "ms-ssim": (2.40, 4.58, 8.73, 16.64, 31.73, 60.50, 115.37, 220.00),
}
"""Weight of the distortion by loss, for qualities 1 to 8: those of CompressAI, which the Smistad group (2026)
took for 5, 6 and 7."""

LOSSES = tuple(LAMBDAS)
STARTS = ("random", "components")
STRIDE = 64
"""Crops are multiples of it: what the deepest network of these makes one symbol of, hyper-prior and all."""

LEAST_MS_SSIM = 192
"""Smaller crops have not enough scales for MS-SSIM, px."""


@dataclass(frozen=True)
class CodecRecipe:
    """How a learned codec is trained, and what it is called.

    Attributes
    ----------
    name : str
    out : Path
        Folder of the codec.
    network : str
        Which of the networks.
    filters, channels : int or None
        N and M of the papers; those of the quality by default.
    quality : int
        1 to 8: N, M and lambda by default.
    loss : {"mse", "ms-ssim"}
    weight : float or None
        Lambda; that of the quality by default.
    start : {"random", "components"}
        Weights before the first step: random ones as published, or principal components of the tiles.
    size : int
        Side of the crops, px.
    held_out : float
        Share of the slides or patients that is kept for validation.
    device : str
    card : mapping of str to str
        ``data``, ``licence`` and ``summary``, for the model card.
    options : TrainOptions
        Steps, rates and seed; what it says of encoders plays no part.
    """

    name: str
    out: Path
    network: str = "bmshj2018-factorized"
    filters: int | None = None
    channels: int | None = None
    quality: int = 6
    loss: str = "mse"
    weight: float | None = None
    start: str = STARTS[0]
    size: int = 256
    held_out: float = 0.1
    device: str = "auto"
    card: Mapping[str, str] = field(default_factory=dict)
    options: TrainOptions = field(default_factory=lambda: TrainOptions(batch_size=16))

    def __post_init__(self) -> None:
        if self.loss not in LOSSES:
            raise InvalidParameterError("no such loss", expected=" or ".join(LOSSES), found=self.loss)
        if self.start not in STARTS:
            raise InvalidParameterError("no such start", expected=" or ".join(STARTS), found=self.start)
        if not 1 <= self.quality <= len(LAMBDAS[self.loss]):
            raise InvalidParameterError(
                "no such quality", expected=f"1 to {len(LAMBDAS[self.loss])}", found=str(self.quality)
            )
        least = LEAST_MS_SSIM if self.loss == "ms-ssim" else STRIDE
        if self.size % STRIDE or self.size < least:
            raise InvalidParameterError(
                "the network cannot take crops of this size",
                expected=f"a multiple of {STRIDE} px, at least {least} px",
                found=f"{self.size} px",
            )

    @property
    def lam(self) -> float:
        """Weight of the distortion."""
        return LAMBDAS[self.loss][self.quality - 1] if self.weight is None else self.weight

    @property
    def squared_error_weight(self) -> float:
        """Lambda of the squared error that is about as strict: where the start is fitted to it."""
        return self.lam if self.loss == "mse" else LAMBDAS["mse"][self.quality - 1]

    @property
    def checkpoint(self) -> Path:
        """Where checkpoints and logs lie, beside the codec."""
        return self.out.with_name(f"{self.out.name}.training")

    def training_options(self, filters: int, channels: int) -> TrainOptions:
        """Return the options with all that must be the same when a run goes on."""
        own = {"size": self.size, "lambda": self.lam, "held_out": self.held_out}
        if self.start != STARTS[0]:
            own["start"] = STARTS.index(self.start)
        return replace(self.options, settings={**own, "filters": filters, "channels": channels})


@dataclass(frozen=True)
class DistilRecipe:
    """How a light decoder is trained for a codec that is there.

    Attributes
    ----------
    codec : Path
        Folder of the codec; the decoder is added to it.
    width, blocks : int
        Channels of the decoder at a quarter of the resolution, and blocks there.
    size : int
        Side of the crops, px.
    held_out : float
    device : str
    options : TrainOptions
    """

    codec: Path
    width: int = 48
    blocks: int = 4
    size: int = 256
    held_out: float = 0.1
    device: str = "auto"
    options: TrainOptions = field(default_factory=lambda: TrainOptions(batch_size=16))

    @property
    def checkpoint(self) -> Path:
        """Where checkpoints and logs lie, beside the codec."""
        return self.codec.with_name(f"{self.codec.name}.light.training")

    @property
    def training_options(self) -> TrainOptions:
        """The options with all that must be the same when a run goes on."""
        own = {"size": self.size, "width": self.width, "blocks": self.blocks, "held_out": self.held_out}
        return replace(self.options, settings=own)


@dataclass(frozen=True, eq=False)
class Crops:
    """Crops drawn together: (n, s, s, 3) uint8."""

    images: np.ndarray


class Patches:
    """Crops of a patch source, changed as other slides and scanners would have made them, or not.

    Parameters
    ----------
    source : PatchSource
    augmented : bool
    """

    def __init__(self, source: PatchSource, *, augmented: bool) -> None:
        self._source, self._augmented = source, augmented

    def draw(self, count: int, rng: np.random.Generator) -> Crops:
        """Draw crops."""
        images = self._source.draw(count, rng).images
        if self._augmented:
            images = np.stack([augment(image, rng) for image in images])
        return Crops(images)


@dataclass(frozen=True, eq=False)
class LoadedPatches:
    """Sets that are ready to draw from: each folder, or store, at its own resolution.

    Attributes
    ----------
    train, held_out : list of Patches
    facts : list of mapping
        For the model card.
    """

    train: list[Patches]
    held_out: list[Patches]
    facts: list[Mapping[str, Any]]


def load_patches(
    folders: Sequence[TileFolder],
    stores: Sequence[Path],
    *,
    size: int,
    held_out: float,
    seed: int = 0,
    token: CancellationToken | None = None,
) -> LoadedPatches:
    """Read folders of tiles and stores of patches, each at its own resolution, split by slide or patient.

    Parameters
    ----------
    folders : sequence of TileFolder
    stores : sequence of Path
        As ``napari-nic patches extract`` makes them.
    size : int
        Side of the crops, px.
    held_out : float
        Share that is kept for validation.
    seed : int
        Of the split.
    token : CancellationToken, optional

    Raises
    ------
    InvalidParameterError
        If there is nothing to draw from.
    """
    if not folders and not stores:
        raise InvalidParameterError(
            "nothing to train on", hint="name data with --tiles or --patches (see --help)"
        )
    loaded = []
    for folder in checked(folders, token):
        wanted = Wanted(size, folder.mpp, held_out, seed)
        loaded.append(TileFolders([folder]).load(wanted, token=token))
    for path in checked(stores, token):
        wanted = Wanted(size, PatchStore.open(path).mpp, held_out, seed)
        loaded.append(StoreSet(path).load(wanted, token=token))
    return LoadedPatches(
        [Patches(one.train, augmented=True) for one in loaded],
        [Patches(one.held_out, augmented=False) for one in loaded if one.held_out is not None],
        [one.facts for one in loaded],
    )
