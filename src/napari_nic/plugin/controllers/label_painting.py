"""Class labels painted with a brush on a slide of any size: a window of them follows the view."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from psygnal import Signal

from napari_nic.annotations import RGB
from napari_nic.editing import Document, Edit
from napari_nic.errors import NicError
from napari_nic.geometry import RegionPx
from napari_nic.painting import MOST_CLASSES, Change, PaintingFiles, PaintingHeader
from napari_nic.plugin.controllers.painted_classes import (
    colors_of,
    numbers_of,
    painting_parents,
    rename_in,
    renamed,
)
from napari_nic.plugin.drawing_layer import clear_ring
from napari_nic.plugin.layers import frame, pixel_of
from napari_nic.plugin.painting_jobs import OpenPainting, open_job, save, save_job
from napari_nic.plugin.painting_layer import PaintingLayer
from napari_nic.plugin.painting_window import seen_part, window_around
from napari_nic.plugin.worker import Callbacks, Job, Runner
from napari_nic.slides import Slide

if TYPE_CHECKING:
    from napari_nic.plugin.controllers.document import DocumentController
    from napari_nic.plugin.controllers.session import Session


class PaintDesk(Protocol):
    """What painting needs of the window: the NIC dock."""

    session: Session
    documents: DocumentController


class LabelPainting:
    """Paints classes of the session's slide; see :class:`~napari_nic.painting.PaintedLabels`.

    Parameters
    ----------
    desk : PaintDesk
    runner : Runner
        Opens and saves.
    """

    changed = Signal()

    def __init__(self, desk: PaintDesk, runner: Runner) -> None:
        self.session, self.documents = desk.session, desk.documents
        self._runner = runner
        self.layer: PaintingLayer | None = None
        self.level = 0
        self._region = RegionPx(0, 0, 0, 0)
        self._painting: OpenPainting | None = None
        self._slide: Slide | None = None
        self._opening: Job | None = None
        self._saving: Job | None = None
        self._failed = ""
        self._table: dict[int, RGB] = {}
        self._is_choosing = False
        self.session.slide_changed.connect(self._on_slide)
        self.documents.class_changed.connect(self._on_class)
        self.documents.edited.connect(self._on_edited)
        self.session.viewer.layers.events.removed.connect(self._on_removed)
        self.session.viewer.scene.camera.events.zoom.connect(self._on_camera)
        self.session.viewer.scene.camera.events.center.connect(self._on_camera)

    def close(self) -> None:
        """Save, and let the window go."""
        self.stop()
        self.session.slide_changed.disconnect(self._on_slide)
        self.documents.class_changed.disconnect(self._on_class)
        self.documents.edited.disconnect(self._on_edited)
        self.session.viewer.layers.events.removed.disconnect(self._on_removed)
        self.session.viewer.scene.camera.events.zoom.disconnect(self._on_camera)
        self.session.viewer.scene.camera.events.center.disconnect(self._on_camera)

    # -- beginning and ending ----------------------------------------------------------------------------

    @property
    def open_painting(self) -> OpenPainting | None:
        """What is painted in; None if nothing is."""
        return self._painting

    @property
    def is_on(self) -> bool:
        """Whether there is a layer to paint in."""
        return self.layer is not None

    def why_not(self) -> str:
        """Why nothing can be painted; empty when it can."""
        return "Open a slide first: labels are painted on a slide" if self.session.slide is None else ""

    def begin(self) -> None:
        """Open the painting of the slide, or begin one, and show the layer to paint in."""
        slide = self.session.slide
        if slide is None:
            self.session.asking.tell(self.why_not())
        if slide is None or self.is_on or self._opening is not None:
            return
        parents = painting_parents(self.session, slide)
        job = self._runner.start(
            f"Opening the painting of {slide.name}",
            lambda token: open_job(slide, parents, token),
            Callbacks(
                returned=partial(self._on_opened, slide),
                failed=self.session.asking.tell_error,
                finished=self._on_open_ended,
            ),
        )
        self._opening = job if job.running else None
        self.changed.emit()

    def stop(self) -> None:
        """Save what was painted and take the layer away."""
        painting, self._painting = self._painting, None
        layer, self.layer = self.layer, None
        if self._opening is not None:
            self._opening.cancel()
        if layer is not None:
            layer.commands = None
            layer.events.paint.disconnect(self._on_paint)
            layer.events.selected_label.disconnect(self._on_picked)
            if layer in self.session.viewer.layers:
                self.session.viewer.layers.remove(layer)
        if painting is not None:
            try:
                save(painting)
            except NicError as error:
                self.session.asking.tell_error(error)
            painting.files.close()
        self.changed.emit()

    def _on_opened(self, slide: Slide, painting: OpenPainting) -> None:
        if slide is not self.session.slide or self.is_on:
            painting.files.close()
            return
        self._painting, self._slide, self._failed, self._table = painting, slide, "", {}
        layer = PaintingLayer(slide, units=frame(pixel_of(slide))["units"])
        layer.commands = self
        layer.events.paint.connect(self._on_paint)
        layer.events.selected_label.connect(self._on_picked)
        self.layer = layer
        self._show_classes()
        self.follow(anew=True)
        clear_ring(self.session.viewer)
        self.session.viewer.layers.selection.active = self.session.viewer.add_layer(layer)
        layer.mode = "paint"
        if painting.n_followed:
            self.session.asking.tell("painting was interrupted the last time: coarse levels were made anew")
        self.changed.emit()

    def _on_open_ended(self) -> None:
        self._opening = None
        self.changed.emit()

    def _on_slide(self) -> None:
        if self.is_on or self._opening is not None:
            self.stop()
        self.changed.emit()

    def _on_removed(self, event: Any) -> None:
        if event.value is self.layer and self.layer is not None:
            self.stop()

    # -- classes -----------------------------------------------------------------------------------------

    @property
    def classes(self) -> dict[str, int]:
        """Numbers of the classes that were painted, and of those of the document."""
        header = self._header
        return {} if header is None else numbers_of(header, self.documents.current_class, self._document)

    @property
    def colors(self) -> dict[str, RGB]:
        """Their colours: the document's, or those that they were painted in."""
        header = self._header
        return {} if header is None else colors_of(header, self.classes, self._document)

    @property
    def _header(self) -> PaintingHeader | None:
        return None if self._painting is None else self._painting.files.header

    @property
    def _document(self) -> Document | None:
        return self.documents.document

    def why_not_class(self) -> str:
        """Why the class that is drawn in cannot be painted; empty when it can."""
        label = self.documents.current_class
        if not self.is_on or label in self.classes:
            return ""
        return f"{label} cannot be painted: a painting has at most {MOST_CLASSES} classes, and all are taken"

    def _show_classes(self) -> None:
        layer, classes, colors = self.layer, self.classes, self.colors
        if layer is None:
            return
        table = {number: colors[label] for label, number in classes.items()}
        number = classes.get(self.documents.current_class)
        self._is_choosing = True  # napari tells of a choice when colours change, too
        try:
            if table != self._table:
                layer.set_colors(table)
                self._table = table
            if number is not None:
                layer.selected_label = number
            layer.allow(number is not None)
        finally:
            self._is_choosing = False

    def _on_class(self) -> None:
        self._show_classes()
        self.changed.emit()

    def _on_edited(self, edit: Edit) -> None:
        names = renamed(edit)
        if names is not None and self._painting is not None:
            self._rename(self._painting.files, *names)
        self._show_classes()

    def _rename(self, files: PaintingFiles, old: str, new: str) -> None:
        try:
            if not rename_in(files, old, new):
                self.session.asking.tell(f"what is painted as {old} stays so: {new} was painted too")
        except NicError as error:
            self._tell_once(error)

    def _on_picked(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        """Draw in the class that was picked from the canvas; a number without a class is not painted."""
        layer = self.layer
        if layer is None or self._is_choosing or layer.selected_label == 0:
            return
        named = {number: label for label, number in self.classes.items()}
        label = named.get(layer.selected_label)
        if label is None:
            layer.selected_label = self.classes.get(self.documents.current_class, 1)
            self.session.asking.tell("this number has no class: add the class in the Annotator first")
        elif label != self.documents.current_class:
            self.documents.set_current_class(label)

    # -- the window --------------------------------------------------------------------------------------

    def _on_camera(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        self.follow()

    def follow(self, *, anew: bool = False) -> None:
        """Let the window show what the screen does, at its resolution; `anew`: what it shows has changed."""
        layer, painting = self.layer, self._painting
        if layer is None or painting is None or layer.is_held:
            return
        level, view = self._seen(painting)
        inside = view.intersect(self._region) == view and not view.is_empty
        if anew or level != self.level or not inside:
            self.level, self._region = level, window_around(view, painting.labels.shapes[level])
            self._show()

    def _show(self) -> None:
        layer, painting, shown = self.layer, self._painting, self.session.layer
        if layer is None or painting is None or shown is None:
            return
        try:
            labels = painting.labels.read(self.level, self._region)
        except NicError as error:
            self._tell_once(error)
            return
        factor = 2**self.level
        scale = np.array(shown.scale[-2:])
        corner = np.array([self._region.y, self._region.x]) * factor + (factor - 1) / 2
        layer.affine = shown.affine
        layer.show(labels, scale * factor, np.array(shown.translate[-2:]) + scale * corner)
        self.changed.emit()

    def _seen(self, painting: OpenPainting) -> tuple[int, RegionPx]:
        shown = self.session.layer
        assert shown is not None  # noqa: S101 -- there is a slide
        return seen_part(self.session.viewer, shown, list(painting.labels.shapes))

    @property
    def mpp(self) -> float:
        """Size of a pixel that is painted, um; level-0 pixels where their size is not known."""
        return float(pixel_of(self._slide).mean * 2**self.level)

    # -- strokes -----------------------------------------------------------------------------------------

    def _on_paint(self, event: Any) -> None:  # noqa: ARG002 -- what was painted is in the layer
        self.commit()

    def commit(self) -> None:
        """Take what was painted into the window, as one step, and keep it."""
        layer, painting = self.layer, self._painting
        if layer is None or painting is None:
            return
        erases = layer.selected_label == 0 or str(layer.mode) == "erase"
        title = "erase" if erases else f"paint {self.documents.current_class}"
        try:
            change = painting.labels.paint(self.level, self._region, np.asarray(layer.data), title)
            self.keep_classes()
        except NicError as error:
            self._tell_once(error)
            return
        layer.forget_strokes()
        if change is not None:
            self._save()
        self.changed.emit()

    def undo(self) -> None:
        """Take the last stroke back, wherever it was; it is moved into view."""
        painting = self._painting
        if painting is not None:
            self.reveal(painting.labels.undo(), "there is nothing to undo in the painting")

    def redo(self) -> None:
        """Make the last stroke anew that was taken back."""
        painting = self._painting
        if painting is not None:
            self.reveal(painting.labels.redo(), "there is nothing to redo in the painting")

    @property
    def titles(self) -> tuple[str, str]:
        """Titles of what would be undone and redone; empty where there is nothing."""
        return ("", "") if self._painting is None else self._painting.labels.titles

    def reveal(self, change: Change | None, nothing: str) -> None:
        """Show what a step changed, and keep it; `nothing` is told if there was none."""
        painting, shown = self._painting, self.session.layer
        if painting is None or shown is None:
            return
        if change is None:
            self.session.asking.tell(nothing)
            return
        level, view = self._seen(painting)
        area, factor = change.area, 2**level
        seen = RegionPx(view.y * factor, view.x * factor, view.height * factor, view.width * factor)
        if seen.intersect(area).is_empty:
            camera = self.session.viewer.scene.camera
            middle = area.y + area.height / 2 - 0.5, area.x + area.width / 2 - 0.5
            camera.center = (*camera.center[:-2], *shown.data_to_world(middle)[-2:])
        self.follow(anew=True)
        self._save()

    # -- keeping -----------------------------------------------------------------------------------------

    def keep_classes(self) -> None:
        """Keep which class each number is.

        Raises
        ------
        StoreError
            If it cannot be written.
        """
        if self._painting is not None:
            self._painting.files.set_classes(self.classes, self.colors)

    def _save(self) -> None:
        painting = self._painting
        if painting is None or self._saving is not None or painting.labels.is_saved:
            return
        job = self._runner.start(
            "Saving what was painted",
            lambda token: save_job(painting, token),
            Callbacks(failed=self._tell_once, finished=partial(self._on_saved, painting)),
        )
        self._saving = job if job.running else None

    def _on_saved(self, painting: OpenPainting) -> None:
        self._saving = None
        if painting.labels.is_saved:
            self._failed = ""
        if painting is self._painting and not self._failed:
            self._save()
        self.changed.emit()

    def _tell_once(self, error: Exception) -> None:
        """Show what went wrong; the same again is not news, and the next stroke tries again."""
        if str(error) != self._failed:
            self._failed = str(error)
            self.session.asking.tell_error(error)

    @property
    def saving_text(self) -> str:
        """Where the painting is kept, and whether all of it is."""
        painting = self._painting
        if painting is None:
            return ""
        state = "Saved" if painting.labels.is_saved else "Not saved" if self._failed else "Saving"
        return f"{state}: {painting.files.path.name}"

    @property
    def place(self) -> Path | None:
        """The folder that the painting is kept in."""
        return None if self._painting is None else self._painting.files.path
