"""Clusters as files: a sealed description to go on with, and a table of areas."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.annotations import Annotation, AnnotationSet
from napari_nic.annotations import cell_area as outline_cells
from napari_nic.colors import from_hex, to_hex
from napari_nic.descriptions import (
    Checks,
    check_fields,
    is_mapping,
    is_name,
    is_whole,
    read_json,
    sealed,
    unsealed,
)
from napari_nic.disk import write_text
from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import StoreError
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken, checked
from napari_nic.similarity.clusters import MOST_CLUSTERS, Clusters

CLUSTERS_SUFFIX = ".clusters.json"
"""Of a file of clusters, beside a store or anywhere."""

FORMAT = "napari-nic clusters 1"
COLUMNS = ("slide", "cluster", "name", "cells", "area_mm2", "share")

_WHAT = "a file of clusters"
_FIELDS = ("format", "encoder", "names", "colors", "seed", "n_cells", "centers")
_MOST_NUMBERS = 1 << 20
_UM2_PER_MM2 = 1e6


def save_clusters(clusters: Clusters, path: Path) -> None:
    """Write clusters with their names and colours; a file that exists is replaced when the new one is whole.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    data = {
        "format": FORMAT,
        "encoder": dict(clusters.encoder),
        "names": list(clusters.names),
        "colors": [to_hex(color) for color in clusters.colors],
        "seed": clusters.seed,
        "n_cells": clusters.n_cells,
        "centers": [[float(f"{value:.9g}") for value in center] for center in clusters.centers.tolist()],
    }
    write_text(path, json.dumps(sealed(data), indent=1) + "\n")


def load_clusters(path: Path) -> Clusters:
    """Read what :func:`save_clusters` wrote.

    Raises
    ------
    StoreError
        If it is no such file, or damaged.
    """
    data = unsealed(read_json(path, StoreError, what=_WHAT), path, StoreError)
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise StoreError(f"not {_WHAT}", path=path, expected=f'the format "{FORMAT}"')
    try:
        check_fields(data, _CHECKS, StoreError, what=_WHAT, known=_FIELDS, required=_FIELDS)
        centers = _centers(data)
    except StoreError as error:
        raise StoreError(error.problem, path=path, expected=error.expected, found=error.found) from error
    names, colors = tuple(data["names"]), [from_hex(text) for text in data["colors"]]
    if len(set(names)) < len(names) or not len(names) == len(colors) == len(centers):
        raise StoreError(
            f"not {_WHAT}", path=path, expected="a name and a colour of its own for each cluster"
        )
    return Clusters(
        centers,
        names,
        tuple(color for color in colors if color is not None),
        data["encoder"],
        data["seed"],
        data["n_cells"],
    )


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= MOST_CLUSTERS and all(map(is_name, value))


def _is_colors(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(c, str) and from_hex(c) is not None for c in value)


_CHECKS: Checks = {
    "encoder": ("an object", is_mapping),
    "names": (f"1 to {MOST_CLUSTERS} names", _is_names),
    "colors": ("colours as #RRGGBB", _is_colors),
    "seed": ("a whole number", lambda value: is_whole(value, 2**63, least=0)),
    "n_cells": ("a whole number", lambda value: is_whole(value, 2**48, least=0)),
}


def _centers(data: Mapping[str, Any]) -> np.ndarray:
    try:
        centers = np.array(data["centers"], np.float32)
    except (ValueError, TypeError, OverflowError):
        centers = np.empty(0, np.float32)
    if centers.ndim != 2 or centers.size > _MOST_NUMBERS or not np.isfinite(centers).all():
        raise StoreError(f"not {_WHAT}: centers", expected="a row of finite numbers for each cluster")
    if centers.shape[1] != data["encoder"].get("code_size"):
        raise StoreError(
            f"not {_WHAT}: centers",
            expected=f"rows of code_size = {data['encoder'].get('code_size')} numbers",
            found=f"{centers.shape[1]}",
        )
    return centers


def cluster_areas(
    clusters: Clusters, numbers: np.ndarray, mask: np.ndarray, grid: PatchGrid, slide_name: str
) -> list[dict[str, Any]]:
    """Measure the clusters of one slide.

    Parameters
    ----------
    clusters : Clusters
    numbers : ndarray of uint8, (rows, cols)
        As of :meth:`~napari_nic.similarity.Clusters.map_of`.
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    grid : PatchGrid
    slide_name : str

    Returns
    -------
    list of dict
        With :data:`COLUMNS` as keys: cells, their squares (stride by stride) in mm2, and their share of the
        encoded cells, 0 to 1.
    """
    counts = np.bincount(numbers[mask], minlength=len(clusters))
    cell = grid.stride_um[0] * grid.stride_um[1] / _UM2_PER_MM2
    return [
        {
            "slide": slide_name,
            "cluster": index + 1,
            "name": name,
            "cells": int(count),
            "area_mm2": float(count * cell),
            "share": float(count / max(1, mask.sum())),
        }
        for index, (name, count) in enumerate(zip(clusters.names, counts, strict=True))
    ]


def areas_csv(areas: Sequence[Mapping[str, Any]]) -> str:
    """Write what :func:`cluster_areas` gave, of one slide or of several, as a table."""
    out = StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for area in areas:
        writer.writerow({**area, "area_mm2": f"{area['area_mm2']:.6f}", "share": f"{area['share']:.6f}"})
    return out.getvalue()


def cluster_annotations(
    clusters: Clusters, numbers: np.ndarray, store: CompressedSlide, *, token: CancellationToken | None = None
) -> AnnotationSet:
    """Outline the clusters of a slide: one shape, of many parts, for each that it has cells of.

    Parameters
    ----------
    clusters : Clusters
    numbers : ndarray of uint8, (rows, cols)
        As of :meth:`~napari_nic.similarity.Clusters.map_of`.
    store : CompressedSlide
    token : CancellationToken, optional
        Asked at each cluster, and each band of rows of it.
    """
    encoded = store.encoded()
    shapes = []
    for index, name in checked(list(enumerate(clusters.names)), token):
        cells = encoded & (numbers == index)
        if cells.any():
            shapes.append(Annotation(name, "polygon", outline_cells(cells, store.grid, token=token)))
    colors = dict(zip(clusters.names, clusters.colors, strict=True))
    return AnnotationSet(tuple(shapes), colors, source="napari-nic clusters")
