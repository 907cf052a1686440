"""The annotator: which tool is active, what it draws with, what its strokes make of the slide's document."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from psygnal import Signal

from napari_nic.annotations import RGB
from napari_nic.editing import AnnotationObject, Document, DrawingClass, Edit, ObjectIndex
from napari_nic.editing.operations.objects import Step
from napari_nic.errors import NicError
from napari_nic.geometry import PixelSize
from napari_nic.plugin.controllers.surroundings import Surroundings
from napari_nic.plugin.controllers.tool_settings import ToolSettings
from napari_nic.plugin.layers import pixel_of
from napari_nic.plugin.tools.base import Tool, View
from napari_nic.plugin.tools.pointer import XY, Pointer
from napari_nic.plugin.tools.toolbox import BY_NAME
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.plugin.controllers.session import Session


class Documents(Protocol):
    """The documents of a window, as :class:`DocumentController` keeps them."""

    session: Session
    document_changed: Any
    edited: Any
    selection_changed: Any
    class_changed: Any
    hidden: bool

    @property
    def document(self) -> Document | None:
        """Of the session's slide."""
        ...

    @property
    def selected(self) -> tuple[str, ...]:
        """Ids of selected objects."""
        ...

    def select(self, ids: Iterable[str], *, reveal: bool = False) -> None:
        """Select objects, and no others."""
        ...

    @property
    def current_class(self) -> str:
        """Class that is drawn in."""
        ...

    def set_current_class(self, name: str) -> None:
        """Draw in a class."""
        ...

    def undo(self) -> Edit | None:
        """Take the last edit back."""
        ...

    def redo(self) -> Edit | None:
        """Make it anew."""
        ...


class Annotator(ToolSettings):
    """What the tools, the keys and the dock of the annotator work on.

    Parameters
    ----------
    documents : Documents
    surroundings : Surroundings
        Tissue, codes and pixels of the slide.
    """

    tool_changed = Signal()
    edited = Signal(object)
    worked = Signal()
    told = Signal(str)

    def __init__(self, documents: Documents, surroundings: Surroundings) -> None:
        super().__init__(documents.session.settings)
        self.documents = documents
        self.session = documents.session
        self.surroundings = surroundings
        self.tool: Tool | None = None
        self.is_working = False
        self._index: ObjectIndex | None = None
        self._last_drawn: tuple[AnnotationObject, PixelSize] | None = None
        documents.document_changed.connect(self._on_document)
        documents.edited.connect(self._on_edited)
        documents.selection_changed.connect(self.changed.emit)
        documents.class_changed.connect(self.changed.emit)
        self._on_document()

    def close(self) -> None:
        """Let the documents go."""
        self.set_tool("")
        self.documents.document_changed.disconnect(self._on_document)
        self.documents.edited.disconnect(self._on_edited)
        self.documents.selection_changed.disconnect(self.changed.emit)
        self.documents.class_changed.disconnect(self.changed.emit)
        self._forget_index()

    # -- the tool ----------------------------------------------------------------------------------------

    def set_tool(self, name: str) -> None:
        """Take a tool; an empty name lays it down, and all keys are napari's again."""
        if self.tool is not None:
            self.tool.cancel()
        if name and self.document is None:
            self.tell("open a slide first: annotations belong to a slide")
            name = ""
        self.tool = BY_NAME[name](self) if name else None
        if name == "similar":
            self.surroundings.make_ready()
        self.tool_changed.emit()
        self.changed.emit()

    @property
    def tool_name(self) -> str:
        """Name of the tool that is active; empty if none is."""
        return "" if self.tool is None else self.tool.name

    def escape(self) -> None:
        """Drop what was begun; if nothing was, the selection; if there is none, lay the tool down."""
        if self.tool is not None and self.tool.cancel():
            self.changed.emit()
        elif self.selected:
            self.select(())
        else:
            self.set_tool("")

    def resize(self, steps: int) -> None:
        """Let the active tool take more or less."""
        self.resize_for(self.tool_name, steps)

    def set_snaps(self, *, snaps: bool) -> None:
        """Draw corners onto the tissue's outline where it is near; the tissue is found first."""
        if snaps:
            self.surroundings.with_tissue(lambda _: self.changed.emit())
        super().set_snaps(snaps=snaps)

    # -- what tools ask ----------------------------------------------------------------------------------

    @property
    def document(self) -> Document | None:
        """The annotations of the session's slide."""
        return self.documents.document

    @property
    def pixel(self) -> PixelSize:
        """Size of a level-0 pixel; 1 um where nobody knows it."""
        return pixel_of(self.session.slide)

    @property
    def known_pixel(self) -> PixelSize | None:
        """Size of a level-0 pixel; None where nobody knows it."""
        return None if self.session.slide is None else self.session.slide.pixel_size

    @property
    def label(self) -> str:
        """Class that is drawn in."""
        return self.documents.current_class

    @property
    def color(self) -> RGB:
        """Colour of that class."""
        document = self.document
        entry = None if document is None else document.class_named(self.label)
        return (255, 220, 0) if entry is None else entry.color

    @property
    def selected(self) -> tuple[str, ...]:
        """Ids of selected objects."""
        return self.documents.selected

    @property
    def items(self) -> list[AnnotationObject]:
        """Selected objects."""
        document = self.document
        return [] if document is None else [document[i] for i in self.selected if i in document]

    def select(self, ids: Sequence[str], *, reveal: bool = False) -> None:
        """Select objects, and no others."""
        self.documents.select(ids, reveal=reveal)
        self.changed.emit()

    def at(self, xy: XY, reach: float) -> list[AnnotationObject]:
        """Visible objects at a point."""
        return [] if self._index is None or self.documents.hidden else self._index.at(xy, reach)

    def touching(self, geometry: Any) -> list[AnnotationObject]:
        """Visible objects that a geometry touches."""
        return [] if self._index is None or self.documents.hidden else self._index.touching(geometry)

    def is_locked(self, item: AnnotationObject) -> bool:
        """Whether edits of an object are refused."""
        return self.document is not None and self.document.is_locked(item.id)

    def carry_out(self, step: Step) -> bool:
        """Make a step; whatever refuses it is told, and so is drawing in what is not shown."""
        document = self.document
        if document is None:
            return False
        if self.documents.hidden:
            self.documents.hidden = False
            self.tell("annotations are shown again, since one was changed")
        try:
            with self.working():
                step.apply_to(document)
        except NicError as error:
            self.tell_error(error)
            return False
        if step.put:
            self._last_drawn = step.put[-1], self.pixel
            self._show_class(step.put[-1].label)
        return True

    def snapped(self, pointer: Pointer) -> XY:
        """The pointer's place, drawn onto the tissue's outline if that is wished and it is near."""
        is_free = pointer.free or not self.snaps
        return pointer.xy if is_free else self.surroundings.outline.point(pointer)

    def way(self, start: XY, pointer: Pointer, *, freehand: bool = False) -> list[XY]:
        """Points after `start` up to the pointer: along the tissue's outline between two points of it."""
        is_free = pointer.free or not self.snaps
        return [pointer.xy] if is_free else self.surroundings.outline.way(start, pointer, freehand=freehand)

    def view_around(self, pointer: Pointer) -> View | None:
        """The slide around the pointer, as the screen shows it."""
        return self.surroundings.view_around(pointer)

    def look_ahead(self, pointer: Pointer, seen: View) -> None:
        """Begin to read what lies where the pointer goes, if it is about to leave what was seen."""
        self.surroundings.look_ahead(pointer, seen)

    def similar_cells(self, xy: XY) -> Any:
        """Area of the cells that are like the one at a point."""
        return self.surroundings.similar_cells(xy, self.similarity)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Change the document: layers that come or go meanwhile are no wish of the user's."""
        before, self.is_working = self.is_working, True
        try:
            yield
        finally:
            self.is_working = before
            self.worked.emit()

    def tell(self, text: str) -> None:
        """Show a short notice in the dock."""
        self.told.emit(text)

    def tell_error(self, error: Exception) -> None:
        """Show in the dock what went wrong: a dialog would stop the hand."""
        problem = getattr(error, "problem", str(error))
        details = [part for part in (getattr(error, "found", None), getattr(error, "hint", None)) if part]
        self.told.emit(": ".join([problem, "; ".join(details)]) if details else problem)

    # -- what keys and buttons do ------------------------------------------------------------------------

    def operate(self, make: Callable[[], Step], *, select: bool = True) -> bool:
        """Make a step of selected objects, and select what it made; what refuses it is told."""
        try:
            step = make()
        except NicError as error:
            self.tell_error(error)
            return False
        done = self.carry_out(step)
        if done and select:
            self.select([item.id for item in step.put])
        return done

    def delete(self) -> None:
        """Remove the selected objects."""
        ids = tuple(item.id for item in self.items)
        if not ids:
            self.tell("nothing is selected")
        elif self.carry_out(
            Step("delete" if len(ids) == 1 else f"delete {counted(len(ids), 'object')}", remove=ids)
        ):
            self.select(())

    def choose_class(self, name: str) -> None:
        """Draw in a class from now on; with the select tool selected objects become of it."""
        self.documents.set_current_class(name)
        chosen = [item for item in self.items if item.label != name]
        if self.tool_name == "select" and chosen:
            title = f"change class to {name}"
            self.carry_out(Step(title, tuple(item.with_label(name) for item in chosen)))
        self.changed.emit()

    def choose_class_by_key(self, key: int) -> None:
        """Draw in the class of a digit."""
        entry = next((entry for entry in self.classes if entry.key == key), None)
        if entry is None:
            self.tell(f"no class has the key {key}")
        else:
            self.choose_class(entry.name)

    @property
    def classes(self) -> tuple[DrawingClass, ...]:
        """Classes of the document; those without a key of their own have that of their place, if free."""
        return keyed(() if self.document is None else self.document.classes)

    def undo(self) -> None:
        """Take back: the last corner of what is being drawn, else the last edit."""
        if self.tool is not None and self.tool.is_drawing and self.tool.back():
            self.changed.emit()
            return
        with self.working():
            edit = self.documents.undo()
        if edit is None:
            self.tell("there is nothing to undo")

    def redo(self) -> None:
        """Make the last edit anew that was taken back."""
        with self.working():
            edit = self.documents.redo()
        if edit is None:
            self.tell("there is nothing to redo")

    def toggle_hidden(self) -> None:
        """Hide all annotations, or show them again."""
        self.documents.hidden = not self.documents.hidden
        self.changed.emit()

    def last_drawn(self) -> tuple[AnnotationObject, PixelSize] | None:
        """The object that was made or changed last, on whichever slide, and the size of its pixels."""
        return self._last_drawn

    # -- what happens ------------------------------------------------------------------------------------

    def _show_class(self, label: str) -> None:
        """Show a class again whose object was just drawn."""
        document = self.document
        entry = None if document is None else document.class_named(label)
        if document is not None and entry is not None and not entry.visible:
            classes = [replace(e, visible=e.visible or e.name == label) for e in document.classes]
            document.set_classes("show class", classes)
            self.tell(f"class {label} is shown again, since something was drawn in it")

    def _on_document(self) -> None:
        self._forget_index()
        if self.document is not None:
            self._index = ObjectIndex(self.document)
        if self.tool is not None:
            self.tool.cancel()
            if self.document is None:
                self.set_tool("")
        self.edited.emit(None)
        self.changed.emit()

    def _forget_index(self) -> None:
        if self._index is not None:
            self._index.close()
            self._index = None

    def _on_edited(self, edit: Edit) -> None:
        self.edited.emit(edit)
        self.changed.emit()


def keyed(classes: Sequence[DrawingClass]) -> tuple[DrawingClass, ...]:
    """Give classes without a digit the digit of their place, where no other class has it."""
    taken = {entry.key for entry in classes}
    places = [
        number if number <= 9 and number not in taken else None for number in range(1, len(classes) + 1)
    ]
    return tuple(
        entry if entry.key is not None else replace(entry, key=place)
        for entry, place in zip(classes, places, strict=True)
    )
