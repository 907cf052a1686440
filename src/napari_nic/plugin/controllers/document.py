"""The documents of the slides of a window: one model behind all layers, docks and files of annotations."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_nic.editing import Document, Edit
from napari_nic.plugin.controllers.drawing import Drawing
from napari_nic.plugin.controllers.homes import Homes
from napari_nic.plugin.controllers.keeping import Keeping
from napari_nic.plugin.controllers.label_layers import LabelLayers
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.controllers.viewing import Views
from napari_nic.plugin.layer_looks import reveal as show_where
from napari_nic.plugin.layers import tag_of
from napari_nic.plugin.undo_keys import bind_undo
from napari_nic.plugin.worker import Runner

if TYPE_CHECKING:
    from napari_nic.slides import Slide

AUTHOR_SETTING = "author"
"""Setting: the name that edits are marked with."""

_Key = tuple[str, str]


class DocumentController:
    """Gives each slide of the viewer its document, and that of the session's slide to everybody.

    Parameters
    ----------
    session : Session
    runner : Runner
        Reads and writes what is kept of documents.
    """

    document_changed = Signal()
    edited = Signal(object)
    selection_changed = Signal()
    class_changed = Signal()
    saving_changed = Signal()

    def __init__(self, session: Session, runner: Runner) -> None:
        self.session = session
        homes = Homes()
        self.keeping = Keeping(session, runner, homes)
        self.keeping.changed.connect(self.saving_changed.emit)
        self.drawing = Drawing()
        self.views = Views(session, self.document_of, self.drawing, homes)
        self.label_layers = LabelLayers(self.views, self.drawing, self.undo, self.redo)
        self._documents: dict[_Key, Document] = {}
        self._endings: dict[_Key, Callable[[], None]] = {}
        self._is_hidden = False
        self._release_keys = bind_undo(session.viewer, self.undo, self.redo)
        session.slide_changed.connect(self._on_slide)
        self.views.selection_changed.connect(self.selection_changed.emit)
        self.drawing.changed.connect(self.class_changed.emit)
        self._open_slide()

    def close(self) -> None:
        """Let the viewer and all documents go."""
        self.session.slide_changed.disconnect(self._on_slide)
        self._release_keys()
        self.views.close()
        self.label_layers.close()
        self.drawing.close()
        self.keeping.close()
        for key in list(self._documents):
            self._forget(key)

    # -- documents ---------------------------------------------------------------------------------------

    @property
    def document(self) -> Document | None:
        """The document of the session's slide; None without one."""
        slide = self.session.slide
        return None if slide is None else self.document_of(slide)

    def document_of(self, slide: Slide) -> Document:
        """Return the document of a slide; an empty one if it has none yet."""
        key = _key(slide)
        if key not in self._documents:
            document = self._documents[key] = Document(author=self.author)
            self._endings[key] = document.watch(partial(self._on_edit, document))
            self.keeping.open(slide, document)
        return self._documents[key]

    def forget_closed(self) -> None:
        """Let go of documents whose slides nobody shows any more."""
        shown = {
            _key(tag.slide) for layer in self.session.viewer.layers if (tag := tag_of(layer)) and tag.slide
        }
        for key in [key for key in self._documents if key not in shown]:
            self._forget(key)

    def _forget(self, key: _Key) -> None:
        self._endings.pop(key)()
        self.keeping.forget(self._documents.pop(key))

    @property
    def author(self) -> str:
        """Who edits: a name that was chosen, or the one the system knows."""
        chosen = self.session.settings.get(AUTHOR_SETTING)
        return chosen if isinstance(chosen, str) and chosen else _system_name()

    @author.setter
    def author(self, name: str) -> None:
        self.session.settings.set(AUTHOR_SETTING, name.strip())
        for document in self._documents.values():
            document.author = self.author

    # -- history -----------------------------------------------------------------------------------------

    def undo(self) -> Edit | None:
        """Take the last edit of the slide's annotations back, in whichever layer or dock it was made."""
        document = self._ready()
        return None if document is None else document.undo()

    def redo(self) -> Edit | None:
        """Make the edit anew that was taken back last."""
        document = self._ready()
        return None if document is None else document.redo()

    def _ready(self) -> Document | None:
        """Return the document unless a shape is being drawn or dragged, which is no edit yet.

        What is undone below a shape that napari drags is not there any more when the button goes up.
        """
        document = self.document
        if document is None or self.views.is_held(document):
            return None
        self.views.sync_all()
        return document

    @property
    def undo_title(self) -> str:
        """What :meth:`undo` would take back; empty if nothing."""
        return "" if self.document is None else self.document.undo_title

    @property
    def redo_title(self) -> str:
        """What :meth:`redo` would make anew; empty if nothing."""
        return "" if self.document is None else self.document.redo_title

    @contextmanager
    def hold(self, title: str) -> Iterator[None]:
        """Make one step of all edits of the session's document until the end."""
        if self.document is None:
            yield
            return
        with self.document.hold(title):
            yield

    # -- class, selection, visibility --------------------------------------------------------------------

    @property
    def current_class(self) -> str:
        """The class that is drawn in."""
        return self.drawing.current

    def set_current_class(self, name: str) -> None:
        """Draw in this class from now on; nothing that is there changes."""
        self.drawing.set_class(name, ())

    @property
    def selected(self) -> tuple[str, ...]:
        """Ids of the objects that are selected in napari's layers."""
        return () if self.document is None else self.views.selected(self.document)

    def select(self, ids: Iterable[str], *, reveal: bool = False) -> None:
        """Select objects, and no others.

        Parameters
        ----------
        ids : iterable of str
        reveal : bool
            Whether the camera is moved to where they are.
        """
        document, ids = self.document, list(ids)
        if document is None:
            return
        self.views.select(document, ids)
        if reveal and self.session.layer is not None:
            items = [document[identity] for identity in ids if identity in document]
            show_where(items, self.session.layer, self.session.viewer)

    @property
    def hidden(self) -> bool:
        """Whether no annotations are shown."""
        return self._is_hidden

    @hidden.setter
    def hidden(self, hidden: bool) -> None:
        self._is_hidden = hidden
        self.views.set_hidden(hidden)

    @property
    def saving_text(self) -> str:
        """How it stands with keeping what is edited, in a line: "saved 3 s ago"; empty if nothing was."""
        return self.keeping.text(self.document)

    def look_again(self) -> None:
        """Try again to keep what could not be kept, and let be said how it stands; called now and then."""
        self.keeping.try_again()
        if self.saving_text:
            self.saving_changed.emit()

    # -- what happens ------------------------------------------------------------------------------------

    def _on_slide(self) -> None:
        self._open_slide()
        self.document_changed.emit()

    def _open_slide(self) -> None:
        if self.session.slide is not None:
            self.document_of(self.session.slide)  # what was kept of it comes with it

    def _on_edit(self, document: Document, edit: Edit) -> None:
        self.views.show(document, edit)
        self.keeping.note(document, edit)
        if document is self.document:
            self.edited.emit(edit)


def _key(slide: Slide) -> _Key:
    return slide.fingerprint, str(slide.path)


def _system_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name
        return ""
