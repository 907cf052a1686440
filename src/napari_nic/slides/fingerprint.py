"""Recognise a slide again without reading it whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_nic.jobs import CancellationToken, checked
from napari_nic.slides.remote import binary_stream, size_of

PROBE_BYTES = 64 * 1024
"""Bytes read at the head, the middle and the tail of each file."""


def fingerprint_files(files: Sequence[Path], *, token: CancellationToken | None = None) -> str:
    """Hash size, head, middle and tail of each file, in the order of their names.

    Names and folders are left out, so that a slide that was moved or renamed is still the same slide. There
    is a checkpoint of `token` before each file.

    Returns
    -------
    str
        ``"sha256:<hex>"``.
    """
    digest = hashlib.sha256()
    for file in checked(sorted(files, key=lambda f: f.name), token):
        _add(digest, file)
    return f"sha256:{digest.hexdigest()}"


def fingerprint_choice(files: str, choice: Mapping[str, Any]) -> str:
    """Fingerprint of what was chosen of a file: of its channels, its scenes. Without a choice the file's own.

    Parameters
    ----------
    files : str
        See :func:`fingerprint_files`.
    choice : mapping of str to JSON values
        See :class:`~napari_nic.slides.model.SourceInfo`.
    """
    if not choice:
        return files
    text = json.dumps([files, dict(choice)], sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _add(digest: hashlib._Hash, file: Path) -> None:
    size = size_of(file)
    digest.update(size.to_bytes(8, "little"))
    with binary_stream(file) as stream:
        for start in sorted({0, max(0, (size - PROBE_BYTES) // 2), max(0, size - PROBE_BYTES)}):
            stream.seek(start)
            digest.update(stream.read(PROBE_BYTES))
