"""Whether features and the slide that they are laid over are of each other."""

from __future__ import annotations

from pathlib import Path

from napari_nic.embeddings.header import UNKNOWN_SLIDE
from napari_nic.embeddings.interchange.table import ForeignCodes, ImportHints
from napari_nic.errors import StoreMismatchError
from napari_nic.geometry import GIVEN, USER

_SAME_MPP = 0.02
"""Two statements of one slide's um/px may differ by so much: writers round."""

_FAR_OFF = 1.8
"""So many times may the um/px of a slide differ from what its magnification is called: 20x is said from 0.3
to 0.6 um/px. Twice as much is another slide's."""


def check_slide(found: ForeignCodes, hints: ImportHints, source: Path) -> None:
    """Refuse codes of another slide than the one that they are to be laid over.

    Raises
    ------
    StoreMismatchError
        If size, bytes or um/px are not those of the slide.
    """
    stated = found.header.slide_shape if found.header else found.slide_shape
    if None not in (stated, hints.slide_shape) and stated != hints.slide_shape:
        raise StoreMismatchError(
            "the features are of another slide",
            path=source,
            expected=_size(hints.slide_shape, f"the size of {hints.slide_name}"),
            found=_size(stated, "as the file states"),
        )
    _check_fingerprint(found, hints, source)
    pixel, ours = found.pixel_size, hints.pixel_size
    if pixel and ours and abs(pixel.mean / ours.mean - 1) > _SAME_MPP:
        raise StoreMismatchError(
            "file and slide do not agree on the size of a pixel",
            path=source,
            expected=f"{ours.mean:g} um/px ({ours.source})",
            found=f"{pixel.mean:g} um/px ({pixel.source})",
            hint="import it with the slide that it was made from",
        )


def check_resolution(found: ForeignCodes, hints: ImportHints, source: Path) -> tuple[str, ...]:
    """Refuse a given um/px that the file's own resolution contradicts.

    Returns
    -------
    tuple of str
        What is to be said where it is the slide's.

    Raises
    ------
    StoreMismatchError
    """
    pixel, side, size = hints.pixel_size, found.patch, found.patch_size
    if pixel is None or not (found.mpp and side and size) or found.header is not None:
        return ()
    implied = found.mpp * size / (side * sum(found.unit_px) / 2)
    if 1 / _FAR_OFF < pixel.mean / implied < _FAR_OFF:
        return ()
    stated = f"about {implied:g} um/px: patches of {side:g} px as {size} px of {found.mpp:g} um"
    if pixel.source not in (GIVEN, USER):
        return (f"its slide has {pixel.mean:g} um/px, but the file says {stated}",)
    raise StoreMismatchError(
        "the um/px that was given is not that of the file",
        path=source,
        expected=stated,
        found=f"{pixel.mean:g} um/px",
        hint="slides of one cohort may differ: give the slides themselves (--slides FOLDER), or a column mpp",
    )


def _check_fingerprint(found: ForeignCodes, hints: ImportHints, source: Path) -> None:
    """Refuse a file of ours that says which bytes its slide had, with a slide of other bytes."""
    made_of = found.header.slide_fingerprint if found.header else UNKNOWN_SLIDE
    if UNKNOWN_SLIDE not in (made_of, hints.slide_fingerprint) and made_of != hints.slide_fingerprint:
        raise StoreMismatchError(
            "the codes were made of another slide, or of other channels or planes of it",
            path=source,
            expected=f"{hints.slide_name} ({hints.slide_fingerprint})",
            found=made_of,
            hint="import it with the slide that it was made from",
        )


def _size(shape: tuple[int, int] | None, what: str) -> str:
    return f"{shape[1]:,} x {shape[0]:,} px, {what}" if shape else what
