"""Whether this program shows a repacked slide as it shows the original: its levels, its other pictures.

Nothing but this program decodes the tiles of such a file to the original's pixels, so one that it cannot show
would be of no use until it is restored.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from napari_nic.errors import ChannelsError, DamagedSlideError, StoreError, UnreadableSlideError
from napari_nic.slides import Level, open_slide
from napari_nic.telling import telling

_READER = "tiff"


class Shown(NamedTuple):
    """What is seen of a slide.

    Attributes
    ----------
    levels : tuple of Level
    associated : tuple of str
        Names of labels and other pictures.
    """

    levels: tuple[Level, ...]
    associated: tuple[str, ...]


def shown_of(slide: Path) -> Shown | None:
    """Return what the reader of TIFF sees of a slide; None of one with channels, or that is damaged.

    Raises
    ------
    UnreadableSlideError
        If another reader is needed for the slide, which could not read it once it is repacked.
    """
    try:
        with telling(None), open_slide(slide, reader=_READER) as opened:
            return Shown(opened.levels, opened.associated_images)
    except (ChannelsError, DamagedSlideError):
        return None
    except UnreadableSlideError as error:
        raise UnreadableSlideError(
            "no program could show this slide once it is repacked",
            path=slide,
            found=error.problem,
            hint="choose --mode optimize, which every program that shows it now can read",
        ) from error


def check_shown(expected: Shown | None, written: Path, out: Path) -> None:
    """Make sure that the same is seen of a file that was written.

    Raises
    ------
    StoreError
        If it is not.
    """
    if expected is None:
        return
    try:
        found = shown_of(written)
    except UnreadableSlideError as error:
        raise _not_shown(out, error.problem) from error
    if found != expected:
        raise _not_shown(out, "other levels or pictures")


def _not_shown(out: Path, found: str) -> StoreError:
    return StoreError(
        "the repacked slide would not be shown as the original is; nothing was written",
        path=out,
        found=found,
        hint="choose --mode optimize",
    )
