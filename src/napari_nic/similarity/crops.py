"""Small pictures of matches, cut from their slides."""

from __future__ import annotations

import glob
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from napari_nic.embeddings import CompressedSlide, open_slide_of
from napari_nic.errors import CancelledError, NicError, SlideNotFoundError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.similarity.matches import Match
from napari_nic.slides import Slide, SlideFolder, slide_suffixes

SIDE_PX = 128
"""Side of a picture."""

CONTEXT = 2.0
"""A picture shows so many times the side of the patch: what lies around a cell tells what it is."""

FRAME_COLOR = (0, 0, 0)
_MIDDLE = 0.5


@dataclass(frozen=True, eq=False)
class Crop:
    """The picture of a match.

    Attributes
    ----------
    match : Match
    image : ndarray of uint8, (side, side, 3), or None
        RGB; the patch is framed.
    problem : str
        Why there is no picture.
    """

    match: Match
    image: np.ndarray | None
    problem: str = ""


def crop_matches(
    matches: Sequence[Match],
    slides: Path | None = None,
    *,
    side: int = SIDE_PX,
    context: float = CONTEXT,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, tuple[Crop, ...]]:
    """Cut the picture of each match; yield after each slide, and return them in the order of the matches.

    A slide that is not found, or is another one than its codes were made of, has no pictures but a reason.

    Parameters
    ----------
    matches : sequence of Match
    slides : Path, optional
        Folder of the slides; beside the stores by default.
    side : int
        Of a picture, in pixels.
    context : float
        How many times the side of a patch a picture shows.
    token : CancellationToken, optional
        Asked at each picture.
    """
    folder = None if slides is None else SlideFolder.of(slides, token)
    by_store: dict[Path, list[Match]] = {}
    for match in matches:
        by_store.setdefault(match.store, []).append(match)
    crops: dict[Match, Crop] = {}
    for number, (path, own) in enumerate(by_store.items(), 1):
        try:
            store = CompressedSlide.open(path)
            with slide_of(store, folder) as slide:
                for match in checked(own, token):
                    crops[match] = _crop(match, slide, side, context)
        except CancelledError:
            raise
        except NicError as error:
            crops |= {match: Crop(match, None, error.problem) for match in own if match not in crops}
        yield Progress(number, len(by_store), "cutting pictures", "slides")
    return tuple(crops[match] for match in matches)


def slide_of(store: CompressedSlide, folder: SlideFolder | None = None) -> Slide:
    """Open the slide of a store, in a folder of slides or beside the store.

    Raises
    ------
    NicError
        If it is not there, or another slide has its name.
    """
    name = store.slide_name
    found = [folder.find(name)] if folder is not None else _beside(store)
    problem: NicError | None = None
    for path in (path for path in found if path is not None):
        try:
            slide = open_slide_of(store.header, path)
        except NicError as error:
            problem = problem or error
            continue
        if slide.fingerprint == store.header.slide_fingerprint:
            return slide
        slide.close()
    if problem is not None:
        raise problem
    place = store.path.parent if folder is None else folder.path
    raise SlideNotFoundError(
        f"the slide {name} of this compressed slide is not found",
        path=place,
        expected=f"the slide that {store.path.name} was made of",
        hint="name the folder of the slides (--slides)",
    )


def _beside(store: CompressedSlide) -> list[Path | None]:
    places = sorted(store.path.parent.glob(f"{glob.escape(store.slide_name)}*"))
    return [path for path in places if path != store.path and path.name.lower().endswith(slide_suffixes())]


def _crop(match: Match, slide: Slide, side: int, context: float) -> Crop:
    """Cut a square around a patch from the coarsest level that is fine enough, and frame the patch."""
    y, x, height, width = match.box_px
    level = _level(slide, max(height, width) * context / side)
    geometry = slide.levels[level]
    down = np.array([geometry.downsample_y, geometry.downsample_x])
    centre = np.array([y + height / 2, x + width / 2])
    shown = np.array([height, width]) * context
    first = np.floor((centre - shown / 2) / down).astype(int).tolist()
    size = np.maximum(1, np.rint(shown / down)).astype(int).tolist()
    pixels = slide.read_region(level, RegionPx(first[0], first[1], size[0], size[1]))
    image = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    if context > 1:
        inset = round(side * (_MIDDLE - _MIDDLE / context))
        cv2.rectangle(image, (inset, inset), (side - 1 - inset, side - 1 - inset), FRAME_COLOR, 1)
    return Crop(match, image)


def _level(slide: Slide, most_downsample: float) -> int:
    fine = [i for i, level in enumerate(slide.levels) if level.downsample_y <= max(1.0, most_downsample)]
    return fine[-1] if fine else 0
