"""Annotation files read through the cache."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

from napari_nic.annotations import AnnotationSet, SlideExtent, counts_in_pixels, iter_read_annotations
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.outlines.cache import Content, OutlineCache, SettledFile, key_of
from napari_nic.telling import Notices, tell

FEWEST_BYTES = 2**20
"""Smaller files are read as quickly as looked up."""


@dataclass(frozen=True, eq=False)
class OutlinesRead:
    """What was read of a file, and where it may be kept.

    Attributes
    ----------
    annotations : AnnotationSet
    content : Content or None
        What the file held as it was read; None where that was not looked at, or may be something else.
    cache : OutlineCache or None
        None where there is nothing to be kept: it came from there, or the file is small or not yet settled.
    """

    annotations: AnnotationSet
    content: Content | None = None
    cache: OutlineCache | None = None

    def keep(self, token: CancellationToken | None = None) -> bool:
        """Keep it for the next time; whether that was done. Nothing is lost without."""
        if self.cache is None or self.content is None:
            return False
        return self.cache.store(key_of(self.content.sha256), self.annotations, token)


def iter_read_outlines(
    path: Path,
    *,
    token: CancellationToken | None = None,
    extent: SlideExtent | None = None,
    cache: OutlineCache | None = None,
) -> Generator[Progress, None, AnnotationSet]:
    """Read an annotation file, or take what was read of the same content before, and keep it.

    Parameters and errors are those of :func:`iter_look_up`.
    """
    found = yield from iter_look_up(path, token=token, extent=extent, cache=cache)
    found.keep(token)
    return found.annotations


def iter_look_up(
    path: Path,
    *,
    token: CancellationToken | None = None,
    extent: SlideExtent | None = None,
    cache: OutlineCache | None = None,
) -> Generator[Progress, None, OutlinesRead]:
    """Do the same, but leave it to the caller when it is kept.

    Files that count in something else than pixels are always read.

    Parameters
    ----------
    path, token, extent
        As for :func:`~napari_nic.annotations.read_annotations`, which gives the same.
    cache : OutlineCache, optional
        That of the user by default.

    Raises
    ------
    NicError
        What reading raises.
    """
    if not _is_worth_it(path):
        return OutlinesRead((yield from iter_read_annotations(path, token=token, extent=extent)))
    cache = cache or OutlineCache()
    yield Progress(0, 0, f"Looking at {path.name}", "bytes")
    file = SettledFile(path, token)
    known = yield from cache.iter_load(key_of(file.content.sha256), path.name, token)
    if known is not None:
        if known.notes:
            tell(Notices(path.name, known.notes))
        return OutlinesRead(known, file.content if file.is_same() else None)
    found = yield from iter_read_annotations(path, token=token, extent=extent)
    content = file.content if file.is_same() else None
    return OutlinesRead(found, content, cache if file.is_unchanged() else None)


def _is_worth_it(path: Path) -> bool:
    """Whether a file is large and counts in pixels; what cannot be looked at is for the reader to refuse."""
    try:
        return path.is_file() and path.stat().st_size >= FEWEST_BYTES and counts_in_pixels(path)
    except OSError:
        return False
