"""Fixtures of the plugin: a home of its own, jobs that run in place, answers instead of dialogs."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from napari_nic.errors import CancelledError
from napari_nic.plugin.settings import HOME_VARIABLE, Settings
from napari_nic.plugin.worker import Callbacks, Job, MakeJob
from napari_nic.slides import Slide

THIRD_PARTY = (
    # napari 0.9 deprecates, and still uses itself, parts of its own and of its dependencies' interfaces.
    "ignore::DeprecationWarning:napari.*",
    "ignore::FutureWarning:napari.*",
    "ignore::DeprecationWarning:vispy.*",
    "ignore::DeprecationWarning:magicgui.*",
    "ignore::DeprecationWarning:qtpy.*",
    "ignore::DeprecationWarning:pydantic.*",
    "ignore::DeprecationWarning:app_model.*",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Third parties may warn here; what our own code does still fails."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for line in THIRD_PARTY:
                item.add_marker(pytest.mark.filterwarnings(line))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's files: an empty folder."""
    folder = tmp_path / "home"
    monkeypatch.setenv(HOME_VARIABLE, str(folder))
    return folder


@pytest.fixture
def settings(home: Path) -> Settings:
    """Settings in the empty home."""
    return Settings()


class Answers:
    """Answers questions as the test says and remembers what it was told."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.notices: list[str] = []
        self.questions: list[str] = []
        self.mpp: float | None = None
        self.agree = False
        self.chosen_folder: Path | None = None

    def tell_error(self, error: Exception) -> None:
        self.errors.append(error)

    def tell(self, message: str) -> None:
        self.notices.append(message)

    def pixel_size(self, slide: Slide, reason: str) -> float | None:
        self.questions.append(f"pixel size: {reason}")
        return self.mpp

    def confirm(self, title: str, text: str, *, yes: str, no: str) -> bool:
        self.questions.append(f"{title}: {text}")
        return self.agree

    def folder(self, title: str) -> Path | None:
        self.questions.append(title)
        return self.chosen_folder


@pytest.fixture
def answers() -> Answers:
    """A user made by code."""
    return Answers()


class InlineRunner:
    """Runs jobs in place. With `hold` set they wait until :meth:`step` or :meth:`finish` drives them."""

    def __init__(self) -> None:
        self.hold = False
        self.titles: list[str] = []
        self.waiting: list[tuple[Job, Any, Callbacks]] = []

    def start(self, title: str, make: MakeJob, callbacks: Callbacks) -> Job:
        job = Job(title)
        self.titles.append(title)
        self.waiting.append((job, make(job.token), callbacks))
        if not self.hold:
            self.finish()
        return job

    def step(self) -> Any:
        """Drive the oldest job to its next report and return that; None when it ended."""
        job, generator, callbacks = self.waiting[0]
        try:
            report = next(generator)
        except StopIteration as end:
            self._end(job)
            if not job.token.cancelled:
                callbacks.returned(end.value)
        except CancelledError:
            self._end(job)
        except Exception as error:  # noqa: BLE001 -- what a worker thread does: whatever it is, it is told
            self._end(job)
            callbacks.failed(error)
        else:
            callbacks.yielded(report)
            return report
        callbacks.finished()
        return None

    def _end(self, job: Job) -> None:
        job.running = False
        self.waiting.pop(0)

    def finish(self) -> None:
        """Drive all jobs to their ends."""
        while self.waiting:
            self.step()

    def shutdown(self) -> None:
        for job, generator, _ in self.waiting:
            job.cancel()
            generator.close()
        self.waiting.clear()


@pytest.fixture
def runner() -> Iterator[InlineRunner]:
    """A runner without threads."""
    made = InlineRunner()
    yield made
    made.shutdown()


@pytest.fixture
def collected() -> Iterator[None]:
    """Collect garbage after a test with windows, so that leaks show up in it and not in the next one."""
    yield
    gc.collect()
