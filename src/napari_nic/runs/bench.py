"""What a step of one slide works with: the open slide, encoders and models that all slides share, places."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from napari_nic.embeddings import CompressedSlide
from napari_nic.encoders import Encoder, load_encoder
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.names import STORE_SUFFIX, safe_name
from napari_nic.runs.folder import RunFolder
from napari_nic.runs.records import TaskOutcome, TaskRecord
from napari_nic.runs.settings import RunSettings, Task
from napari_nic.slide_models import ModelBundle
from napari_nic.slides import Slide, open_slide


class Tools:
    """Encoders and models; each is loaded at its first use and kept for all slides of a process.

    Parameters
    ----------
    settings : RunSettings
    """

    def __init__(self, settings: RunSettings) -> None:
        self._settings = settings
        self._encoders: dict[tuple[str, str], Encoder] = {}
        self._bundles: dict[str, ModelBundle] = {}

    def encoder(self, name: str, precision: str) -> Encoder:
        """Return an encoder in a precision; see :func:`napari_nic.encoders.load_encoder`."""
        if (name, precision) not in self._encoders:
            device, trust = self._settings.device, self._settings.trust
            encoder = load_encoder(name, device=device, precision=precision, trust=trust)
            self._encoders[name, precision] = self._encoders[name, encoder.precision] = encoder
        return self._encoders[name, precision]

    def bundle(self, name: str) -> ModelBundle:
        """Return a slide-level model."""
        if name not in self._bundles:
            self._bundles[name] = ModelBundle.load(name)
        return self._bundles[name]


@dataclass
class Bench:
    """Where the steps of one slide are done; a context manager, which closes the slide.

    Attributes
    ----------
    path : Path
        Of the slide.
    name : str
        Its name in this run.
    folder : RunFolder
    settings : RunSettings
    tools : Tools
    token : CancellationToken
    tasks : mapping of str to TaskRecord
        What was done so far.
    owns : bool
        Whether what lies in the place of the outputs was made by this task before, and may be replaced.
    copy : Path or None
        Of the slide, on a disk that is near: its pixels are read there.
    """

    path: Path
    name: str
    folder: RunFolder
    settings: RunSettings
    tools: Tools
    token: CancellationToken
    tasks: Mapping[str, TaskRecord] = field(default_factory=dict)
    owns: bool = True
    copy: Path | None = None
    _opened: ExitStack = field(default_factory=ExitStack)
    _slide: Slide | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def slide(self) -> Slide:
        """Return the slide; it is opened when this is first asked for."""
        if self._slide is None:
            slide = open_slide(self.copy or self.path, **self.settings.opening)
            self._slide = self._opened.enter_context(slide)
            slide.path = self.path  # what is said of a copy is said of the slide
        return self._slide

    def own(self, name: str) -> Path:
        """Path of a file that belongs to this slide alone."""
        return self.folder.slide(self.name) / name

    def store_path(self, task: Task) -> Path:
        """Path of the compressed slide that a task makes or takes."""
        return self.folder.stores / f"{self.name}.{safe_name(task.encoder)}{STORE_SUFFIX}"

    def store(self, task: Task) -> CompressedSlide:
        """Open the compressed slide that a task takes."""
        return CompressedSlide.open(self.store_path(task))


@dataclass(frozen=True)
class Made:
    """What a step came to.

    Attributes
    ----------
    outputs : sequence of Path
        Files and folders that were written.
    facts : mapping
        A few numbers and words, as JSON values.
    outcome : {"done", "empty"}
    reason : str
        Why there was nothing to do.
    """

    outputs: Sequence[Path] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    outcome: TaskOutcome = "done"
    reason: str = ""


def _nowhere(_task: Task, _bench: Bench) -> tuple[Path, ...]:
    return ()


def _whole(_task: Task, _bench: Bench) -> bool:
    return True


@dataclass(frozen=True)
class Step:
    """How a kind of task is done.

    Attributes
    ----------
    run : callable
        ``run(task, bench)``: a generator of progress that returns :class:`Made`.
    places : callable
        ``places(task, bench) -> tuple of Path``: where it will write outside the slide's own folder.
    is_whole : callable
        ``is_whole(task, bench) -> bool``: whether what it made is complete; that all of it is there was seen.
    takes_nothing : bool
        Whether it is done although what it needs turned out empty.
    """

    run: Callable[[Task, Bench], Generator[Progress, None, Made]]
    places: Callable[[Task, Bench], tuple[Path, ...]] = _nowhere
    is_whole: Callable[[Task, Bench], bool] = _whole
    takes_nothing: bool = False
