"""Annotation files read through the cache."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from napari_nic.annotations import AnnotationSet, SlideExtent, counts_in_pixels, iter_read_annotations
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.outlines.cache import OutlineCache, SettledFile
from napari_nic.telling import Notices, tell

FEWEST_BYTES = 2**20
"""Smaller files are read as quickly as looked up."""


def iter_read_outlines(
    path: Path,
    *,
    token: CancellationToken | None = None,
    extent: SlideExtent | None = None,
    cache: OutlineCache | None = None,
) -> Generator[Progress, None, AnnotationSet]:
    """Read an annotation file, or take what was read of the same content before.

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
        return (yield from iter_read_annotations(path, token=token, extent=extent))
    cache = cache or OutlineCache()
    yield Progress(0, 0, f"Looking at {path.name}", "bytes")
    file = SettledFile(path, token)
    known = cache.load(file.key, path.name)
    if known is not None:
        if known.notes:
            tell(Notices(path.name, known.notes))
        return known
    found = yield from iter_read_annotations(path, token=token, extent=extent)
    if file.is_unchanged():
        cache.store(file.key, found)
    return found


def _is_worth_it(path: Path) -> bool:
    """Whether a file is large and counts in pixels; what cannot be looked at is for the reader to refuse."""
    try:
        return path.is_file() and path.stat().st_size >= FEWEST_BYTES and counts_in_pixels(path)
    except OSError:
        return False
