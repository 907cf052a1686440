"""The compression as a job of the plugin: it prepares, compresses and paints, and reports in between."""

from __future__ import annotations

import threading
from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from napari_nic.embeddings import CompressedSlide
from napari_nic.encoders import Encoder, EncoderSpec, get_spec, load_encoder
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken, Outcome, Progress
from napari_nic.pipeline import BlocksDone, iter_compress, iter_prepare_store, precision_to_go_on
from napari_nic.plugin.compress_options import CompressOptions
from napari_nic.plugin.no_triton import keep_triton_out
from napari_nic.plugin.painting import Painter, Picture
from napari_nic.plugin.worker import throttled
from napari_nic.slides import Slide
from napari_nic.tissue import TissueMask

T = TypeVar("T")


class EncoderCache:
    """Keeps the encoder that was loaded last; safe to use from several threads.

    Importing torch takes seconds. Loading the chosen encoder while the user still looks at the slide
    brings the first colours that much nearer to the click.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: tuple[tuple[EncoderSpec, str, str], Encoder] | None = None

    def get(self, name: str, *, device: str, precision: str) -> Encoder:
        """Return the encoder, loaded now or before.

        Raises
        ------
        NicError
            What :func:`napari_nic.encoders.load_encoder` raises.
        """
        # By what it is and not by its name: another one may have been imported under the same name since.
        wanted = (get_spec(name), device, precision)
        keep_triton_out()  # others' networks come with libraries that would import it
        with self._lock:
            if self._held is None or self._held[0] != wanted:
                self._held = wanted, load_encoder(name, device=device, precision=precision)
            return self._held[1]


def load_ahead(
    cache: EncoderCache, name: str, options: CompressOptions, token: CancellationToken
) -> Generator[None, None, None]:
    """Run in the worker thread: load an encoder that will probably be wanted."""
    yield
    token.checkpoint()
    cache.get(name, device=options.device, precision=options.precision)


@dataclass(frozen=True)
class Stage:
    """Report: what is being done before the first patch."""

    text: str


SETTLE_SECONDS = 1.0
"""Longest wait for the screen to come to rest."""

_LOOK_SECONDS = 0.05
"""So often it is asked meanwhile whether the job was cancelled: a closing window never comes to rest."""


@dataclass(frozen=True)
class Ready:
    """Report: the store is there.

    Attributes
    ----------
    store : CompressedSlide
    """

    store: CompressedSlide


@dataclass(frozen=True)
class Settled:
    """Report: asks whether the screen has come to rest after :class:`Ready`.

    Attributes
    ----------
    seen : Event
        Set by whoever gets the report. The work that keeps all cores busy begins only then: to add a layer
        and to draw it first take napari some 60 ms each, and twice that among threads that decode and encode.
    """

    seen: threading.Event = field(default_factory=threading.Event, compare=False)


@dataclass(frozen=True)
class Painted:
    """Report: cells have arrived.

    Attributes
    ----------
    progress : BlocksDone
        Of this run.
    encoded : int
        Cells of the store that are encoded, those of earlier runs too.
    pictures : tuple of Picture
        PCA colours that changed.
    """

    progress: BlocksDone
    encoded: int
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class CompressRequest:
    """All that the worker thread needs; made in the main thread and not changed after."""

    slide: Slide
    encoder: str
    encoders: EncoderCache
    path: Path
    options: CompressOptions
    tissue: TissueMask | None
    overwrite: bool
    first: RegionPx | None
    only_first: bool


def compress_painted(request: CompressRequest, token: CancellationToken) -> Generator[object, None, None]:
    """Run in the worker thread: prepare, compress, and paint what arrives."""
    yield Stage("loading the encoder")
    options = request.options
    precision = precision_to_go_on(request.path, options.precision, overwrite=request.overwrite)
    encoder = request.encoders.get(request.encoder, device=options.device, precision=precision)
    token.checkpoint()
    yield Stage("finding tissue")
    preparing = iter_prepare_store(
        request.slide,
        encoder,
        path=request.path,
        options=options.grid(encoder.spec.patch_size),
        tissue=request.tissue,
        overwrite=request.overwrite,
        token=token,
    )
    store = yield from as_stages(preparing, "finding tissue")
    token.checkpoint()
    yield Ready(store)
    settled = Settled()
    yield settled
    for _ in range(round(SETTLE_SECONDS / _LOOK_SECONDS)):
        token.checkpoint()
        if settled.seen.wait(_LOOK_SECONDS):
            break
    yield from _paint_reports(request, encoder, store, token)


def as_stages(job: Generator[Progress, None, T], text: str) -> Generator[Stage, None, T]:
    """Run a job; yield what is being done, and how far it is, at each percent."""
    outcome, told = Outcome(job), 0
    for report in outcome:
        percent = int(100 * report.fraction)
        if told < percent < 100:
            yield Stage(f"{text}, {percent} %")
            told = percent
    return outcome.value


def _paint_reports(
    request: CompressRequest, encoder: Encoder, store: CompressedSlide, token: CancellationToken
) -> Generator[object, None, None]:
    painter = Painter(store, token)
    reports = iter_compress(
        request.slide,
        encoder,
        store,
        first=request.first,
        only_first=request.only_first,
        token=token,
        background=True,
    )
    for progress in throttled(reports, _merge):
        finished = progress.done == progress.total
        pictures = painter.finish() if finished else painter.paint(progress.blocks)
        yield Painted(progress, int(store.encoded().sum()), pictures)
    if store.is_complete:
        painter.write_preview()


def _merge(older: BlocksDone, newer: BlocksDone) -> BlocksDone:
    return replace(newer, blocks=older.blocks + newer.blocks)
