"""FROC by the rules of Camelyon16: a cohort counted by hand, lesions against scikit-image."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import shapely
from scipy import ndimage
from skimage.measure import label, regionprops

from napari_nic.annotations import Annotation, AnnotationSet
from napari_nic.errors import AnnotationError, InvalidParameterError
from napari_nic.geometry import PixelSize, RegionPx
from napari_nic.reader_study import ValueMap, square_grid
from napari_nic.reader_study.detections import Detections, map_detections, read_detections
from napari_nic.reader_study.froc import froc, match_detections
from napari_nic.reader_study.lesions import FrocRules, find_lesions, major_axis

HALF = PixelSize(0.5, 0.5)


def truth(*um_boxes: tuple[float, float, float, float]) -> AnnotationSet:
    """Squares given in micrometres, at half a micrometre a pixel."""
    return AnnotationSet(
        tuple(Annotation("Tumor", "polygon", shapely.box(*(2 * c for c in one))) for one in um_boxes)
    )


def detections(*rows: tuple[float, float, float]) -> Detections:
    """(score, x, y) in micrometres."""
    table = np.array(rows, float).reshape(-1, 3)
    return Detections(table[:, 1:] * 2, table[:, 0])


def test_a_cohort_counted_by_hand() -> None:
    """Two slides. The first has a lesion of 1000 um, one of 500 um, and isolated cells of 50 um."""
    lesions = find_lesions(truth((0, 0, 1000, 1000), (3000, 0, 3500, 500), (6000, 0, 6050, 50)), HALF)
    assert sorted(one.is_isolated for one in lesions) == [False, False, True]
    first = match_detections(
        "first",
        detections(
            (0.9, 500, 500),  # finds the large one
            (0.8, 600, 600),  # again: neither
            (0.5, 3520, 200),  # 20 um beside the second one, which was grown by 37.5
            (0.7, 3560, 200),  # 60 um beside it: a false positive
            (0.95, 6020, 20),  # isolated cells: neither
        ),
        lesions,
        HALF,
    )
    assert sorted(first.found.tolist()) == [0.5, 0.9]
    assert first.false.tolist() == [0.7]
    assert first.n_isolated == 1
    second = match_detections("second", detections((0.6, 10, 10), (0.4, 900, 10)), (), HALF)
    assert sorted(second.false.tolist()) == [0.4, 0.6]
    curve = froc([first, second])
    # Thresholds 0.9, 0.7, 0.6, 0.5, 0.4: hits 1 1 1 2 2 of two, false positives 0 1 2 2 3 on two slides.
    np.testing.assert_allclose(curve.false_positives, [0, 0, 0.5, 1, 1, 1.5])
    np.testing.assert_allclose(curve.sensitivities, [0, 0.5, 0.5, 0.5, 1, 1])
    assert curve.at == {0.25: 0.5, 0.5: 0.5, 1.0: 1.0, 2.0: 1.0, 4.0: 1.0, 8.0: 1.0}
    assert curve.score.value == pytest.approx((0.5 + 0.5 + 4) / 6)
    assert (curve.n_slides, curve.n_lesions, curve.n_isolated) == (2, 2, 1)
    assert curve.to_dict()["sensitivity_at"]["0.25"] == 0.5


def test_between_two_points_the_curve_is_a_line() -> None:
    lesions = find_lesions(truth((0, 0, 500, 500)), HALF)
    hits = [
        match_detections("a", detections((0.5, 100, 100), (0.5, 900, 900)), lesions, HALF),
        *(match_detections(f"b{k}", detections(), (), HALF) for k in range(1)),
    ]
    curve = froc(hits)
    # One step from (0, 0) to (0.5, 1): equal scores come together.
    assert curve.at[0.25] == pytest.approx(0.5)
    assert curve.at[0.5] == 1


def test_lesions_are_grown_joined_and_filled() -> None:
    near = find_lesions(truth((0, 0, 300, 300), (370, 0, 670, 300)), HALF)
    assert len(near) == 1, "70 um apart"
    assert len(find_lesions(truth((0, 0, 300, 300), (380, 0, 680, 300)), HALF)) == 2, "80 um apart"
    ring = AnnotationSet(
        (
            Annotation(
                "Tumor",
                "polygon",
                shapely.Point(4000, 4000).buffer(2000).difference(shapely.Point(4000, 4000).buffer(1000)),
            ),
            Annotation("Tumor", "polygon", shapely.Point(4000, 4000).buffer(100)),
        )
    )
    (filled,) = find_lesions(ring, HALF)
    assert filled.area.area == pytest.approx(math.pi * 1037.5**2, rel=0.01)
    assert find_lesions(AnnotationSet(), HALF) == ()
    assert find_lesions(ring, HALF, labels=["Other"]) == ()


def test_extents_are_those_of_the_challenges_program() -> None:
    """Its steps on a raster: distance transform, threshold of 37.5 um, filled holes, major axes."""
    rng = np.random.default_rng(5)
    shapes = truth(
        *(
            (x, y, x + w, y + h)
            for x, y, w, h in zip(
                rng.uniform(100, 3500, 12),
                rng.uniform(100, 3500, 12),
                rng.uniform(20, 500, 12),
                rng.uniform(20, 500, 12),
                strict=True,
            )
        )
    )
    step = 2.0
    inside = np.zeros((2100, 2100), bool)
    for area in shapes.polygons():
        left, top, right, bottom = (round(c * 0.5 / step) for c in area.bounds)
        inside[top:bottom, left:right] = True
    grown = ndimage.binary_fill_holes(ndimage.distance_transform_edt(~inside) < 75 / (step * 2))
    axes = sorted(region.axis_major_length * step for region in regionprops(label(grown, connectivity=2)))
    lesions = find_lesions(shapes, HALF)
    np.testing.assert_allclose(sorted(one.extent_um for one in lesions), axes, rtol=0.03)
    assert sum(one.is_isolated for one in lesions) == sum(axis < 275 for axis in axes)


def test_the_major_axis_of_an_ellipse_and_a_rectangle() -> None:
    circle = shapely.Point(3e5, 7e5).buffer(1, quad_segs=500)
    ellipse = shapely.affinity.rotate(shapely.affinity.scale(circle, 50, 20), 30)
    assert major_axis(ellipse) == pytest.approx(100, rel=1e-4)
    assert major_axis(shapely.box(0, 0, 30, 12)) == pytest.approx(4 * math.sqrt(30**2 / 12))


def test_nothing_to_find() -> None:
    curve = froc([match_detections("a", detections((0.5, 1, 1)), (), HALF)])
    assert math.isnan(curve.score.value)
    assert curve.to_dict()["score"]["value"] is None
    silent = froc([match_detections("a", detections(), find_lesions(truth((0, 0, 500, 500)), HALF), HALF)])
    assert silent.score.value == 0
    with pytest.raises(InvalidParameterError, match="no such rules"):
        FrocRules(false_positives=())


def test_tables_of_detections(tmp_path: Path) -> None:
    path = tmp_path / "d.csv"
    path.write_text("0.9,100,200\n0.5,3,4.5\n")
    found = read_detections(path)
    assert found.scores.tolist() == [0.9, 0.5]
    assert found.points_px.tolist() == [[100, 200], [3, 4.5]]
    path.write_text("x,y,Score\n100,200,0.9\n\n")
    assert read_detections(path).points_px.tolist() == [[100, 200]]
    path.write_text("")
    assert len(read_detections(path).scores) == 0
    for text, said in (
        ("a,b,c\n", "lacks a column"),
        ("0.1,2\n", "no detection"),
        ("0.5,1,2\nx,1,nan\n", "no detection"),
    ):
        path.write_text(text)
        with pytest.raises(AnnotationError, match=said):
            read_detections(path)
    path.write_bytes(b"0.5,1,2\n\xff\xfe,1")
    with pytest.raises(AnnotationError, match="no table of detections"):
        read_detections(path)


def test_peaks_of_a_map() -> None:
    grid = square_grid(RegionPx(0, 0, 800, 1600), HALF, 40)
    values = np.zeros(grid.shape, np.float32)
    values[2, 3], values[2, 5], values[8, 18], values[1, 18] = 0.9, 0.8, 0.7, 0.4
    mask = np.ones(grid.shape, bool)
    found = map_detections(ValueMap(values, mask, grid), apart_um=100)
    np.testing.assert_allclose(found.scores, [0.9, 0.7])
    np.testing.assert_allclose(found.points_px, [[3.5 * 80, 2.5 * 80], [18.5 * 80, 8.5 * 80]])
    assert len(map_detections(ValueMap(values, mask, grid), apart_um=50).scores) == 3
    mask[2, 3] = False
    assert map_detections(ValueMap(values, mask, grid), apart_um=100).scores[0] == pytest.approx(0.8)
    assert len(map_detections(ValueMap(values, ~np.ones_like(mask), grid)).scores) == 0
