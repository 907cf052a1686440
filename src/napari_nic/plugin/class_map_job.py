"""The map of classes as an annotation file, written beside the window."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path

from napari_nic.annotations import write_annotations
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.probe import CellClasses, ClassMap


@dataclass(frozen=True)
class ExportedMap:
    """What was written.

    Attributes
    ----------
    path : Path
    areas : mapping of str to float
        mm2 of each class.
    notes : tuple of str
        What had to be written differently.
    """

    path: Path
    areas: Mapping[str, float]
    notes: tuple[str, ...]


def export_job(
    found: CellClasses, path: Path, least_mm2: float, token: CancellationToken
) -> Generator[Progress, None, ExportedMap]:
    """Clean the map, outline its classes and write them."""
    whole = ClassMap.of(found).cleaned(least_mm2=least_mm2, hole_mm2=least_mm2, token=token)
    yield Progress(1, 2, "outlining", "steps")
    outlines = whole.outlines(token=token)
    notes = write_annotations(outlines, path, token=token)
    return ExportedMap(path, whole.areas_mm2(), notes)
