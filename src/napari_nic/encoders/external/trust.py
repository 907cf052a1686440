"""Which programs the user lets run: a list of SHA-256, asked for once and for the exact bytes.

TorchScript and torch.export files are programs. Whoever opens one runs what its maker wrote, so it is opened
only after somebody said so, of these bytes: a file that was changed since is asked about again. The bytes
that were compared are the ones that are opened; the file is not read a second time.

The list is ``trusted-programs.json`` in the user's configuration folder, or in ``NAPARI_NIC_HOME``. Deleting
it, or an entry of it, withdraws consent (:func:`forget`).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import platformdirs

from napari_nic.disk import check_regular, replacing
from napari_nic.encoders.mean_rgb import MEAN_RGB
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.encoders.store import find_folder, owner, read_spec, weights_name
from napari_nic.errors import ConsentError, StoreError, WeightsError
from napari_nic.weight_files import read_checked

TRUST_FILE = "trusted-programs.json"
PROGRAMS: Mapping[str, str] = {
    "torchscript": "a TorchScript program",
    "torch-export": "a program of torch.export",
}
"""Architectures whose file runs as a program, and what to call it."""

MOST_BYTES = 1 << 20
"""A longer list of consents is none of ours."""

_others_may_write = stat.S_IWGRP | stat.S_IWOTH
_lock = threading.Lock()
_given: set[str] = set()
"""Consents of this process, for where the list cannot be written."""


def trust_file() -> Path:
    """Path of the list; it need not exist."""
    home = os.environ.get("NAPARI_NIC_HOME")
    return Path(home or platformdirs.user_config_dir("napari-nic", appauthor=False)) / TRUST_FILE


def runs_program(spec: EncoderSpec) -> bool:
    """Whether opening an encoder runs code of whoever made it."""
    return spec.architecture in PROGRAMS


def is_trusted(sha256: str) -> bool:
    """Whether the user let the program of these bytes run."""
    return sha256 in _given or sha256 in _read()


def remember(sha256: str, file: Path) -> bool:
    """Let a program run from now on.

    Parameters
    ----------
    sha256 : str
        Of its bytes.
    file : Path
        Where it was found, for whoever reads the list.

    Returns
    -------
    bool
        Whether it is remembered beyond this process.
    """
    _given.add(sha256)
    entry = {"file": str(file.absolute()), "since": datetime.now(UTC).isoformat(timespec="seconds")}
    with _lock:
        return _write(_read() | {sha256: entry})


def forget(sha256: str) -> bool:
    """Withdraw a consent; False if there was none, or the list cannot be written."""
    _given.discard(sha256)
    with _lock:
        known = _read()
        return known.pop(sha256, None) is not None and _write(known)


def read_program(file: Path, spec: EncoderSpec, *, trust: bool = False) -> bytes:
    """Read a program that may run.

    Parameters
    ----------
    file : Path
    spec : EncoderSpec
        Names its SHA-256.
    trust : bool
        Whether the user lets it run; remembered.

    Returns
    -------
    bytes
        What was compared, and is to be opened.

    Raises
    ------
    WeightsError
        If it is missing or another one than the spec names.
    ConsentError
        If nobody said that it may run.
    """
    content = read_checked(file, spec.weights_sha256, owner(spec))
    check_consent(content, file, spec.architecture, trust=trust)
    return content


def trust_encoder(name: str | Path) -> None:
    """Let an encoder run from now on, where it is a program.

    Parameters
    ----------
    name : str or Path
        As for :func:`napari_nic.encoders.load_encoder`.

    Raises
    ------
    UnknownNameError, WeightsError
    """
    if str(name) == MEAN_RGB.name:
        return
    folder = find_folder(name)
    spec = read_spec(folder)
    if runs_program(spec):
        read_program(folder / weights_name(spec), spec, trust=True)


def check_consent(content: bytes, file: Path, architecture: str, *, trust: bool = False) -> None:
    """Raise :class:`ConsentError` unless the user lets this program run, now or before."""
    sha256 = hashlib.sha256(content).hexdigest()
    if trust and not is_trusted(sha256):
        remember(sha256, file)
    if trust or is_trusted(sha256):
        return
    raise ConsentError(
        f"this file holds {PROGRAMS[architecture]}, which runs with your rights as soon as it is opened, and "
        "you have not said that it may",
        sha256=sha256,
        path=file,
        found=f"SHA-256 {sha256}",
        hint="only if you trust whoever made it: give the same command with --trust, which is remembered for "
        "these very bytes; an ONNX file of the network cannot do more than compute",
    )


def read_file(file: Path) -> bytes:
    """Read a model's file once.

    Raises
    ------
    WeightsError
        If it is no regular file, or cannot be read.
    """
    check_regular(file, WeightsError)
    try:
        return file.read_bytes()
    except OSError as error:
        raise WeightsError("the model's file cannot be read", path=file, found=str(error)) from error


def _read() -> dict[str, Any]:
    """Read the list; one that others could have written says nothing."""
    file = trust_file()
    try:
        status = file.stat()
        if not _is_ours(status) or status.st_size > MOST_BYTES:
            return {}
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return known if isinstance(known, dict) else {}


def _is_ours(status: os.stat_result) -> bool:
    if not stat.S_ISREG(status.st_mode):
        return False
    # Windows has neither; there the user's folders are the user's.
    return not hasattr(os, "getuid") or (
        status.st_uid == os.getuid() and not status.st_mode & _others_may_write
    )


def _write(known: Mapping[str, Any]) -> bool:
    try:
        with replacing(trust_file()) as temporary:
            temporary.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            temporary.chmod(stat.S_IRUSR | stat.S_IWUSR)
    except StoreError:
        return False
    return True
