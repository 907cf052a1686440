"""Similarity, anomaly and clusters as overlays of a slide."""

from __future__ import annotations

import numpy as np

from napari_nic.explain import Overlay, robust_limits
from napari_nic.geometry import Placement
from napari_nic.similarity.anomaly import AnomalyOptions
from napari_nic.similarity.clusters import Clusters

_LEAST_PERCENT, _MOST_PERCENT = 2.0, 100.0


def similarity_overlay(
    similarity: np.ndarray, mask: np.ndarray, placement: Placement, *, what: str = ""
) -> Overlay:
    """Show how similar each cell is to a query.

    Parameters
    ----------
    similarity : ndarray of float32, (rows, cols)
        Cosine similarity, -1 to 1.
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    placement : Placement
    what : str
        The query, for the legend: "cell 12, 40".
    """
    low, _ = robust_limits(similarity[mask], (_LEAST_PERCENT, _MOST_PERCENT))
    return Overlay(
        name=f"Similarity to {what}" if what else "Similarity",
        kind="similarity",
        data=np.where(mask, similarity, 0).astype(np.float32),
        mask=mask,
        placement=placement,
        limits=(min(low, 1 - _LEAST_SPAN), 1.0),
        note="Cosine similarity of each cell's code with the query's; 1 is the same direction. The darkest "
        "colour stands for the least similar 2 % of this slide. What is alike to the encoder need not be "
        "alike to a pathologist.",
        ends=("unlike", "like"),
    )


_LEAST_SPAN = 1e-3


def anomaly_overlay(
    percent: np.ndarray,
    mask: np.ndarray,
    placement: Placement,
    options: AnomalyOptions,
    *,
    reference: str = "this slide",
) -> Overlay:
    """Show how unusual each cell is.

    Parameters
    ----------
    percent : ndarray of float32, (rows, cols)
        As of :meth:`~napari_nic.similarity.AnomalyModel.percent`.
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    placement : Placement
    options : AnomalyOptions
        How it was measured.
    reference : str
        What it was compared with.
    """
    if options.method == "knn":
        how = f"Distance of a cell's code from the {options.neighbours} nearest of a sample of {reference}"
    else:
        how = (
            f"Mahalanobis distance of a cell's code from the mean of {reference}, in its principal components"
        )
    return Overlay(
        name="Anomaly",
        kind="anomaly",
        data=np.where(mask, percent, 0).astype(np.float32),
        mask=mask,
        placement=placement,
        unit="%",
        limits=(0.0, _MOST_PERCENT),
        colormap="magma",
        note=f"{how}: the share of its cells that are less unusual. Folds, ink and blur are unusual too; "
        "unusual is not the same as diseased.",
        ends=("usual", "unusual"),
    )


def cluster_overlay(
    clusters: Clusters, numbers: np.ndarray, mask: np.ndarray, placement: Placement
) -> Overlay:
    """Show the clusters of a slide in their colours.

    Parameters
    ----------
    clusters : Clusters
    numbers : ndarray of uint8, (rows, cols)
        As of :meth:`~napari_nic.similarity.Clusters.map_of`.
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    placement : Placement
    """
    return Overlay(
        name="Clusters",
        kind="clusters",
        data=np.where(mask, numbers, 0).astype(np.uint8),
        mask=mask,
        placement=placement,
        legend=tuple(zip(clusters.names, clusters.colors, strict=True)),
        note=f"k-means on codes scaled to length 1, k = {len(clusters)}, seed {clusters.seed}, found in "
        f"{clusters.n_cells:,} cells. Nobody told the groups apart but the encoder: their names are yours.",
    )
