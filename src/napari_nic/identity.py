"""When two encoders give the same codes: the one comparison that stores, models and the window make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

KEYS = ("architecture", "code_size", "patch_size", "mpp", "input_size", "weights_sha256", "options")
"""Entries of an encoder's description that determine the codes; the others describe it for people."""


def identity(encoder: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of an encoder's description that determine its codes; None for one that lacks."""
    return {key: encoder.get(key) for key in KEYS}


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the entries in which two descriptions of encoders mean other codes; none if they mean the same.

    Parameters
    ----------
    one, other : mapping
        As in ``encoder.json``, the header of a store or the model card of a slide model.
    """
    return tuple(key for key in KEYS if one.get(key) != other.get(key))


def described(encoder: Mapping[str, Any], keys: Iterable[str]) -> str:
    """Return some entries of a description for a message: ``"code_size=128, mpp=0.5"``."""
    return ", ".join(f"{key}={encoder.get(key)}" for key in keys)
