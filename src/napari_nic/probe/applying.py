"""A probe applied to a whole slide: blocks of cells, those in view first."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from napari_nic.embeddings import ResidentCodes
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.probe.model import Probe
from napari_nic.probe.threads import one_thread

BLOCK_CELLS = 32_768
"""Cells that are classified between two checkpoints: a few milliseconds."""

NOTHING = 255
"""Class number of cells that nothing is said of yet."""


@dataclass(frozen=True, eq=False)
class CellClasses:
    """What a probe says of a slide's cells.

    Attributes
    ----------
    probe : Probe
    resident : ResidentCodes
    classes : ndarray of uint8, (N,)
        Number of each encoded cell's class; :data:`NOTHING` where it is not classified yet.
    uncertainty : ndarray of float32, (N,)
        0 certain, 1 no idea.
    """

    probe: Probe
    resident: ResidentCodes
    classes: np.ndarray
    uncertainty: np.ndarray

    @classmethod
    def empty(cls, probe: Probe, resident: ResidentCodes) -> CellClasses:
        """Nothing is classified yet."""
        count = len(resident)
        return cls(probe, resident, np.full(count, NOTHING, np.uint8), np.zeros(count, np.float32))

    def begun_for(self, probe: Probe, resident: ResidentCodes) -> CellClasses:
        """Return what an older probe of the same classes and cells said, to be replaced bit by bit."""
        if self.resident is not resident or self.probe.class_names != probe.class_names:
            return CellClasses.empty(probe, resident)
        return CellClasses(probe, resident, self.classes.copy(), self.uncertainty.copy())

    def copy(self) -> CellClasses:
        """Return what is known by now, for another thread."""
        return CellClasses(self.probe, self.resident, self.classes.copy(), self.uncertainty.copy())

    def raster(self) -> np.ndarray:
        """Class numbers over the grid: ndarray of uint8, (rows, cols), :data:`NOTHING` for none."""
        return self.resident.raster(self.classes, NOTHING)


def classifying(
    probe: Probe,
    resident: ResidentCodes,
    *,
    first: np.ndarray | None = None,
    before: CellClasses | None = None,
    token: CancellationToken | None = None,
) -> Generator[tuple[Progress, CellClasses], None, CellClasses]:
    """Classify all cells of a slide, block by block.

    Parameters
    ----------
    probe : Probe
    resident : ResidentCodes
    first : ndarray of int, (n,), optional
        Numbers of cells to classify first, those that are in view.
    before : CellClasses, optional
        What was said last: where it can be, it stays until it is replaced. It is not changed.
    token : CancellationToken, optional
        Asked at each block.

    Yields
    ------
    Progress, CellClasses
        After the cells in view, and after each block; always the same object, more of it filled in.

    Raises
    ------
    BundleError
        If the codes come from another encoder than the probe's.
    """
    probe.check_header(resident.header)
    token = token or CancellationToken()
    found, count = CellClasses.empty(probe, resident), len(resident)
    if before is not None:
        found = before.begun_for(probe, resident)
    ahead = first if first is not None and 0 < len(first) < count / 2 else np.empty(0, np.int64)
    for start in range(0, len(ahead), BLOCK_CELLS):
        token.checkpoint()
        _classify(found, ahead[start : start + BLOCK_CELLS])
    if len(ahead):
        yield Progress(len(ahead), count, "classifying cells", "cells"), found
    for start in range(0, count, BLOCK_CELLS):
        token.checkpoint()
        stop = min(start + BLOCK_CELLS, count)
        _classify(found, slice(start, stop))
        yield Progress(stop, count, "classifying cells", "cells"), found
    return found


def apply_probe(
    probe: Probe, resident: ResidentCodes, *, token: CancellationToken | None = None
) -> CellClasses:
    """Classify all cells of a slide; see :func:`classifying`."""
    found = CellClasses.empty(probe, resident)
    for _, found in classifying(probe, resident, token=token):  # noqa: B007 -- the last one is the result
        pass
    return found


def _classify(found: CellClasses, numbers: np.ndarray | slice) -> None:
    with one_thread():
        classes, uncertainty = found.probe.classify(found.resident.codes[numbers])
    found.classes[numbers] = classes
    found.uncertainty[numbers] = uncertainty
