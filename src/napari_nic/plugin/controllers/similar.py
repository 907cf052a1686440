"""What is like this: a cell or a region is chosen, and the slide shows how similar everything is to it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from psygnal import Signal

from napari_nic.annotations import AnnotationSet, rasterise
from napari_nic.errors import AnnotationError
from napari_nic.explain import Overlay
from napari_nic.plugin.controllers.code_maps import CodeMaps, MapKind, cell_at
from napari_nic.plugin.controllers.desk_link import NO_CODES, NO_SLIDE, DeskLink
from napari_nic.plugin.controllers.document import DocumentController
from napari_nic.plugin.controllers.picking import Picking
from napari_nic.plugin.selected_shapes import selected_areas
from napari_nic.plugin.similar_jobs import Answer, Held, ask_job, outline_job
from napari_nic.plugin.worker import Callbacks, Job, Runner
from napari_nic.similarity import Query

if TYPE_CHECKING:
    from napari.components import ViewerModel

INSIDE = 0.5
"""A cell belongs to a shape when at least this share of it is inside."""

NO_QUERY = "Choose a cell or a region first"
NO_SHAPE = "Select a shape first, in a layer of shapes on this slide"
KIND: MapKind = "similarity"
_UM2_PER_MM2 = 1e6


class SimilarController:
    """Asks the codes of the session's slide.

    Parameters
    ----------
    viewer : ViewerModel
    link : DeskLink
    maps : CodeMaps
    runner : Runner
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, link: DeskLink, maps: CodeMaps, runner: Runner) -> None:
        self._viewer, self._link, self._maps, self._runner = viewer, link, maps, runner
        self.picking = Picking(viewer, self.ask_world, self.changed.emit)
        self.answer: Answer | None = None
        self.threshold: float | None = None
        self.busy = False
        self._held: Held | None = None
        self._job: Job | None = None
        maps.forgotten.connect(self._on_forgotten)
        maps.changed.connect(self.changed.emit)

    def close(self) -> None:
        """Let the viewer go."""
        self.picking.stop()
        self._held = self.answer = None

    # -- asking ------------------------------------------------------------------------------------------

    def why_not(self) -> str:
        """Why nothing can be asked; empty when it can."""
        return self._link.why_not()

    @property
    def query(self) -> Query | None:
        """What was asked for last."""
        return None if self.answer is None else self.answer.query

    def pick(self, *, on: bool) -> None:
        """Begin or end choosing cells by clicks."""
        if not on:
            self.picking.stop()
            return
        session = self._link.open().session
        if why_not := self.why_not():
            session.asking.tell(why_not)
        elif session.layer is not None:
            self.picking.start(session.layer)
        self.changed.emit()

    def ask_world(self, world: tuple[float, ...]) -> None:
        """Ask for what is like the cell at a place of napari's world."""
        session = self._link.open().session
        cell = cell_at(world, session)
        if cell is None or session.store is None:
            session.asking.tell("There is no cell: this is outside the slide")
            return
        if not session.store.encoded()[cell]:
            session.asking.tell("There is no code here: this is glass, or not compressed yet")
            return
        cells = np.zeros(session.store.grid.shape, bool)
        cells[cell] = True
        self.ask(cells)

    def ask_selected(self) -> None:
        """Ask for what is like the cells in the shapes that are selected."""
        desk = self._link.open()
        session, store = desk.session, desk.session.store
        if store is None or self.why_not():
            session.asking.tell(self.why_not() or NO_CODES)
            return
        try:
            areas = _selected_objects(desk.documents) or selected_areas(self._viewer, session)
        except AnnotationError as error:
            session.asking.tell_error(error)
            return
        if areas is None:
            session.asking.tell(NO_SHAPE)
            return
        share = rasterise(areas, store.grid)
        # A shape smaller than a cell asks for the cell that it lies in most.
        self.ask(share >= min(INSIDE, float(share.max()) or INSIDE))

    def ask(self, what: np.ndarray | Query) -> None:
        """Compare all cells of the slide with some of them, or with a query that was made before."""
        store = self._link.store
        if store is None:
            self._link.tell(NO_SLIDE)
            return
        if self._job is not None:
            self._job.cancel()
        self.busy = True
        job = partial(ask_job, store, what, self._held)
        self._job = self._runner.start(
            "Similarity",
            job,
            Callbacks(
                returned=partial(self._on_answer, store),
                failed=self._link.tell_error,
                finished=self._on_finished,
            ),
        )
        self.changed.emit()

    def _on_answer(self, store: object, answer: Answer) -> None:
        if store is not self._link.store:
            return  # another slide was chosen meanwhile
        self.answer, self._held = answer, answer.held
        self._maps.put(self._thresholded(answer.overlay), KIND)

    def _on_finished(self) -> None:
        self.busy = any(job.running for job in (self._job,) if job is not None)
        self.changed.emit()

    # -- the map -----------------------------------------------------------------------------------------

    @property
    def shown(self) -> bool:
        """Whether the map is on the screen."""
        return self._maps.shown(KIND)

    def show(self, *, on: bool) -> None:
        """Show or hide the map."""
        self._maps.show(KIND, on=on)

    def limits(self) -> tuple[float, float]:
        """Least and highest similarity that a threshold can have."""
        if self.answer is None or self.answer.overlay.limits is None:
            return 0.0, 1.0
        return self.answer.overlay.limits

    def set_threshold(self, value: float | None) -> None:
        """Show only cells that are at least so similar; None shows all."""
        self.threshold = value
        if self.answer is not None and self.shown:
            self._maps.put(self._thresholded(self.answer.overlay), KIND)
        self.changed.emit()

    def above(self) -> np.ndarray | None:
        """Cells that are at least as similar as the threshold, (rows, cols) bool; None without an answer."""
        if self.answer is None:
            return None
        overlay = self.answer.overlay
        least = -np.inf if self.threshold is None else self.threshold
        return np.asarray(overlay.mask & (overlay.data >= least))

    def describe_above(self) -> str:
        """Say how many cells that is, and their area."""
        cells, store = self.above(), self._link.store
        if cells is None or store is None:
            return ""
        count, stride = int(cells.sum()), store.grid.stride_um
        area = count * stride[0] * stride[1] / _UM2_PER_MM2
        return f"{count:,} of {int(store.encoded().sum()):,} cells, {area:.2f} mm\N{SUPERSCRIPT TWO}"

    def _thresholded(self, overlay: Overlay) -> Overlay:
        if self.threshold is None:
            return overlay
        return replace(overlay, mask=overlay.mask & (overlay.data >= self.threshold))

    # -- annotations -------------------------------------------------------------------------------------

    def make_annotation(self, label: str) -> None:
        """Outline the cells above the threshold as annotations of the slide, of this class."""
        cells, store = self.above(), self._link.store
        if cells is None or store is None or not cells.any():
            self._link.tell(NO_QUERY if cells is None else "No cell is as similar as that")
            return
        self._runner.start(
            "Outlining cells",
            partial(outline_job, store, cells, label.strip() or "similar"),
            Callbacks(
                returned=lambda areas: self._link.annotate(areas, store, "outline similar cells"),
                failed=self._link.tell_error,
            ),
        )

    def _on_forgotten(self) -> None:
        if self._job is not None:
            self._job.cancel()
        self.picking.stop()
        self.answer, self._held, self.threshold = None, None, None
        self.changed.emit()


def _selected_objects(documents: DocumentController) -> AnnotationSet | None:
    """Return the annotated areas that are selected, however they are shown; None if there are none."""
    document = documents.document
    if document is None:
        return None
    shapes = [document[identity].annotation for identity in documents.selected if identity in document]
    areas = tuple(shape for shape in shapes if shape.is_area)
    return AnnotationSet(areas) if areas else None
