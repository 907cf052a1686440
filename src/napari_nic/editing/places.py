"""Where the document of a slide is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_nic.editing.journal_reading import JOURNAL_FILE, read_journal, stamp_of
from napari_nic.editing.kept import Kept
from napari_nic.errors import AnnotationError
from napari_nic.jobs import CancellationToken
from napari_nic.names import DOCUMENT_SUFFIX, safe_name, slide_stem

_DIGITS = 8
"""Of a fingerprint, in the name of a folder where another slide's has the plain one."""


@dataclass(frozen=True)
class Found:
    """What was found of a slide's document.

    Attributes
    ----------
    folder : Path
        Where it is, or where a new one goes.
    kept : Kept, optional
        None if there is none yet.
    stamp : (int, int)
        Size and time of its journal before it was read.
    notes : tuple of str
        What is there and was not read, and why.
    """

    folder: Path
    kept: Kept | None = None
    notes: tuple[str, ...] = ()
    stamp: tuple[int, int] = (0, 0)


def document_folders(slide_path: Path, fingerprint: str, parents: Sequence[Path]) -> list[Path]:
    """List where the document of a slide may lie, the first choice first.

    Parameters
    ----------
    slide_path : Path
    fingerprint : str
        Of the slide.
    parents : sequence of Path
        Folders to look in.

    Returns
    -------
    list of Path
        In each of them ``{slide}.nic.document``, and a name that no slide of the same name shares.
    """
    stem = slide_stem(slide_path)
    own = safe_name(f"{stem}.{fingerprint.rpartition(':')[2][:_DIGITS]}")
    names = [f"{stem}{DOCUMENT_SUFFIX}", f"{own}{DOCUMENT_SUFFIX}"]
    return [parent / name for parent in dict.fromkeys(parents) for name in names]


def find_document(
    slide_path: Path,
    fingerprint: str,
    parents: Sequence[Path],
    *,
    token: CancellationToken | None = None,
) -> Found:
    """Read the document of a slide that was edited last, of all places where one may lie.

    What cannot be read, or belongs to another slide, is never written to: a new one goes to a free place.
    """
    notes: list[str] = []
    found: list[tuple[Path, Kept, tuple[int, int]]] = []
    free: Path | None = None
    for folder in document_folders(slide_path, fingerprint, parents):
        if not (folder / JOURNAL_FILE).exists():
            free = free or folder
            continue
        stamp = stamp_of(folder)
        try:
            kept = read_journal(folder, fingerprint, token=token)
        except AnnotationError as error:
            notes.append(f"{folder.name}: {error.problem}" + (f" ({error.found})" if error.found else ""))
            continue
        if kept is not None:
            found.append((folder, kept, stamp))
    if not found:
        return Found(free or document_folders(slide_path, fingerprint, parents)[-1], None, tuple(notes))
    folder, kept, stamp = max(found, key=lambda one: one[1].edited.at)
    notes += [f"an older document in {other} is left alone" for other, _, _ in found if other is not folder]
    return Found(folder, kept, tuple(notes), stamp)
