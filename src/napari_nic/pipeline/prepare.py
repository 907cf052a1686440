"""Plan a compression: lay the grid, decide which cells are tissue, and create or reopen the store."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

import napari_nic
from napari_nic.device import PRECISIONS
from napari_nic.embeddings import CompressedSlide, StoreHeader, default_store_path, open_to_go_on
from napari_nic.encoders import Encoder, EncoderSpec
from napari_nic.errors import InvalidParameterError, StoreMismatchError
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken, Progress, result_of
from napari_nic.pipeline.outlines import TissueOutlines
from napari_nic.slides import Slide
from napari_nic.tissue import TissueMask, iter_find_tissue

Tissue: TypeAlias = TissueMask | TissueOutlines

MIN_TISSUE = 0.25
"""Least share of a patch that must be tissue.

Tellez et al. keep patches above 0.6; a lower bound keeps the ragged margins of small biopsies.
"""


@dataclass(frozen=True)
class GridOptions:
    """How the grid is laid; what is None comes from the encoder.

    Attributes
    ----------
    patch_size, stride : int, optional
        Patch side P and stride S in pixels at `mpp`; S defaults to P.
    mpp : float, optional
        Target resolution in um/px.
    min_tissue : float
        Least share of a patch that must be tissue, 0 to 1; 0 takes every cell.
    """

    patch_size: int | None = None
    stride: int | None = None
    mpp: float | None = None
    min_tissue: float = MIN_TISSUE


def plan_grid(slide: Slide, spec: EncoderSpec, options: GridOptions | None = None) -> PatchGrid:
    """Lay the encoder's patch grid over a slide.

    Raises
    ------
    MissingPixelSizeError
        If the slide states no um/px.
    InvalidParameterError
        If the options make no grid.
    """
    options = options or GridOptions()
    return PatchGrid.plan(
        slide.level_geometries,
        slide.require_pixel_size(),
        patch_size=options.patch_size or spec.patch_size,
        stride=options.stride,
        mpp=options.mpp or spec.mpp,
    )


def plan_coverage(
    slide: Slide,
    grid: PatchGrid,
    options: GridOptions | None = None,
    *,
    tissue: Tissue | None = None,
    token: CancellationToken | None = None,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Decide which cells are compressed.

    Parameters
    ----------
    tissue : TissueMask or TissueOutlines, optional
        For instance one that the user edited; found by :func:`napari_nic.tissue.find_tissue` otherwise.
    token : CancellationToken, optional
        Checked while tissue is found.

    Returns
    -------
    coverage : ndarray of bool, (rows, cols)
    record : dict
        What the store remembers of the decision.
    """
    return result_of(_planning_coverage(slide, grid, options, tissue=tissue, token=token))


def _planning_coverage(
    slide: Slide,
    grid: PatchGrid,
    options: GridOptions | None,
    *,
    tissue: Tissue | None,
    token: CancellationToken | None,
) -> Generator[Progress, None, tuple[np.ndarray, dict[str, Any]]]:
    options = options or GridOptions()
    if not 0 <= options.min_tissue <= 1:
        raise InvalidParameterError("min_tissue is a share", expected="0 to 1", found=f"{options.min_tissue}")
    if options.min_tissue == 0:
        return np.ones(grid.shape, bool), {"method": "all cells", "min_fraction": 0.0}
    if tissue is None:
        tissue = yield from iter_find_tissue(slide, token=token)
    coverage = tissue.cells(grid, min_fraction=options.min_tissue)
    return coverage, {"method": tissue.method, "min_fraction": options.min_tissue}


def prepare_store(
    slide: Slide,
    encoder: Encoder,
    *,
    path: Path | str | None = None,
    options: GridOptions | None = None,
    tissue: Tissue | None = None,
    overwrite: bool = False,
    token: CancellationToken | None = None,
) -> CompressedSlide:
    """Create the store of a compression, or reopen it to resume.

    Parameters
    ----------
    path : Path or str, optional
        Of the store; beside the slide as ``{slide}.nic.zarr`` by default.
    tissue : TissueMask or TissueOutlines, optional
        See :func:`plan_coverage`. A store that is resumed keeps the cells it was made for.
    overwrite : bool
        Replace a store that was made otherwise, instead of raising.
    token : CancellationToken, optional
        Checked while tissue is found; nothing is left when it is cancelled.

    Returns
    -------
    CompressedSlide
        Opened for writing; for reading where it is complete and lies in a place that may not be written.

    Raises
    ------
    StoreMismatchError
        If `path` holds a store of another slide, encoder, grid, precision or, when `tissue` is given, of
        other cells, and `overwrite` is False.
    StoreBusyError
        If the store that would be replaced is being written.
    CancelledError
        If `token` was cancelled.
    MissingPixelSizeError, StoreError

    See Also
    --------
    iter_prepare_store : the same as a generator, which tells how far it is.
    """
    return result_of(
        iter_prepare_store(
            slide, encoder, path=path, options=options, tissue=tissue, overwrite=overwrite, token=token
        )
    )


def precision_to_go_on(path: Path, precision: str = "auto", *, overwrite: bool = False) -> str:
    """Return the precision that a store was begun in, unless another is asked for by name.

    Parameters
    ----------
    path : Path
        Of the store; there may be none yet.
    precision : str
        See :func:`napari_nic.encoders.load_encoder`; ``"auto"`` may mean another one on another machine.
    overwrite : bool
        The store will be replaced: nothing is taken from it.

    Raises
    ------
    StoreError
        If what lies there is no store.
    """
    if precision != "auto" or overwrite or not path.exists():
        return precision
    begun = CompressedSlide.open(path).header.precision
    return begun if begun in PRECISIONS else precision


def iter_prepare_store(
    slide: Slide,
    encoder: Encoder,
    *,
    path: Path | str | None = None,
    options: GridOptions | None = None,
    tissue: Tissue | None = None,
    overwrite: bool = False,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, CompressedSlide]:
    """Do what :func:`prepare_store` does; yield while tissue is looked for, and return the store."""
    grid = plan_grid(slide, encoder.spec, options)
    path = Path(path) if path is not None else default_store_path(slide.path)
    if path.exists() and not overwrite:
        store = open_to_go_on(path)
        header = _make_header(slide, encoder, grid, store.header.tissue)
        if store.coverage.any() or _is_same(store, header, options, tissue, slide):
            _check_same(store, header, options, tissue, slide)
            return store
        overwrite = True  # it holds nothing: no tissue was found, and now it is looked for in another way
    coverage, record = yield from _planning_coverage(slide, grid, options, tissue=tissue, token=token)
    header = _make_header(slide, encoder, grid, record)
    return CompressedSlide.create(path, header, coverage, overwrite=overwrite)


def _is_same(
    store: CompressedSlide,
    header: StoreHeader,
    options: GridOptions | None,
    tissue: Tissue | None,
    slide: Slide,
) -> bool:
    try:
        _check_same(store, header, options, tissue, slide)
    except StoreMismatchError:
        return False
    return True


def _make_header(slide: Slide, encoder: Encoder, grid: PatchGrid, tissue: Mapping[str, Any]) -> StoreHeader:
    return StoreHeader(
        slide_name=slide.name,
        slide_fingerprint=slide.fingerprint,
        slide_shape=slide.levels[0].shape,
        reader=slide.reader,
        color=_color_record(slide),
        grid=grid,
        encoder=encoder.spec.to_dict(),
        precision=encoder.precision,
        batch_size=encoder.batch_size,
        tissue=dict(tissue),
        software=f"napari-nic {napari_nic.__version__}",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        slide_bounds=slide.bounds,
    )


def _color_record(slide: Slide) -> dict[str, Any]:
    record: dict[str, Any] = {"profile": slide.color.profile, "applied": slide.color.applied}
    return record | ({"choice": dict(slide.choice)} if slide.choice else {})


def _check_same(
    store: CompressedSlide,
    header: StoreHeader,
    options: GridOptions | None,
    tissue: Tissue | None,
    slide: Slide,
) -> None:
    """Raise unless going on in `store` gives what a new store made now would hold."""
    store.check_slide(slide)
    differences = store.header.differences(header)
    asked = None if options is None else options.min_tissue
    if asked is not None and asked != store.header.tissue.get("min_fraction"):
        differences.append(f"least tissue share {store.header.tissue.get('min_fraction')} -> {asked}")
    if tissue is not None:
        coverage, _ = plan_coverage(slide, header.grid, options, tissue=tissue)
        if not np.array_equal(coverage, store.coverage):
            differences.append("the tissue mask")
    if differences:
        raise StoreMismatchError(
            "the store was made with other settings",
            path=store.path,
            expected="the same slide, encoder, grid and precision, to resume",
            found="; ".join(differences),
            hint="choose another output, or overwrite it (--overwrite)",
        )
