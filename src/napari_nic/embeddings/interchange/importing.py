"""Import of many files: each with its slide, going on after one that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.finding import slide_stem_of
from napari_nic.embeddings.interchange.registry import (
    import_store,
    is_import_of,
    origin_of,
    recognised_format,
)
from napari_nic.embeddings.interchange.table import ImportHints
from napari_nic.embeddings.interchange.workers import in_threads
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.errors import CancelledError, NicError, StoreError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.names import exists
from napari_nic.slides import Slide, open_slide


@dataclass(frozen=True)
class FeatureImport:
    """A file of features, its slide, and the store to make of it.

    Attributes
    ----------
    source : Path
    target : Path
    slide : Path or None
        None where there is none at hand.
    hints : ImportHints
        What is said beside the slide.
    format : str or None
        A name in :data:`~napari_nic.embeddings.IMPORTERS`; recognised from the file by default.
    """

    source: Path
    target: Path
    slide: Path | None = None
    hints: ImportHints = field(default_factory=ImportHints)
    format: str | None = None


@dataclass(frozen=True)
class ImportedStore:
    """What became of one import.

    Attributes
    ----------
    format : str
        As which it was read.
    header : StoreHeader
        Of the store.
    encoded : int
        Patches in it.
    is_new : bool
        False where it was there before, complete and made of the same bytes.
    """

    format: str
    header: StoreHeader
    encoded: int
    is_new: bool

    @property
    def left_out(self) -> int:
        """Patches that are not in the store, since another lies nearer to their cell."""
        return int(self.header.origin.get("placed", {}).get("left_out", 0))

    @property
    def largest_shift_px(self) -> float:
        """How far a patch lies from its cell at most, in level-0 pixels."""
        return float(self.header.origin.get("placed", {}).get("largest_shift_px", 0.0))


@dataclass(frozen=True)
class ImportReport(Progress):
    """Tells of one import, or that the next one begins.

    Attributes
    ----------
    job : FeatureImport or None
        The one that has ended.
    imported : ImportedStore or None
        None if it failed.
    error : NicError or OSError or None
        Why.
    """

    job: FeatureImport | None = None
    imported: ImportedStore | None = None
    error: NicError | OSError | None = None


OpenSlide = Callable[[Path], Slide]


def import_each(
    jobs: Sequence[FeatureImport],
    *,
    opener: OpenSlide = open_slide,
    overwrite: bool = False,
    workers: int = 1,
    token: CancellationToken | None = None,
) -> Iterator[ImportReport]:
    """Import file by file; one that fails is told, and the others go on.

    Parameters
    ----------
    jobs : sequence of FeatureImport
    opener : callable
        ``opener(path) -> Slide``.
    overwrite : bool
        Make stores anew that are there.
    workers : int
        Files that are imported at a time, each by a thread of its own.
    token : CancellationToken, optional

    Yields
    ------
    ImportReport
        At the start, and of each job at its end.

    Raises
    ------
    CancelledError
        No half store is left then.
    """
    token = CancellationToken(token)  # of its own: whoever stops listening stops the threads too
    work = partial(_outcome, opener=opener, overwrite=overwrite, token=token)
    yield ImportReport(0, len(jobs), "importing", "slides")
    try:
        for number, (job, outcome) in enumerate(zip(jobs, in_threads(work, jobs, workers), strict=True), 1):
            imported, error = (outcome, None) if isinstance(outcome, ImportedStore) else (None, outcome)
            yield ImportReport(number, len(jobs), "importing", "slides", job, imported, error)
    finally:
        token.cancel()


def _outcome(
    job: FeatureImport, *, opener: OpenSlide, overwrite: bool, token: CancellationToken
) -> ImportedStore | NicError | OSError:
    """Import a file, or return why it cannot be."""
    token.checkpoint()
    try:
        return import_one(job, opener=opener, overwrite=overwrite, token=token)
    except CancelledError:
        raise
    except (NicError, OSError) as failure:
        return failure


def import_one(
    job: FeatureImport,
    *,
    opener: OpenSlide = open_slide,
    overwrite: bool = False,
    token: CancellationToken | None = None,
) -> ImportedStore:
    """Import one file, unless its store is there already, complete and made of the same bytes.

    Raises
    ------
    StoreError
        If it cannot be imported, or another store is there and `overwrite` is False.
    StoreMismatchError
        If it is of another slide.
    NicError
        If the slide cannot be opened.
    CancelledError
    """
    format_name = job.format or recognised_format(job.source)
    with nullcontext() if job.slide is None else opener(job.slide) as slide:
        hints = hints_of(job, slide)
    if exists(job.target) and not overwrite:
        return _there_already(job, hints, format_name, token)
    with import_store(
        job.source, job.target, format=format_name, hints=hints, overwrite=overwrite, token=token
    ) as store:
        return ImportedStore(format_name, store.header, int(store.encoded().sum()), is_new=True)


def hints_of(job: FeatureImport, slide: Slide | None) -> ImportHints:
    """Join what is said with what the slide says; without a slide the store is called after the file."""
    if slide is None:
        return replace(job.hints, slide_name=job.hints.slide_name or slide_stem_of(job.source))
    return job.hints.with_slide(slide)


def _there_already(
    job: FeatureImport, hints: ImportHints, format_name: str, token: CancellationToken | None
) -> ImportedStore:
    with CompressedSlide.open(job.target) as store:
        origin = origin_of(job.source, hints, format=format_name, token=token)
        if store.is_complete and is_import_of(store.header, origin):
            return ImportedStore(format_name, store.header, int(store.encoded().sum()), is_new=False)
    raise StoreError(
        "another compressed slide is there, made of other bytes or with other options",
        path=job.target,
        hint="choose another folder (--out), or --overwrite",
    )
