"""The kinds of overlays, and what the row of one shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["pca", "channel", "prediction", "saliency"]
KINDS: tuple[Kind, ...] = ("pca", "channel", "prediction", "saliency")
MODEL_KINDS: tuple[Kind, ...] = ("prediction", "saliency")
"""What a model says."""

TITLES: dict[Kind, str] = {
    "pca": "PCA",
    "channel": "Channel",
    "prediction": "Prediction",
    "saliency": "Saliency",
}
OPACITY: dict[Kind, float] = {"pca": 0.6, "channel": 0.6, "prediction": 0.5, "saliency": 0.6}
"""At first: the tissue stays legible under the colours."""


@dataclass(frozen=True)
class OverlayState:
    """What a row of the section shows.

    Attributes
    ----------
    shown, busy : bool
        Wanted on the screen; being computed.
    opacity : float
    why_not : str
        Why it cannot be shown; empty when it can.
    first : str
        What has to be done first, and will be; empty when nothing.
    """

    shown: bool
    busy: bool
    opacity: float
    why_not: str
    first: str = ""
