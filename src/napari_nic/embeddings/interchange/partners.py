"""The file that belongs to another one: the places to the features, which many programs keep apart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_nic.embeddings.interchange.hdf5 import read_text
from napari_nic.embeddings.interchange.table import ImportHints
from napari_nic.errors import StoreError
from napari_nic.names import FEATURE_SUFFIXES, exists, is_folder, without_suffix


def stem_of(path: Path) -> str:
    """Name of the slide that a file of features is called by: its name without a known suffix alone.

    What follows the last dot of a name may belong to it, as in ``TCGA-AA-0001-01Z-00-DX1.<UUID>.h5``.
    """
    return without_suffix(path.name, FEATURE_SUFFIXES)


def partner_of(path: Path, hints: ImportHints, *patterns: str) -> Path | None:
    """Find the file that goes with a file of features.

    Parameters
    ----------
    path : Path
        The features.
    hints : ImportHints
        Its `coords` is the partner, or the folder that it lies in (at any of the patterns, or just there).
    *patterns : str
        Where it lies, relative to the folder of the features, by preference:
        ``"../../patches/{stem}.h5"``.

    Returns
    -------
    Path or None
        None where there is none; never `path` itself.

    Raises
    ------
    StoreError
        If `hints` names a file or folder that has none.
    """
    wanted = [pattern.format(stem=stem_of(path)) for pattern in patterns]
    if hints.coords is None:
        return _first(path, [path.parent / name for name in wanted])
    if not is_folder(hints.coords):
        if not exists(hints.coords):
            raise StoreError("there is no such file of places", path=hints.coords)
        return hints.coords
    names = [Path(name).name for name in wanted]
    inner = {"/".join(part for part in Path(name).parts if part not in ("..", ".")) for name in wanted}
    found = _first(path, [hints.coords / name for name in (*names, *sorted(inner))])
    if found is None:
        raise StoreError(
            "no places of these features in the folder that was named",
            path=path,
            expected=f"one of {', '.join(names)}",
            found=f"none in {hints.coords}",
        )
    return found


def encoder_stated(attributes: Mapping[str, Any], path: Path) -> str | None:
    """Name of the encoder as the features' attribute, or the folder ``features_{encoder}``, states it."""
    folder = path.absolute().parent.name
    named = folder.removeprefix("features_") if folder.startswith("features_") else ""
    return read_text(attributes, "encoder") or named or None


def _first(path: Path, candidates: list[Path]) -> Path | None:
    return next((file for file in candidates if exists(file) and not _is_same(file, path)), None)


def _is_same(file: Path, path: Path) -> bool:
    return file.resolve() == path.resolve()
