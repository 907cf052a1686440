"""Slides are found by exactly their names, and never another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_nic.errors import CancelledError, SlideNotFoundError
from napari_nic.jobs import CancellationToken
from napari_nic.slides import SlideFolder

TCGA = "TCGA-ZZ-0001-01Z-00-DX1.1A2B3C4D-0000-4111-8222-1234567890AB"


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_names_with_dots_are_compared_whole(tmp_path):
    slide = touch(tmp_path / "a" / f"{TCGA}.svs")
    touch(tmp_path / "a" / "TCGA-ZZ-0001-01Z-00-DX1.svs")
    touch(tmp_path / "S1.2.tif")
    found = SlideFolder.of(tmp_path)
    assert found.find(TCGA) == slide
    assert found.find(f"{TCGA}.svs") == slide
    assert found.find("S1") is None
    assert found.find("S1.2") == tmp_path / "S1.2.tif"


def test_name_with_suffix_is_that_file(tmp_path):
    both = [touch(tmp_path / name) for name in ("a.svs", "a.tif")]
    found = SlideFolder.of(tmp_path)
    assert [found.find("a.svs"), found.find("a.tif")] == both
    with pytest.raises(SlideNotFoundError, match=r"(?s)2 slides are called a.*a.svs.*a.tif"):
        found.find("a")


def test_equal_names_in_two_folders_are_told(tmp_path):
    touch(tmp_path / "x" / "a.svs")
    touch(tmp_path / "y" / "a.svs")
    with pytest.raises(SlideNotFoundError, match="2 slides are called a"):
        SlideFolder.of(tmp_path).find("a")
    assert SlideFolder.of(tmp_path / "x").find("a") == tmp_path / "x" / "a.svs"


def test_pictures_of_a_slide_and_features_are_no_slides(tmp_path):
    slide = touch(tmp_path / "a.svs")
    touch(tmp_path / "thumbnails" / "a.jpg")
    touch(tmp_path / "a.zarr" / "zarr.json").write_text('{"attributes": {"slide_properties": {}}}')
    touch(tmp_path / "a.nic.zarr" / "zarr.json").write_text('{"attributes": {"ome": {"multiscales": []}}}')
    assert SlideFolder.of(tmp_path).find("a") == slide


def test_folders_that_are_slides(tmp_path):
    touch(tmp_path / "z.zarr" / ".zattrs").write_text('{"multiscales": []}')
    touch(tmp_path / "1.2.840" / "1.dcm")
    touch(tmp_path / "o.ome.tif")
    found = SlideFolder.of(tmp_path)
    assert found.find("z") == tmp_path / "z.zarr"
    assert found.find("1.2.840") == tmp_path / "1.2.840"
    assert found.find("o") == found.find("o.ome") == tmp_path / "o.ome.tif"


def test_the_name_of_a_folder_has_no_suffix(tmp_path):
    touch(tmp_path / "S1.2" / "0.dcm")
    touch(tmp_path / "S2.0.ome.tif")
    slides = SlideFolder.of(tmp_path)
    assert slides.find("S1.2") == tmp_path / "S1.2"
    assert slides.find("S1") is None
    assert slides.find("S2.0.ome") == slides.find("S2.0") == tmp_path / "S2.0.ome.tif"


def test_one_slide_stands_for_itself(tmp_path):
    slide = touch(tmp_path / "a.svs")
    assert SlideFolder.of(slide).only == SlideFolder.of(slide).find("a") == slide
    assert SlideFolder.of(tmp_path).only is None
    with pytest.raises(SlideNotFoundError, match="no such folder"):
        SlideFolder.of(tmp_path / "none")


def test_looking_can_be_cancelled(tmp_path):
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        SlideFolder.of(tmp_path, token)
