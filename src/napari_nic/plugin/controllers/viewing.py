"""Layers of annotations as views of the documents of their slides, in both directions.

What is done to a layer by napari's own tools becomes an edit of the document, one for each gesture. An edit
from elsewhere (undo, a dock, a file) changes the rows that it is about, and no others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_nic.editing import Document, Edit
from napari_nic.errors import AnnotationError, LockedAnnotationError
from napari_nic.plugin.annotation_layers import MAX_SHAPES, AnnotationTag, annotation_tag
from napari_nic.plugin.annotation_reading import Found, is_in_place, read_layer
from napari_nic.plugin.controllers.admitting import admit, numbers_in
from napari_nic.plugin.controllers.drawing import Drawing
from napari_nic.plugin.controllers.homes import Homes
from napari_nic.plugin.controllers.housing import Housing, LayersOf
from napari_nic.plugin.controllers.lifting import Lifting
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.controllers.shown_changes import Shown, changes_of
from napari_nic.plugin.layer_doings import Done, bridged_in, note_what_was_done, what_was_done
from napari_nic.plugin.layer_hooks import LayerHooks
from napari_nic.plugin.layer_looks import (
    Look,
    color_labels,
    color_outlines,
    look_of,
    select_in,
    selected_in,
)
from napari_nic.plugin.layer_rows import is_drawing
from napari_nic.plugin.layer_updates import Changes, apply_changes, show_painted
from napari_nic.plugin.layers import tag_of
from napari_nic.plugin.slide_frames import SlideFrame

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_nic.slides import Slide


class Views:
    """Keeps layers and documents the same.

    Parameters
    ----------
    session : Session
    document_of : callable
        The document of a slide; None if it has none.
    drawing : Drawing
        Gives shapes the colours of their classes.
    homes : Homes
        Remembers which layer shows what.
    """

    sync_wanted = Signal()
    selection_changed = Signal()
    added = Signal(object)
    """Emitted with a layer that is followed from now on."""

    removed = Signal(object)

    def __init__(
        self,
        session: Session,
        document_of: Callable[[Slide], Document | None],
        drawing: Drawing,
        homes: Homes,
    ) -> None:
        self._session = session
        self._document_of = document_of
        self._drawing = drawing
        self._homes = homes
        self._housing = Housing(session, LayersOf(document_of, self.layers, self._add_quietly), homes)
        self._views: dict[Layer, LayerHooks] = {}
        self.lifting = Lifting(
            session.viewer,
            lambda tag: None if tag.slide is None else document_of(tag.slide),
            lambda layer: self._views[layer].numbers if layer in self._views else set(),
            self._apply_quietly,
            self.selection_changed.emit,
        )
        self._is_busy = self._is_step = False
        self.all_hidden = False
        drawing.look = self._look

    def close(self) -> None:
        """Let all layers go."""
        for layer in list(self._views):
            self.remove(layer)

    # -- layers come and go ------------------------------------------------------------------------------

    def add(self, layer: Layer) -> tuple[str, ...]:
        """Take a layer of annotations in: what it shows becomes part of its slide's document.

        Returns
        -------
        tuple of str
            What the user is to know.
        """
        tag = annotation_tag(layer)
        document = None if tag is None or tag.slide is None else self._document_of(tag.slide)
        if tag is None or document is None or layer in self._views:
            return ()
        with self._quiet():
            notes = admit(tag, document, self._drawing, self._homes, is_step=self._is_step)
        self._views[layer] = LayerHooks(
            layer, numbers_in(layer, tag), self.sync, self._sync_later, self._on_selected
        )
        self.show_colors(layer)
        self.lifting.follow(layer)
        layer.events.name.connect(self._on_renamed)
        self.sync(layer)
        self.added.emit(layer)
        return notes

    def remove(self, layer: Layer) -> None:
        """Let a layer go; what it showed stays in the document."""
        self.lifting.release(layer)
        if layer in self._views:
            self._views.pop(layer).release()
            layer.events.name.disconnect(self._on_renamed)
            self.removed.emit(layer)

    def _on_renamed(self, event: Any) -> None:
        """Let shapes, and points that stand alone, give their name to what is kept of them."""
        layer, tag = event.source, annotation_tag(event.source)
        document = None if tag is None or tag.slide is None else self._document_of(tag.slide)
        others = [one for one in self._views if one is not layer and annotation_tag(one) is tag]
        if tag is None or document is None or tag.home is not None or (others and hasattr(layer, "symbol")):
            return
        tag.name = layer.name
        self._homes.rename(document, tag)

    def gather(self, layer: Layer) -> None:
        """Put shapes that were lifted back into the picture they came from: one of both layers goes."""
        for other in list(self._views):
            if self._tag(other).lifted is layer or other is layer:
                self.sync_all()
                self.lifting.put_back(other)

    def dismiss(self, layer: Layer) -> None:
        """Take from the document what a layer showed that is gone, as a step that can be undone."""
        tag = annotation_tag(layer)
        document = None if tag is None or tag.slide is None else self._document_of(tag.slide)
        if tag is None or document is None:
            return
        shown = numbers_in(layer, tag)
        gone = [tag.ids[n] for n in sorted(shown) if n < len(tag.ids) and tag.ids[n] in document]
        with self._quiet():
            document.put(f"remove layer {layer.name}", remove=gone, over_locks=True)

    @contextmanager
    def as_step(self) -> Iterator[None]:
        """Let what layers bring until the end be a step that can be undone, and not only be there."""
        self._is_step = True
        try:
            yield
        finally:
            self._is_step = False

    def layers(self, document: Document) -> list[Layer]:
        """Layers that show objects of a document, in the order of the layer list."""
        return [layer for layer in self._session.viewer.layers if self._is_of(layer, document)]

    def _is_of(self, layer: Layer, document: Document) -> bool:
        tag = annotation_tag(layer)
        return (
            layer in self._views
            and tag is not None
            and tag.slide is not None
            and self._document_of(tag.slide) is document
        )

    def is_held(self, document: Document) -> bool:
        """Whether a shape is drawn or dragged just now, which is no edit yet."""
        return any(is_drawing(one) or self._views[one].in_gesture for one in self.layers(document))

    # -- layer -> document -------------------------------------------------------------------------------

    def _sync_later(self, layer: Layer) -> None:
        if layer in self._views and not self._is_busy:
            self._views[layer].is_dirty = True
            self.sync_wanted.emit()

    def _on_selected(self) -> None:
        if not self._is_busy:
            self.selection_changed.emit()

    def sync_all(self) -> None:
        """Take in what was done to layers and waits."""
        for layer, view in list(self._views.items()):
            if view.is_dirty and layer in self._views:
                # Two strokes on one painted object are two steps.
                self.sync(layer, goes_on=self._tag(layer).labels is None)

    def sync(self, layer: Layer, *, goes_on: bool = False) -> None:
        """Make an edit of what was done to a layer since it was looked at last; a gesture is waited for."""
        view, tag = self._views.get(layer), annotation_tag(layer)
        document = None if tag is None or tag.slide is None else self._document_of(tag.slide)
        if view is None or tag is None or document is None or self._is_busy:
            return
        view.is_dirty = True
        if tag.view is not None and is_in_place(layer, self._frame(tag.slide)):
            view.is_dirty = False
            return  # its shapes change by edits of the document alone
        features = layer.features if hasattr(layer, "selected_data") else None
        if (
            view.in_gesture
            or (is_drawing(layer) and not self._views[layer].is_added)
            or (features is not None and len(features) != len(layer.data))
        ):
            return
        try:
            found = read_layer(layer, self._frame(tag.slide))
        except AnnotationError:  # saving says why
            return
        view.is_dirty = False
        self._take(layer, found, document, goes_on=goes_on)

    def _take(self, layer: Layer, found: Sequence[Found], document: Document, *, goes_on: bool) -> None:
        tag, numbers = self._tag(layer), self._views[layer].numbers
        done = what_was_done(found, tag, numbers, document)
        if done.is_nothing:
            return
        gone = [tag.ids[number] for number in done.gone]
        if tag.home is None:  # before it is written
            self._homes.put(document, tag, (item.id for item in done.fresh.values()))
        try:
            with self._quiet():
                edit = document.put(
                    done.title(document),
                    *done.changed.values(),
                    *done.fresh.values(),
                    remove=gone,
                    goes_on=goes_on,
                )
        except LockedAnnotationError as error:
            self._put_back(layer, document, done)
            self._session.asking.tell_error(error)
            return
        with self._quiet():
            note_what_was_done(layer, tag, done, numbers)
            if bridged := bridged_in(layer, tag, done):
                self._apply(layer, Changes(changed={n: document[tag.ids[n]] for n in bridged}))
            if tag.labels is not None:
                show_painted(layer)
        if tag.labels is not None:
            self.show_colors(layer)
        if edit.classes_after is not None:
            self._recolour(document)

    def _put_back(self, layer: Layer, document: Document, done: Done) -> None:
        """Show objects as they are in the document: they were edited and may not be."""
        tag, numbers = self._tag(layer), self._views[layer].numbers
        if tag.labels is not None:
            tag.labels.put_back(layer.data)
            with self._quiet():
                show_painted(layer)
            return
        changed = [shape.number for shape in done.changed if shape.number is not None]
        numbers -= set(done.gone)
        for number in changed:
            tag.shown.pop(number, None)  # they are not where they were shown
        changes = Changes(
            changed={n: document[tag.ids[n]] for n in changed},
            added={n: document[tag.ids[n]] for n in done.gone},
        )
        with self._quiet():
            self._apply(layer, changes)
        self._drawing.refresh(layer)

    def _apply(self, layer: Layer, changes: Changes) -> None:
        apply_changes(layer, changes, self._views[layer].numbers, self._frame(self._tag(layer).slide))

    def _apply_quietly(self, layer: Layer, changes: Changes) -> None:
        with self._quiet():
            self._apply(layer, changes)
        self.show_colors(layer)
        tag = self._tag(layer)
        document = None if tag.slide is None else self._document_of(tag.slide)
        if document is not None:
            self._homes.put(document, tag, (item.id for item in changes.added.values()))

    def _add_quietly(self, layer: Layer, changes: Changes) -> None:
        self._drawing.follow(layer)
        with self._quiet():
            self._apply(layer, changes)
        self._drawing.refresh(layer)

    @staticmethod
    def _tag(layer: Layer) -> AnnotationTag:
        tag = annotation_tag(layer)
        assert tag is not None  # noqa: S101 -- for the type checker: only layers of annotations are views
        return tag

    # -- document -> layers ------------------------------------------------------------------------------

    def show(self, document: Document, edit: Edit) -> None:
        """Show an edit that was not made on a layer."""
        if self._is_busy:
            return
        shown = [Shown(one, self._tag(one), self._views[one].numbers) for one in self.layers(document)]
        by_layer, homeless = changes_of(edit, shown)
        with self._quiet():
            for layer, changes in by_layer.items():
                self._apply(layer, changes)
                self._drawing.follow(layer)
        if homeless:
            self._housing.house(document, homeless, is_drawn=not edit.is_read)
        self._recolour(document)

    # -- colours and selection ---------------------------------------------------------------------------

    def _look(self, layer: Layer) -> Look:
        tag = annotation_tag(layer)
        document = None if tag is None or tag.slide is None else self._document_of(tag.slide)
        if tag is None or document is None:
            return Look(all_hidden=self.all_hidden)
        return look_of(layer, tag, document, all_hidden=self.all_hidden)

    def _recolour(self, document: Document) -> None:
        for layer in self.layers(document):
            self.show_colors(layer)

    def show_colors(self, layer: Layer) -> None:
        """Give what a layer shows its colours."""
        tag = self._tag(layer)
        if hasattr(layer, "selected_data"):
            self._drawing.refresh(layer)
        elif tag.labels is not None:
            color_labels(layer, tag, self._look(layer), self._drawing.color_in(layer))
        else:
            color_outlines(tag, self._look(layer))

    def set_hidden(self, hidden: bool) -> None:
        """Show no annotations at all, or show them again."""
        self.all_hidden = hidden
        for layer in list(self._views):
            if hasattr(layer, "selected_data"):
                self._drawing.refresh(layer)
            else:
                layer.visible = not hidden

    def ids_in(self, layers: Iterable[Layer]) -> Iterator[str]:
        """Yield the ids of the objects that layers show, those too that were lifted from a picture."""
        for layer in layers:
            if layer in self._views:
                numbers = self._views[layer].numbers | self.lifting.lifted(layer)
                yield from (self._tag(layer).ids[number] for number in sorted(numbers))

    def selected(self, document: Document) -> tuple[str, ...]:
        """Return the ids of the objects that are selected in napari."""
        return tuple(
            dict.fromkeys(identity for layer in self.layers(document) for identity in selected_in(layer))
        )

    def select(self, document: Document, ids: Iterable[str]) -> None:
        """Select objects in napari, and no others."""
        wanted = set(ids)
        for layer in self.layers(document):
            if (tag := self._tag(layer)).view is not None:
                numbers = self._views[layer].numbers | self.lifting.lifted(layer)
                if not self.lifting.lift(layer, {n for n in numbers if tag.ids[n] in wanted}):
                    self._session.asking.tell(
                        f"More than {MAX_SHAPES:,} shapes of {layer.name} cannot be selected"
                    )
        with self._quiet():
            for layer in self.layers(document):
                select_in(layer, wanted)
        self.selection_changed.emit()

    # -- inner -------------------------------------------------------------------------------------------

    def _frame(self, slide: Slide | None) -> SlideFrame:
        shown = (
            layer
            for layer in self._session.slide_layers
            if (t := tag_of(layer)) is not None and t.slide is slide
        )
        return SlideFrame(slide, next(shown, None))

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Let changes of layers and documents until the end be our own doing."""
        before, self._is_busy = self._is_busy, True
        try:
            with self._drawing.quiet():
                yield
        finally:
            self._is_busy = before
