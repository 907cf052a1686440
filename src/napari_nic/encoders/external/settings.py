"""What a user, or the JSON file beside a model, says of a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from napari_nic.descriptions import is_finite, is_name, is_whole
from napari_nic.encoders.spec import MOST_INPUT_PX, MOST_MPP, MOST_PATCH_PX, EncoderSpec
from napari_nic.errors import InvalidParameterError

Triple: TypeAlias = tuple[float, float, float]

NORMALISATIONS: dict[str, tuple[Triple, Triple]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "symmetric": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""Mean and standard deviation by name: ImageNet's, [-1, 1] and [0, 1]."""

DEFAULT_MPP = 0.5
"""For networks of photographs, which know no resolution: that of the method's paper, um/px."""

POOLINGS = ("auto", "cls", "mean", "cls+mean")

PROJECTIONS = ("pca", "random")

GivePatches: TypeAlias = Callable[[EncoderSpec], np.ndarray]
"""From an encoder's spec to patches for it, uint8 (n, input_size, input_size, 3)."""


@dataclass(frozen=True)
class Settings:
    """Facts about a network that its file does not hold; None is not stated.

    Attributes
    ----------
    mpp : float, optional
        Resolution that it was made for, um/px.
    patch_size : int, optional
        Side of a patch in pixels at `mpp`; by default `input_size`.
    input_size : int, optional
        Side of the network's input in pixels.
    mean, std : (float, float, float), optional
        Normalisation of red, green, blue in [0, 1]; ImageNet's by default.
    pooling : str, optional
        One of :data:`POOLINGS`; ``auto`` by default.
    prefix_tokens : int, optional
        Tokens before those of the patches; 1 by default.
    output : str, optional
        Which output of an ONNX file.
    licence, summary, citation : str, optional
        For the model card.
    """

    mpp: float | None = None
    patch_size: int | None = None
    input_size: int | None = None
    mean: Triple | None = None
    std: Triple | None = None
    pooling: str | None = None
    prefix_tokens: int | None = None
    output: str | None = None
    licence: str | None = None
    summary: str | None = None
    citation: str | None = None

    def __post_init__(self) -> None:
        for name, (expected, fits) in _FITS.items():
            value = getattr(self, name)
            if value is not None and not fits(value):
                raise InvalidParameterError(
                    f"{name} of a network", expected=expected, found=repr(value)[:200]
                )
        if self.pooling is not None and self.pooling not in POOLINGS:
            raise InvalidParameterError(
                "unknown pooling", expected=f"one of {', '.join(POOLINGS)}", found=self.pooling
            )

    def or_else(self, other: Settings) -> Settings:
        """Return these settings with what they do not state taken from `other`."""
        stated = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        return replace(other, **stated)

    def required(self, *names: str) -> None:
        """Raise :class:`InvalidParameterError` if one of these is not stated."""
        missing = [name for name in names if getattr(self, name) is None]
        if missing:
            raise InvalidParameterError(
                "a network's file does not say what patches it wants",
                expected=f"{', '.join(missing)}",
                hint="state it in a JSON file beside the model, or as an option (--target-mpp, --input-size)",
            )


MOST_TOKENS = 1_000


def is_triple(value: Any) -> bool:
    """Whether a value of a JSON file is three finite numbers."""
    return isinstance(value, list | tuple) and len(value) == 3 and all(is_finite(one) for one in value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


_FITS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "mpp": (f"above 0 and at most {MOST_MPP:g}", lambda value: is_finite(value) and 0 < value <= MOST_MPP),
    "patch_size": (f"above 0 and at most {MOST_PATCH_PX:,}", lambda value: is_whole(value, MOST_PATCH_PX)),
    "input_size": (f"above 0 and at most {MOST_INPUT_PX:,}", lambda value: is_whole(value, MOST_INPUT_PX)),
    "prefix_tokens": (f"0 to {MOST_TOKENS:,}", lambda value: is_whole(value, MOST_TOKENS, least=0)),
    "mean": ("three finite numbers", is_triple),
    "std": ("three numbers above 0", lambda value: is_triple(value) and min(value) > 0),
    "output": ("the name of an output", is_name),
    **dict.fromkeys(("pooling", "licence", "summary", "citation"), ("text", _is_text)),
}
"""What each fact may be."""


@dataclass(frozen=True)
class TimmWeights:
    """Where the weights of a timm model come from; exactly one of them is given.

    Attributes
    ----------
    file : Path, optional
        Of safetensors, or of PyTorch, which is then read without unpickling anything but tensors.
    random_seed : int, optional
        Random weights, for tests and as a baseline.
    allow_download : bool
        Ask the model's home for them over the network.
    """

    file: Path | None = None
    random_seed: int | None = None
    allow_download: bool = False

    def __post_init__(self) -> None:
        given = (self.file is not None) + (self.random_seed is not None) + self.allow_download
        if given != 1:
            raise InvalidParameterError(
                "where the weights come from is not said, or twice",
                expected="a file of weights, a download, or random weights",
                hint="one of --weights FILE.safetensors, --allow-download, --random-weights SEED",
            )


@dataclass(frozen=True, eq=False)
class ProjectionRequest:
    """A linear map to put behind a network.

    Attributes
    ----------
    method : str
        ``"pca"`` or ``"random"``.
    code_size : int
        C after it.
    patches : callable, optional
        Gives the patches that a PCA is fitted on.
    seed : int
        Of a random projection.
    """

    method: str
    code_size: int
    patches: GivePatches | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in PROJECTIONS or self.code_size < 1:
            raise InvalidParameterError(
                "no such projection",
                expected="pca:C or random:C, for instance pca:128",
                found=f"{self.method}:{self.code_size}",
            )
        if self.method == "pca" and self.patches is None:
            raise InvalidParameterError(
                "a PCA is fitted on patches, and none are given", hint="give tiles: --tiles FOLDER=UM"
            )
