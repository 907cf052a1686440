"""Cancel and closing the window during each kind of job: the unit in hand is finished, none is begun."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from napari_nic.demo.sample import demo_slide
from napari_nic.embeddings import CompressedSlide
from napari_nic.embeddings.stored import StoredCodes
from napari_nic.encoders.mean_rgb import MeanRgbEncoder
from napari_nic.errors import CancelledError
from napari_nic.jobs import CancellationToken
from napari_nic.plugin.compress_job import CompressRequest, EncoderCache, Settled, compress_painted
from napari_nic.plugin.compress_options import CompressOptions
from napari_nic.plugin.controllers.exporting import _export
from napari_nic.plugin.controllers.models import _explain, _predict
from napari_nic.plugin.controllers.tissue import _find
from napari_nic.plugin.overlay_jobs import job, store_channel, store_pca
from napari_nic.plugin.worker import Callbacks, MakeJob, ThreadRunner
from napari_nic.slide_models import ModelBundle
from napari_nic.slide_models.canvas import Canvas
from napari_nic.slides import Slide, open_slide
from napari_nic.synthetic import Scene

IN_HAND = 8
"""Threads of a job that may have passed their checkpoint already."""


@dataclass(frozen=True)
class Inputs:
    """What the jobs work on."""

    slide: Slide
    store: CompressedSlide
    model: ModelBundle
    out: Path


def _compressing(inputs: Inputs) -> MakeJob:
    request = CompressRequest(
        slide=inputs.slide,
        encoder="mean-rgb",
        encoders=EncoderCache(),
        path=inputs.out / "new.nic.zarr",
        options=CompressOptions(overlap=0.75),
        tissue=None,
        overwrite=False,
        first=None,
        only_first=False,
    )
    return partial(compress_painted, request)


def _sample(inputs: Inputs) -> MakeJob:
    return job(lambda token: demo_slide(inputs.out, told=lambda _: token.checkpoint()))


@dataclass(frozen=True)
class Kind:
    """A kind of job, and the method that does one unit of its work."""

    make: Callable[[Inputs], MakeJob]
    owner: type
    method: str


SHARD, ROWS = (StoredCodes, "read_shard"), (Canvas, "rows")
KINDS: dict[str, Kind] = {
    "pca": Kind(lambda i: job(partial(store_pca, i.store)), *SHARD),
    "channel": Kind(lambda i: job(partial(store_channel, i.store, 0)), *SHARD),
    "predict": Kind(lambda i: job(partial(_predict, i.model, i.store, None, 1)), *ROWS),
    "saliency": Kind(lambda i: job(partial(_explain, i.model, i.store, None, 1)), *ROWS),
    "export": Kind(lambda i: partial(_export, i.store, i.out / "e.npy", "npy"), *SHARD),
    "tissue": Kind(lambda i: partial(_find, i.slide, "threshold"), Slide, "read_stored_tile"),
    "compress": Kind(_compressing, MeanRgbEncoder, "encode"),
    "sample slide": Kind(_sample, Scene, "read"),
}


class Unit:
    """A unit of work that takes until the job is asked to stop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
        self.entered, self.asked = threading.Event(), threading.Event()
        self.late = 0
        work, cancel = getattr(kind.owner, kind.method), CancellationToken.cancel

        def slow(*args: Any, **kwargs: Any) -> Any:
            self.late += self.asked.is_set()
            self.entered.set()
            assert self.asked.wait(60)
            return work(*args, **kwargs)

        def ask(token: CancellationToken) -> None:
            cancel(token)
            self.asked.set()

        monkeypatch.setattr(kind.owner, kind.method, slow)
        monkeypatch.setattr(CancellationToken, "cancel", ask)


@pytest.fixture
def inputs(slide_file, compress_file, bundle_folder, tmp_path):
    store = compress_file(slide_file)
    out = tmp_path / "out"
    out.mkdir()
    with open_slide(slide_file) as slide:
        yield Inputs(slide, CompressedSlide.open(store.path), ModelBundle.load(bundle_folder), out)


@pytest.mark.gui
@pytest.mark.parametrize("closing", [False, True], ids=["cancel", "close"])
@pytest.mark.parametrize("name", KINDS)
def test_it_ends_after_the_unit_in_hand(qtbot, monkeypatch, inputs, name, closing) -> None:
    kind, told, ended = KINDS[name], [], threading.Event()
    ends: list[str] = []
    before = set(threading.enumerate())
    unit, runner = Unit(monkeypatch, kind), ThreadRunner()
    callbacks = Callbacks(returned=told.append, failed=told.append, finished=ended.set)
    started = runner.start(name, partial(_watched, kind.make(inputs), ends), callbacks)
    qtbot.waitUntil(unit.entered.is_set, timeout=60_000)
    if closing:
        runner.shutdown()
    else:
        started.cancel()
        qtbot.waitUntil(ended.is_set, timeout=60_000)
    assert ends == ["cancelled"]  # and not gone through to its end
    assert unit.late <= IN_HAND
    assert not started.running
    assert told == []
    left = [thread for thread in threading.enumerate() if thread not in before and not _of_pool(thread)]
    assert left == []
    assert not any(path.suffix in (".npy", ".tif", ".geojson") for path in inputs.out.rglob("*"))


def test_a_window_that_closes_before_its_first_cells_is_not_waited_for(inputs) -> None:
    """The run waits for the screen to come to rest, which that of a closing window never does."""
    seconds = []
    for number in range(3):
        out = inputs.out / f"{number}"
        token = CancellationToken()
        run = _compressing(replace(inputs, out=out))(token)
        while not isinstance(next(run), Settled):
            pass
        waiting = threading.Thread(target=partial(_until_cancelled, run), daemon=True)
        waiting.start()
        begin = time.perf_counter()
        token.cancel()
        waiting.join(30)
        seconds.append(time.perf_counter() - begin)
        assert not waiting.is_alive()
    assert min(seconds) < 0.3


def _until_cancelled(run: Generator[Any, None, Any]) -> None:
    with pytest.raises(CancelledError):
        list(run)


def _watched(make: MakeJob, ends: list[str], token: CancellationToken) -> Generator[Any, None, Any]:
    try:
        return (yield from make(token))
    except CancelledError:
        ends.append("cancelled")
        raise


def _of_pool(thread: threading.Thread) -> bool:
    """Whether Qt or zarr keeps it for the next job; the latter's are named by its event loop."""
    return isinstance(thread, threading._DummyThread) or thread.name.startswith(("asyncio_", "zarr"))
