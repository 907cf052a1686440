"""What a tissue U-Net is, apart from its weights."""

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

PAPER_WIDTHS = (32, 32, 64, 128, 128)
"""Filters of the five blocks of the published network; its bottom has as many as the last one."""

MPP = 4.0
"""The published network looks for tissue at 2.5x."""

MOST_WIDTH, MOST_BLOCKS, MOST_MPP = 1024, 8, 64.0


@dataclass(frozen=True)
class UnetSpec:
    """Description of a tissue U-Net.

    Attributes
    ----------
    name : str
        How users call it.
    widths : tuple of int
        Filters of each contracting block; the bottom has those of the last.
    mpp : float
        Resolution at which it looks for tissue, um/px.
    weights_sha256 : str
        Of the file of weights.
    licence, summary, citation : str
    training : mapping
        Data, duration and results, for the model card.
    """

    name: str
    widths: tuple[int, ...] = PAPER_WIDTHS
    mpp: float = MPP
    weights_sha256: str = ""
    licence: str = "unspecified"
    summary: str = ""
    citation: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)

    @property
    def factor(self) -> int:
        """Sides of what the network takes are multiples of this."""
        return int(2 ** len(self.widths))

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> UnetSpec:
        """Check and take what was read from JSON.

        Raises
        ------
        WeightsError
            If a field is missing, unknown or wrong.
        """
        known = [one.name for one in fields(cls)]
        check_fields(
            data,
            _CHECKS,
            WeightsError,
            what="a description of a tissue U-Net",
            known=known,
            required=("name", "widths", "mpp", "weights_sha256"),
        )
        return cls(**{**data, "widths": tuple(data["widths"])})


def _are_widths(value: Any) -> bool:
    is_list = isinstance(value, list) and 1 <= len(value) <= MOST_BLOCKS
    return is_list and all(is_whole(width, MOST_WIDTH) for width in value)


_CHECKS: Checks = {
    "name": ("a name", is_name),
    "widths": (f"1 to {MOST_BLOCKS} whole numbers up to {MOST_WIDTH}", _are_widths),
    "mpp": (
        f"um/px, above 0, at most {MOST_MPP:g}",
        lambda value: is_finite(value) and 0 < value <= MOST_MPP,
    ),
    "weights_sha256": ("a SHA-256", is_sha256),
    "licence": ("text", is_text),
    "summary": ("text", is_text),
    "citation": ("text", is_text),
    "training": ("an object", is_mapping),
}


def spec_text(spec: UnetSpec) -> str:
    """Return the content of the file that describes it."""
    return json.dumps(sealed(spec.to_dict()), indent=2) + "\n"
