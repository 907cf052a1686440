"""Kappa over slides that are read one after the other: what readers said of the cells of each is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken
from napari_nic.reader_study.cells import square_grid
from napari_nic.reader_study.kappa import KappaResult, kappa_of_readers
from napari_nic.reader_study.readings import labels_of
from napari_nic.reader_study.slides import ReadSlide
from napari_nic.reader_study.units import NOTHING, Units, cell_units

CELL_UM = 100.0
"""Side of a cell of a slide that has no store; where it has one, cells are those of the store."""


@dataclass(frozen=True, eq=False)
class Votes:
    """What each reader said of each cell of a slide.

    Attributes
    ----------
    slide : str
    classes : tuple of str
        By number; :data:`~napari_nic.reader_study.units.NOTHING` is what no area covers.
    units : Units
    """

    slide: str
    classes: tuple[str, ...]
    units: Units


def cells_of(read: ReadSlide, side_um: float = CELL_UM) -> tuple[PatchGrid, np.ndarray | None]:
    """Return the cells of a slide, and which of them count: those with codes, None for all."""
    if read.store is not None:
        return read.store.grid, read.store.encoded()
    return square_grid(read.region, read.pixel, side_um), None


def votes_on(
    read: ReadSlide, labels: Sequence[str] | None = None, *, token: CancellationToken | None = None
) -> Votes:
    """Let all readers of a slide vote on its cells.

    Parameters
    ----------
    read : ReadSlide
    labels : sequence of str, optional
        Classes that count; all that somebody used by default.
    token : CancellationToken, optional
    """
    classes = (NOTHING, *(labels_of(read.readings) if labels is None else labels))
    grid, counted = cells_of(read)
    sets = [reading.annotations for reading in read.readings]
    return Votes(read.name, classes, cell_units(sets, grid, classes, counted=counted, token=token))


def kappa_of_votes(votes: Sequence[Votes], readers: Sequence[str]) -> KappaResult | None:
    """Measure the agreement over all slides, whose classes may be different ones.

    Returns
    -------
    KappaResult or None
        None if there are less than two readers or nobody said anything of any cell.
    """
    counted = [one for one in votes if len(one.units.classes)]
    if len(readers) < 2 or not counted:
        return None
    classes = tuple(dict.fromkeys(name for one in counted for name in one.classes))
    number = {name: k for k, name in enumerate(classes)}
    units = [np.array([number[name] for name in one.classes])[one.units.classes] for one in counted]
    return kappa_of_readers(units, [one.slide for one in counted], classes, readers)
