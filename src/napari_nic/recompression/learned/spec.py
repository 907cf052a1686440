"""What a learned codec is, apart from its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from napari_nic.descriptions import (
    Checks,
    check_fields,
    is_finite,
    is_mapping,
    is_name,
    is_sha256,
    is_text,
    is_whole,
    sealed,
)
from napari_nic.errors import WeightsError

MOST_CHANNELS = 4096


@dataclass(frozen=True)
class CodecSpec:
    """Description of a learned codec.

    Attributes
    ----------
    name : str
        How users call it.
    network : str
        Which of the networks it is.
    filters, channels : int
        N and M of the papers.
    loss : str
        What the distortion was in training.
    weight : float
        Lambda, the weight of the distortion.
    encoder_sha256, decoder_sha256 : str
        Of the files of weights.
    light_sha256 : str
        Of the light decoder; empty if there is none.
    licence, summary, citation : str
    training : mapping
        Data, duration and results, for the model card.
    light_training : mapping
        Of the light decoder.
    """

    name: str
    network: str
    filters: int
    channels: int
    loss: str = ""
    weight: float = 0.0
    encoder_sha256: str = ""
    decoder_sha256: str = ""
    light_sha256: str = ""
    licence: str = "unspecified"
    summary: str = ""
    citation: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    light_training: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CodecSpec:
        """Check and take what was read from JSON.

        Raises
        ------
        WeightsError
            If a field is missing, unknown or wrong.
        """
        check_fields(
            data,
            _CHECKS,
            WeightsError,
            what="a description of a learned codec",
            known=[one.name for one in fields(cls)],
            required=("name", "network", "filters", "channels", "encoder_sha256", "decoder_sha256"),
        )
        return cls(**data)


def _is_width(value: Any) -> bool:
    return is_whole(value, MOST_CHANNELS)


_CHECKS: Checks = {
    "name": ("a name", is_name),
    "network": ("a name", is_name),
    "filters": (f"a whole number up to {MOST_CHANNELS}", _is_width),
    "channels": (f"a whole number up to {MOST_CHANNELS}", _is_width),
    "loss": ("text", is_text),
    "weight": ("a number", lambda value: is_finite(value) and value >= 0),
    "encoder_sha256": ("a SHA-256", is_sha256),
    "decoder_sha256": ("a SHA-256", is_sha256),
    "light_sha256": ("a SHA-256, or nothing", lambda value: value == "" or is_sha256(value)),
    "licence": ("text", is_text),
    "summary": ("text", is_text),
    "citation": ("text", is_text),
    "training": ("an object", is_mapping),
    "light_training": ("an object", is_mapping),
}


def spec_text(spec: CodecSpec) -> str:
    """Return the content of the file that describes it."""
    return json.dumps(sealed(spec.to_dict()), indent=2) + "\n"
