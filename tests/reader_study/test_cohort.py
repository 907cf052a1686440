"""Many slides in one line, the pictures of differences, and which files belong together."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import shapely

from napari_nic.annotations import Annotation, AnnotationSet
from napari_nic.errors import AnnotationError
from napari_nic.geometry import PixelSize, RegionPx
from napari_nic.reader_study import Reading, compare_readings, difference_overlay, labels_of, summarise
from napari_nic.reader_study.matching import match_by_slide, reader_names, slide_name

ONE = PixelSize(1.0, 1.0)


def reading(name: str, *shapes: shapely.Geometry, label: str = "T") -> Reading:
    return Reading(name, AnnotationSet(tuple(Annotation(label, "polygon", one) for one in shapes)))


def test_a_cohort_by_hand() -> None:
    slides = {
        "both": (shapely.box(0, 0, 100, 100), shapely.box(0, 0, 100, 50)),
        "one": (shapely.box(0, 0, 10, 10), None),
        "same": (shapely.box(0, 0, 20, 10), shapely.box(0, 0, 20, 10)),
        "neither": (None, None),
    }
    found = []
    for name, shapes in slides.items():
        pair = [
            reading(who, *([] if shape is None else [shape])) for who, shape in zip("ab", shapes, strict=True)
        ]
        found += compare_readings(name, [*pair, reading("c", shapely.box(0, 0, 1, 1), label="U")], ONE)
    summary = next(one for one in summarise(found) if (one.first, one.second) == ("a", "b"))
    assert (summary.n_slides, summary.n_both, summary.n_one) == (3, 2, 1)
    assert summary.first_mm2 == pytest.approx((10_000 + 100 + 200) / 1e6)
    assert summary.pooled["dice"].value == pytest.approx(2 * 5200 / (10_300 + 5200))
    assert summary.pooled["sensitivity"].value == pytest.approx(5200 / 10_300)
    assert summary.means["dice"].value == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert summary.means["boundary_max_um"].value == pytest.approx((50 + 0) / 2)
    assert summary.means["dice"].low <= summary.means["dice"].value <= summary.means["dice"].high
    assert summary.to_dict()["mean_over_slides"]["auc"]["value"] is None


def test_one_slide_has_no_interval() -> None:
    pair = [reading("a", shapely.box(0, 0, 1, 1)), reading("b", shapely.box(0, 0, 1, 1))]
    (summary,) = summarise(compare_readings("s", pair, ONE))
    assert summary.pooled["dice"].value == 1
    assert math.isnan(summary.pooled["dice"].low)
    assert summarise([]) == ()


def test_a_difference_is_painted_where_it_is() -> None:
    pair = reading("a", shapely.box(0, 0, 40, 20)), reading("b", shapely.box(20, 0, 60, 20))
    overlay = difference_overlay(*pair, "T", RegionPx(0, 0, 30, 80), PixelSize(0.5, 0.5), step_um=5)
    assert overlay.kind == "difference"
    assert [name for name, _ in overlay.legend] == ["both", "only a", "only b"]
    shown = np.where(overlay.mask, overlay.data, 9)
    np.testing.assert_array_equal(shown, [[1, 1, 0, 0, 2, 2, 9, 9]] * 2 + [[9] * 8])
    assert overlay.placement.step_um == (5, 5)
    assert overlay.to_rgba()[2, 0, 3] == 0
    assert "squares of 5 um" in overlay.note
    assert labels_of(pair) == ("T",)
    default = difference_overlay(*pair, "T", RegionPx(0, 0, 30, 80), PixelSize(0.5, 0.5))
    assert default.mask.shape == (30, 80), "never finer than the slide"


def test_files_are_matched_by_their_slides(tmp_path: Path) -> None:
    for name in (
        "a/s1.geojson",
        "a/s2.svs.geojson",
        "a/s3.xml",
        "a/notes.md",
        "b/s1.xml",
        "b/s2.json",
        "b/s4.csv",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    folders = [tmp_path / "a", tmp_path / "b"]
    found = match_by_slide(folders)
    assert list(found.slides) == ["s1", "s2"]
    assert [path.name for path in found.slides["s2"]] == ["s2.svs.geojson", "s2.json"]
    assert [(path.name, why) for path, why in found.unmatched] == [
        ("s3.xml", "no file of this slide by b"),
        ("s4.csv", "no file of this slide by a"),
    ]
    (tmp_path / "b" / "s1.geojson").touch()
    with pytest.raises(AnnotationError, match="two annotation files of one slide"):
        match_by_slide(folders)
    with pytest.raises(AnnotationError, match="no folder"):
        match_by_slide([tmp_path / "none", tmp_path / "b"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(AnnotationError, match="no slide has a file in every folder"):
        match_by_slide([tmp_path / "a", tmp_path / "empty"])


def test_readers_have_names_of_their_own(tmp_path: Path) -> None:
    assert slide_name(Path("x.ndpi.ndpa")) == slide_name(Path("x.geojson.gz")) == "x"
    (tmp_path / "p").mkdir()
    (tmp_path / "q").mkdir()
    for name in ("p/s.xml", "q/s.xml", "p/t.xml"):
        (tmp_path / name).touch()
    one, other, third = tmp_path / "p/s.xml", tmp_path / "q/s.xml", tmp_path / "p/t.xml"
    assert reader_names([one, third]) == ["s", "t"]
    assert reader_names([one, other]) == ["p/s", "q/s"]
    assert reader_names([one, one]) == ["p/s (1)", "p/s (2)"]
    assert reader_names([tmp_path / "p", tmp_path / "q"]) == ["p", "q"]
