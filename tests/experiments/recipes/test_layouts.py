"""Layouts of public data sets are read, and what is wrong with them is told."""

import math
import shutil

import pytest

from napari_nic.errors import InvalidParameterError
from napari_nic_experiments.recipes import find_tissue9, read_camelyon16, read_tupac16
from napari_nic_experiments.recipes.model import set_aside


def test_camelyon16(camelyon):
    cohort = read_camelyon16(camelyon)
    assert cohort.classes == ("normal", "tumor")
    assert [slide.official for slide in cohort.slides] == ["train"] * 9 + ["test"] * 4
    labels = {slide.name: (slide.label, slide.category) for slide in cohort.slides}
    assert labels["normal_005"] == ("normal", "")
    assert labels["tumor_004"] == ("tumor", "")
    assert labels["test_001"] == ("tumor", "macro")
    assert labels["test_002"] == ("normal", "")
    assert labels["test_003"] == ("tumor", "micro")


def test_lesion_size_is_the_radius_of_a_circle_as_large_as_the_tumour(camelyon):
    sizes = {slide.name: slide.size for slide in read_camelyon16(camelyon).slides}
    # 200 x 200 px less 100 x 100 px, at 0.5 um/px.
    expected = math.sqrt((200**2 - 100**2) * 0.25 / math.pi)
    assert sizes["tumor_001"] == pytest.approx(expected, rel=1e-3)
    assert sizes["test_001"] == pytest.approx(expected, rel=1e-3)
    assert sizes["tumor_002"] is None


def test_a_test_slide_without_a_label_is_told(camelyon, tmp_path):
    shutil.copytree(camelyon, tmp_path / "c")
    reference = tmp_path / "c" / "testing" / "reference.csv"
    reference.write_text("name,label\ntest_001,Tumor\n")
    with pytest.raises(InvalidParameterError, match="no label"):
        read_camelyon16(tmp_path / "c")
    reference.write_text("test_001,Maybe\n")
    with pytest.raises(InvalidParameterError, match="Normal or Tumor"):
        read_camelyon16(tmp_path / "c")


def test_another_layout_is_told(tmp_path):
    with pytest.raises(InvalidParameterError, match="as its makers publish it"):
        read_camelyon16(tmp_path)
    with pytest.raises(InvalidParameterError, match="labels of the data set"):
        read_tupac16(tmp_path)
    with pytest.raises(InvalidParameterError, match="ADI"):
        find_tissue9(tmp_path)


def test_tupac16_rows_belong_to_slides_by_number(tupac):
    cohort = read_tupac16(tupac)
    scores = {slide.name: float(slide.label) for slide in cohort.slides}
    assert scores["TUPAC-TR-001"] == -0.4
    assert scores["TUPAC-TR-004"] == -0.1  # number 3 is missing, its row is not
    assert len(scores) == 8
    assert [slide.name for slide in cohort.unlabelled] == ["TUPAC-TE-001"]


def test_a_slide_beyond_the_rows_is_told(tupac, tmp_path):
    shutil.copytree(tupac, tmp_path / "t")
    (tmp_path / "t" / "training_ground_truth.csv").write_text("1,0.5\n")
    with pytest.raises(InvalidParameterError, match="no row in the truth"):
        read_tupac16(tmp_path / "t")
    (tmp_path / "t" / "training_ground_truth.csv").write_text("1,high\n" * 9)
    with pytest.raises(InvalidParameterError, match="no number"):
        read_tupac16(tmp_path / "t")


def test_tissue9_finds_both_sets(bowel):
    training, testing = find_tissue9(bowel)
    assert training.name == "NCT-CRC-HE-100K"
    assert testing.name == "CRC-VAL-HE-7K"


def test_slides_are_set_aside_from_the_training_part_alone(camelyon):
    slides = read_camelyon16(camelyon).slides
    kept, aside = set_aside(slides, 4, seed=1)
    assert len(aside) == 4
    assert {slide.official for slide in aside} == {"train"}
    assert sorted(s.name for s in kept + aside) == sorted(s.name for s in slides)
    assert set_aside(slides, 4, seed=1)[1] == aside
    with pytest.raises(InvalidParameterError, match="below 9"):
        set_aside(slides, 9, seed=1)
