"""Slides are handed to the processes of a cluster, a few at a time, and what they come to is taken back.

What a process is at is heard through the scheduler, as dask's events: for the table alone, so that nothing is
lost with one that is not heard.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import queue
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from napari_nic.errors import NicError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.runs.remote import TOPIC, do_slide
from napari_nic.runs.running import RunProgress
from napari_nic.runs.slide_work import Order, SlideResult, give_up_on

_STOP_SECONDS = 30.0
"""So long processes may take to reach a safe point once they are to stop."""

_LOOK_SECONDS = 0.1
"""So often a run that waits for slides looks whether it is to stop."""

_COUNT_SECONDS = 10.0
"""So often the processes are counted."""

_AHEAD = 2
"""Slides that are handed out for each process, the one that it works on included."""

_RETRIES = 2
"""Times a slide is tried again whose process could not write the folder: a network disk that stumbles."""


class ClusterPool:
    """Hands slides to the processes of a cluster; a :class:`~napari_nic.runs.running.Pool`.

    Parameters
    ----------
    client : distributed.Client
    threads : int
        Of one process, where the settings say nothing.
    work : callable
        What a process does; takes and returns what :func:`~napari_nic.runs.remote.do_slide` does.
    """

    def __init__(self, client: Any, *, threads: int, work: Callable[..., dict[str, Any]] = do_slide) -> None:
        self.client = client
        self._threads = threads
        self.work = work

    @property
    def dashboard(self) -> str:
        """Address of dask's page for browsers; empty where there is none."""
        return str(self.client.dashboard_link or "")

    def __call__(
        self, paths: Sequence[Path], order: Order, token: CancellationToken
    ) -> Iterator[RunProgress]:
        """Yield what each slide came to.

        Raises
        ------
        CancelledError
            Processes end at their next safe point.
        StoreError
            If the folder cannot be written.
        """
        stop = order.folder.root / f".stop-{uuid.uuid4().hex}"
        work = _Work(self, self._settled(order), stop, token)
        with _reached_still():
            self.client.subscribe_topic(TOPIC, work.hear)
        if order.copies is not None:
            order.copies.begin(paths, order.is_wanted)
        try:
            yield from work.do(paths)
            # What was at hand when a process died, guilty or not, one after the other.
            for path in list(work.lost):
                work.lost.clear()
                yield from work.do([path])
                if work.lost:
                    result = give_up_on(path, order)
                    yield RunProgress(0, 0, name=path.name, result=replace(result, path=str(path)))
        except BaseException:
            stop.touch()
            work.wait()
            raise
        finally:
            stop.unlink(missing_ok=True)

    def _settled(self, order: Order) -> Order:
        threads = order.settings.threads or self._threads
        return replace(order, settings=replace(order.settings, threads=threads))


_TAKEN_BACK = (concurrent.futures.CancelledError, asyncio.CancelledError)


@contextmanager
def _reached_still() -> Iterator[None]:
    """Say what the library's errors mean once the scheduler is gone: it takes back what it was given."""
    try:
        yield
    except NicError:
        raise
    except (OSError, *_TAKEN_BACK) as error:
        raise NicError(
            "the cluster's scheduler has ended, or cannot be reached any more",
            found=" ".join(str(error).split()) or type(error).__name__,
            hint="what is stored is kept; when it runs again, the same command goes on",
        ) from error


def _raise(error: BaseException) -> NoReturn:
    """Raise what a process raised, or the cluster in its place, with what it means."""
    if isinstance(error, ImportError) or (isinstance(error, RuntimeError) and "deserializ" in str(error)):
        raise NicError(
            "the cluster's scheduler or workers cannot load napari-nic",
            found=" ".join(str(error).split()),
            hint="start them in the environment of this program, with the same version of it",
        ) from error
    if isinstance(error, _TAKEN_BACK):
        with _reached_still():
            raise error
    raise error


_Ended: TypeAlias = tuple[Path, BaseException | None, Any]
"""A slide, what its process raised, and what it answered."""


class _Work:
    """Slides that are handed out."""

    def __init__(self, pool: ClusterPool, order: Order, stop: Path, token: CancellationToken) -> None:
        self._work, self._client, self._token = pool.work, pool.client, token
        self._copies = order.copies
        # What is the same for all slides: the folder, the settings, the file that says stop.
        folder = str(order.folder.root.absolute())
        self._common = folder, order.settings.to_dict(), str(stop.absolute())
        self._at_work: dict[Any, Path] = {}
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._heard: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._counted, self._processes = float("-inf"), 0
        self.lost: list[Path] = []

    def do(self, paths: Sequence[Path]) -> Iterator[RunProgress]:
        """Hand slides out, a few at a time, and yield what they come to; `lost` are those that are not."""
        from distributed import KilledWorker

        waiting = deque(paths)
        while waiting or self._at_work:
            self._token.checkpoint()
            self._fill(waiting)
            yield from self._told()
            for path, error, value in self._ended():
                if self._copies is not None:
                    self._copies.drop(path)
                if isinstance(error, KilledWorker):
                    self.lost.append(path)
                elif error is not None:
                    _raise(error)
                else:
                    result = replace(SlideResult(**value), path=str(path))
                    yield RunProgress(0, 0, name=path.name, result=result)

    def _fill(self, waiting: deque[Path]) -> None:
        """Hand out as many as there is room for."""
        while waiting and self._is_near(waiting[0]):
            with _reached_still():
                if len(self._at_work) >= self._room():
                    return
                self._hand_out(waiting.popleft())

    def hear(self, event: tuple[float, dict[str, Any]]) -> None:
        """Keep what a process says of its slide; called by a thread of the library."""
        self._heard.put(event[1])

    def _told(self) -> Iterator[RunProgress]:
        """Yield what processes said of slides that they have still."""
        while not self._heard.empty():
            said = self._heard.get()
            path = Path(said["path"])
            if said["run"] == self._common[-1] and path in map(Path.absolute, self._at_work.values()):
                inner = Progress(said["done"], said["total"], said["stage"], said["unit"])
                yield RunProgress(0, 0, inner.stage, name=path.name, inner=inner)

    def _room(self) -> int:
        """How many may be handed out; processes of a cluster come and go."""
        if time.monotonic() - self._counted > _COUNT_SECONDS:
            self._counted, self._processes = time.monotonic(), sum(self._client.nthreads().values())
        return max(1, self._processes) * _AHEAD

    def _is_near(self, path: Path) -> bool:
        """Whether a slide was copied, or need not be."""
        return self._copies is None or self._copies.is_ready(path)

    def _hand_out(self, path: Path) -> None:
        copy = None if self._copies is None else self._copies.take(path, self._token)
        future = self._client.submit(
            self._work,
            str(path.absolute()),
            *self._common,
            *([] if copy is None else [str(copy.absolute())]),
            key=f"slide-{path.name}-{uuid.uuid4().hex}",
            retries=_RETRIES,
            pure=False,
        )
        self._at_work[future] = path
        # Whoever waits in the library is deaf to Ctrl-C for as long as that takes: its threads fetch results.
        future.add_done_callback(self._fetch)

    def _fetch(self, future: Any) -> None:
        """Fetch what a slide came to; what fails here is lost by a thread of the library, and waited for."""
        value = None
        try:
            error = future.exception()
            if error is None:
                value = future.result()
        except (OSError, *_TAKEN_BACK) as lost:
            error = concurrent.futures.CancelledError(str(lost))
        self._done.put((future, error, value))

    def _ended(self) -> list[_Ended]:
        """Wait a moment for slides that are handed out, and return those that ended."""
        ended: list[_Ended] = []
        try:
            future, *found = self._done.get(timeout=_LOOK_SECONDS)
            while True:
                ended.append((self._at_work.pop(future), *found))
                future.release()
                future, *found = self._done.get_nowait()
        except queue.Empty:
            return ended

    def wait(self) -> None:
        """Wait a little until processes have heard that they are to stop."""
        end = time.monotonic() + _STOP_SECONDS
        while self._at_work and time.monotonic() < end:
            self._ended()
