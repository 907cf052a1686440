"""What the maps say of themselves."""

from __future__ import annotations

import numpy as np

from napari_nic.geometry import Placement
from napari_nic.jobs import result_of
from napari_nic.similarity import (
    AnomalyOptions,
    anomaly_overlay,
    cluster_overlay,
    find_clusters,
    similarity_overlay,
)

ENCODER = {"name": "toy", "code_size": 6}
PLACE = Placement((0.0, 0.0), (64.0, 64.0))
MASK = np.array([[True, True, False], [True, True, True]])


def test_similarity_ends_at_one() -> None:
    values = np.array([[0.5, -0.25, np.nan], [1, 0.75, 0]], np.float32)
    overlay = similarity_overlay(values, MASK, PLACE, what="cell 1, 0")
    assert overlay.name == "Similarity to cell 1, 0"
    assert overlay.limits is not None
    assert -0.25 <= overlay.limits[0] < 0
    assert overlay.limits[1] == 1
    assert overlay.value_at(0, 1) == -0.25
    assert overlay.value_at(0, 2) is None
    alike = similarity_overlay(np.ones((2, 3), np.float32), MASK, PLACE)
    assert alike.limits is not None
    assert alike.limits[0] < 1


def test_anomaly_is_in_percent_and_says_of_what() -> None:
    values = np.full((2, 3), 50, np.float32)
    overlay = anomaly_overlay(values, MASK, PLACE, AnomalyOptions("mahalanobis"), reference="12 slides")
    assert (overlay.limits, overlay.unit) == ((0, 100), "%")
    assert "Mahalanobis" in overlay.note
    assert "12 slides" in overlay.note
    assert "5 nearest" in anomaly_overlay(values, MASK, PLACE, AnomalyOptions(neighbours=5)).note


def test_clusters_have_their_names_and_colours() -> None:
    codes = np.random.default_rng(0).normal(0, 1, (50, 6)).astype(np.float32)
    clusters = result_of(find_clusters(codes, 3, ENCODER))
    numbers = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
    overlay = cluster_overlay(clusters, numbers, MASK, PLACE)
    assert overlay.is_classes
    assert overlay.legend == tuple(zip(clusters.names, clusters.colors, strict=True))
    rgba = overlay.to_rgba()
    assert rgba[0, 1, :3].tolist() == list(clusters.colors[1])
    assert rgba[0, 2, 3] == 0
