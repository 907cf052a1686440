"""What a training of a tissue U-Net is, as a value; no PyTorch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_nic.errors import InvalidParameterError
from napari_nic.tissue.unet import PAPER_WIDTHS, UnetSpec, user_unets_folder
from napari_nic.training.options import TrainOptions

CITATION = "Deep learning-based compression of giga-resolution whole slide images (Smistad group), 2026"


@dataclass(frozen=True)
class UnetRecipe:
    """How a tissue U-Net is trained, and what it is called.

    Attributes
    ----------
    name : str
    out : Path, optional
        Folder of the network; that of the user's networks by default.
    widths : tuple of int
        Filters of the contracting blocks.
    mpp : float
        Resolution at which it will look for tissue, um/px.
    size : int
        Side of the crops, px; a multiple of 2 to the number of blocks.
    held_out : float
        Share of the slides that is kept for validation.
    cross_entropy : float
        Weight of the cross entropy beside the Dice loss; the published training has none.
    device : str
    card : mapping of str to str
        ``data``, ``licence`` and ``summary``, for the model card.
    options : TrainOptions
        Steps, rates, patience and seed; what it says of encoders plays no part.
    """

    name: str
    out: Path | None = None
    widths: tuple[int, ...] = PAPER_WIDTHS
    mpp: float = 4.0
    size: int = 256
    held_out: float = 0.2
    cross_entropy: float = 0.0
    device: str = "auto"
    card: Mapping[str, str] = field(default_factory=dict)
    options: TrainOptions = field(default_factory=TrainOptions)

    def __post_init__(self) -> None:
        factor = self.spec.factor
        if self.size < factor or self.size % factor:
            raise InvalidParameterError(
                "the network cannot take crops of this size",
                expected=f"a multiple of {factor} px",
                found=f"{self.size} px",
            )

    @property
    def folder(self) -> Path:
        """Where the network is written."""
        return self.out or user_unets_folder() / self.name

    @property
    def checkpoint(self) -> Path:
        """Where checkpoints and logs lie, beside it."""
        return self.folder.with_name(f"{self.folder.name}.training")

    @property
    def training_options(self) -> TrainOptions:
        """The options with all that must be the same when a run goes on."""
        own = {"size": self.size, "cross_entropy": self.cross_entropy, "held_out": self.held_out}
        widths = {f"width_{number}": width for number, width in enumerate(self.widths)}
        return replace(self.options, settings={**own, **widths})

    @property
    def spec(self) -> UnetSpec:
        """The network's description, without weights."""
        summary = self.card.get("summary") or "Tells tissue from glass on overviews of slides."
        licence = self.card.get("licence", "unspecified")
        return UnetSpec(self.name, self.widths, self.mpp, licence=licence, summary=summary, citation=CITATION)
