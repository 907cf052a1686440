"""What the experiment consists of: presets, and the cells of its sweeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from napari_nic.errors import UnknownNameError
from napari_nic.slide_models import TrainingSettings
from napari_nic_experiments.digits.encoders import MEAN, MEAN_CODE_SIZE, METHODS, EncoderTraining
from napari_nic_experiments.digits.glyphs import GLYPH
from napari_nic_experiments.digits.layout import Canvas

ORACLE = METHODS[0]
CODE_SIZE = 16
VALIDATION_SHARE = 0.25
"""Of the CNN's pictures, as in the paper."""

SWEEPS = ("lesion-size", "code-size", "stride", "training-size")
"""Parts a to d of the paper's Fig. 6."""

SALIENCY = "saliency"
"""Its Fig. 7."""


@dataclass(frozen=True)
class Cell:
    """One slide-level CNN of the experiment.

    Attributes
    ----------
    encoder : str
        One of :data:`~napari_nic_experiments.digits.encoders.METHODS`.
    code_size : int
    stride : int
        In pixels.
    images : int
        For training and validation.
    epochs : int, optional
        Of the CNN, at most; by default the preset's.
    """

    encoder: str
    code_size: int
    stride: int
    images: int
    epochs: int | None = None

    @property
    def name(self) -> str:
        """Name of its files: ``vae-c16-s9-n3000``."""
        suffix = "" if self.epochs is None else f"-e{self.epochs}"
        return f"{self.encoder}-c{self.code_size}-s{self.stride}-n{self.images}{suffix}"


@dataclass(frozen=True)
class Preset:
    """Size of the experiment.

    Attributes
    ----------
    name : str
    canvas : Canvas
    encoder_images, train_images, test_images : int
        Pictures for the encoders, for the CNN (a quarter of them validates) and for its test.
    stride_images, stride_test_images : int
        For the sweep over strides, whose codes are painted and encoded.
    code_sizes, strides, train_sizes : tuple of int
        What the sweeps go through, besides the defaults: C = 16, stride 9 px, all pictures.
    saliency_images : int
        Pictures that choose how saliency becomes an area, and so many others that measure it.
    encoder : EncoderTraining
    cnn : TrainingSettings
    width : int
        Channels of the CNN.
    dropout : float
        Share of its feature maps that are dropped whole while training.
    saliency_epochs : int, optional
        Of the CNN whose saliency is measured; by default it is that of the sweeps.
    """

    name: str
    canvas: Canvas
    encoder_images: int
    train_images: int
    test_images: int
    stride_images: int
    stride_test_images: int
    code_sizes: tuple[int, ...]
    strides: tuple[int, ...]
    train_sizes: tuple[int, ...]
    saliency_images: int
    encoder: EncoderTraining
    cnn: TrainingSettings
    width: int = 128
    dropout: float = 0.2
    saliency_epochs: int | None = None

    @property
    def default(self) -> Cell:
        """The oracle with C = 16 and stride 9 on all pictures."""
        return self.cell(ORACLE)

    @property
    def explained(self) -> Cell:
        """The cell whose saliency is measured: the default one, perhaps trained for longer."""
        return replace(self.default, epochs=self.saliency_epochs)

    def cell(self, encoder: str) -> Cell:
        """Return an encoder's default cell; the mean has its own code size."""
        code_size = MEAN_CODE_SIZE if encoder == MEAN else CODE_SIZE
        return Cell(encoder, code_size, GLYPH, self.train_images)

    def sweep(self, name: str) -> tuple[Cell, ...]:
        """List the cells of a sweep; the saliency's is the one that is explained.

        Raises
        ------
        UnknownNameError
        """
        default = self.default
        sweeps = {
            "lesion-size": tuple(self.cell(encoder) for encoder in METHODS),
            "code-size": tuple(
                replace(self.cell(encoder), code_size=size)
                for encoder in METHODS[:-1]
                for size in self.code_sizes
            ),
            "stride": tuple(
                replace(default, stride=stride, images=self.stride_images) for stride in self.strides
            ),
            "training-size": tuple(replace(default, images=images) for images in self.train_sizes),
            SALIENCY: (self.explained,),
        }
        if name not in sweeps:
            raise UnknownNameError(
                f"unknown part of the experiment {name!r}", expected=f"one of {', '.join(sweeps)}"
            )
        return sweeps[name]

    def test_count(self, cell: Cell) -> int:
        """Count the pictures that test a cell."""
        return self.test_images if cell.stride % GLYPH == 0 else self.stride_test_images

    def to_dict(self) -> dict[str, Any]:
        """JSON form, to tell whether a folder holds the same experiment."""
        return asdict(self)


PRESETS: Mapping[str, Preset] = {
    "full": Preset(
        name="full",
        canvas=Canvas(),
        encoder_images=2_500,
        train_images=22_500,
        test_images=25_000,
        stride_images=2_500,
        stride_test_images=2_500,
        code_sizes=(4, 8, 16, 32, 64),
        strides=(18, 9, 6),
        train_sizes=(250, 1_000, 2_500, 10_000, 22_500),
        saliency_images=1_000,
        encoder=EncoderTraining(steps=15_625, batch_size=64, validate_every=500, patience=4),
        cnn=TrainingSettings(epochs=30, patience=3),
    ),
    "reduced": Preset(
        name="reduced",
        canvas=Canvas(cells=50, digits=2_500),
        encoder_images=200,
        train_images=8_000,
        test_images=1_000,
        stride_images=1_000,
        stride_test_images=1_000,
        code_sizes=(4, 16, 64),
        strides=(18, 9, 6),
        train_sizes=(300, 1_000, 3_000, 8_000),
        saliency_images=200,
        encoder=EncoderTraining(steps=1_500, batch_size=128, validate_every=150, patience=3),
        cnn=TrainingSettings(epochs=13, steps=1_000, learning_rate=3e-3, patience=2),
        width=64,
        dropout=0.0,
        saliency_epochs=30,
    ),
    "tiny": Preset(
        name="tiny",
        canvas=Canvas(cells=24, digits=432),
        encoder_images=6,
        train_images=80,
        test_images=20,
        stride_images=40,
        stride_test_images=10,
        code_sizes=(4, 16),
        strides=(9, 6),
        train_sizes=(40, 80),
        saliency_images=10,
        encoder=EncoderTraining(steps=6, batch_size=16, validate_every=3),
        cnn=TrainingSettings(epochs=2),
        width=16,
        saliency_epochs=3,
    ),
}
"""``full`` is the paper's size, for a GPU. ``reduced`` is for two cores and an hour: pictures of 450 px whose
cells are all filled, so that lesions of the same share of the side have a tenth of the paper's digits and not
a sixty-fourth, and a narrower CNN that learns faster without dropout; one that is trained for longer is
explained. ``tiny`` only tests the way.

The long side of rectangles begins at 36 px in all of them: 1 % of the side in ``full``, 8 % in ``reduced``.
The paper's text does not tell which code sizes, strides and numbers of images its Fig. 6 goes through; those
here are our choice, and so are the encoders' steps (15,625 of 64 pairs are its million pairs once).
"""


def get_preset(name: str) -> Preset:
    """Return a preset by name.

    Raises
    ------
    UnknownNameError
    """
    if name not in PRESETS:
        raise UnknownNameError(f"unknown preset {name!r}", expected=f"one of {', '.join(PRESETS)}")
    return PRESETS[name]
