"""What was painted, as annotations and files of other programs; annotations painted in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from psygnal import Signal

from napari_nic.annotations import AnnotationSet
from napari_nic.errors import NicError
from napari_nic.names import slide_stem
from napari_nic.painting import Change, PaintedPicture, iter_areas, iter_paint
from napari_nic.plugin.controllers.label_painting import LabelPainting
from napari_nic.plugin.controllers.made_annotations import add_annotations
from napari_nic.plugin.layers import pixel_of
from napari_nic.plugin.painting_jobs import OpenPainting, export_job
from napari_nic.plugin.worker import Callbacks, Runner
from napari_nic.wording import counted


class PaintedExchange:
    """Carries labels to other forms and back, one job at a time.

    Parameters
    ----------
    painting : LabelPainting
    runner : Runner

    Attributes
    ----------
    busy : str
        What is being done; empty if nothing is.
    """

    changed = Signal()

    def __init__(self, painting: LabelPainting, runner: Runner) -> None:
        self._painting, self._runner = painting, runner
        self._session, self._documents = painting.session, painting.documents
        self.busy = ""

    def make_annotations(self, tolerance_um: float) -> None:
        """Make an annotation of each connected part; outlines move by no more than the tolerance."""
        painting, slide = self._painting.open_painting, self._session.slide
        if painting is None or slide is None:
            return
        classes, colors = self._painting.classes, self._painting.colors
        self._start(
            "Tracing outlines",
            lambda token: iter_areas(
                painting.labels, classes, pixel_of(slide), tolerance_um, colors=colors, token=token
            ),
            partial(self._on_traced, painting),
        )

    def _on_traced(self, painting: OpenPainting, found: AnnotationSet) -> None:
        document = self._documents.document
        if painting is not self._painting.open_painting or document is None:
            return
        if not len(found):
            self._session.asking.tell("nothing is painted yet")
            return
        try:
            add_annotations(document, found, "make annotations of painted labels")
        except NicError as error:
            self._session.asking.tell_error(error)
            return
        self._session.asking.tell(f"{counted(len(found), 'annotation')} made: {', '.join(found.labels())}")

    def paint_annotations(self) -> None:
        """Paint the selected areas, or all if none is selected, at the resolution of the window."""
        painting, document = self._painting.open_painting, self._documents.document
        if painting is None or document is None:
            return
        chosen = [document[one] for one in self._documents.selected if one in document]
        shapes = AnnotationSet(tuple(one.annotation for one in chosen or document.objects()))
        classes = self._painting.classes
        self._start(
            "Painting annotations",
            lambda token: iter_paint(painting.labels, shapes, classes, self._painting.level, token=token),
            partial(self._on_painted, painting),
        )

    def _on_painted(self, painting: OpenPainting, change: Change | None) -> None:
        if painting is not self._painting.open_painting:
            return
        if change is None:
            self._session.asking.tell("there are no areas to paint, or they are painted already")
            return
        try:
            self._painting.keep_classes()
        except NicError as error:
            self._session.asking.tell_error(error)
        self._painting.reveal(change, "")

    def export(self, path: Path) -> None:
        """Write what is painted as a picture of class numbers, at the resolution of the window.

        Parameters
        ----------
        path : Path
            ``.zarr`` (OME-Zarr labels), ``.tif`` or ``.png``.
        """
        painting = self._painting.open_painting
        if painting is not None:
            shown = self._painting
            picture = PaintedPicture(painting.labels, shown.level, shown.classes, shown.colors)
            mpp = self._painting.mpp
            self._start(
                f"Writing {path.name}", lambda token: export_job(picture, path, mpp, token), self._on_exported
            )

    def _on_exported(self, path: Path) -> None:
        self._session.asking.tell(f"Exported {path.name} to {path.parent}")

    @property
    def export_start(self) -> Path:
        """What a dialog proposes to export to."""
        slide = self._session.slide
        return (
            Path("labels.zarr")
            if slide is None
            else slide.path.with_name(f"{slide_stem(slide.path)}.labels.zarr")
        )

    def _start(self, title: str, make: Callable[[Any], Any], returned: Callable[[Any], None]) -> None:
        if self.busy:
            return
        self.busy = title
        self.changed.emit()
        self._runner.start(
            title,
            make,
            Callbacks(returned=returned, failed=self._session.asking.tell_error, finished=self._on_done),
        )

    def _on_done(self) -> None:
        self.busy = ""
        self.changed.emit()
