"""Masks as pictures: the same place back, only of the slide they were made of, and from any program."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
import tifffile
from PIL import Image

from napari_nic.annotations import Annotation, AnnotationSet, write_annotations
from napari_nic.errors import AnnotationError, InvalidParameterError
from napari_nic.geometry import Placement
from napari_nic.pipeline import MASK_SUFFIX, mask_files, read_mask, write_mask
from napari_nic.slides import open_slide
from napari_nic.tissue import TissueMask

SHAPE = (301, 500)
MPP = 0.5


def write_slide(path: Path, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 255, (*SHAPE, 3), dtype=np.uint8)
    tifffile.imwrite(
        path,
        pixels,
        tile=(64, 64),
        photometric="rgb",
        resolution=(1e4 / MPP,) * 2,
        resolutionunit="CENTIMETER",
    )
    return path


@pytest.fixture
def slide(tmp_path):
    with open_slide(write_slide(tmp_path / "a.tif")) as opened:
        yield opened


@pytest.fixture
def tissue():
    mask = np.zeros((38, 63), bool)
    mask[3:20, 5:31] = True
    return TissueMask(mask, Placement((0.0, 0.0), (4.0, 4.0)), "by hand")


def test_what_is_written_comes_back(slide, tissue, tmp_path):
    write_mask(tissue, slide, tmp_path / "m.png")
    found = read_mask(slide, tmp_path / "m.png")
    np.testing.assert_array_equal(found.mask, tissue.mask)
    assert found.placement == tissue.placement
    assert found.method == "m.png, at first by hand"
    assert set(np.unique(np.asarray(Image.open(tmp_path / "m.png")))) == {0, 255}


def test_a_mask_in_a_folder_is_found_by_the_slides_name(slide, tissue, tmp_path):
    write_mask(tissue, slide, tmp_path / f"a{MASK_SUFFIX}")
    np.testing.assert_array_equal(read_mask(slide, tmp_path).mask, tissue.mask)


def test_a_mask_of_another_slide_is_refused(slide, tissue, tmp_path):
    write_mask(tissue, slide, tmp_path / "m.png")
    other_file = write_slide(tmp_path / "b.tif", seed=1)
    with open_slide(other_file) as other, pytest.raises(AnnotationError, match="another slide"):
        read_mask(other, tmp_path / "m.png")


@pytest.mark.parametrize("shape", [(301, 500), (38, 63), (30, 50), (151, 250)])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_pictures_of_other_programs_show_the_whole_slide(slide, tmp_path, shape, suffix):
    values = np.zeros(shape, np.uint8)
    values[: shape[0] // 2] = 1  # a label, as napari saves it
    Image.fromarray(values).save(tmp_path / f"m{suffix}")
    found = read_mask(slide, tmp_path / f"m{suffix}")
    step = found.placement.step_um
    assert (step[0] * shape[0], step[1] * shape[1]) == pytest.approx((SHAPE[0] * MPP, SHAPE[1] * MPP))
    assert found.mask[0].all()
    assert not found.mask[-1].any()


def test_colours_are_tissue_and_black_is_not(slide, tmp_path):
    values = np.zeros((301, 500, 3), np.uint8)
    values[10:20, :, 2] = 90
    Image.fromarray(values).save(tmp_path / "m.png")
    assert read_mask(slide, tmp_path / "m.png").mask.sum() == 10 * 500


def test_a_picture_of_other_proportions_is_refused(slide, tmp_path):
    Image.fromarray(np.ones((300, 400), np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(AnnotationError, match="proportions"):
        read_mask(slide, tmp_path / "m.png")


def test_outlines_touch_every_element_that_they_reach(slide, tmp_path):
    area = shapely.box(101, 60, 180, 140) - shapely.box(120, 80, 140, 100)
    annotations = AnnotationSet((Annotation("Tissue", "polygon", area),), {}, source="a test")
    write_annotations(annotations, tmp_path / "m.geojson")
    found = read_mask(slide, tmp_path / "m.geojson")
    step = found.placement.step_um[0] / MPP
    xs = np.nonzero(found.mask)[1]
    assert xs.min() == int(101 // step)
    assert xs.max() == int(179.9 // step)
    assert not found.mask[int(90 // step), int(130 // step)], "the hole"
    assert "m.geojson" in found.method


def test_large_masks_are_written_coarser_and_lose_no_tissue(slide, tmp_path, monkeypatch):
    mask = np.zeros((37, 61), bool)
    mask[36, 60] = mask[5, 8] = True
    monkeypatch.setattr(mask_files, "MOST_PIXELS", 1000)
    write_mask(TissueMask(mask, Placement((0.0, 0.0), (4.0, 4.0)), "x"), slide, tmp_path / "m.png")
    found = read_mask(slide, tmp_path / "m.png")
    assert found.placement.step_um == (8.0, 8.0)
    assert found.mask[18, 30]
    assert found.mask[2, 4]
    assert found.mask.sum() == 2
    monkeypatch.setattr(mask_files, "MOST_PIXELS", 10)
    with pytest.raises(AnnotationError, match="too large"):
        read_mask(slide, tmp_path / "m.png")


def test_damage_is_told(slide, tissue, tmp_path):
    write_mask(tissue, slide, tmp_path / "m.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "m.png").read_bytes()[:-40])
    (tmp_path / "none.png").write_bytes(b"no picture")
    from PIL import PngImagePlugin

    text = PngImagePlugin.PngInfo()
    text.add_text("napari-nic mask", '{"origin_um": [0, 0], "step_um": [0, 4], "slide": "x", "method": ""}')
    Image.fromarray(np.ones((38, 63), np.uint8)).save(tmp_path / "zero.png", pnginfo=text)
    for name in ("cut.png", "none.png", "zero.png", "absent.png"):
        with pytest.raises(AnnotationError):
            read_mask(slide, tmp_path / name)
    with pytest.raises(InvalidParameterError, match="PNG"):
        write_mask(tissue, slide, tmp_path / "m.tif")
