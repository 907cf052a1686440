"""Training the experiment's encoders, and encoding patches with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.encoders import Encoder, EncoderSpec, load_encoder
from napari_nic.encoders.mean_rgb import MEAN_RGB, MeanRgbEncoder
from napari_nic.encoders.store import SPEC_FILE
from napari_nic.jobs import CancellationToken
from napari_nic.training import TrainingProgress, TrainOptions
from napari_nic_experiments.digits.glyphs import GLYPH, Glyphs
from napari_nic_experiments.digits.images import DigitImages
from napari_nic_experiments.digits.patches import NOMINAL_MPP, CanvasPatches, GlyphPatches, as_rgb

if TYPE_CHECKING:
    from napari_nic.training.objectives.base import Objective

METHODS = ("supervised", "contrastive", "vae", "bigan", "mean")
"""From the paper's best on these data to the lower bound; the first is its oracle."""

MEAN = METHODS[-1]
MEAN_CODE_SIZE = MEAN_RGB.code_size
AUGMENTATION = "shape"
"""Scaling and elastic deformation, as the paper says for these data."""

HELD_OUT = 0.3
"""Share of the encoders' pictures that validates (published code)."""

_BATCH = 4096
_FINISHING_PATCHES = 4096


@dataclass(frozen=True)
class EncoderTraining:
    """How long encoders are trained.

    Attributes
    ----------
    steps, batch_size : int
        Steps at most, and patches or pairs in each.
    validate_every, patience : int
        Steps between validations; validations without gain until the rate falls to a tenth.
    """

    steps: int = 15_000
    batch_size: int = 64
    validate_every: int = 500
    patience: int = 4


@dataclass(frozen=True, eq=False)
class EncoderData:
    """What encoders are trained on.

    Attributes
    ----------
    images : DigitImages
        Whose cells are the patches of the unsupervised ones.
    glyphs : Glyphs
        With classes, for the supervised one.
    """

    images: DigitImages
    glyphs: Glyphs

    def sources(self, method: str) -> tuple[CanvasPatches | GlyphPatches, CanvasPatches | GlyphPatches]:
        """Return what is trained on, and what is held out."""
        if method == METHODS[0]:
            kept, away = self.glyphs.split(HELD_OUT, np.random.default_rng(self.images.seed))
            return GlyphPatches(kept), GlyphPatches(away)
        images = self.images
        first = min(len(images) - 2, round(len(images) * (1 - HELD_OUT)))
        training = DigitImages(images.canvas, images.glyphs, first, seed=images.seed)
        held_out = DigitImages(images.canvas, images.glyphs, len(images) - first, seed=images.seed + 1)
        return CanvasPatches(training), CanvasPatches(held_out)


def train_digit_encoder(
    method: str,
    code_size: int,
    data: EncoderData,
    folder: Path,
    training: EncoderTraining,
    *,
    device: str = "cpu",
    token: CancellationToken | None = None,
) -> Iterator[TrainingProgress]:
    """Train an encoder into a folder, going on from its checkpoint; nothing is done if it is there.

    Parameters
    ----------
    method : str
        One of :data:`METHODS`; ``"mean"`` needs no training.
    code_size : int
    data : EncoderData
    folder : Path
        Of ``encoder.json`` and ``weights.safetensors``; checkpoints and logs lie in ``training`` below it.
    training : EncoderTraining
    device : str
        As resolved by :mod:`napari_nic.device`.
    token : CancellationToken, optional

    Yields
    ------
    TrainingProgress

    Raises
    ------
    CancelledError
        What is done is kept.
    WeightsError
        If the checkpoint is that of another training.
    """
    if method == MEAN or (folder / SPEC_FILE).is_file():
        return
    from napari_nic.training.loop import Sources, run_training
    from napari_nic_experiments.digits.network import ARCHITECTURE
    from napari_nic_experiments.digits.objectives import make_objective

    kept, held_out = data.sources(method)
    options = _options(code_size, training, data.images.seed, ARCHITECTURE)
    objective = make_objective(method, options, [kept])
    sources = Sources([kept], [held_out])
    report: TrainingProgress | None = None
    for report in run_training(objective, sources, folder / "training", options, device=device, token=token):
        yield report
    rng = np.random.default_rng(data.images.seed)
    objective.finish(kept.draw(_FINISHING_PATCHES, rng).images)
    facts = {"steps": report.done, "validation": dict(report.validation)} if report else {}
    _save(method, code_size, objective, folder, facts)


def _save(method: str, code_size: int, objective: Objective, folder: Path, facts: dict[str, Any]) -> None:
    """Write a finished encoder with its card, which tells nothing but what it is."""
    from napari_nic.training.publish import save_encoder
    from napari_nic_experiments.digits.network import ARCHITECTURE

    spec = EncoderSpec(
        name=f"digits-{method}-{code_size}",
        code_size=code_size,
        patch_size=GLYPH,
        mpp=NOMINAL_MPP,
        input_size=GLYPH,
        architecture=ARCHITECTURE,
        licence="MIT",
        summary=f"{objective.title}, trained on digits of {GLYPH} px: for the synthetic experiment only.",
        citation=objective.citation,
    )
    card = f"# {spec.name}\n\n{spec.summary}\n"
    save_encoder(objective.encoder.cpu(), spec, folder, card=card, training=facts)


def load_digit_encoder(method: str, folder: Path, *, device: str = "cpu") -> Encoder:
    """Load a trained encoder; ``"mean"`` needs no folder.

    Raises
    ------
    UnknownNameError, WeightsError
        If it is not there, or damaged.
    """
    if method == MEAN:
        spec = replace(MEAN_RGB, patch_size=GLYPH, input_size=GLYPH, mpp=NOMINAL_MPP)
        return MeanRgbEncoder(spec, batch_size=_BATCH)
    from napari_nic_experiments.digits.network import ARCHITECTURE

    assert ARCHITECTURE  # noqa: S101 - importing the module makes the architecture known
    return load_encoder(folder, device=device, precision="float32")


def encode_patches(encoder: Encoder, patches: np.ndarray) -> np.ndarray:
    """Encode grey patches.

    Parameters
    ----------
    encoder : Encoder
    patches : ndarray of uint8, (n, 9, 9)

    Returns
    -------
    ndarray of float16, (n, C)
    """
    codes = [
        encoder.encode(as_rgb(patches[start : start + _BATCH])).astype(np.float16)
        for start in range(0, len(patches), _BATCH)
    ]
    return np.concatenate(codes)


def _options(code_size: int, training: EncoderTraining, seed: int, architecture: str) -> TrainOptions:
    return TrainOptions(
        code_size=code_size,
        architecture=architecture,
        steps=training.steps,
        batch_size=training.batch_size,
        validate_every=training.validate_every,
        checkpoint_every=training.validate_every,
        patience=training.patience,
        seed=seed,
        augmentation=AUGMENTATION,
    )
