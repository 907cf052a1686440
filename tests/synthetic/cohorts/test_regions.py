"""Real regions become slides whose outlines are their masks."""

import cv2
import numpy as np
import pytest
import shapely

from napari_nic.annotations import read_annotations
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import RegionPx
from napari_nic.patches.tiles import TileFolder
from napari_nic.slides import open_slide
from napari_nic.synthetic.cohorts import write_regions
from napari_nic.synthetic.cohorts.regions import mask_polygons, normal_part


def ring_mask():
    mask = np.zeros((300, 400), bool)
    cv2.circle(view := mask.view(np.uint8), (150, 150), 90, 1, -1)
    cv2.circle(view, (150, 150), 45, 0, -1)
    mask[10:12, 390:392] = True  # a speck
    return mask


def test_outlines_cover_the_pixels_of_the_mask():
    mask = ring_mask()
    polygons = mask_polygons(mask, 0.5)
    assert len(polygons) == 1
    assert len(polygons[0].interiors) == 1
    assert polygons[0].area == pytest.approx(mask[:, :380].sum(), rel=0.01)
    y, x = np.mgrid[:300, :380]
    covered = shapely.contains_xy(polygons[0], x + 0.5, y + 0.5)
    assert (covered != mask[:, :380]).mean() < 0.003


def test_a_square_is_outlined_exactly():
    mask = np.zeros((100, 100), bool)
    mask[20:60, 30:90] = True
    assert mask_polygons(mask, 0.5)[0].bounds == (30, 20, 90, 60)
    assert mask_polygons(np.zeros((5, 5), bool), 0.5) == []


def test_the_largest_part_without_tumour():
    mask = np.zeros((640, 960), bool)
    mask[:, 300:310] = True
    assert normal_part(mask, 1.0) == RegionPx(0, 320, 640, 640)
    assert normal_part(np.ones((640, 960), bool), 1.0) is None


def test_regions_become_a_cohort_with_outlines(tmp_path, read_table):
    folder = tmp_path / "regions"
    (folder / "masks").mkdir(parents=True)
    image = np.random.default_rng(0).integers(100, 200, (300, 800, 3)).astype(np.uint8)
    mask = np.zeros((300, 800), np.uint8)
    mask[:, :300] = 255
    cv2.imwrite(str(folder / "r1.png"), image)
    cv2.imwrite(str(folder / "masks" / "r1.png"), mask)
    cv2.imwrite(str(folder / "bare.png"), image)
    *_, last = write_regions(TileFolder(folder, 1.0), tmp_path / "out")
    rows = read_table(last.table)
    assert [(row["slide"], row["label"], row["case"]) for row in rows] == [
        ("r1.tif", "lesion", "r1"),
        ("r1-normal.tif", "normal", "r1"),
    ]
    assert [file.name for file, _ in last.skipped] == ["bare.png"]
    with open_slide(tmp_path / "out" / "r1.tif") as slide:
        assert slide.levels[0].shape == (300, 800)
        assert slide.require_pixel_size().mean == pytest.approx(1.0)
    assert read_annotations(tmp_path / "out" / "r1.geojson").polygons()[0].bounds == (0, 0, 300, 300)
    assert len(read_annotations(tmp_path / "out" / "r1-normal.geojson")) == 0


def test_pictures_without_masks_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((50, 50, 3), np.uint8))
    with pytest.raises(InvalidParameterError, match="no picture has a mask"):
        list(write_regions(TileFolder(tmp_path, 1.0), tmp_path / "out"))
