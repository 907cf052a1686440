"""What was read of annotation files, kept so that they open in a moment the next time.

An entry is named after the SHA-256 of the file's content, so a file that was changed in any way has none, and
one that was moved or copied keeps its own. It is a NumPy archive (ZIP, with a checksum of each member):
geometries as WKB, numbers of classes and names, and JSON for the rest. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zipfile
from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import shapely
from platformdirs import user_cache_dir

from napari_nic.annotations import Annotation, AnnotationSet, Fault, Kind, PartRead
from napari_nic.annotations.garbage import without_garbage_collection
from napari_nic.jobs import CancellationToken, Progress, checked, result_of

HOME_VARIABLE = "NAPARI_NIC_HOME"

VERSION = 2
"""Raised when a reader gives another result of the same file, or entries are laid out otherwise."""

MAX_BYTES = 2**30
"""Of all entries together; those that were not used for longest go first."""

SETTLED_SECONDS = 2.0
"""A file that was written within them may be written again without its times telling: it is not kept yet."""

LEFTOVER_SECONDS = 3600.0
"""What is half written for so long was left by a program that was killed."""

SUFFIX, HALF_WRITTEN = ".outlines.npz", ".tmp"

LOADING = "Taking what was read before"

_HASHED_AT_ONCE = 2**22
_LOADED_AT_ONCE = 2**15
_AREA = 2
_KINDS: tuple[Kind, ...] = get_args(Kind)
_DAMAGE = (
    *(OSError, ValueError, KeyError, IndexError, TypeError, EOFError),
    *(zipfile.BadZipFile, shapely.GEOSException),
)
"""What reading an entry raises that is not what was written."""


def cache_folder() -> Path:
    """Folder of the entries: in the user's cache, or where ``NAPARI_NIC_HOME`` says."""
    home = os.environ.get(HOME_VARIABLE)
    return Path(home or user_cache_dir("napari-nic", appauthor=False)) / "outlines"


class OutlineCache:
    """Annotation sets by the content of their files.

    Parameters
    ----------
    folder : Path, optional
        :func:`cache_folder` by default.
    max_bytes : int
        Of all entries together.
    """

    def __init__(self, folder: Path | None = None, *, max_bytes: int = MAX_BYTES) -> None:
        self.folder = folder or cache_folder()
        self._max_bytes = max_bytes

    def load(self, key: str, source: str) -> AnnotationSet | None:
        """Do what :meth:`iter_load` does, in one go."""
        return result_of(self.iter_load(key, source))

    def iter_load(
        self, key: str, source: str, token: CancellationToken | None = None
    ) -> Generator[Progress, None, AnnotationSet | None]:
        """Return what was read of a content; None if it is not kept, or was damaged, which removes it.

        Parameters
        ----------
        key : str
            See :func:`content_key`.
        source : str
            Of the set: the file's name.
        token : CancellationToken, optional
            Asked now and then.
        """
        path = self._path(key)
        if not path.is_file():
            return None
        try:
            with without_garbage_collection():
                found = yield from _iter_read(path, key, source, token)
            os.utime(path)
        except _DAMAGE:
            with suppress(OSError):
                path.unlink()
            yield PartRead(0, 0, LOADING, "outlines", is_afresh=True)
            return None
        return found

    def store(self, key: str, annotations: AnnotationSet, token: CancellationToken | None = None) -> bool:
        """Keep what was read of a content; False if that cannot be done, which harms nothing."""
        arrays = _arrays_of(annotations, key, token)
        if arrays is None or 2 * sum(array.nbytes for array in arrays.values()) > self._max_bytes:
            return False
        half_written = self.folder / f"{key}.{os.getpid()}{HALF_WRITTEN}"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with half_written.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]  # its stubs take the arrays for options
            half_written.replace(self._path(key))
        except OSError:
            with suppress(OSError):
                half_written.unlink()
            return False
        self._trim()
        return True

    def clear(self) -> None:
        """Remove all entries."""
        for path, _, _ in self._entries(SUFFIX, HALF_WRITTEN):
            with suppress(OSError):
                path.unlink()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}{SUFFIX}"

    def _entries(self, *suffixes: str) -> list[tuple[Path, float, int]]:
        """Files with when they were used last, and their bytes; the last used one first."""
        found = []
        for path in self.folder.glob("*"):
            if path.name.endswith(suffixes):
                with suppress(OSError):
                    state = path.stat()
                    found.append((path, state.st_mtime, state.st_size))
        return sorted(found, key=lambda entry: -entry[1])

    def _trim(self) -> None:
        too_old = time.time() - LEFTOVER_SECONDS
        gone = [path for path, used, _ in self._entries(HALF_WRITTEN) if used < too_old]
        total = 0
        for path, _, size in self._entries(SUFFIX):
            total += size
            if total > self._max_bytes:
                gone.append(path)
        for path in gone:
            with suppress(OSError):
                path.unlink()


class Content(NamedTuple):
    """What a file holds, and by what it is seen at once that it holds something else.

    Attributes
    ----------
    sha256 : str
        Of the whole content.
    size, mtime_ns : int
        Of the file as it was looked at.
    """

    sha256: str
    size: int
    mtime_ns: int


class SettledFile:
    """A file as it is now, and whether it is still the same later.

    Parameters
    ----------
    path : Path
    token : CancellationToken, optional
        Asked while the content is hashed.

    Attributes
    ----------
    content : Content
    """

    def __init__(self, path: Path, token: CancellationToken | None = None) -> None:
        self._path = path
        self._state = _state_of(path)
        self._is_settled = time.time() - max(self._state[1:3]) / 1e9 > SETTLED_SECONDS
        self.content = Content(_digest_of(path, token), *self._state[:2])

    def is_unchanged(self) -> bool:
        """Whether what was read since is surely of this content: not written meanwhile, or shortly before."""
        return self._is_settled and self.is_same()

    def is_same(self) -> bool:
        """Whether the file looks as it did."""
        return _state_of(self._path) == self._state


def content_key(path: Path, token: CancellationToken | None = None) -> str:
    """Name what is made of the whole content of a file in this version.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    return key_of(_digest_of(path, token))


def key_of(digest: str) -> str:
    """Name what is made of a content in this version, by the content's SHA-256."""
    return hashlib.sha256(f"napari-nic outlines {VERSION} {digest}".encode()).hexdigest()


def _digest_of(path: Path, token: CancellationToken | None) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASHED_AT_ONCE):
            if token is not None:
                token.checkpoint()
            digest.update(block)
    return digest.hexdigest()


def _state_of(path: Path) -> tuple[int, ...]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino, state.st_dev


def _arrays_of(
    annotations: AnnotationSet, key: str, token: CancellationToken | None = None
) -> dict[str, np.ndarray] | None:
    """Return what an entry holds; None if JSON cannot hold what a format said beside its shapes."""
    shapes = annotations.annotations
    extras, extra_numbers = _numbered_extras(shapes)
    labels, label_numbers = _numbered(shape.label for shape in checked(shapes, token))
    names, name_numbers = _numbered(shape.name for shape in checked(shapes, token))
    ids = [shape.id for shape in shapes]
    faults = [[fault.where, fault.text, fault.repaired] for fault in annotations.faults]
    head = {
        "key": key,
        "labels": labels,
        "names": names,
        "ids": ids if any(ids) else [],
        "extras": extras,
        "colors": list(annotations.colors.items()),
        "notes": annotations.notes,
        "faults": faults,
    }
    text = json.dumps(head)
    if repr(json.loads(text)["extras"]) != repr(extras):
        return None
    wkb = _wkb_of(np.array([*(shape.geometry for shape in shapes), None], object)[:-1], token)
    ends = np.cumsum([0, *map(len, wkb)], dtype=np.int64)
    return {
        "head": np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8),
        "wkb": np.frombuffer(b"".join(wkb), np.uint8),
        "ends": ends,
        "labels": label_numbers,
        "names": name_numbers,
        "extras": extra_numbers,
        "kinds": np.array([_KINDS.index(shape.kind) for shape in shapes], np.uint8),
    }


def _wkb_of(geometries: np.ndarray, token: CancellationToken | None) -> list[bytes]:
    """Write geometries part by part: in one call no other thread does anything."""
    found: list[bytes] = []
    for start in checked(range(0, len(geometries), _LOADED_AT_ONCE), token):
        found += shapely.to_wkb(geometries[start : start + _LOADED_AT_ONCE]).tolist()
    return found


def _numbered(values: Iterable[str]) -> tuple[list[str], np.ndarray]:
    """Different values, and for each its number among them."""
    numbers: dict[str, int] = {}
    found = [numbers.setdefault(value, len(numbers)) for value in values]
    return list(numbers), np.array(found, np.int32)


def _numbered_extras(shapes: Sequence[Annotation]) -> tuple[list[Any], np.ndarray]:
    """Different objects of what is said beside shapes: many share one."""
    numbers: dict[int, int] = {}
    found = [numbers.setdefault(id(shape.extra), len(numbers)) for shape in shapes]
    by_number = dict(zip(found, (shape.extra for shape in shapes), strict=True))
    return [dict(by_number[number]) for number in range(len(numbers))], np.array(found, np.int32)


def _iter_read(
    path: Path, key: str, source: str, token: CancellationToken | None
) -> Generator[Progress, None, AnnotationSet]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as entry:
        arrays = {name: entry[name] for name in entry.files}
    head = json.loads(arrays["head"].tobytes().decode("utf-8", "surrogatepass"))
    count = len(arrays["kinds"])
    columns = (arrays["labels"], arrays["names"], arrays["extras"], arrays["ends"][1:])
    if head["key"] != key or any(len(column) != count for column in columns):
        raise ValueError("not what was written")
    colors = {label: (color[0], color[1], color[2]) for label, color in head["colors"]}
    blob, ends = arrays["wkb"], arrays["ends"]
    shapes: list[Annotation] = []
    for start in checked(range(0, count, _LOADED_AT_ONCE), token):
        part = slice(start, start + _LOADED_AT_ONCE)
        first, last = int(ends[start]), int(ends[min(start + _LOADED_AT_ONCE, count)])
        piece = blob[first:last].tobytes()
        places = (ends[start : start + _LOADED_AT_ONCE + 1] - first).tolist()
        pieces = [piece[a:b] for a, b in pairwise(places)]
        geometries = shapely.from_wkb(np.array([*pieces, None], object)[:-1])
        labels = [head["labels"][number] for number in arrays["labels"][part].tolist()]
        made = zip(
            labels,
            map(_KINDS.__getitem__, arrays["kinds"][part].tolist()),
            geometries,
            map(head["names"].__getitem__, arrays["names"][part].tolist()),
            head["ids"][part] or [""] * len(labels),
            map(head["extras"].__getitem__, arrays["extras"][part].tolist()),
            strict=True,
        )
        shapes += [Annotation(*shape) for shape in made]
        yield PartRead(len(shapes), count, LOADING, "outlines", *_areas_among(geometries, labels), colors)
    faults = tuple(Fault(*fault) for fault in head["faults"])
    return AnnotationSet(tuple(shapes), colors, source, tuple(head["notes"]), faults)


def _areas_among(geometries: np.ndarray, labels: Sequence[str]) -> tuple[list[Any], list[str]]:
    """Return areas, which are shown as pictures, and their labels."""
    rows = np.flatnonzero(shapely.get_dimensions(geometries) == _AREA).tolist()
    return geometries[rows].tolist(), [labels[row] for row in rows]
