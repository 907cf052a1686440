"""Choose the pixel size among what the file claims, and what the user says of it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from napari_nic.geometry import CONFIRMED, MPP_MAX, MPP_MIN, PixelSize
from napari_nic.slides.model import PixelSizeClaim

SAME_WITHIN = 1e-3
"""Relative; a number that a user copied from a message is rounded to six digits or fewer."""

CONTRADICT_BY, MOST_ASPECT = 0.1, 5.0
UM_PER_UNIT = {
    **dict.fromkeys(("µm", "\u03bcm", "um", "micron", "microns", "micrometer", "micrometre"), 1.0),
    **dict.fromkeys(("micrometers", "micrometres"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometre", "nanometers", "nanometres"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimetre", "millimeters", "millimetres"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimetre", "centimeters", "centimetres"), 1e4),
    **dict.fromkeys(("m", "meter", "metre"), 1e6),
    **dict.fromkeys(("in", "inch", "inches"), 25_400.0),
    **dict.fromkeys(("å", "\u212b", "angstrom", "ångström"), 1e-4),
    **dict.fromkeys(("pm", "picometer"), 1e-6),
}
"""Names of units of length, lower case."""

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_NONE = "the file states no micrometres per pixel"


def choose_pixel_size(claims: Sequence[PixelSizeClaim]) -> tuple[PixelSize | None, str]:
    """Return the first sensible claim, and a sentence on why the others were passed over.

    A size outside :data:`~napari_nic.geometry.MPP_MIN` to :data:`~napari_nic.geometry.MPP_MAX` is a
    default that nobody set (72 dpi is 353 um/px) or a mistake in units, and is not used unless a user
    confirms it.
    """
    absurd: list[str] = []
    for claim in claims:
        if _is_sensible(claim):
            return PixelSize(claim.y, claim.x, claim.source), "; ".join(absurd)
        absurd.append(_told(claim))
    return None, "; ".join(absurd) or _NONE


def _is_sensible(claim: PixelSizeClaim) -> bool:
    in_range = MPP_MIN <= claim.y <= MPP_MAX and MPP_MIN <= claim.x <= MPP_MAX
    return not claim.doubt and in_range and max(claim.y / claim.x, claim.x / claim.y) <= MOST_ASPECT


def _told(claim: PixelSizeClaim) -> str:
    if math.isnan(claim.y) and math.isnan(claim.x):
        return f"{claim.source} says no length that is known"
    if math.isnan(claim.y) or math.isnan(claim.x):
        side, value = ("down", claim.y) if math.isnan(claim.x) else ("across", claim.x)
        return f"{claim.source} says {value:g} um/px {side} and nothing of the other side"
    why = f"but {claim.doubt}" if claim.doubt else "which cannot be"
    return f"{claim.source} says {claim.x:g} x {claim.y:g} um/px, {why}"


def unbelieved(claims: Sequence[PixelSizeClaim]) -> float | None:
    """Return the um/px that the file states and nobody would believe, for the user to confirm."""
    for claim in claims:
        if not _is_sensible(claim):
            sides = [side for side in (claim.y, claim.x) if 0 < side < math.inf]
            if sides:
                return math.prod(sides) ** (1 / len(sides))
    return None


def stated_by_user(mpp: float, claims: Sequence[PixelSizeClaim]) -> PixelSize:
    """Return the user's um/px; an unbelievable one only if it is what the file says.

    Raises
    ------
    InvalidParameterError
        If it is absurd, and not the file's.
    """
    if not MPP_MIN <= mpp <= MPP_MAX:
        for claim in claims:
            sides = claim.y, claim.x
            if all(0 < side < math.inf for side in sides) and math.isclose(
                mpp, math.sqrt(claim.y * claim.x), rel_tol=SAME_WITHIN
            ):
                return PixelSize(*sides, CONFIRMED)
    return PixelSize(mpp, mpp, "user")


def contradictions(chosen: PixelSize, claims: Sequence[PixelSizeClaim]) -> tuple[str, ...]:
    """Return a sentence on each sensible claim that says something else than the one that is used."""
    return tuple(
        f"the file states two pixel sizes: {chosen.x:g} um by {chosen.source} is used, "
        f"{claim.x:g} um by {claim.source} is not"
        for claim in claims
        if _is_sensible(claim)
        and not all(
            math.isclose(a, b, rel_tol=CONTRADICT_BY) for a, b in ((claim.y, chosen.y), (claim.x, chosen.x))
        )
    )


def passed_over(chosen: PixelSize, note: str) -> tuple[str, ...]:
    """Return a sentence on better claims that :func:`choose_pixel_size` could not believe, none without."""
    return (f"{note}: {chosen.x:g} um by {chosen.source} is used instead",) if note else ()


def parse_float(text: object) -> float | None:
    """Read a number as vendors write it, comma decimals too; None if it is none."""
    try:
        return float(str(text).strip().strip('"').replace(",", "."))
    except ValueError:
        return None


def um_of_unit(unit: object) -> float | None:
    """Return the um of a unit as programs write it, ``\\u00B5m`` too; None if it is no length."""
    text = _ESCAPE.sub(lambda found: chr(int(found.group(1), 16)), str(unit)).strip().lower()
    return UM_PER_UNIT.get(text)
