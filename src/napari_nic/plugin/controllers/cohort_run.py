"""A run in the cohort browser: its slides as lines that change while it goes on."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from napari_nic.cohorts import ListedSlide, Preview
from napari_nic.jobs import CancellationToken
from napari_nic.runs import PLAN_FILE, RunFolder, RunView, RunWatch, SlideStatus, store_paths
from napari_nic.wording import clock, count, counted, duration

RUN_COLUMNS = ("Slide", "State", "Time", "What")
_ORDER = ("running", "failed", "stopped", "waiting", "empty", "done")


@dataclass(frozen=True)
class RunListing:
    """A run as a list, in place of a :class:`~napari_nic.cohorts.Listing`.

    Attributes
    ----------
    source : Path
        Folder of the run.
    slides : tuple of ListedSlide
        By name; their label is their state.
    view : RunView
        The run when it was looked at last.
    """

    source: Path
    slides: tuple[ListedSlide, ...]
    view: RunView
    has_models: bool = False
    preview: Preview = field(default=Preview({}))

    @property
    def states(self) -> dict[str, SlideStatus]:
        """How far each slide is, by name."""
        return {slide.name: slide for slide in self.view.status.slides}


def is_run(path: Path) -> bool:
    """Whether a folder, or a file in it, is of a run."""
    return (path / PLAN_FILE).is_file() or path.name == PLAN_FILE


def watch_of(path: Path) -> RunWatch:
    """Return what looks at a run.

    Parameters
    ----------
    path : Path
        Its folder, or ``run.json`` in it.
    """
    return RunWatch(RunFolder(path.parent if path.name == PLAN_FILE else path))


def look(watch: RunWatch, token: CancellationToken | None = None) -> RunListing:
    """Look at a run now.

    Raises
    ------
    StoreError
        If it is none.
    CancelledError
    """
    view = watch.look(token)
    slides = tuple(_listed(watch.folder, slide) for slide in view.status.slides)
    return RunListing(watch.folder.root, slides, view)


def iter_look(watch: RunWatch, token: CancellationToken) -> Generator[None, None, RunListing]:
    """Look at a run, as a job in the background."""
    yield
    return look(watch, token)


def look_job(watch: RunWatch) -> partial[Generator[None, None, RunListing]]:
    """Return what starts :func:`iter_look`."""
    return partial(iter_look, watch)


def _listed(folder: RunFolder, slide: SlideStatus) -> ListedSlide:
    stores = store_paths(folder, slide)
    path = slide.record.source.path
    return ListedSlide(
        name=slide.name,
        case=slide.name,
        label=slide.state,
        part="",
        picture=Path(path) if path else None,
        store=stores[0] if stores else None,
    )


def cells_of(slide: ListedSlide, states: dict[str, SlideStatus]) -> tuple[str, ...]:
    """Texts of a line, in the order of :data:`RUN_COLUMNS`."""
    status = states[slide.name]
    done = ", ".join(name for name, task in status.record.tasks.items() if task.is_final)
    seconds = duration(status.seconds) if status.seconds else ""
    return slide.name, slide.label, seconds, " ".join(status.reason.split()) or done


def run_sort_key(slide: ListedSlide, column: int, states: dict[str, SlideStatus]) -> tuple[int, float, str]:
    """What a column is sorted by: states by what needs looking at, times by their length."""
    status = states[slide.name]
    if RUN_COLUMNS[column] == "Time":
        return 0, status.seconds, ""
    if RUN_COLUMNS[column] == "State":
        return _ORDER.index(status.state), 0.0, slide.name
    return 1, 0.0, cells_of(slide, states)[column].casefold()


def run_summary(view: RunView) -> str:
    """Say how many slides are in each state, how fast it is, and what is left."""
    parts = [f"{number:,} {state}" for state, number in view.status.counts.items()]
    text = f"{counted(len(view.status.slides), 'slide')}: {', '.join(parts) or 'none yet'}"
    if view.per_hour is None or view.seconds_left is None or not view.left:
        return text
    return f"{text}; {count(view.per_hour)} slides/h, about {clock(view.seconds_left)} left"
