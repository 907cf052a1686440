"""The outline of the session's tissue: found and traced beside the window, for drawing to follow."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.editing.operations import Area, Snapper, area_of_mask
from napari_nic.geometry import PixelSize
from napari_nic.jobs import CancellationToken
from napari_nic.plugin.layers import pixel_of
from napari_nic.plugin.tools.pointer import XY, Pointer
from napari_nic.plugin.worker import Callbacks, Runner
from napari_nic.slides import Slide
from napari_nic.tissue import TissueMask, find_tissue

if TYPE_CHECKING:
    from napari_nic.plugin.controllers.session import Session
    from napari_nic.plugin.controllers.tissue import TissueController

SNAP_PX = 12.0
"""Screen pixels within which a point jumps to the tissue."""

LONGEST_DETOUR = 4.0
"""A line that is drawn freehand follows the outline no farther than so many times the way the hand went, so
that it does not run round a lobe where two outlines come near each other."""

_Key = tuple[str, object]


class TissueOutline:
    """Traces the tissue's outline in a job, and anew when another slide is chosen or the mask is painted.

    Parameters
    ----------
    session : Session
    tissue : TissueController
        Whose painted mask counts, if there is one.
    runner : Runner
        Finds tissue and traces it.
    """

    def __init__(self, session: Session, tissue: TissueController, runner: Runner) -> None:
        self._session, self._tissue, self._runner = session, tissue, runner
        self._found: dict[str, Area] = {}
        self._snapper: Snapper | None = None
        self._made_of: _Key | None = None
        self._making: _Key | None = None
        self._n_painted = 0
        session.slide_changed.connect(self._forget)
        tissue.changed.connect(self._on_painted)

    def close(self) -> None:
        """Let session and mask go."""
        self._session.slide_changed.disconnect(self._forget)
        self._tissue.changed.disconnect(self._on_painted)

    @property
    def ready(self) -> bool:
        """Whether there is an outline to follow; asked for the first time it is found."""
        return self._current() is not None

    def with_area(self, then: Callable[[Area], object]) -> None:
        """Call with the area of the tissue, level-0 pixels: at once if it is known, else when it is found."""
        slide = self._session.slide
        if slide is None:
            return
        painted = self._tissue.edited()
        known = self._found.get(slide.fingerprint) if painted is None else None
        if known is not None:
            then(known)
            return
        title = f"Finding tissue on {slide.name}" if painted is None else "Tracing the tissue's outline"
        self._runner.start(
            title,
            partial(_trace, slide, painted),
            Callbacks(
                returned=partial(self._on_area, slide, then, keep=painted is None),
                failed=self._session.asking.tell_error,
            ),
        )

    def point(self, pointer: Pointer) -> XY:
        """Return the nearest point of the outline if it is near, else the pointer's place."""
        snapper = self._current()
        return pointer.xy if snapper is None else snapper.point(pointer.xy, self._reach_um(pointer))

    def way(self, start: XY, pointer: Pointer, *, freehand: bool = False) -> list[XY]:
        """Return the points after `start` up to the pointer: along the outline if both lie on the same one.

        Parameters
        ----------
        start : (x, y)
            Where the line has come to, level-0 pixels.
        pointer : Pointer
        freehand : bool
            The hand draws the line itself: it is followed round no detour.
        """
        snapper = self._current()
        if snapper is None:
            return [pointer.xy]
        longest = LONGEST_DETOUR if freehand else np.inf
        return snapper.onward(start, pointer.xy, self._reach_um(pointer), longest=longest)

    def _reach_um(self, pointer: Pointer) -> float:
        return SNAP_PX * pointer.step * pixel_of(self._session.slide).mean

    def _current(self) -> Snapper | None:
        """What there is; begins to trace what is newer."""
        slide = self._session.slide
        if slide is None:
            return None
        layer = self._tissue.layer()
        key: _Key = (
            ("found", slide.fingerprint) if layer is None else ("painted", (id(layer), self._n_painted))
        )
        if key != self._made_of and self._making is None:
            self._making = key
            if layer is None:
                self.with_area(partial(self._use, key))
            else:
                self._retrace(slide, key)
        return self._snapper

    def _retrace(self, slide: Slide, key: _Key) -> None:
        self._runner.start(
            "Tracing the tissue's outline",
            partial(_trace, slide, self._tissue.edited()),
            Callbacks(
                returned=partial(self._on_area, slide, partial(self._use, key), keep=False),
                failed=self._session.asking.tell_error,
                finished=self._on_made,
            ),
        )

    def _use(self, key: _Key, area: Area) -> None:
        self._snapper = Snapper(area, pixel_of(self._session.slide))
        self._made_of, self._making = key, None

    def _on_area(self, slide: Slide, then: Callable[[Area], object], area: Area, *, keep: bool) -> None:
        if keep:
            self._found[slide.fingerprint] = area
        if slide is self._session.slide:
            then(area)

    def _on_made(self) -> None:
        self._making = None

    def _on_painted(self) -> None:
        self._n_painted += 1

    def _forget(self) -> None:
        self._snapper = self._made_of = self._making = None


def outline_of(mask: TissueMask, pixel: PixelSize) -> Area:
    """Return the area of a mask in level-0 pixels, exactly along the edges of its elements."""
    (y, x), (height, width) = mask.placement.origin_um, mask.placement.step_um
    return area_of_mask(
        np.asarray(mask.mask), (y / pixel.y, x / pixel.x), (height / pixel.y, width / pixel.x)
    )


def _trace(slide: Slide, painted: TissueMask | None, token: CancellationToken) -> Generator[None, None, Any]:
    token.checkpoint()
    yield
    mask = find_tissue(slide, token=token) if painted is None else painted
    token.checkpoint()
    yield
    return outline_of(mask, pixel_of(slide))
