"""When two encoders give the same codes: the one comparison that stores, models and the window make."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

KEYS = ("architecture", "code_size", "patch_size", "mpp", "input_size", "weights_sha256", "options")
"""Entries of an encoder's description that determine the codes; the others describe it for people."""

_HASH = re.compile(r"-[0-9a-f]{8}$")
"""What STAMP wrote after an encoder's name for a time: of its own program, not of the weights."""


def identity(encoder: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of an encoder's description that determine its codes; None for one that lacks."""
    return {key: encoder.get(key) for key in KEYS}


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the entries in which two descriptions of encoders mean other codes; none if they mean the same.

    Of encoders of other programs neither architecture nor weights are known: their names tell them apart.

    Parameters
    ----------
    one, other : mapping
        As in ``encoder.json``, the header of a store or the model card of a slide model.
    """
    different = tuple(key for key in KEYS if one.get(key) != other.get(key))
    return different if different or _name(one) == _name(other) else ("name",)


def _name(encoder: Mapping[str, Any]) -> str | None:
    """Name of an encoder of which nothing else tells it from others: of codes that another program made."""
    if encoder.get("architecture") not in (None, "unknown") or encoder.get("weights_sha256") is not None:
        return None
    return _HASH.sub("", str(encoder.get("name")).casefold())


def described(encoder: Mapping[str, Any], keys: Iterable[str]) -> str:
    """Return some entries of a description for a message: ``"code_size=128, mpp=0.5"``."""
    return ", ".join(f"{key}={encoder.get(key)}" for key in keys)
