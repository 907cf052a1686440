"""Weights and what stands beside them: where the user's are, and that a file is the one that was described.

Folders of networks are copied by hand and come from anywhere. A file of one is read only if it is regular,
lies in its folder itself, and has the SHA-256 that the folder's description names.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from platformdirs import user_data_dir

from napari_nic.descriptions import read_json, unsealed
from napari_nic.disk import check_regular
from napari_nic.errors import WeightsError

T = TypeVar("T")

HOME = "NAPARI_NIC_HOME"
"""Environment variable that overrides where the user's networks and models are."""


@dataclass(frozen=True)
class Owner:
    """Whose files are read, for the errors.

    Attributes
    ----------
    kind : str
        ``"encoder"``.
    again : str
        What to do about a file that is not right: ``"import or train the encoder again"``.
    name : str
        Of the network, where it is known.
    """

    kind: str
    again: str
    name: str = ""


def user_home(home: Path | str | None = None) -> Path:
    """Return the folder of the user's encoders, networks and models (it need not exist)."""
    return Path(home or os.environ.get(HOME) or user_data_dir("napari-nic", appauthor=False))


def read_description(file: Path, make: Callable[[Mapping[str, Any]], T], *, what: str) -> T:
    """Read a sealed description of a network.

    Parameters
    ----------
    file : Path
    make : callable
        Makes the description of what JSON held; its :class:`WeightsError` gets the file.
    what : str
        What it describes: ``"encoder"``.

    Raises
    ------
    WeightsError
        If it is damaged, or was changed since it was written.
    """
    data = unsealed(read_json(file, WeightsError, what=f"the {what}'s description"), file, WeightsError)
    if not isinstance(data, dict):
        raise WeightsError(f"this file describes no {what}", path=file, expected="a JSON object")
    try:
        return make(data)
    except WeightsError as error:
        raise WeightsError(
            error.problem, path=file, expected=error.expected, found=error.found, hint=error.hint
        ) from error


def checked_file(file: Path, sha256: str | None, owner: Owner) -> Path:
    """Return a file after comparing its checksum.

    Raises
    ------
    WeightsError
        If it is missing, is another one, or is a link out of its folder.
    """
    check_inside(file, owner)
    with _readable(file, owner):
        _compare(file_sha256(file), sha256, file, owner)
    return file


def read_checked(file: Path, sha256: str | None, owner: Owner, *, most_bytes: int | None = None) -> bytes:
    """Return the content of a file; what was compared is what is returned.

    Raises
    ------
    WeightsError
        See :func:`checked_file`; also if it is larger than `most_bytes`.
    """
    check_inside(file, owner)
    with _readable(file, owner), file.open("rb") as stream:
        content = stream.read(-1 if most_bytes is None else most_bytes + 1)
    if most_bytes is not None and len(content) > most_bytes:
        raise WeightsError(
            f"the {owner.kind}'s weights are too large", path=file, expected=f"at most {most_bytes:,} bytes"
        )
    _compare(hashlib.sha256(content).hexdigest(), sha256, file, owner)
    return content


def check_inside(file: Path, owner: Owner) -> None:
    """Raise :class:`WeightsError` unless a file is there, is regular, and lies in its folder itself.

    A link out of a network's folder could hand any file of the user's to whoever gets a copy.
    """
    check_regular(file, WeightsError)
    if not file.is_file():
        raise WeightsError(f"the {owner.kind}'s weights are missing", path=file, hint=owner.again)
    if not file.resolve().is_relative_to(file.parent.resolve()):
        raise WeightsError(
            f"this file of the {owner.kind} is a link to outside its folder",
            path=file,
            found=str(file.resolve()),
            hint="copy the folder with what its links point to (cp -rL)",
        )


def file_sha256(file: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _readable(file: Path, owner: Owner) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WeightsError(
            f"the {owner.kind}'s weights cannot be read", path=file, found=str(error)
        ) from error


def _compare(found: str, sha256: str | None, file: Path, owner: Owner) -> None:
    if found != sha256:
        raise WeightsError(
            f"these are not the weights of {owner.kind} {owner.name!r}",
            path=file,
            expected=f"SHA-256 {sha256}",
            found=found,
            hint=f"the file was changed or damaged: {owner.again}",
        )
