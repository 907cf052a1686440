"""What an encoder is, apart from its weights: a value that is stored with every code it makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

import numpy as np

from napari_nic import identity
from napari_nic.descriptions import (
    MOST_NAME,
    Checks,
    check_fields,
    is_finite,
    is_mapping,
    is_name,
    is_sha256,
    is_text,
    is_whole,
)
from napari_nic.errors import WeightsError

MOST_CODE, MOST_PATCH_PX, MOST_INPUT_PX, MOST_MPP = 65_536, 65_536, 4_096, 1_000.0
"""No encoder is larger; what a file states beyond these is a mistake or meant to exhaust memory."""

MODEL_FILES = {"torchscript": "model.pt", "torch-export": "model.pt2", "onnx": "model.onnx"}
"""What holds the weights of the architectures that are a file of their own."""


@dataclass(frozen=True)
class EncoderSpec:
    """Description of an encoder.

    Attributes
    ----------
    name : str
        How users call it.
    code_size : int
        Length C of the embedding.
    patch_size : int
        Patch side P in pixels at `mpp`.
    mpp : float
        Resolution that the encoder was made for, um/px.
    input_size : int
        Side of the network's input; patches are area-averaged to it.
    architecture : str
        Name of the network, see :mod:`napari_nic.encoders.networks`, or of what runs another's network, see
        :mod:`napari_nic.encoders.external`; ``"mean-rgb"`` has none.
    weights_sha256 : str or None
        Of the file of weights; None for an encoder without weights.
    licence, summary, citation : str
    training : mapping
        Data, duration and results, for the model card.
    options : mapping
        What else determines the codes, as JSON values: how pixels are normalised, how tokens are pooled, a
        projection. Empty for the networks of this package.
    """

    name: str
    code_size: int
    patch_size: int
    mpp: float
    input_size: int
    architecture: str
    weights_sha256: str | None = None
    licence: str = ""
    summary: str = ""
    citation: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON form; read back by :meth:`from_dict`. Without options it is that of earlier versions."""
        return {name: value for name, value in asdict(self).items() if name != "options" or value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> EncoderSpec:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        WeightsError
            If fields are missing or unknown, or a value is of another type or beyond any encoder's.
        """
        known = {f.name for f in fields(cls)}
        required = {"name", "code_size", "patch_size", "mpp", "input_size", "architecture"}
        check_fields(
            data, _FIELDS, WeightsError, what="an encoder description", known=known, required=required
        )
        return cls(**data)

    def identity(self) -> dict[str, Any]:
        """Return what determines the codes; two encoders with the same identity give the same codes."""
        described = self.to_dict()
        return {name: described[name] for name in identity.KEYS if name in described}

    def matches(self, encoder: Mapping[str, Any]) -> bool:
        """Whether a description (of a store, a model, a file) means the codes that this encoder gives."""
        return not identity.differing(self.to_dict(), encoder)


_FIELDS: Checks = {
    "name": (f"a name of 1 to {MOST_NAME} printable characters", is_name),
    "code_size": (f"a whole number, 1 to {MOST_CODE:,}", lambda value: is_whole(value, MOST_CODE)),
    "patch_size": (f"pixels, 1 to {MOST_PATCH_PX:,}", lambda value: is_whole(value, MOST_PATCH_PX)),
    "mpp": (
        f"um/px, above 0 and at most {MOST_MPP:g}",
        lambda value: is_finite(value) and 0 < value <= MOST_MPP,
    ),
    "input_size": (f"pixels, 1 to {MOST_INPUT_PX:,}", lambda value: is_whole(value, MOST_INPUT_PX)),
    "architecture": ("the name of an architecture", is_name),
    "weights_sha256": ("64 hexadecimal digits", lambda value: value is None or is_sha256(value)),
    **dict.fromkeys(("licence", "summary", "citation"), ("text", is_text)),
    **dict.fromkeys(("training", "options"), ("a JSON object", is_mapping)),
}
"""What each field of a description may hold."""


class Encoder(Protocol):
    """A loaded encoder on a device.

    Attributes
    ----------
    spec : EncoderSpec
    device : str
        ``"cpu"``, ``"cuda:0"``, ``"mps"``.
    precision : str
        ``"float32"`` or ``"bfloat16"``.
    batch_size : int
        Patches in a full batch.
    """

    spec: EncoderSpec
    device: str
    precision: str
    batch_size: int

    def prepare_thread(self) -> None:
        """Set the calling thread up for encoding; call it once in every worker thread."""
        ...

    def encode(self, batch: np.ndarray) -> np.ndarray:
        """Encode patches.

        Parameters
        ----------
        batch : ndarray of uint8, (B, input_size, input_size, 3), RGB

        Returns
        -------
        ndarray of float32, (B, C)
        """
        ...
