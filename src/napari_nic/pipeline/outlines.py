"""Tissue as another program outlined it, in place of tissue that is found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely

from napari_nic.annotations import AnnotationSet, SlideExtent, patch_share, read_annotations
from napari_nic.errors import AnnotationError, InvalidParameterError
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken
from napari_nic.names import ANNOTATION_SUFFIXES, exists, has_suffix, is_folder
from napari_nic.slides import Slide
from napari_nic.wording import counted

LAZYSLIDE_OUTLINES = Path("shapes", "tissues", "shapes.parquet")
"""In its Zarr folder."""

_SUFFIXES = (*ANNOTATION_SUFFIXES["geojson"], *ANNOTATION_SUFFIXES["geoparquet"], ".zarr")


@dataclass(frozen=True, eq=False)
class TissueOutlines:
    """Where there is tissue, as outlines with holes; stands in for a :class:`~napari_nic.tissue.TissueMask`.

    Attributes
    ----------
    annotations : AnnotationSet
        All of its areas are tissue.
    method : str
        For the store's record.
    """

    annotations: AnnotationSet
    method: str

    def cells(
        self, grid: PatchGrid, *, min_fraction: float = 0.25, token: CancellationToken | None = None
    ) -> npt.NDArray[np.bool_]:
        """Return the cells to encode, (rows, cols) bool: those whose patch holds enough tissue.

        Parameters
        ----------
        grid : PatchGrid
        min_fraction : float
            Least share of a patch that is tissue; the share is exact.
        token : CancellationToken, optional

        Raises
        ------
        InvalidParameterError
            If `min_fraction` is not within 0 to 1.
        """
        if not 0 <= min_fraction <= 1:
            raise InvalidParameterError(
                "the least share of tissue is between 0 and 1", found=f"{min_fraction}"
            )
        share = patch_share(self.annotations, grid, token=token)
        return np.asarray((share > 0) & (share >= np.float32(min_fraction)))


def read_tissue(slide: Slide, path: Path, *, token: CancellationToken | None = None) -> TissueOutlines:
    """Read the outlines of a slide's tissue: those of TRIDENT, of LazySlide, or drawn by hand.

    Parameters
    ----------
    slide : Slide
    path : Path
        File of outlines in level-0 pixels (GeoJSON, GeoParquet, or any annotation format), LazySlide's Zarr
        folder, or a folder in which there is one that is called exactly as the slide is.
    token : CancellationToken, optional

    Raises
    ------
    AnnotationError
        If there is none, it holds no areas, or they lie outside of the slide.
    MissingDependencyError
        If it is GeoParquet and pyarrow is not installed.
    CancelledError
    """
    file = _file_of(slide.name, path)
    annotations = read_annotations(file, token=token, extent=SlideExtent.of(slide))
    areas = annotations.polygons()
    if not areas:
        raise AnnotationError("no outlines of tissue in this file", path=file, found=f"{annotations!r}")
    _check_on_slide(areas, slide, file)
    name = file.name if file.name != LAZYSLIDE_OUTLINES.name else f"{file.parents[2].name}/{file.name}"
    return TissueOutlines(annotations, f"{counted(len(areas), 'outline')} of {name}")


def _file_of(name: str, path: Path) -> Path:
    if not exists(path):
        raise AnnotationError("there is no such file of tissue outlines", path=path)
    if has_suffix(path, ".zarr") or not is_folder(path):
        file = path / LAZYSLIDE_OUTLINES if is_folder(path) else path
        if not exists(file):
            raise AnnotationError(
                "no outlines of tissue in this folder", path=path, expected=f"{LAZYSLIDE_OUTLINES}"
            )
        return file
    found = [path / f"{name}{suffix}" for suffix in _SUFFIXES if exists(path / f"{name}{suffix}")]
    if len(found) != 1:
        raise AnnotationError(
            "no outlines of this slide's tissue" if not found else "several files of outlines of this slide",
            path=path,
            expected=f"one of {', '.join(f'{name}{suffix}' for suffix in _SUFFIXES)}",
            found=", ".join(file.name for file in found) or None,
        )
    return _file_of(name, found[0])


def _check_on_slide(areas: list[shapely.Geometry], slide: Slide, file: Path) -> None:
    """Refuse outlines of another frame or slide: a piece of tissue whose middle lies outside."""
    height, width = slide.levels[0].shape
    middles = shapely.get_coordinates(shapely.centroid(areas))
    outside = int(((middles < 0) | (middles > (width, height))).any(axis=1).sum())
    if outside:
        raise AnnotationError(
            "the outlines of tissue are not of this slide",
            path=file,
            expected=f"outlines within {width:,} x {height:,} px, in pixels of level 0",
            found=f"{outside:,} of {counted(len(areas), 'outline')} outside",
        )
