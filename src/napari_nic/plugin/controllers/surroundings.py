"""What lies around the pointer: pixels as the screen shows them, tissue, codes of a compressed slide."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.editing.operations import Area, area_of_mask, wand_by_similarity
from napari_nic.embeddings import CompressedSlide, ResidentCodes
from napari_nic.errors import NicError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken
from napari_nic.plugin.controllers.tissue_outline import TissueOutline
from napari_nic.plugin.tools.base import View
from napari_nic.plugin.tools.pointer import XY, Pointer
from napari_nic.plugin.worker import Callbacks, Job, Runner

if TYPE_CHECKING:
    from napari_nic.plugin.controllers.session import Session
    from napari_nic.plugin.controllers.tissue import TissueController
    from napari_nic.slides import Slide

VIEW_SIDE = 512
"""The wand looks at so many pixels of the shown level around the pointer, each way."""

NEAR_EDGE, NEXT = 0.5, 0.35
"""From this share of the way to its edge on the next picture is read, so much of a side further on."""

LAST_SHARE = 0.9
"""A picture that was read ahead serves up to this share of the way to its edge."""

FINER = 1.5
"""A level may be so much coarser than the screen and still be what it shows."""

AT_ONCE = 20_000
"""Codes of so many cells are read in tens of milliseconds."""

SMOOTH_CELLS = 0.6
"""Standard deviation, in cells, that rounds off the steps of areas of cells."""


class Surroundings:
    """Looks things up on the session's slide.

    Parameters
    ----------
    session : Session
    tissue : TissueController
        Whose painted mask counts, if there is one.
    runner : Runner
        Finds tissue and reads codes.
    """

    def __init__(self, session: Session, tissue: TissueController, runner: Runner) -> None:
        self.session = session
        self.outline = TissueOutline(session, tissue, runner)
        self._runner = runner
        self._codes: ResidentCodes | None = None
        self._is_reading = False
        self._ahead: tuple[Slide, int, View] | None = None
        self._looking: Job | None = None
        session.slide_changed.connect(self._forget_codes)
        session.store_changed.connect(self._forget_codes)

    def close(self) -> None:
        """Let the session go."""
        self.outline.close()
        self.session.slide_changed.disconnect(self._forget_codes)
        self.session.store_changed.disconnect(self._forget_codes)

    # -- pixels ------------------------------------------------------------------------------------------

    def view_around(self, pointer: Pointer) -> View | None:
        """Return the slide around a pointer at the level that the screen shows."""
        slide = self.session.slide
        if slide is None:
            return None
        level = _level_of(slide, pointer)
        ahead = self._ahead
        if ahead is not None and ahead[:2] == (slide, level) and _holds(ahead[2], pointer.xy):
            return ahead[2]
        return _view_at(slide, level, pointer.xy)

    def look_ahead(self, pointer: Pointer, seen: View) -> None:
        """Begin to read, beside the window, what lies where the pointer goes, if it nears the edge of `seen`.

        Then :meth:`view_around` need not read it when the pointer is there.
        """
        slide = self.session.slide
        place = seen.pixel_at(pointer.xy)
        if slide is None or place is None or self._looking is not None:
            return
        middle = np.array(seen.picture.shape[:2]) / 2
        way = (np.array(place) - middle) / middle
        if np.abs(way).max() < NEAR_EDGE:
            return
        step = way[::-1] * NEXT * VIEW_SIDE * np.array(seen.scale[::-1])
        xy = float(pointer.xy[0] + step[0]), float(pointer.xy[1] + step[1])
        level = _level_of(slide, pointer)
        if self._ahead is not None and self._ahead[:2] == (slide, level) and _holds(self._ahead[2], xy):
            return
        job = self._runner.start(
            f"Looking ahead on {slide.name}",
            partial(_look_job, slide, level, xy),
            Callbacks(returned=partial(self._on_ahead, slide, level), finished=self._on_looked),
        )
        self._looking = job if job.running else None

    def _on_ahead(self, slide: Slide, level: int, view: View | None) -> None:
        self._ahead = None if view is None else (slide, level, view)

    def _on_looked(self) -> None:
        self._looking = None

    # -- tissue ------------------------------------------------------------------------------------------

    def with_tissue(self, then: Callable[[Area], object]) -> None:
        """Call with the area of the tissue, level-0 pixels: at once if it is known, else when it is found."""
        self.outline.with_area(then)

    # -- codes -------------------------------------------------------------------------------------------

    def similar_cells(self, xy: XY, similarity: float) -> Area | None:
        """Return the area of the connected cells whose codes are like that of the cell at a point.

        None where that is not known yet, and beside the slide, which is told.

        Raises
        ------
        AnnotationError
            If there is no code at that point.
        """
        store = self.session.store
        if store is None:
            self.session.asking.tell("The embedding wand needs a compressed slide: compress it first")
            return None
        self.make_ready()
        if self._codes is None:
            self.session.asking.tell("The codes of the slide are being read: click again in a moment")
            return None
        codes = self._codes
        grid = codes.grid
        cell = grid.cell_at(xy[1], xy[0])
        if cell is None:
            self.session.asking.tell("There is no code here: click on tissue that is compressed")
            return None
        mask = wand_by_similarity(codes.codes, codes.encoded, cell, similarity)
        place, pixel = grid.placement, grid.pixel_size
        origin = place.origin_um[0] / pixel.y, place.origin_um[1] / pixel.x
        step = place.step_um[0] / pixel.y, place.step_um[1] / pixel.x
        return area_of_mask(mask, origin, step, smooth=SMOOTH_CELLS)

    def make_ready(self) -> None:
        """Begin to read the codes of the slide, if it has any; few are read at once."""
        store = self.session.store
        if store is None or self._codes is not None or self._is_reading:
            return
        if np.count_nonzero(store.encoded()) > AT_ONCE:
            self._read(store)
            return
        try:
            self._codes = ResidentCodes.load(store)
        except NicError as error:
            self.session.asking.tell_error(error)

    def _read(self, store: CompressedSlide) -> None:
        self._is_reading = True
        self._runner.start(
            f"Reading the codes of {store.slide_name}",
            partial(_load, store),
            Callbacks(returned=self._on_codes, failed=self.session.asking.tell_error, finished=self._on_read),
        )

    def _on_codes(self, codes: ResidentCodes) -> None:
        store = self.session.store
        if store is not None and codes.header == store.header:
            self._codes = codes

    def _on_read(self) -> None:
        self._is_reading = False

    def _forget_codes(self) -> None:
        self._codes = self._ahead = None


def _level_of(slide: Slide, pointer: Pointer) -> int:
    """Return the level that the screen shows."""
    factors = [max(level.downsample_y, level.downsample_x) for level in slide.levels]
    fitting = [number for number, factor in enumerate(factors) if factor <= FINER * pointer.step]
    return fitting[-1] if fitting else 0


def _view_at(slide: Slide, level: int, xy: XY) -> View | None:
    """Read the pixels of a level around a place; None beside the slide."""
    shown = slide.levels[level]
    scale = shown.downsample_y, shown.downsample_x
    row, col = int(xy[1] / scale[0]), int(xy[0] / scale[1])
    half = VIEW_SIDE // 2
    region = RegionPx(row - half, col - half, VIEW_SIDE, VIEW_SIDE).intersect(shown.region)
    if region.is_empty:
        return None
    return View(slide.read_region(level, region), (region.y * scale[0], region.x * scale[1]), scale)


def _holds(view: View, xy: XY) -> bool:
    """Whether a place lies in a view, and not so near its edge that the next one would be needed at once."""
    place = view.pixel_at(xy)
    if place is None:
        return False
    middle = np.array(view.picture.shape[:2]) / 2
    return bool((np.abs(np.array(place) - middle) < LAST_SHARE * middle).all())


def _look_job(
    slide: Slide, level: int, xy: XY, token: CancellationToken
) -> Generator[None, None, View | None]:
    token.checkpoint()
    yield
    try:
        view = _view_at(slide, level, xy)
    except NicError:  # whoever goes there is told
        return None
    if view is not None:
        _ = view.wand  # that is looked at beside the window, too
    return view


def _load(store: CompressedSlide, token: CancellationToken) -> Generator[None, None, Any]:
    token.checkpoint()
    yield
    return ResidentCodes.load(store, token=token)
