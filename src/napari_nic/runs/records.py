"""What is kept of each slide of a run: where it lies, which steps were done, by which settings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self, TypeAlias, get_args

from napari_nic.descriptions import Checks, check_fields, is_finite, is_mapping, is_text, is_whole
from napari_nic.errors import StoreError

TaskOutcome: TypeAlias = Literal["running", "done", "empty", "failed"]
"""``empty``: the slide holds nothing that the step could work on, such as tissue; that is an ordinary end."""

SCHEMA = 1
_MOST = 2**62


@dataclass(frozen=True)
class FileStamp:
    """What tells one version of a file from the next without reading it.

    Attributes
    ----------
    path : str
        From the folder of the slide.
    size : int
        Bytes.
    modified_ns : int
        Time of the last change, nanoseconds.
    """

    path: str
    size: int
    modified_ns: int

    @classmethod
    def of(cls, file: Path, folder: Path) -> Self:
        """Look at a file now.

        Raises
        ------
        OSError
            If it is not there.
        """
        status = file.stat()
        path = file.relative_to(folder) if file.is_relative_to(folder) else file
        return cls(str(path), status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Source:
    """A slide as it was found.

    Attributes
    ----------
    path : str
        Absolute.
    fingerprint : str
        Of the slide, see :attr:`napari_nic.slides.Slide.fingerprint`; empty before it was opened.
    files : tuple of FileStamp
        Its files when the fingerprint was taken.
    """

    path: str
    fingerprint: str = ""
    files: tuple[FileStamp, ...] = ()

    def looks_unchanged(self) -> bool:
        """Whether all files have the size and the time that they had; nothing is read."""
        folder = Path(self.path).parent
        try:
            now = [FileStamp.of(folder / stamp.path, folder) for stamp in self.files]
        except OSError:
            return False
        return bool(self.fingerprint) and now == list(self.files)


@dataclass(frozen=True)
class Output:
    """A file or folder that a task wrote.

    Attributes
    ----------
    path : str
        From the folder of the run, with ``/``.
    size : int
        Bytes; -1 of a folder.
    """

    path: str
    size: int

    @classmethod
    def of(cls, path: Path, root: Path) -> Self:
        """Look at what was written now."""
        size = -1 if path.is_dir() else path.stat().st_size
        return cls(path.relative_to(root).as_posix(), size)

    def is_there(self, root: Path) -> bool:
        """Whether it is still there as it was written."""
        path = root / self.path
        try:
            return path.is_dir() if self.size < 0 else path.is_file() and path.stat().st_size == self.size
        except OSError:
            return False


@dataclass(frozen=True)
class TaskRecord:
    """One step of one slide.

    Attributes
    ----------
    key : str
        SHA-256 of all that determines its result: the slide's fingerprint, the settings, what it builds on.
    outcome : {"running", "done", "empty", "failed"}
    seconds : float
        What it took.
    ended : str
        When, ISO 8601, UTC; empty while it runs.
    reason : str
        Why it failed, or why there was nothing to do.
    outputs : tuple of Output
    facts : mapping
        A few numbers and words for tables, as JSON values.
    """

    key: str
    outcome: TaskOutcome
    seconds: float = 0.0
    ended: str = ""
    reason: str = ""
    outputs: tuple[Output, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_final(self) -> bool:
        """Whether it need not be tried again."""
        return self.outcome in ("done", "empty")


@dataclass(frozen=True)
class SlideRecord:
    """What is known of one slide of a run.

    Attributes
    ----------
    name : str
        Its name in this run: no other slide of the folder has it.
    source : Source
    tasks : mapping of str to TaskRecord
        By the task's name, such as ``"compress:nic-default"``.
    released : int
        Number of the last claim that was given back, see :mod:`napari_nic.runs.claims`.
    reason : str
        Why the slide as a whole cannot be worked on; empty otherwise.
    """

    name: str
    source: Source
    tasks: Mapping[str, TaskRecord] = field(default_factory=dict)
    released: int = 0
    reason: str = ""

    def with_task(self, name: str, task: TaskRecord) -> SlideRecord:
        """Return a copy in which a task is as given."""
        return replace(self, tasks={**self.tasks, name: task})

    def to_dict(self) -> dict[str, Any]:
        """JSON form; read back by :meth:`from_dict`."""
        return {"schema": SCHEMA, **json.loads(json.dumps(asdict(self), default=dict))}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        StoreError
            If it is none, or leads out of the run's folder.
        """
        _check(data, _RECORD, "the record of a slide")
        if data["schema"] != SCHEMA:
            raise StoreError("the record is of another version", expected=f"{SCHEMA}", found=data["schema"])
        tasks = {name: _task(task) for name, task in data["tasks"].items()}
        return cls(data["name"], _source(data["source"]), tasks, data["released"], data["reason"])


def _source(data: Mapping[str, Any]) -> Source:
    _check(data, _SOURCE, "where a slide lies")
    files = [_checked(file, _STAMP, "a file of a slide") for file in data["files"]]
    return Source(data["path"], data["fingerprint"], tuple(FileStamp(**file) for file in files))


def _task(data: Mapping[str, Any]) -> TaskRecord:
    _check(data, _TASK, "the record of a step")
    outputs = [_checked(output, _OUTPUT, "a file that a step wrote") for output in data["outputs"]]
    return TaskRecord(**{**data, "outputs": tuple(Output(**output) for output in outputs)})


def _is_inside(path: Any) -> bool:
    """Whether a path from a file stays in the folder that it is relative to."""
    if not is_text(path) or not path or "\\" in path:
        return False
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts and ":" not in pure.parts[0]


def _checked(data: Any, checks: Checks, what: str) -> dict[str, Any]:
    _check(data, checks, what)
    return dict(data)


def _check(data: Any, checks: Checks, what: str) -> None:
    if not isinstance(data, Mapping):
        raise StoreError(f"not {what}", expected="a JSON object")
    check_fields(data, checks, StoreError, what=what, known=checks.keys(), required=checks.keys())


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


_TEXT = ("text", is_text)
_WHOLE = ("a whole number, 0 or above", lambda value: is_whole(value, _MOST, 0))
_OBJECT = ("a JSON object", is_mapping)

_RECORD: Checks = {
    "schema": ("a number", lambda value: is_whole(value, _MOST)),
    "name": _TEXT,
    "source": _OBJECT,
    "tasks": ("objects by name", lambda value: is_mapping(value) and _are_mappings(value.values())),
    "released": _WHOLE,
    "reason": _TEXT,
}
_SOURCE: Checks = {"path": _TEXT, "fingerprint": _TEXT, "files": ("a list", _is_list)}
_STAMP: Checks = {
    "path": _TEXT,
    "size": _WHOLE,
    "modified_ns": ("a time", lambda value: is_whole(value, _MOST, -_MOST)),
}
_OUTPUT: Checks = {
    "path": ("a path within the folder", _is_inside),
    "size": ("bytes", lambda value: is_whole(value, _MOST, -1)),
}
_TASK: Checks = {
    "key": _TEXT,
    "outcome": (" or ".join(get_args(TaskOutcome)), lambda value: value in get_args(TaskOutcome)),
    "seconds": ("a number", is_finite),
    "ended": _TEXT,
    "reason": _TEXT,
    "outputs": ("a list", _is_list),
    "facts": _OBJECT,
}


def _are_mappings(values: Iterable[Any]) -> bool:
    return all(is_mapping(value) for value in values)
