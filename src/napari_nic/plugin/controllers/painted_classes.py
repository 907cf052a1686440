"""Which number each class has in a painting, and what becomes of it when the class is renamed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.annotations import RGB, UNCLASSIFIED, UNCLASSIFIED_COLOR
from napari_nic.editing import Document, Edit
from napari_nic.errors import NicError, StoreBusyError
from napari_nic.painting import MOST_CLASSES, PaintingFiles, PaintingHeader, read_header
from napari_nic.plugin.painting_jobs import painting_paths
from napari_nic.plugin.settings import settings_file

if TYPE_CHECKING:
    from napari_nic.plugin.controllers.document import DocumentController
    from napari_nic.plugin.controllers.session import Session
    from napari_nic.slides import Slide

HOME_FOLDER = "annotations"


def painting_parents(session: Session, slide: Slide) -> list[Path]:
    """Folders in which the painting of a slide may lie, the first choice first."""
    chosen = session.store_folder
    home = settings_file().parent / HOME_FOLDER
    return [*([] if chosen is None else [chosen]), slide.path.parent, home]


def numbers_of(header: PaintingHeader, current: str, document: Document | None) -> dict[str, int]:
    """Return the numbers of the classes that were painted, and of those that can be painted next.

    A class for which no number is left is not among them.
    """
    known = dict(header.classes)
    names = () if document is None else (entry.name for entry in document.classes)
    for label in (current, *names):
        number = max(known.values(), default=0) + 1
        if label and label not in known and number <= MOST_CLASSES:
            known[label] = number
    return known


def colors_of(
    header: PaintingHeader, numbers: Mapping[str, int], document: Document | None
) -> dict[str, RGB]:
    """Return the colours of classes: the document's, or those that they were painted in."""
    now = {} if document is None else {entry.name: entry.color for entry in document.classes}
    return {label: now.get(label, header.colors.get(label, UNCLASSIFIED_COLOR)) for label in numbers}


def renamed(edit: Edit) -> tuple[str, str] | None:
    """Return the old and the new name of a class, if an edit renames one."""
    if edit.classes_before is None or edit.classes_after is None:
        return None
    before, after = edit.classes_before, edit.classes_after
    changed = [(old, new) for old, new in zip(before, after, strict=False) if old.name != new.name]
    if len(before) != len(after) or len(changed) != 1:
        return None
    ((old, new),) = changed
    is_same = replace(old, name=new.name) == new and new.name != UNCLASSIFIED
    return (old.name, new.name) if is_same else None


def rename_in(files: PaintingFiles, old: str, new: str) -> bool:
    """Give what is painted in a class its other name; False if that has a number of its own.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    header = files.header
    if old not in header.classes:
        return True
    if new in header.classes:
        return False
    classes = {new if label == old else label: number for label, number in header.classes.items()}
    colors = {new if label == old else label: color for label, color in header.colors.items()}
    files.set_classes(classes, colors)
    return True


class PaintedNames:
    """Renames classes in a painting that nobody paints in just now.

    Parameters
    ----------
    session : Session
    documents : DocumentController
    """

    def __init__(self, session: Session, documents: DocumentController) -> None:
        self._session, self._documents = session, documents
        documents.edited.connect(self._on_edited)

    def close(self) -> None:
        """Let the documents go."""
        self._documents.edited.disconnect(self._on_edited)

    def _on_edited(self, edit: Edit) -> None:
        names, slide = renamed(edit), self._session.slide
        if names is None or slide is None:
            return
        try:
            for path in painting_paths(slide, painting_parents(self._session, slide)):
                if path.exists() and read_header(path).fingerprint == slide.fingerprint:
                    _rename_at(path, slide, *names)
                    return
        except StoreBusyError:
            return  # who paints in it renames it
        except NicError as error:
            self._session.asking.tell_error(error)


def _rename_at(path: Path, slide: Slide, old: str, new: str) -> None:
    if old not in read_header(path).classes:
        return
    files = PaintingFiles.open(path, slide.fingerprint)
    try:
        rename_in(files, old, new)
    finally:
        files.close()
