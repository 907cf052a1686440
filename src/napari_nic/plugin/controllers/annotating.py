"""Annotations beside the slide: open, draw, save, count, and how well saliency agrees with a class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_nic.annotations import RGB, AnnotationSet
from napari_nic.annotations.frames import counts_from_bounds
from napari_nic.errors import AnnotationError, NicError
from napari_nic.jobs import Progress
from napari_nic.plugin.annotation_jobs import (
    ReadFile,
    Wait,
    at_once,
    holds_ids,
    read_again,
    read_job,
    write_file,
)
from napari_nic.plugin.annotation_layers import AnnotationTag, annotation_layers, annotation_tag
from napari_nic.plugin.annotation_reading import annotations_of
from napari_nic.plugin.controllers.adopting import adopt, part_from_original
from napari_nic.plugin.controllers.comparing import Comparing
from napari_nic.plugin.controllers.document import DocumentController
from napari_nic.plugin.controllers.known_files import KnownFiles
from napari_nic.plugin.controllers.overlays import Kind, OverlayController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.controllers.unsaved import Unsaved
from napari_nic.plugin.layers import LayerData, annotation_frame, frame, pixel_of, tag_of
from napari_nic.plugin.slide_frames import SlideFrame
from napari_nic.plugin.worker import Callbacks, Job, Runner
from napari_nic.slides import Slide
from napari_nic.wording import counted, was_were

if TYPE_CHECKING:
    from napari.layers import Layer

COMPARED: tuple[Kind, ...] = ("saliency", "prediction", "channel")
"""Overlays that can be compared with an area, the most telling first."""

_WATCHED = ("data", "features", "affine", "scale", "translate", "rotate", "shear")


class AnnotationController:
    """The annotation layers of the session's slide.

    A layer of shapes or points that appears while a slide is chosen becomes one of them.

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

    changed = Signal()
    progressed = Signal(Progress)
    shift_wanted = Signal()
    rescue_wanted = Signal()

    def __init__(
        self,
        session: Session,
        overlays: OverlayController,
        runner: Runner,
        wait: Wait = at_once,
        documents: DocumentController | None = None,
    ) -> None:
        self.session = session
        self._wait = wait
        self.documents = documents or DocumentController(session, runner)
        self.drawing = self.documents.drawing
        self.files = KnownFiles(self.documents, wait)
        self.unsaved = Unsaved()
        self._overlays = overlays
        self._removed: list[tuple[int, Layer]] = []
        self._dropped: list[Layer] = []
        self._unwanted: list[Layer] = []
        self._is_replacing = False
        self._found: AnnotationSet | None = None
        self._runner = runner
        self._comparing = Comparing(runner, self.changed.emit, lambda error: session.asking.tell_error(error))
        self.opening = ""
        self._opening_job: Job | None = None
        events = session.viewer.layers.events
        events.inserted.connect(self._on_inserted)
        events.removed.connect(self._on_removed)
        session.slide_changed.connect(self._on_slide)
        overlays.changed.connect(self.changed.emit)
        self.drawing.changed.connect(self._on_edited)
        for layer in session.viewer.layers:
            if annotation_tag(layer) is not None:
                self._follow(layer)

    def close(self) -> None:
        """Stop following the viewer."""
        events = self.session.viewer.layers.events
        events.inserted.disconnect(self._on_inserted)
        events.removed.disconnect(self._on_removed)
        self._comparing.forget()
        self.documents.close()
        self.unsaved.close()
        for layer in self.session.viewer.layers:
            if annotation_tag(layer) is not None:
                self._unhook(layer)

    def layers(self, slide: Slide | None = None) -> list[Layer]:
        """Annotation layers of a slide, by default of the session's."""
        slide = slide or self.session.slide
        tagged = [(layer, annotation_tag(layer)) for layer in self.session.viewer.layers]
        return [
            layer for layer, tag in tagged if tag is not None and tag.slide is slide and slide is not None
        ]

    # -- files -------------------------------------------------------------------------------------------

    def open(self, path: Path) -> None:
        """Open an annotation file on the session's slide, in the background; what cannot be read is told."""
        slide = self.session.slide
        if self._is_part(path):
            return
        self.opening = path.name
        self._opening_job = self._runner.start(
            f"Opening {path.name}",
            partial(read_job, path, slide),
            Callbacks(
                yielded=self.progressed.emit,
                returned=partial(self._on_read, path, slide),
                failed=self.session.asking.tell_error,
                finished=self._on_opened,
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

    def _on_read(self, path: Path, slide: Slide | None, read: ReadFile) -> None:
        if any(_slide_of(layer) is slide for layer in self.session.slide_layers) or slide is None:
            self._show(read.layers)
        elif self.session.slide is not None and self.session.slide.fingerprint == slide.fingerprint:
            self._add(read.annotations, path.stem, path)  # its colours or pixel size were changed meanwhile
        else:
            self.session.asking.tell(f"{path.name} is not shown: its slide was closed meanwhile")

    def _on_opened(self) -> None:
        self.opening = ""
        self.changed.emit()

    def open_once(self, path: Path) -> None:
        """Open an annotation file, unless its layers are there."""
        if all(tag.path != path for tag in self._tags()):
            self.open(path)

    def save(self, path: Path) -> bool:
        """Write the annotations as they are on the screen; the format follows from the suffix."""
        return self._save(path, self.session.slide)

    def _save(self, path: Path, slide: Slide | None) -> bool:
        layers = self.layers(slide)
        try:
            if slide is not None and not self._may_save(path, slide):
                return False
            annotations, held = self._written(layers, slide, path), self.unsaved.held(layers)
            differences = write_file(annotations, path, self._wait, slide)
        except NicError as error:
            self.session.asking.tell_error(error)
            return False
        if differences is None:
            self.session.asking.tell(f"{path.name} was not saved: cancelled")
            return False
        self.unsaved.saved(held, path)
        if slide is not None:
            document = self.documents.document_of(slide)
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
        return replace(document.as_set(read.source, with_ids=holds_ids(path)), notes=read.notes)

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

    # -- what is on the screen ---------------------------------------------------------------------------

    def annotations(self) -> AnnotationSet:
        """All annotations of the slide as they are on the screen."""
        if self._found is None:
            try:
                self._found = self._read(self.layers(), self.session.slide)
            except AnnotationError:  # saving says why
                return AnnotationSet()
        return self._found

    def _read(self, layers: list[Layer], slide: Slide | None) -> AnnotationSet:
        shown = next((layer for layer in self.session.slide_layers if _slide_of(layer) is slide), None)
        found = annotations_of(layers, SlideFrame(slide, shown))
        return replace(found, colors=self._colors_of(found, slide))

    def _colors_of(self, annotations: AnnotationSet, slide: Slide | None) -> dict[str, RGB]:
        colors = self.drawing.colors_of(annotations.labels(), annotations.colors)
        classes = () if slide is None else self.documents.document_of(slide).classes
        return colors | {entry.name: entry.color for entry in classes if entry.name in colors}

    def summary(self) -> str:
        """Number of shapes of each class."""
        counts = self.annotations().counts()
        return ", ".join(f"{label} {count:,}" for label, count in counts.items())

    def labels(self) -> tuple[str, ...]:
        """Classes that have areas."""
        annotations = self.annotations()
        return tuple(dict.fromkeys(a.label for a in annotations.annotations if a.is_area))

    def set_class(self, label: str) -> None:
        """Draw in this class from now on; shapes that are selected become of it."""
        self.drawing.set_class(label, self.layers())

    def agreement(self, label: str) -> str:
        """How well the overlay on the screen agrees with the areas of a class; empty if none can."""
        store = self.session.store
        kind = next((kind for kind in COMPARED if self._overlays.state(kind).shown), None)
        overlay = None if kind is None else self._overlays.overlay(kind)
        if store is None or overlay is None or not overlay.has_values:
            self._comparing.forget()
            return ""
        return self._comparing.text(self.annotations(), label, store.grid, overlay)

    # -- what would be lost ------------------------------------------------------------------------------

    def may_close(self) -> bool:
        """Ask what becomes of annotations that are not saved; False if the window is to stay."""
        slides = {
            id(slide): slide for layer in self.session.viewer.layers if (slide := self._unsaved_on(layer))
        }
        return all(self._may_leave(slide) for slide in slides.values())

    def ask_removed(self) -> None:
        """Ask about layers that went with annotations that are not saved; "cancel" brings them back.

        What other layers showed that are gone goes from the document of a slide that is still there.
        """
        self._remove_unwanted()
        dropped, self._dropped = self._dropped, []
        for layer in dropped:
            self._dismiss(layer)
        removed, self._removed = self._removed, []
        for index, layer in reversed(removed):
            slide = _slide_of(layer)
            with self._replacing():
                self.session.viewer.layers.insert(index, layer)
            if slide is None or not self._may_leave(slide):
                continue
            with self._replacing():
                for left in [layer] if annotation_tag(layer) else [*self.layers(slide), layer]:
                    self.session.viewer.layers.remove(left)
            for left in self._dropped:
                self._dismiss(left)
            self._dropped.clear()
        self.documents.forget_closed()

    def _remove_unwanted(self) -> None:
        """Take out layers of a file that is part of the document already: they would show all twice."""
        unwanted, self._unwanted = self._unwanted, []
        for layer in unwanted:
            tag = annotation_tag(layer)
            if layer in self.session.viewer.layers:
                with self._replacing():
                    self.session.viewer.layers.remove(layer)
            if tag is not None and tag.path is not None:
                self._is_part(tag.path)
        self._dropped = [layer for layer in self._dropped if layer not in unwanted]

    def _dismiss(self, layer: Layer) -> None:
        """Take from its document what a layer showed, unless it went with its slide."""
        slide = _slide_of(layer)
        is_back = layer in self.session.viewer.layers
        if not is_back and any(_slide_of(other) is slide for other in self.session.slide_layers):
            self.documents.views.dismiss(layer)

    def _unsaved_on(self, layer: Layer) -> Slide | None:
        tag = annotation_tag(layer)
        return tag.slide if tag is not None and self.unsaved.is_unsaved(layer) else None

    def _may_leave(self, slide: Slide) -> bool:
        asking = self.session.asking
        choice = asking.leaving(
            "Annotations are not saved",
            f"Annotations of {slide.name} were changed and are not saved to a file. To discard them takes "
            "them also from what is kept beside the slide.",
        )
        if choice == "discard":
            self.documents.keeping.discard(self.documents.document_of(slide))
        if choice != "save":
            return choice == "discard"
        path = asking.save_to("Save annotations", slide.path.with_name(f"{slide.name}.geojson"))
        return path is not None and self._save(path, slide)

    # -- what happens ------------------------------------------------------------------------------------

    def _tags(self) -> list[AnnotationTag]:
        tags = [tag for layer in self.layers() if (tag := annotation_tag(layer)) is not None]
        return list({id(tag): tag for tag in tags}.values())

    @contextmanager
    def _replacing(self) -> Iterator[None]:
        """Layers that go or come meanwhile are our own doing."""
        before, self._is_replacing = self._is_replacing, True
        try:
            yield
        finally:
            self._is_replacing = before

    def _on_inserted(self, event: Any) -> None:
        layer = event.value
        if tag_of(layer) is None:
            adopt(layer, self.session.slide)
        tag = annotation_tag(layer)
        if tag is not None:
            part_from_original(layer, self.session.viewer.layers)
            if self._is_shown_already(tag):
                self._unwanted.append(layer)
                self.rescue_wanted.emit()
                return
            notes = self._follow(layer)
            if not tag.told:
                tag.told = True
                notes = (*tag.notes(), *notes)
                if tag.path is not None and tag.slide is not None:
                    self.files.opened(self.documents.document_of(tag.slide), tag.path, tag.annotations)
            if notes:
                self.session.asking.tell("; ".join(notes))
            if self._lies_off(tag):
                self.shift_wanted.emit()
        self._on_edited()

    def _is_shown_already(self, tag: AnnotationTag) -> bool:
        """Whether a file that was dropped, or opened by napari, is part of its slide's document already."""
        if tag.ids or tag.path is None or tag.slide is None or self._is_replacing:
            return False
        return self.files.is_part(self.documents.document_of(tag.slide), tag.path)

    def _follow(self, layer: Layer) -> tuple[str, ...]:
        self.unsaved.watch(layer)
        self.drawing.follow(layer)
        tag = annotation_tag(layer)
        if tag is not None and tag.view is not None:
            tag.view.bind(layer, self._runner)
        self._unhook(layer)
        for name in _WATCHED:
            if (hook := getattr(layer.events, name, None)) is not None:
                hook.connect(self._on_edited)
        return self.documents.views.add(layer)

    def _unhook(self, layer: Layer) -> None:
        for name in _WATCHED:
            if (hook := getattr(layer.events, name, None)) is not None:
                hook.disconnect(self._on_edited)

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        slide = _slide_of(layer)
        if (tag := annotation_tag(layer)) is not None:
            self.documents.views.gather(layer)
            self.drawing.release(layer)
            self._unhook(layer)
            self.documents.views.remove(layer)
            self._dropped.append(layer)
            if tag.view is not None:
                tag.view.release()
            lost = self.unsaved.is_unsaved(layer)
        else:
            lost = slide is not None and any(map(self.unsaved.is_unsaved, self.layers(slide)))
        if not self._is_replacing:
            if lost and slide is not None:
                self._removed.append((event.index, layer))
            self.rescue_wanted.emit()
        self._on_edited()

    def _on_edited(self, event: Any = None) -> None:  # noqa: ARG002 -- napari passes the event
        self._found = None
        self.changed.emit()

    def _on_slide(self) -> None:
        """Lay annotations that were opened before any slide onto the slide."""
        slide = self.session.slide
        self._found = None
        if slide is None:
            return
        tagged = [(layer, annotation_tag(layer)) for layer in self.session.viewer.layers]
        # The layers of one file share a tag: all are found before the first is changed.
        waiting = [(layer, tag) for layer, tag in tagged if tag is not None and not tag.slide]
        for layer, tag in waiting:
            tag.slide = slide
            is_picture = not hasattr(layer, "selected_data")
            place = frame(pixel_of(slide)) if is_picture else annotation_frame(slide)
            layer.scale, layer.translate, layer.units = place["scale"], place["translate"], place["units"]
        for layer, _ in waiting:
            self.documents.views.add(layer)
        if any(self._lies_off(annotation_tag(layer)) for layer in self.layers()):
            self.shift_wanted.emit()
        self.changed.emit()


def _slide_of(layer: Layer) -> Slide | None:
    tag = tag_of(layer)
    return tag.slide if tag is not None and tag.kind in ("slide", "annotations") else None
