"""Several readers made one: by hand on squares, and STAPLE against its equations."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.annotations import Annotation, AnnotationSet, rasterise, read_annotations, write_annotations
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import PixelSize, RegionPx
from napari_nic.reader_study import Reading, areas_of_classes, square_grid
from napari_nic.reader_study.consensus import majority, of_reader
from napari_nic.reader_study.staple import staple

ONE = PixelSize(1.0, 1.0)


def reading(name: str, **areas: shapely.Geometry) -> Reading:
    shapes = tuple(Annotation(label, "polygon", one) for label, one in areas.items())
    return Reading(name, AnnotationSet(shapes, {"T": (200, 0, 0)}))


def union(annotations: AnnotationSet, label: str = "T") -> shapely.Geometry:
    return shapely.union_all(annotations.polygons(label))


def test_two_of_three(tmp_path) -> None:
    readers = [reading(name, T=shapely.box(10 * k, 0, 10 * k + 30, 10)) for k, name in enumerate("abc")]
    found = majority(readers, ONE)
    assert union(found.annotations).equals(shapely.box(10, 0, 40, 10))
    assert found.rule == "majority of 3 readers (a, b, c)"
    assert found.annotations.colors["T"] == (200, 0, 0)
    assert found.tied_mm2 == {}
    write_annotations(found.annotations, tmp_path / "c.geojson")
    (again,) = read_annotations(tmp_path / "c.geojson").annotations
    assert again.name == "consensus: majority of 3 readers (a, b, c)"


@pytest.mark.parametrize(("ties", "expected"), [("out", (10, 20)), ("in", (0, 30)), ("first", (0, 20))])
def test_ties_of_two_readers(ties, expected) -> None:
    readers = [reading("a", T=shapely.box(0, 0, 20, 10)), reading("b", T=shapely.box(10, 0, 30, 10))]
    found = majority(readers, ONE, ties=ties)
    assert union(found.annotations).equals(shapely.box(expected[0], 0, expected[1], 10))
    assert found.tied_mm2 == {"T": pytest.approx(200 / 1e6)}
    assert "what half of them have" in found.rule


@given(st.integers(2, 6), st.integers(0, 2**32 - 1), st.sampled_from(["out", "in", "first"]))
def test_majority_is_what_counting_cells_gives(n_readers: int, seed: int, ties: str) -> None:
    rng = np.random.default_rng(seed)
    masks = rng.random((n_readers, 5, 6)) < 0.5
    grid = square_grid(RegionPx(0, 0, 50, 60), ONE, 10)
    readers = [
        Reading(str(k), areas_of_classes({"T": mask}, grid, source="")) for k, mask in enumerate(masks)
    ]
    found = majority(readers, ONE, ties=ties, labels=["T"])
    votes = masks.sum(axis=0)
    tied = 2 * votes == n_readers
    expected = 2 * votes > n_readers
    expected |= tied & {"out": np.False_, "in": np.True_, "first": masks[0]}[ties]
    np.testing.assert_allclose(rasterise(found.annotations, grid), expected, atol=1e-6)
    if n_readers % 2 == 0:
        assert found.tied_mm2["T"] == pytest.approx(tied.sum() * 100 / 1e6)


def test_each_class_is_decided_for_itself() -> None:
    square = shapely.box(0, 0, 10, 10)
    found = majority([reading("a", T=square), reading("b", U=square), reading("c", T=square)], ONE)
    assert found.annotations.counts() == {"T": 1}
    assert len(majority([reading(c, **{c: square}) for c in "abc"], ONE).annotations) == 0
    with pytest.raises(InvalidParameterError, match="two readers"):
        majority([reading("a", T=square)], ONE)
    with pytest.raises(InvalidParameterError, match="rule for ties"):
        majority([reading("a"), reading("b")], ONE, ties="coin")


def test_one_reader() -> None:
    readers = [reading("a", T=shapely.box(0, 0, 1, 1)), reading("b", T=shapely.box(0, 0, 9, 9))]
    found = of_reader(readers, "b")
    assert union(found.annotations).equals(shapely.box(0, 0, 9, 9))
    assert found.annotations.source == "consensus: reader b"
    with pytest.raises(InvalidParameterError, match="no such reader"):
        of_reader(readers, "c")


def _staple_by_hand(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Warfield et al. 2004, eq. 13, 18 and 19, until nothing changes; votes (R, N)."""
    prior = votes.mean()
    p, q = np.full(len(votes), 0.99), np.full(len(votes), 0.99)
    for _ in range(2000):
        a = prior * np.where(votes, p[:, None], 1 - p[:, None]).prod(axis=0)
        b = (1 - prior) * np.where(votes, 1 - q[:, None], q[:, None]).prod(axis=0)
        weight = a / (a + b)
        p = (votes * weight).sum(axis=1) / weight.sum()
        q = (~votes * (1 - weight)).sum(axis=1) / (1 - weight).sum()
    return weight, p, q


def test_staple_is_that_of_its_equations() -> None:
    pytest.importorskip("SimpleITK")
    rng = np.random.default_rng(7)
    truth = np.zeros((30, 40), bool)
    truth[8:22, 10:30] = True
    noise = (0.02, 0.05, 0.25, 0.1)
    masks = [truth ^ (rng.random(truth.shape) < share) for share in noise]
    grid = square_grid(RegionPx(0, 0, 120, 160), ONE, 4)
    for mask in masks:  # so that the box around all areas is the whole raster
        mask[0, 0] = mask[-1, -1] = True
    readers = [Reading(f"r{k}", areas_of_classes({"T": m}, grid, source="")) for k, m in enumerate(masks)]
    found = staple(readers, ONE, raster_um=4)
    weight, p, q = _staple_by_hand(np.array([mask.ravel() for mask in masks]))
    assert [name for name, _, _ in found.performance["T"]] == ["r0", "r1", "r2", "r3"]
    np.testing.assert_allclose([one[1] for one in found.performance["T"]], p, atol=2e-3)
    np.testing.assert_allclose([one[2] for one in found.performance["T"]], q, atol=2e-3)
    expected = weight.reshape(truth.shape) >= 0.5
    np.testing.assert_allclose(rasterise(found.annotations, grid), expected, atol=1e-6)
    assert found.rule == "STAPLE of 4 readers (r0, r1, r2, r3), raster of 4 um"
    assert found.to_dict()["performance"]["T"][2]["reader"] == "r2"


def test_staple_of_nothing() -> None:
    pytest.importorskip("SimpleITK")
    found = staple([reading("a"), reading("b")], ONE, labels=["T"])
    assert len(found.annotations) == 0
    assert found.performance == {}
