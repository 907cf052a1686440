"""The sample slide: made once, where it should be, with its lesion outlined."""

from __future__ import annotations

import pytest

from napari_nic.annotations import read_annotations
from napari_nic.demo import demo_slide, samples_folder
from napari_nic.slides import open_slide


@pytest.mark.usefixtures("small_sample")
def test_made_once_with_an_outline(tmp_path, small_sample_spec):
    slide_path, annotation_path = demo_slide(tmp_path)
    with open_slide(slide_path) as slide:
        assert slide.levels[0].shape == (small_sample_spec.height, small_sample_spec.width)
        assert slide.require_pixel_size().mean == pytest.approx(0.5)
    areas = read_annotations(annotation_path).polygons()
    assert len(areas) >= 1
    left, top, right, bottom = areas[0].bounds
    assert 0 <= left < right <= small_sample_spec.width
    assert 0 <= top < bottom <= small_sample_spec.height

    made = slide_path.stat().st_mtime_ns
    assert demo_slide(tmp_path) == (slide_path, annotation_path)
    assert slide_path.stat().st_mtime_ns == made


@pytest.mark.usefixtures("small_sample")
def test_a_lost_outline_is_made_again(tmp_path):
    _, annotation_path = demo_slide(tmp_path)
    text = annotation_path.read_text()
    annotation_path.unlink()
    demo_slide(tmp_path)
    assert annotation_path.read_text() == text


@pytest.mark.usefixtures("small_sample")
def test_the_home_variable_decides_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_NIC_HOME", str(tmp_path))
    assert samples_folder() == tmp_path / "samples"
    slide_path, _ = demo_slide()
    assert slide_path.parent == tmp_path / "samples"
