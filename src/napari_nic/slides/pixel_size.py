"""Choose the pixel size among what the file claims."""

from __future__ import annotations

from collections.abc import Sequence

from napari_nic.geometry import MPP_MAX, MPP_MIN, PixelSize
from napari_nic.slides.model import PixelSizeClaim


def choose_pixel_size(claims: Sequence[PixelSizeClaim]) -> tuple[PixelSize | None, str]:
    """Return the first sensible claim, and a sentence on why the others were passed over.

    A size outside :data:`~napari_nic.geometry.MPP_MIN` to :data:`~napari_nic.geometry.MPP_MAX` is a
    default that nobody set (72 dpi is 353 um/px) or a mistake in units, and is never used.
    """
    absurd: list[str] = []
    for claim in claims:
        if MPP_MIN <= claim.y <= MPP_MAX and MPP_MIN <= claim.x <= MPP_MAX:
            return PixelSize(claim.y, claim.x, claim.source), "; ".join(absurd)
        absurd.append(f"{claim.source} says {claim.x:g} x {claim.y:g} um/px, which cannot be")
    return None, "; ".join(absurd) or "the file states no micrometres per pixel"


def parse_float(text: object) -> float | None:
    """Read a number as vendors write it, comma decimals too; None if it is none."""
    try:
        return float(str(text).strip().strip('"').replace(",", "."))
    except ValueError:
        return None
