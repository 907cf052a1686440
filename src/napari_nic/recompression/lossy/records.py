"""What a result says of how it was made, so that it can be checked at any later time without its slide.

A TIFF holds it in private tag 65330 of its first directory (``NICLOSSY``, then JSON), a Zarr among the
attributes of its group. It names no file where names were to be left out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from napari_nic.errors import DamagedSlideError, UnreadableSlideError
from napari_nic.recompression.layout import Tag
from napari_nic.recompression.recipe import TAG

MAGIC = b"NICLOSSY"
VERSION = 1
_UNDEFINED = 7


@dataclass(frozen=True)
class Record:
    """How a result was made.

    Attributes
    ----------
    codec, subsampling, container : str
    quality : float
    source : str
        Name of the slide's file; empty where names were left out.
    fingerprint : str
        Of the slide.
    size : int
        Bytes of the slide's file; 0 of a slide in several files.
    tiles : int
        That are stored, of all levels; one that several places share counts once.
    start, end : int
        Where their bytes lie in the file; 0 of a folder.
    sha256 : str
        Of these bytes; of a folder, of those of all chunks in their order.
    program : str
        Which version made it.
    version : int
        Of this record.
    """

    codec: str
    subsampling: str
    container: str
    quality: float
    source: str
    fingerprint: str
    size: int
    tiles: int
    start: int
    end: int
    sha256: str
    program: str
    version: int = VERSION

    def to_tag(self) -> Tag:
        """Return the tag that holds it."""
        data = MAGIC + json.dumps(asdict(self)).encode("ascii")
        return Tag(TAG, _UNDEFINED, len(data), data)


def record_of_tag(tag: Tag | None, path: Path) -> Record | None:
    """Return what a tag holds; None if it is no record of a lossy run.

    Raises
    ------
    DamagedSlideError
        If it is damaged.
    UnreadableSlideError
        If a later version of the program wrote it.
    """
    if tag is None or not tag.data.startswith(MAGIC):
        return None
    try:
        found = json.loads(tag.data[len(MAGIC) :])
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    return record_of(found, path)


def record_of(found: Any, path: Path) -> Record:
    """Return a record that was read as JSON; raises as :func:`record_of_tag` does."""
    if not isinstance(found, Mapping):
        raise _damaged(path, "no record")
    if isinstance(found.get("version"), int) and found["version"] > VERSION:
        raise UnreadableSlideError(
            "written by a later version of the program",
            path=path,
            found=f"version {found['version']}",
            hint="update it",
        )
    kinds: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float)}
    for field in fields(Record):
        if not isinstance(found.get(field.name), kinds[str(field.type)]):
            raise _damaged(path, f"no {field.name}")
    return Record(**{field.name: found[field.name] for field in fields(Record)})


def _damaged(path: Path, found: str) -> DamagedSlideError:
    return DamagedSlideError(
        "what the file says of how it was made is damaged",
        path=path,
        found=found,
        hint="copy the file again from where it came",
    )
