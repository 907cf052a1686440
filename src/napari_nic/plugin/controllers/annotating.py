"""Annotations beside the slide: open, draw, save, count, and how well saliency agrees with a class."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_nic.plugin.annotation_jobs import Wait, at_once
from napari_nic.plugin.annotation_layers import AnnotationTag, annotation_tag
from napari_nic.plugin.controllers.adopting import adopt, part_from_original
from napari_nic.plugin.controllers.annotated import slide_shown_by
from napari_nic.plugin.controllers.annotation_files import AnnotationFiles
from napari_nic.plugin.controllers.document import DocumentController
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.label_objects import too_large_text
from napari_nic.plugin.layers import annotation_frame, frame, pixel_of, tag_of
from napari_nic.plugin.worker import Runner
from napari_nic.slides import Slide

if TYPE_CHECKING:
    from napari.layers import Layer

_WATCHED = ("data", "features", "paint", "affine", "scale", "translate", "rotate", "shear")


class AnnotationController(AnnotationFiles):
    """The annotation layers of the session's slide, as they come, change and go.

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
        super().__init__(session, overlays, runner, wait, documents)
        self._removed: list[tuple[int, Layer]] = []
        self._unwanted: list[Layer] = []
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
            slide = slide_shown_by(layer)
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
        slide = slide_shown_by(layer)
        is_back = layer in self.session.viewer.layers
        if not is_back and any(slide_shown_by(other) is slide for other in self.session.slide_layers):
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

    def _on_inserted(self, event: Any) -> None:
        layer = event.value
        if tag_of(layer) is None:
            adopt(layer, self.session.slide)
            if self.session.slide is not None and (text := too_large_text(layer)):
                self.session.asking.tell(text)
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
                    self.files.opened(self.documents.document_of(tag.slide), tag)
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
        slide = slide_shown_by(layer)
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
