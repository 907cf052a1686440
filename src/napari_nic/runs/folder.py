"""The folder of a run: where each thing lies, which slide has which name, and the records of all."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_nic.descriptions import read_json, sealed, unsealed
from napari_nic.disk import write_new, write_text
from napari_nic.errors import NicError, StoreError
from napari_nic.names import RUN_FILE, RUN_STORES, exists, is_folder, safe_name, slide_stem
from napari_nic.runs.records import SlideRecord, Source
from napari_nic.slides import open_slide
from napari_nic.telling import telling

RECORD_FILE, PLAN_FILE, SUMMARY_FILE = "slide.json", RUN_FILE, "summary.html"

_READS, _READ_SECONDS = 25, 0.02
"""Where links cannot be made a new record is without its content for a moment."""


@dataclass(frozen=True)
class RunFolder:
    """The folder that a run writes to, and other runs beside it.

    ``slides/NAME/`` holds what belongs to one slide, its record too; ``stores/`` the compressed slides;
    ``exports/`` what other programs read. Nothing else is written, but ``run.json`` and ``summary.html``.

    Attributes
    ----------
    root : Path
    """

    root: Path

    @property
    def stores(self) -> Path:
        """Folder of the compressed slides."""
        return self.root / RUN_STORES

    def slide(self, name: str) -> Path:
        """Folder of what belongs to one slide alone."""
        return self.root / "slides" / name

    def record_file(self, name: str) -> Path:
        """File of a slide's record."""
        return self.slide(name) / RECORD_FILE

    # -- records -----------------------------------------------------------------------------------------

    def read(self, name: str) -> SlideRecord:
        """Read the record of a slide.

        Raises
        ------
        StoreError
            If there is none, or it is damaged.
        """
        return _record(_described(self.record_file(name)), self.record_file(name))

    def write(self, record: SlideRecord) -> None:
        """Replace the record of a slide; it is there as before or as now, never half.

        Raises
        ------
        StoreError
            If it cannot be written.
        """
        write_text(self.record_file(record.name), _text(record.to_dict()))

    def names(self) -> Iterator[str]:
        """Names of all slides that have a record, sorted."""
        folder = self.root / "slides"
        if is_folder(folder):
            for entry in sorted(folder.iterdir()):
                if exists(entry / RECORD_FILE):
                    yield entry.name

    def enrol(self, path: Path) -> SlideRecord:
        """Return the record of a slide; a new one where it has none, under a name of its own.

        A slide keeps its name for good, whatever other slides of its name come later. One that was moved is
        known by its bytes, if it was opened before.

        Parameters
        ----------
        path : Path
            Of the slide.

        Raises
        ------
        StoreError
            If the record cannot be written, or is damaged.
        """
        path = path.absolute()
        for name in _candidates(path):
            fresh = SlideRecord(name, Source(str(path)))
            if not exists(self.record_file(name)) and write_new(
                self.record_file(name), _text(fresh.to_dict()).encode()
            ):
                return fresh
            other = self._enrolled(name)
            if Path(other.source.path) == path or _was_moved(other.source, path):
                return other
        raise StoreError("no name is left for this slide", path=path)

    def find(self, path: Path) -> SlideRecord | None:
        """Return the record of a slide by its path; None where it has none.

        Raises
        ------
        StoreError
            If a record is damaged.
        """
        path = path.absolute()
        for name in _candidates(path):
            if not exists(self.record_file(name)):
                return None
            found = self._enrolled(name)
            if Path(found.source.path) == path:
                return found
        return None

    def _enrolled(self, name: str) -> SlideRecord:
        """Read a record that another run may be writing for the first time."""
        for _ in range(_READS):
            if self.record_file(name).stat().st_size:
                break
            time.sleep(_READ_SECONDS)
        return self.read(name)

    # -- the plan ----------------------------------------------------------------------------------------

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        """Write what the last run was asked for."""
        write_text(self.root / PLAN_FILE, _text(dict(plan)))

    def read_plan(self) -> dict[str, Any]:
        """Read what the last run was asked for.

        Raises
        ------
        StoreError
            If there is none here, or it is damaged.
        """
        file = self.root / PLAN_FILE
        if not exists(file):
            raise StoreError(
                "this is no folder of a run",
                path=self.root,
                expected=f"{PLAN_FILE} in it",
                hint="name the folder that was given to --out",
            )
        return _described(file)


def _candidates(path: Path) -> Iterator[str]:
    """Yield names for a slide, the shortest first; the last ones are of this path alone."""
    stem = slide_stem(path)
    yield safe_name(stem)
    yield safe_name(f"{path.parent.name}-{stem}")
    yield safe_name(path.name)
    yield safe_name(f"{path.parent.parent.name}-{path.parent.name}-{path.name}")
    yield safe_name(f"{stem}~{hashlib.sha256(os.fsencode(path)).hexdigest()[:12]}")


def _was_moved(source: Source, path: Path) -> bool:
    """Whether a record is of a slide that lay elsewhere and lies at `path` now."""
    if not source.fingerprint or exists(Path(source.path)) or not exists(path):
        return False
    try:
        with telling(None), open_slide(path) as slide:
            return slide.fingerprint == source.fingerprint
    except NicError:
        return False


def _text(data: dict[str, Any]) -> str:
    return json.dumps(sealed(data), indent=1) + "\n"


def _described(file: Path) -> dict[str, Any]:
    data = unsealed(read_json(file, StoreError, what="the record"), file, StoreError)
    if not isinstance(data, dict):
        raise StoreError("not a record of a run", path=file, expected="a JSON object")
    return data


def _record(data: dict[str, Any], file: Path) -> SlideRecord:
    try:
        return SlideRecord.from_dict(data)
    except StoreError as error:
        raise StoreError(
            error.problem, path=file, expected=error.expected, found=error.found, hint=_DAMAGED
        ) from error


_DAMAGED = "remove this file: the slide is then looked at anew, and what is stored of it is kept"
