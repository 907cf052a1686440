"""The slide-level network as a value: what is stored in a bundle and built again from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import partial
from typing import Any, Literal, Self, get_args

from napari_nic.descriptions import Checks, check_fields, is_finite, is_whole
from napari_nic.errors import InvalidParameterError
from napari_nic.slide_models.features import FeatureGrid

Kind = Literal["cnn", "attention", "linear", "mlp"]

VECTOR_KINDS: tuple[Kind, ...] = ("linear", "mlp")
"""Networks on one vector a slide: a grid of a single cell."""

PAPER_CROP = 400
PAPER_STRIDES = (2, 2, 2, 2, 2, 2, 1, 1)
LEAST_STRIDES = PAPER_STRIDES[-2:]
"""What is left of the paper's network on the smallest crops."""

COMPACT_STRIDES = (1, 2, 1, 1)
"""Every fourth cell in the last feature map; sees 13 x 13 cells at once, fits grids from 13 cells."""

MOST_LAYERS, MOST_STRIDE = 64, 16
"""No slide model is larger; what a file states beyond is a mistake or meant to exhaust memory."""


def _are_strides(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) <= MOST_LAYERS
        and all(is_whole(stride, MOST_STRIDE) for stride in value)
    )


_FIELDS: Checks = {
    **{
        name: (f"a whole number, 1 to {most:,}", partial(is_whole, most=most))
        for name, most in (
            ("code_size", 65_536),
            ("outputs", 10_000),
            ("crop_size", 100_000),
            ("width", 4_096),
        )
    },
    "strides": (f"at most {MOST_LAYERS} whole numbers, 1 to {MOST_STRIDE}", _are_strides),
    "dropout": ("a number", is_finite),
    "kind": (" or ".join(get_args(Kind)), lambda value: value in get_args(Kind)),
}
"""What each field of a description may hold."""


@dataclass(frozen=True)
class SlideNetConfig:
    """Shape of a network on embeddings: the CNN of Tellez et al. 2019 (arXiv v2, appendix), or another.

    Attributes
    ----------
    code_size : int
        Channels C of the codes.
    outputs : int
        1 for two classes (a sigmoid follows), for one regression target and for a risk; else one per class
        or target.
    crop_size : int
        Side R of the crops in cells.
    width : int
        Channels of every layer, and of the dense layer.
    strides : tuple of int
        One per convolution 3 x 3 with valid padding; empty for others than the CNN.
    dropout : float
        Share of feature maps that are dropped whole while training.
    kind : {"cnn", "attention", "linear", "mlp"}
        The last two see one vector a slide: their code size is D, their crops are of one cell.

    Notes
    -----
    The last feature map is averaged over its locations. At R = 400 and the paper's strides it has exactly
    one (400, 199, 99, 49, 24, 11, 5, 3, 1), so this *is* the paper's network; with other sizes it is the
    same with adaptive pooling.
    """

    code_size: int
    outputs: int
    crop_size: int = PAPER_CROP
    width: int = 128
    strides: tuple[int, ...] = PAPER_STRIDES
    dropout: float = 0.2
    kind: Kind = "cnn"

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InvalidParameterError(
                "unknown kind of slide model", expected=" or ".join(get_args(Kind)), found=repr(self.kind)
            )
        numbers = (self.code_size, self.outputs, self.crop_size, self.width, *self.strides)
        if min(numbers) < 1 or bool(self.strides) != (self.kind == "cnn") or not 0 <= self.dropout < 1:
            raise InvalidParameterError("sizes of a slide model must be positive", found=f"{self}")
        if self.is_of_vectors and self.crop_size != 1:
            raise InvalidParameterError("a slide's vector is one cell", found=f"crops of {self.crop_size}")
        if self.crop_size < self.least_size:
            raise InvalidParameterError(
                "the crops are too small for these strides",
                expected=f"at least {self.least_size} cells",
                found=f"{self.crop_size} cells",
                hint=f"take larger crops (--crop {self.least_size}), or --architecture attention",
            )

    @classmethod
    def compact(cls, code_size: int, outputs: int, crop_size: int = 32, *, width: int = 64) -> Self:
        """Make a small network for grids of 16 to 64 cells; its first layer has stride 1."""
        return cls(code_size, outputs, crop_size, width, COMPACT_STRIDES)

    @classmethod
    def adaptive(cls, code_size: int, outputs: int, crop_size: int = PAPER_CROP, *, width: int = 128) -> Self:
        """Make the paper's network for crops of any size, with adaptive pooling at its end.

        It has as many of the paper's layers of stride 2 as the crops allow (all six from R = 383), and always
        its two layers of stride 1: R = 400 gives the paper's network, R = 48 has three layers of stride 2.
        """
        strides: tuple[int, ...] = PAPER_STRIDES
        while strides[0] > 1 and FeatureGrid.after(strides).field > crop_size:
            strides = strides[1:]
        return cls(code_size, outputs, crop_size, width, strides)

    @classmethod
    def attention(
        cls, code_size: int, outputs: int, crop_size: int = PAPER_CROP, *, width: int = 128
    ) -> Self:
        """Make gated attention over the cells of a crop (Ilse et al. 2018)."""
        return cls(code_size, outputs, crop_size, width, (), kind="attention")

    @classmethod
    def vector(cls, kind: Kind, code_size: int, outputs: int, *, width: int = 128) -> Self:
        """Make a linear model (``"linear"``), or one with a hidden layer (``"mlp"``), of a slide's vector."""
        return cls(code_size, outputs, 1, width, (), kind=kind)

    @property
    def is_of_vectors(self) -> bool:
        """Whether the network sees one vector a slide, and no places."""
        return self.kind in VECTOR_KINDS

    @property
    def is_exact(self) -> bool:
        """Whether a crop leaves one location in the last feature map, so that nothing is averaged."""
        return self.kind == "cnn" and self.features().size(self.crop_size) == 1

    @property
    def layers(self) -> int:
        """Count the layers whose features lie on the grid."""
        return max(1, len(self.strides))

    @property
    def least_size(self) -> int:
        """Smallest input side in cells that leaves one feature."""
        return self.features().field

    def features(self, layer: int = -1) -> FeatureGrid:
        """Where the features of a layer lie on the cells; the last layer by default.

        Raises
        ------
        InvalidParameterError
            If there is no such layer.
        """
        if not -self.layers <= layer < self.layers:
            raise InvalidParameterError("no such layer", expected=f"0 to {self.layers - 1}", found=str(layer))
        return FeatureGrid.after(self.strides[: layer % self.layers + 1])

    def to_dict(self) -> dict[str, Any]:
        """JSON form; read back by :meth:`from_dict`."""
        return asdict(self) | {"strides": list(self.strides)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`; a description without a kind is that of a CNN.

        Raises
        ------
        InvalidParameterError
            If fields are missing, unknown or of another type.
        """
        names = [f.name for f in fields(cls)]
        data = {"kind": "cnn", **data}
        what = "the description of a slide model"
        check_fields(data, _FIELDS, InvalidParameterError, what=what, known=names, required=names)
        whole = {name: data[name] for name in ("code_size", "outputs", "crop_size", "width")}
        kind: Any = data["kind"]
        return cls(**whole, strides=tuple(data["strides"]), dropout=float(data["dropout"]), kind=kind)
