"""What the dock *Find similar* computes, as jobs in a worker thread."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_nic.annotations import Annotation, AnnotationSet, cell_area
from napari_nic.colors import VERMILION
from napari_nic.embeddings import CompressedSlide, ResidentCodes
from napari_nic.errors import InvalidParameterError
from napari_nic.explain import Overlay
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.similarity import (
    SAMPLE,
    AnomalyMethod,
    AnomalyOptions,
    Clusters,
    Crop,
    Query,
    Reference,
    SearchOptions,
    SearchResult,
    anomaly_overlay,
    code_lengths,
    cosine,
    crop_matches,
    draw_cells,
    find_clusters,
    make_query,
    open_reference,
    open_searched,
    search_cells,
    similarity_overlay,
    stores_in,
)
from napari_nic.wording import counted


@dataclass(frozen=True, eq=False)
class Held:
    """Codes that are at hand, so that the next query takes milliseconds.

    Attributes
    ----------
    codes : ResidentCodes
    lengths : ndarray of float32, (n,)
    """

    codes: ResidentCodes
    lengths: np.ndarray


@dataclass(frozen=True, eq=False)
class Answer:
    """How similar the cells of a slide are to a query.

    Attributes
    ----------
    query : Query
    held : Held
    overlay : Overlay
        Similarity of every cell.
    """

    query: Query
    held: Held
    overlay: Overlay


def hold(store: CompressedSlide, held: Held | None, token: CancellationToken) -> Held:
    """Return the codes of a store: those at hand, unless they are of another one or it has grown."""
    codes = ResidentCodes.load(store, token=token)
    if held is not None and held.codes is codes:
        return held
    return Held(codes, code_lengths(codes.codes))


def ask_job(
    store: CompressedSlide, what: np.ndarray | Query, held: Held | None, token: CancellationToken
) -> Generator[None, None, Answer]:
    """Compare all cells with some of them, or with a query that was made before.

    Parameters
    ----------
    store : CompressedSlide
    what : ndarray of bool, (rows, cols), or Query
        The cells that are asked for.
    held : Held or None
    token : CancellationToken
    """
    yield
    held = hold(store, held, token)
    query = what if isinstance(what, Query) else _query(store, what, held.codes)
    query.check_encoder(store)
    values = held.codes.raster(cosine(held.codes.codes, query.vector, held.lengths, token=token))
    overlay = similarity_overlay(values, held.codes.encoded, store.grid.placement, what=query.what)
    return Answer(query, held, overlay)


def _query(store: CompressedSlide, cells: np.ndarray, codes: ResidentCodes) -> Query:
    numbers = codes.index[cells]
    numbers = numbers[numbers >= 0]
    if not len(numbers):
        raise InvalidParameterError(
            "there is no code here",
            expected="a place with tissue that is compressed",
            found=counted(int(cells.sum()), "empty cell"),
        )
    places = codes.cells[numbers]
    what = f"cell {places[0, 0]}, {places[0, 1]}" if len(places) == 1 else counted(len(places), "cell")
    return make_query(store, codes.codes[numbers], places, what)


def outline_job(
    store: CompressedSlide, cells: np.ndarray, label: str, token: CancellationToken
) -> Generator[None, None, AnnotationSet]:
    """Outline cells: one annotation for each connected part."""
    yield
    area = cell_area(cells, store.grid, token=token)
    parts = getattr(area, "geoms", (area,))
    shapes = tuple(Annotation(label, "polygon", part) for part in parts if not part.is_empty)
    return AnnotationSet(shapes, {label: VERMILION}, source="Find similar")


@dataclass(frozen=True)
class Found:
    """Matches of a cohort with their pictures."""

    result: SearchResult
    crops: tuple[Crop, ...]


def search_job(
    query: Query,
    folder: Path,
    slides: tuple[Path, ...],
    options: SearchOptions,
    token: CancellationToken,
) -> Generator[Progress, None, Found]:
    """Search the stores of a folder, and cut the matches' pictures where their slides are found.

    Parameters
    ----------
    query : Query
    folder : Path
    slides : tuple of Path
        Folders of slides, tried in turn after the places beside the stores.
    options : SearchOptions
    token : CancellationToken
    """
    yield Progress(0, 0, "opening", "slides")
    searched = open_searched(query, stores_in(folder), token=token)
    result = yield from search_cells(query, searched, options, token=token)
    crops = yield from crop_matches(result.matches, token=token)
    for place in slides:
        missing = [crop.match for crop in crops if crop.image is None]
        if not missing or not place.is_dir():
            continue
        again = yield from crop_matches(missing, place, token=token)
        better = {crop.match: crop for crop in again if crop.image is not None}
        crops = tuple(better.get(crop.match, crop) for crop in crops)
    return Found(result, crops)


@dataclass(frozen=True, eq=False)
class Grouped:
    """Clusters and the cells of a slide in them; `numbers` is uint8 (rows, cols)."""

    clusters: Clusters
    numbers: np.ndarray


def group_job(
    store: CompressedSlide, what: int | Clusters, token: CancellationToken
) -> Generator[Progress, None, Grouped]:
    """Find so many clusters in a slide, or sort its cells into those that were found before."""
    yield Progress(0, 0, "reading codes", "cells")
    codes = ResidentCodes.load(store, token=token)
    if isinstance(what, Clusters):
        what.check_encoder(store)
        clusters = what
    else:
        sample = draw_cells([store], SAMPLE, token=token)
        clusters = yield from find_clusters(sample.codes, what, store.header.encoder, token=token)
    return Grouped(clusters, codes.raster(clusters.assign(codes.codes, token=token)))


def anomaly_job(
    store: CompressedSlide, method: AnomalyMethod, folder: Path | None, token: CancellationToken
) -> Generator[None, None, Overlay]:
    """Map how unusual cells are, against their own slide or the compressed slides of a folder."""
    yield
    options = AnomalyOptions(method)
    stores = (store,) if folder is None else open_reference(stores_in(folder), token=token)
    reference = Reference.of(stores, options, token=token)
    percent = reference.percent_map(store, token=token)
    name = "this slide" if folder is None else f"{reference.name} in {folder.name}"
    return anomaly_overlay(percent, store.encoded(), store.grid.placement, options, reference=name)
