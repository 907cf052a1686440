"""Clusters: k-means as scikit-learn does it, names that last, areas that add up."""

from __future__ import annotations

import csv
import json
from io import StringIO

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import normalize

from napari_nic.annotations import rasterise
from napari_nic.errors import InvalidParameterError, NicError, StoreError, StoreMismatchError
from napari_nic.jobs import result_of
from napari_nic.similarity import (
    CLUSTERS_SUFFIX,
    areas_csv,
    cluster_annotations,
    cluster_areas,
    find_clusters,
    load_clusters,
    save_clusters,
)
from napari_nic.similarity.clusters import MOST_CLUSTERS

ENCODER = {
    "name": "toy",
    "architecture": "toy-net",
    "code_size": 6,
    "patch_size": 8,
    "mpp": 0.5,
    "input_size": 8,
    "weights_sha256": "0" * 64,
}
"""As stores are made."""


def blobs(sizes: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Codes around one axis each, and the axis of each."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    codes = np.eye(6)[labels] * rng.uniform(1, 5, (len(labels), 1)) + rng.normal(0, 0.1, (len(labels), 6))
    return codes.astype(np.float32), labels


def found(codes: np.ndarray, count: int, seed: int = 0):
    return result_of(find_clusters(codes, count, ENCODER, seed=seed))


def test_groups_that_are_there_are_found_the_largest_first() -> None:
    codes, labels = blobs((100, 700, 300, 400))
    clusters = found(codes, 4)
    numbers = clusters.assign(codes)
    assert adjusted_rand_score(labels, numbers) == 1
    assert np.bincount(numbers).tolist() == [700, 400, 300, 100]
    assert clusters.names == ("Cluster 1", "Cluster 2", "Cluster 3", "Cluster 4")
    assert len(set(clusters.colors)) == 4


def test_it_is_as_tight_as_scikit_learn_s() -> None:
    codes = np.random.default_rng(0).normal(0.3, 1, (3_000, 6)).astype(np.float32)
    points = normalize(codes.astype(np.float64))
    clusters = found(codes, 7)
    distances = np.linalg.norm(points - clusters.centers[clusters.assign(codes)], axis=1)
    oracle = KMeans(7, n_init=4, random_state=0).fit(points)
    assert (distances**2).sum() <= 1.01 * oracle.inertia_
    np.testing.assert_array_equal(
        clusters.assign(codes),
        np.argmin(np.linalg.norm(points[:, None] - clusters.centers[None], axis=2), axis=1),
    )


def test_the_seed_decides() -> None:
    codes = np.random.default_rng(0).normal(0, 1, (500, 6)).astype(np.float32)
    first, same, other = found(codes, 8), found(codes, 8), found(codes, 8, seed=1)
    np.testing.assert_array_equal(first.centers, same.centers)
    assert not np.array_equal(first.centers, other.centers)


def test_numbers_that_cannot_be_are_refused() -> None:
    codes, _ = blobs((50, 50))
    for count in (1, MOST_CLUSTERS + 1):
        with pytest.raises(InvalidParameterError, match="out of range"):
            found(codes, count)
    with pytest.raises(InvalidParameterError, match="fewer different codes"):
        found(np.repeat(codes[:3], 40, axis=0), 4)


def test_names_and_colours_are_the_user_s() -> None:
    clusters = found(blobs((60, 40))[0], 2).renamed(0, "  tumour ").recolored(1, (1, 2, 3))
    assert (clusters.names, clusters.colors[1]) == (("tumour", "Cluster 2"), (1, 2, 3))
    for name in ("", " ", "tumour"):
        with pytest.raises(InvalidParameterError, match="a name of its own"):
            clusters.renamed(1, name)


def test_a_file_brings_them_back(tmp_path) -> None:
    codes, _ = blobs((60, 40))
    clusters = found(codes, 2).renamed(0, "Drüsen, dicht").recolored(1, (1, 2, 3))
    path = tmp_path / f"a{CLUSTERS_SUFFIX}"
    save_clusters(clusters, path)
    read = load_clusters(path)
    np.testing.assert_array_equal(read.centers, clusters.centers)
    assert (read.names, read.colors, read.encoder) == (clusters.names, clusters.colors, clusters.encoder)
    assert (read.seed, read.n_cells) == (0, 100)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "napari-nic clusters 9"),
        ("names", ["a"]),
        ("names", ["a", "a"]),
        ("names", ["a", "\x1b[2J"]),
        ("colors", ["#123456", "red"]),
        ("colors", ["#123456"]),
        ("centers", [[1, 2], [3]]),
        ("centers", [[1.0] * 5] * 2),
        ("centers", [[1e999] * 6] * 2),
        ("seed", -1),
        ("encoder", []),
        ("more", 1),
    ],
)
def test_a_file_that_says_something_else_is_refused(tmp_path, field, value) -> None:
    path = tmp_path / "a.json"
    save_clusters(found(blobs((60, 40))[0], 2), path)
    data = json.loads(path.read_text("utf-8"))
    del data["content_sha256"]
    path.write_text(json.dumps(data | {field: value}), "utf-8")
    with pytest.raises(StoreError, match=r"a\.json"):
        load_clusters(path)


def test_a_changed_file_is_told(tmp_path) -> None:
    path = tmp_path / "a.json"
    save_clusters(found(blobs((60, 40))[0], 2), path)
    path.write_text(path.read_text("utf-8").replace("Cluster 1", "Cluster 3"), "utf-8")
    with pytest.raises(NicError, match="changed or damaged"):
        load_clusters(path)


def test_maps_areas_and_outlines_say_the_same(make_store) -> None:
    codes, labels = blobs((500, 300, 400))
    store = make_store("a", codes=codes.reshape(30, 40, 6))
    clusters = found(codes, 3)
    numbers, encoded = clusters.map_of(store), store.encoded()
    assert adjusted_rand_score(labels.reshape(30, 40)[encoded], numbers[encoded]) == 1
    areas = cluster_areas(clusters, numbers, encoded, store.grid, "a")
    assert sum(area["cells"] for area in areas) == encoded.sum()
    assert areas[0]["area_mm2"] == pytest.approx(areas[0]["cells"] * 16e-6)
    assert sum(area["share"] for area in areas) == pytest.approx(1)
    rows = list(csv.DictReader(StringIO(areas_csv(areas))))
    assert [row["name"] for row in rows] == list(clusters.names)
    annotations = cluster_annotations(clusters, numbers, store)
    for index, name in enumerate(clusters.names):
        share = rasterise(annotations, store.grid, name)
        np.testing.assert_allclose(share, encoded & (numbers == index), atol=1e-6)
        assert annotations.colors[name] == clusters.colors[index]


def test_a_store_of_another_encoder_is_refused(make_store) -> None:
    clusters = found(blobs((60, 40))[0], 2)
    with pytest.raises(StoreMismatchError, match="another encoder"):
        clusters.map_of(make_store("b", weights_sha256="1" * 64))
