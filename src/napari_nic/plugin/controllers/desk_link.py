"""A dock's way to the NIC dock, which may be opened, closed and opened again in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from psygnal import Signal

from napari_nic.annotations import AnnotationSet
from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import NicError
from napari_nic.plugin.controllers.compress_state import NO_TISSUE
from napari_nic.plugin.controllers.document import DocumentController
from napari_nic.plugin.controllers.made_annotations import add_annotations
from napari_nic.plugin.controllers.overlays import OverlayController
from napari_nic.plugin.controllers.session import Session
from napari_nic.wording import counted

NO_SLIDE = "Open a slide first"
NO_CODES = "Compress the slide first"


class CodeDesk(Protocol):
    """What of the NIC dock is needed to ask the codes of its slide."""

    @property
    def session(self) -> Session:
        """Knows the viewer, the chosen slide and its store."""

    @property
    def overlays(self) -> OverlayController:
        """Shows what is shown beside."""

    @property
    def documents(self) -> DocumentController:
        """Holds the annotations."""


class DeskLink:
    """Finds the NIC dock there is, and follows it.

    Parameters
    ----------
    find : callable
        Gives the NIC dock there is, or None.
    open_desk : callable
        Gives it, opened if need be.
    """

    desk_changed = Signal()
    """Emitted when there is another NIC dock, or none any more."""

    store_changed = Signal()
    """Emitted when another slide or another store is worked on, or it has grown."""

    overlays_changed = Signal()

    def __init__(self, find: Callable[[], CodeDesk | None], open_desk: Callable[[], CodeDesk]) -> None:
        self._find, self._open = find, open_desk
        self._desk: CodeDesk | None = None
        self.look()

    def look(self) -> CodeDesk | None:
        """Return the NIC dock there is now."""
        desk = self._find()
        if desk is not self._desk:
            self.close()
            self._desk = desk
            if desk is not None:
                desk.session.store_changed.connect(self._on_store)
                desk.overlays.changed.connect(self._on_overlays)
            self.desk_changed.emit()
            self.store_changed.emit()
        return desk

    def open(self) -> CodeDesk:
        """Return the NIC dock, which is opened if there is none."""
        self._open()
        desk = self.look()
        if desk is None:
            raise LookupError("the dock was closed while it was opened")
        return desk

    def close(self) -> None:
        """Stop following."""
        desk, self._desk = self._desk, None
        if desk is not None:
            desk.session.store_changed.disconnect(self._on_store, missing_ok=True)
            desk.overlays.changed.disconnect(self._on_overlays, missing_ok=True)

    @property
    def session(self) -> Session | None:
        """The session of the NIC dock there is."""
        return None if self._desk is None else self._desk.session

    @property
    def overlays(self) -> OverlayController | None:
        """The overlays of the NIC dock there is."""
        return None if self._desk is None else self._desk.overlays

    @property
    def store(self) -> CompressedSlide | None:
        """The store that is worked on."""
        return None if self.session is None else self.session.store

    def why_not(self) -> str:
        """Why there are no codes to ask; empty when there are, or nobody has looked yet."""
        if self.session is None:
            return ""
        if self.session.slide is None:
            return NO_SLIDE
        store = self.session.store
        if store is None:
            return NO_CODES
        if not store.coverage.any():
            return NO_TISSUE
        return "" if store.encoded().any() else NO_CODES

    def annotate(self, annotations: AnnotationSet, store: CompressedSlide, title: str) -> None:
        """Make annotations of the session's slide, if its codes are still those of `store`."""
        desk = self._desk
        if desk is None or store is not desk.session.store or desk.documents.document is None:
            return
        try:
            add_annotations(desk.documents.document, annotations, title)
        except NicError as error:
            self.tell_error(error)
            return
        self.tell(f"{counted(len(annotations), 'annotation')} made: {', '.join(annotations.labels())}")

    def tell_error(self, error: Exception) -> None:
        """Show what went wrong."""
        self.open().session.asking.tell_error(error)

    def tell(self, message: str) -> None:
        """Show a notice."""
        self.open().session.asking.tell(message)

    def _on_store(self) -> None:
        self.store_changed.emit()

    def _on_overlays(self) -> None:
        self.overlays_changed.emit()
