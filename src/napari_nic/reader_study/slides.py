"""A slide that was read: what is known of it, and what each reader and model says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from napari_nic.annotations import SlideExtent
from napari_nic.embeddings import CompressedSlide
from napari_nic.geometry import PixelSize, RegionPx
from napari_nic.reader_study.cells import box_of
from napari_nic.reader_study.readings import Reading


@dataclass(frozen=True, eq=False)
class ReadSlide:
    """One slide and its readings.

    Attributes
    ----------
    name : str
    pixel : PixelSize
        Of level 0.
    readings : tuple of Reading
    extent : SlideExtent or None
        None where neither the slide nor a store was named.
    store : CompressedSlide or None
    picture : Path or None
        The slide itself, where it is known.
    """

    name: str
    pixel: PixelSize
    readings: tuple[Reading, ...]
    extent: SlideExtent | None = None
    store: CompressedSlide | None = None
    picture: Path | None = None

    @property
    def region(self) -> RegionPx:
        """The slide in level-0 pixels or, where it is not known, what is annotated on it."""
        if self.extent is not None:
            return RegionPx(0, 0, *self.extent.shape)
        return box_of([area for reading in self.readings for area in reading.annotations.polygons()])
