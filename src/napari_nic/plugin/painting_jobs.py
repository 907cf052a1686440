"""Work on painted labels that is done beside the window: opening, saving, outlines, pictures."""

from __future__ import annotations

import threading
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from napari_nic.annotations.label_files import iter_write_label_image
from napari_nic.errors import NicError, StoreError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.names import PAINTING_SUFFIX, slide_stem
from napari_nic.painting import (
    PaintedLabels,
    PaintedPicture,
    PaintingFiles,
    PaintingHeader,
    iter_repair,
    read_header,
)
from napari_nic.slides import Slide

_OWN = 8
"""Digits of a fingerprint, in the name of a painting where another slide's has the plain one."""


@dataclass(frozen=True)
class OpenPainting:
    """A painting that is open.

    Attributes
    ----------
    files : PaintingFiles
    labels : PaintedLabels
    n_followed : int
        Tiles whose coarser ones did not follow, after a writing that was interrupted.
    saving : Lock
        Held while tiles are written, so that no older one comes after a newer one.
    """

    files: PaintingFiles
    labels: PaintedLabels
    n_followed: int = 0
    saving: threading.Lock = field(default_factory=threading.Lock)


def painting_paths(slide: Slide, parents: Sequence[Path]) -> list[Path]:
    """List where the painting of a slide may lie, the first choice first."""
    stem, own = slide_stem(slide.path), slide.fingerprint.rpartition(":")[2][:_OWN]
    names = f"{stem}{PAINTING_SUFFIX}", f"{stem}.{own}{PAINTING_SUFFIX}"
    return [parent / name for parent in dict.fromkeys(parents) for name in names]


def open_job(
    slide: Slide, parents: Sequence[Path], token: CancellationToken
) -> Generator[Progress, None, OpenPainting]:
    """Open the painting of a slide, or begin one in the first place that may be written.

    Raises
    ------
    StoreError
        If there is one that cannot be opened, or none can be made.
    """
    token.checkpoint()
    yield Progress(0, 0, "Opening the painting", "tiles")
    files = _existing(slide, parents) or _new(slide, parents)
    labels = PaintedLabels(slide.levels[0].shape, files)
    if not files.is_unfinished:
        return OpenPainting(files, labels)
    with ExitStack() as failing:
        failing.callback(files.close)
        followed = yield from iter_repair(labels, token)
        files.save(labels.take_unsaved(), token)
        labels.saved(done=True)
        failing.pop_all()
    return OpenPainting(files, labels, followed)


def _existing(slide: Slide, parents: Sequence[Path]) -> PaintingFiles | None:
    for path in painting_paths(slide, parents):
        if path.exists() and read_header(path).fingerprint == slide.fingerprint:
            return PaintingFiles.open(path, slide.fingerprint)
    return None


def _new(slide: Slide, parents: Sequence[Path]) -> PaintingFiles:
    header = PaintingHeader(slide.name, slide.fingerprint, slide.levels[0].shape)
    refused: NicError = StoreError("there is no place for a painting", path=slide.path)
    for path in painting_paths(slide, parents):
        if path.exists():
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return PaintingFiles.create(path, header)
        except (NicError, OSError) as error:
            refused = error if isinstance(error, NicError) else refused
    raise refused


def save_job(painting: OpenPainting, token: CancellationToken) -> Generator[Progress, None, None]:
    """Write all that was painted, until nothing is left to write; it is not cancelled half way."""
    yield Progress(0, 0, "Saving what was painted", "tiles")
    while not painting.labels.is_saved:
        save(painting)
        token.checkpoint()


def save(painting: OpenPainting) -> None:
    """Write all that was painted up to now.

    Raises
    ------
    StoreError
        If it cannot be written; it counts as not saved then.
    """
    with painting.saving:
        done = False
        tiles = painting.labels.take_unsaved()
        try:
            painting.files.save(tiles)
            done = True
        finally:
            painting.labels.saved(done=done)


def export_job(
    picture: PaintedPicture, path: Path, mpp: float, token: CancellationToken
) -> Generator[Progress, None, Path]:
    """Write a level as a picture of class numbers."""
    token.checkpoint()
    yield Progress(0, 0, f"Writing {path.name}", "rows")
    yield from iter_write_label_image(picture, path, mpp, token=token)
    return path
