"""A run of another window or program that writes the session's store: who it is, and what it has stored."""

from __future__ import annotations

from napari_nic.embeddings import CompressedSlide, WriterInfo
from napari_nic.errors import NicError
from napari_nic.plugin.controllers.session import Session


class ForeignRun:
    """Looks at the session's store when it is asked to.

    Attributes
    ----------
    writer : WriterInfo or None
        Who was writing the store at the last look.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.writer: WriterInfo | None = None

    def describe(self) -> str:
        """Say who is writing; empty when nobody is."""
        if self.writer is None:
            return ""
        return f"another window of {self.writer}" if self.writer.is_this_process else str(self.writer)

    def look(self) -> bool:
        """Learn who is writing and what was stored since the last look; False if nothing is new."""
        store = self._session.store
        before, self.writer = self.writer, None if store is None else store.writer()
        if store is None or (before is None and self.writer is None):
            return before is not None
        return self._reload(store) or str(before) != str(self.writer)

    def _reload(self, store: CompressedSlide) -> bool:
        known = int(store.done.sum())
        try:
            store.reload()
        except NicError:
            self._session.find_store(any_encoder=False)  # it was replaced, or is gone
            return True
        return int(store.done.sum()) != known
