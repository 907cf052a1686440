"""Annotation files on the session's slide: opened, saved, read anew, and moved where they belong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_nic.annotations import AnnotationSet
from napari_nic.annotations.frames import counts_from_bounds
from napari_nic.errors import NicError
from napari_nic.jobs import Progress
from napari_nic.outlines.preview import Glimpse
from napari_nic.plugin.annotation_jobs import (
    ReadFile,
    Wait,
    at_once,
    holds_ids,
    keep_job,
    read_again,
    read_job,
    write_file,
)
from napari_nic.plugin.annotation_layers import AnnotationTag, annotation_layers, annotation_tag
from napari_nic.plugin.controllers.annotated import Annotated, slide_shown_by
from napari_nic.plugin.controllers.document import DocumentController
from napari_nic.plugin.controllers.known_files import KnownFiles
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.previewing import Previewing
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.controllers.unsaved import Unsaved
from napari_nic.plugin.layers import METADATA_KEY, LayerData
from napari_nic.plugin.worker import Callbacks, Job, Runner, leave_alone
from napari_nic.slides import Slide
from napari_nic.wording import counted, was_were

if TYPE_CHECKING:
    from napari.layers import Layer


class AnnotationFiles(Annotated):
    """Opens and saves.

    Parameters
    ----------
    session : Session
    overlays : OverlayController
    runner : Runner
        Reads files, and compares areas with overlays.
    wait : callable, optional
        Lets the user wait for what must have ended before the window goes on, while the window lives.
    documents : DocumentController, optional
        Of the window; one of its own by default.
    """

    progressed = Signal(Progress)

    def __init__(
        self,
        session: Session,
        overlays: OverlayController,
        runner: Runner,
        wait: Wait = at_once,
        documents: DocumentController | None = None,
    ) -> None:
        super().__init__(session, overlays, runner, documents or DocumentController(session, runner))
        self._wait = wait
        self.files = KnownFiles(self.documents, wait)
        self.unsaved = Unsaved()
        self.opening = ""
        self._opening_job: Job | None = None
        self._is_replacing = False
        self._dropped: list[Layer] = []

    # -- opening -----------------------------------------------------------------------------------------

    def open(self, path: Path) -> None:
        """Open an annotation file on the session's slide, in the background; what cannot be read is told."""
        slide = self.session.slide
        if self._is_part(path):
            return
        self.opening = path.name
        previewing = Previewing(self.session.viewer, self._runner)
        self._opening_job = self._runner.start(
            f"Opening {path.name}",
            partial(read_job, path, slide),
            Callbacks(
                yielded=partial(self._on_report, path, slide, previewing),
                returned=partial(self._on_read, path, slide, previewing),
                failed=self.session.asking.tell_error,
                finished=partial(self._on_opened, previewing),
            ),
        )
        self.changed.emit()

    def _is_part(self, path: Path) -> bool:
        """Whether a file is part of the document already; what was changed in it since is asked about."""
        document = self.documents.document
        if document is None or not self.files.is_part(document, path):
            return False
        text = f"{path.name} is part of the annotations of this slide already"
        if number := self.files.bring_back(document, path):
            text += f"; {counted(number, 'shape')} that {was_were(number)} taken away came back"
        self.session.asking.tell(text)
        self.files.check()
        return True

    def cancel_opening(self) -> None:
        """Stop reading the file that is being opened; nothing of it is shown."""
        if self._opening_job is not None:
            self._opening_job.cancel()

    def _on_report(self, path: Path, slide: Slide | None, previewing: Previewing, report: Progress) -> None:
        if self._opening_job is not None and self._opening_job.token.cancelled:
            return  # it was on its way here when the user cancelled: to show it would hold up the end
        self.progressed.emit(report)
        if isinstance(report, Glimpse) and slide is not None and self._is_shown(slide):
            classes = {entry.name: entry.color for entry in self.documents.document_of(slide).classes}
            with self._replacing():
                previewing.show(report, slide, path.stem, classes)
        if isinstance(report, Glimpse):
            report.seen.set()

    def _is_shown(self, slide: Slide) -> bool:
        return any(slide_shown_by(layer) is slide for layer in self.session.slide_layers)

    def _on_read(self, path: Path, slide: Slide | None, previewing: Previewing, read: ReadFile) -> None:
        if slide is None or self._is_shown(slide):
            self._let_stand_in(previewing, read.layers)
            self._show(read.layers)
        elif self.session.slide is not None and self.session.slide.fingerprint == slide.fingerprint:
            self._add(read.annotations, path.stem, path)  # its colours or pixel size were changed meanwhile
        else:
            self.session.asking.tell(f"{path.name} is not shown: its slide was closed meanwhile")
        if read.to_keep is not None:
            keep = partial(keep_job, read.to_keep)
            self._runner.start(f"Keeping {path.name} for the next time", keep, Callbacks())

    def _let_stand_in(self, previewing: Previewing, layers: list[LayerData]) -> None:
        """Show what was seen while a file was read until all of it is drawn."""
        views = (options["metadata"][METADATA_KEY].view for _, options, _ in layers)
        view = next((view for view in views if view is not None), None)
        if view is not None and previewing.pyramid is not None:
            view.pyramid.stand_in(previewing.pyramid)
        self._end_preview(previewing)

    def _end_preview(self, previewing: Previewing) -> None:
        leave_alone()  # napari collects garbage when a layer goes: among all that was read it takes long
        with self._replacing():
            previewing.hide()

    def _on_opened(self, previewing: Previewing) -> None:
        self._end_preview(previewing)
        self.opening = ""
        self.changed.emit()

    def open_once(self, path: Path) -> None:
        """Open an annotation file, unless its layers are there."""
        if all(tag.path != path for tag in self._tags()):
            self.open(path)

    def save(self, path: Path) -> bool:
        """Write the annotations as they are on the screen; the format follows from the suffix."""
        return self._save(path, self.session.slide)

    def save_layers(self, path: Path, slide: Slide, layers: Sequence[Layer]) -> bool:
        """Write some of the layers of a slide as :meth:`save` writes all: what it replaces is kept.

        Raises
        ------
        NicError
            If they cannot be written: who asked for it, by napari or by code, is to hear of it.
        """
        return self._write(path, slide, list(layers))

    def _save(self, path: Path, slide: Slide | None) -> bool:
        try:
            return self._write(path, slide, self.layers(slide))
        except NicError as error:
            self.session.asking.tell_error(error)
            return False

    def _write(self, path: Path, slide: Slide | None, layers: list[Layer]) -> bool:
        if slide is not None and not self._may_save(path, slide):
            return False
        annotations, held = self._written(layers, slide, path), self.unsaved.held(layers)
        differences = write_file(annotations, path, self._wait, slide)
        if differences is None:
            self.session.asking.tell(f"{path.name} was not saved: cancelled")
            return False
        self.unsaved.saved(held, path)
        if slide is not None:
            document = self.documents.document_of(slide)
            if set(layers) == set(self.layers(slide)):
                self.documents.keeping.is_saved(document)
            self.files.saved(document, path, slide, annotations)
        self.session.asking.tell("; ".join([f"Saved {path.name}", *annotations.notes, *differences]))
        return True

    def _written(self, layers: list[Layer], slide: Slide | None, path: Path) -> AnnotationSet:
        """Return the document as it is written to a file; layers that cannot be read say why."""
        read = self._read(layers, slide)
        if slide is None:
            return read
        self.documents.views.sync_all()
        document = self.documents.document_of(slide)
        everything = document.as_set(read.source, with_ids=holds_ids(path))
        if set(layers) == set(self.layers(slide)):
            return replace(everything, notes=read.notes)
        shown = set(self.documents.views.ids_in(layers))
        pairs = zip(document.objects(), everything.annotations, strict=True)
        some = tuple(annotation for item, annotation in pairs if item.id in shown)
        return replace(everything, annotations=some, notes=read.notes)

    def _may_save(self, path: Path, slide: Slide) -> bool:
        self.documents.views.sync_all()
        return self.files.may_save(self.documents.document_of(slide), path, slide)

    def can_reload(self) -> bool:
        """Whether a layer of the slide came from a file that can be read anew."""
        return any(tag.path is not None for tag in self._tags())

    def reload(self) -> None:
        """Read the slide's annotation files anew; what was changed since is lost if the user agrees."""
        layers = [layer for layer in self.layers() if (tag := annotation_tag(layer)) and tag.path]
        lost = self._lost_by_reloading(layers)
        if lost and not self.session.asking.confirm("Reload annotations", lost, yes="Reload", no="Cancel"):
            return
        for tag in [tag for tag in self._tags() if tag.path is not None]:
            assert tag.path is not None  # noqa: S101 -- for the type checker
            try:
                annotations = read_again(tag.path, len(tag.annotations), self._wait, tag.slide)
            except NicError as error:
                self.session.asking.tell_error(error)
                continue
            if annotations is not None:
                self._replace(tag, annotations)

    def _lost_by_reloading(self, layers: list[Layer]) -> str:
        """Say what would go from the screen; empty when nothing would."""
        restored = [tag for layer in layers if (tag := annotation_tag(layer)) and tag.is_restored]
        if any(map(self.unsaved.is_unsaved, layers)) or not all(map(self._is_as_in_file, restored)):
            return "What was changed in these annotations since they were opened or saved is lost."
        elsewhere = dict.fromkeys(path for layer in layers if (path := self.unsaved.saved_elsewhere(layer)))
        if not elsewhere:
            return ""
        names = ", ".join(path.name for path in elsewhere)
        return (
            f"What was changed in these annotations is saved in {names}, and not in the file they were "
            "opened from: reloading that takes it from the screen."
        )

    def _is_as_in_file(self, tag: AnnotationTag) -> bool:
        """Whether what was kept of a file's annotations is what the file held, and nothing more."""
        if tag.slide is None or tag.path is None:
            return False
        document = self.documents.document_of(tag.slide)
        shown = sum(identity in document for identity in tag.ids)
        return shown == self.files.count(document, tag.path) and self.files.holds(document, tag.path)

    def _replace(self, tag: AnnotationTag, annotations: AnnotationSet) -> None:
        views = self.documents.views
        with self._replacing(), self.documents.hold(f"read {tag.name} anew"), views.as_step():
            for layer in [layer for layer in self.layers() if annotation_tag(layer) is tag]:
                self.session.viewer.layers.remove(layer)
                views.dismiss(layer)
            self._dropped.clear()
            self._add(annotations, tag.name, tag.path)

    def _add(self, annotations: AnnotationSet, name: str, path: Path | None) -> None:
        self._show(annotation_layers(annotations, self.session.slide, name, path))

    def _show(self, layers: list[LayerData]) -> None:
        for data, options, kind in layers:
            view = options["metadata"][METADATA_KEY].view
            if view is not None:
                view.draw_by(self._runner)
            add = getattr(self.session.viewer, f"add_{kind}")
            add(data, **options)

    # -- the frame ---------------------------------------------------------------------------------------

    def ask_shift(self) -> None:
        """Offer to move annotations that count from the scanned part of the slide; asks once a file."""
        for tag in self._tags():
            if self._lies_off(tag):
                tag.asked = True
                self._ask_shift(tag)

    def _ask_shift(self, tag: AnnotationTag) -> None:
        bounds = None if tag.slide is None else tag.slide.bounds
        if bounds is None or not self.session.asking.confirm(
            "Annotations lie off the tissue",
            f"{tag.name} lies outside the scanned part of the slide, which begins at x {bounds.x:,}, "
            f"y {bounds.y:,} px. QuPath counts from there, other programs from the slide's corner.",
            yes="Move them onto the scanned part",
            no="Leave them",
        ):
            return
        self._replace(tag, tag.annotations.shifted(bounds.x, bounds.y))
        if tag.path is not None and tag.slide is not None:
            document = self.documents.document_of(tag.slide)
            self.files.shifted(document, tag.path, bounds.x, bounds.y)

    @staticmethod
    def _lies_off(tag: AnnotationTag | None) -> bool:
        return (
            tag is not None
            and tag.slide is not None
            and not tag.asked
            and counts_from_bounds(tag.annotations, tag.slide.bounds)
        )

    @contextmanager
    def _replacing(self) -> Iterator[None]:
        """Layers that go or come meanwhile are our own doing."""
        before, self._is_replacing = self._is_replacing, True
        try:
            yield
        finally:
            self._is_replacing = before
