"""What an export format is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.table import CodeTable
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.jobs import CancellationToken


def _none(_path: Path) -> tuple[Path, ...]:
    return ()


def moved(table: CodeTable, counts: str) -> tuple[str, ...]:
    """Say that a format of one grid moves patches off it to their cells.

    Parameters
    ----------
    table : CodeTable
        What is written.
    counts : str
        Who counts so: ``"STAMP counts cells of one grid"``.

    Returns
    -------
    tuple of str
        Empty where no patch is moved.
    """
    count, farthest = 0, 0.0
    for _, cells in table.places():
        offsets = np.abs(table.store.offsets(cells))
        count += int(offsets.any(axis=1).sum())
        farthest = max(farthest, float(offsets.max()))
    if not count:
        return ()
    return (
        f"{counts}: {count:,} patches off it are written at their cells, by up to {farthest:g} px from where "
        "they were cut",
    )


def _never(_path: Path) -> bool:
    return False


@dataclass(frozen=True)
class Exporter:
    """How a store is written in another format.

    Attributes
    ----------
    label : str
        For menus ("NIC array").
    suffix : str
        Of the main file.
    default_name : callable
        ``default_name(header) -> Path`` relative to an output folder, as the format's own tools name it.
    write : callable
        ``write(store, path, token)``; must replace its files only when they are whole, companions before the
        main one, and come to a checkpoint at each slab of rows or file.
    companions : callable
        ``companions(path) -> tuple of Path``: the further files written beside `path`.
    shared : callable
        ``shared(path) -> tuple of Path``: files beside `path` that say the same for all slides of a folder.
        They are written where they are missing, and never replaced by other content.
    joins : callable
        ``joins(path) -> bool``: whether there is something at `path` that an export is added to.
    add : callable
        ``add(store, path, token, overwrite=)``: writes there, and takes nothing away but, with `overwrite`,
        what an earlier export added.
    """

    label: str
    suffix: str
    default_name: Callable[[StoreHeader], Path]
    write: Callable[[CompressedSlide, Path, CancellationToken], None]
    companions: Callable[[Path], tuple[Path, ...]] = _none
    shared: Callable[[Path], tuple[Path, ...]] = _none
    joins: Callable[[Path], bool] = _never
    add: Callable[..., None] | None = None
