"""The written slide: what our reader finds in it, and the outlines beside it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import shapely

from napari_nic.annotations import read_annotations
from napari_nic.errors import InvalidParameterError
from napari_nic.slides import open_slide
from napari_nic.synthetic import (
    Lesion,
    Scene,
    SyntheticSlideSpec,
    lesion_annotations,
    make_test_slide,
    write_slide,
)


@pytest.fixture(scope="module")
def written(tmp_path_factory, lesion_spec):
    return write_slide(tmp_path_factory.mktemp("synthetic") / "new" / "made.tif", lesion_spec)


def test_the_slide_is_read_back_with_its_size_and_resolution(written):
    with open_slide(written.path) as slide:
        assert [level.shape for level in slide.level_geometries] == [(1000, 1100), (250, 275)]
        assert slide.levels[0].tile == (256, 256)
        assert slide.require_pixel_size().mean == pytest.approx(0.5, rel=1e-4)


def test_its_levels_are_the_painted_pixels_and_their_averages(written, picture):
    with open_slide(written.path) as slide:
        full = slide.read_region(0, slide.level_geometries[0].region)
        coarse = slide.read_region(1, slide.level_geometries[1].region)
    # JPEG of quality 85 with halved chroma loses about this much.
    assert np.abs(full.astype(int) - picture).mean() < 4
    small = cv2.resize(picture, (275, 250), interpolation=cv2.INTER_AREA)
    assert np.abs(coarse.astype(int) - small).mean() < 4


def test_the_outlines_lie_beside_it(written, scene):
    assert written.has_lesion
    found = read_annotations(written.annotation_path)
    assert found.counts() == {"Lesion": 1}
    expected = shapely.union_all(scene.lesion_polygons())
    assert found.polygons("Lesion")[0].symmetric_difference(expected).area < 1


def test_no_partial_file_is_left(written):
    assert {path.name for path in written.path.parent.iterdir()} == {"made.tif", "made.geojson"}


def test_a_slide_that_cannot_be_written_leaves_nothing(tmp_path, lesion_spec, monkeypatch):
    def fail(self, region):
        raise OSError("no space left on device")

    monkeypatch.setattr(Scene, "read", fail)
    with pytest.raises(OSError, match="no space"):
        write_slide(tmp_path / "made.tif", lesion_spec)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".geojson"]


def test_writing_twice_gives_the_same_bytes(tmp_path):
    one = make_test_slide(tmp_path / "one.tif", seed=2, side=600)
    two = make_test_slide(tmp_path / "two.tif", seed=2, side=600)
    assert one.path.read_bytes() == two.path.read_bytes()


def test_a_normal_slide_has_an_empty_annotation_file(tmp_path):
    made = write_slide(tmp_path / "normal.tif", SyntheticSlideSpec(height=300, width=90, coverage=1.0))
    assert not made.has_lesion
    assert len(read_annotations(made.annotation_path)) == 0


def test_a_hole_in_the_tissue_is_a_hole_in_the_outline():
    scene = Scene(SyntheticSlideSpec(height=800, width=800, lesions=(Lesion(0.8),), coverage=1.0, seed=1))
    scene.layout.tissue[20:28, 20:28] = -50
    scene.layout.lesion[10:40, 10:40] = 50
    area = shapely.union_all(scene.lesion_polygons())
    assert not area.contains(shapely.Point(24 * 16, 24 * 16))
    assert area.contains(shapely.Point(15 * 16, 15 * 16))
    assert area.is_valid
    assert len(lesion_annotations(scene)) == len(scene.lesion_polygons())


@pytest.mark.parametrize(
    "values",
    [
        {"height": 0, "width": 10},
        {"height": 10, "width": 10, "mpp": 30.0},
        {"height": 10, "width": 10, "coverage": 1.5},
        {"height": 10, "width": 10, "fat": 0.7, "lymphoid": 0.5},
        {"height": 10, "width": 10, "pieces": 0},
        {"height": 10, "width": 10, "stain_variation": -1.0},
    ],
)
def test_senseless_specs_are_refused(values):
    with pytest.raises(InvalidParameterError):
        SyntheticSlideSpec(**values)


@pytest.mark.parametrize("share", [0.0, 0.9, -1.0])
def test_senseless_lesions_are_refused(share):
    with pytest.raises(InvalidParameterError, match="share"):
        Lesion(share)


def test_a_lesion_needs_tissue():
    spec = SyntheticSlideSpec(height=20, width=20, lesions=(Lesion(0.3),), coverage=1e-6)
    with pytest.raises(InvalidParameterError, match="tissue"):
        Scene(spec)


def test_pieces_lie_side_by_side():
    scene = Scene(SyntheticSlideSpec(height=1500, width=6000, pieces=3, seed=6, fat=0.0))
    middle = scene.layout.tissue[scene.layout.tissue.shape[0] // 2] > 0
    starts = np.flatnonzero(np.diff(middle.astype(int)) == 1)
    assert len(starts) >= 2
