"""Miniature copies of public data sets, laid out as they are published."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from napari_nic_experiments.recipes.tissue9 import CLASSES

ASAP = """<?xml version="1.0"?>
<ASAP_Annotations>
  <Annotations>
    <Annotation Name="Annotation 0" Type="Polygon" PartOfGroup="_0" Color="#F4FA58"><Coordinates>
      <Coordinate Order="0" X="100" Y="100" /><Coordinate Order="1" X="300" Y="100" />
      <Coordinate Order="2" X="300" Y="300" /><Coordinate Order="3" X="100" Y="300" />
    </Coordinates></Annotation>
    <Annotation Name="Annotation 1" Type="Polygon" PartOfGroup="_2" Color="#F4FA58"><Coordinates>
      <Coordinate Order="0" X="150" Y="150" /><Coordinate Order="1" X="250" Y="150" />
      <Coordinate Order="2" X="250" Y="250" /><Coordinate Order="3" X="150" Y="250" />
    </Coordinates></Annotation>
  </Annotations>
  <AnnotationGroups>
    <Group Name="_0" PartOfGroup="None" Color="#00ff00"><Attributes /></Group>
    <Group Name="_2" PartOfGroup="None" Color="#ff0000"><Attributes /></Group>
  </AnnotationGroups>
</ASAP_Annotations>
"""
"""A square of 200 px as tumour, with one of 100 px cut out."""

REFERENCE = """\
test_001,Tumor,IDC,Macro
test_002,Normal,None,None
test_003,Tumor,ILC,Micro
test_004,Normal,None,None
"""


@pytest.fixture(scope="session")
def add_slide(make_tissue, make_tiff):
    """``add_slide(path, seed, red)``: a slide of 6 x 6 cells, its tissue the redder the larger `red` is."""

    def add(path, seed, red):
        path.parent.mkdir(parents=True, exist_ok=True)
        image = make_tissue(768, 768, seed=seed).astype(int)
        tissue = image[..., 1] < 230
        image[tissue, 1] = np.clip(image[tissue, 1] - red, 0, 255)
        make_tiff(path, image.astype(np.uint8), factors=(1, 4))

    return add


@pytest.fixture(scope="session")
def camelyon(tmp_path_factory, add_slide):
    """Five normal and four tumour slides to train on, four to test on; tumour slides are redder."""
    folder = tmp_path_factory.mktemp("CAMELYON16")
    for index in range(1, 6):
        add_slide(folder / "training" / "normal" / f"normal_{index:03d}.tif", index, 0)
    for index in range(1, 5):
        add_slide(folder / "training" / "tumor" / f"tumor_{index:03d}.tif", 10 + index, 80)
    for index in range(1, 5):
        add_slide(folder / "testing" / "images" / f"test_{index:03d}.tif", 20 + index, 80 * (index % 2))
    for part, name in (("training", "tumor_001"), ("testing", "test_001")):
        (folder / part / "lesion_annotations").mkdir()
        (folder / part / "lesion_annotations" / f"{name}.xml").write_text(ASAP)
    (folder / "testing" / "reference.csv").write_text(REFERENCE)
    return folder


@pytest.fixture(scope="session")
def tupac(tmp_path_factory, add_slide):
    """Eight slides with scores that rise with red, number 3 missing; and one test slide."""
    folder = tmp_path_factory.mktemp("TUPAC16")
    for index in (1, 2, 4, 5, 6, 7, 8, 9):
        add_slide(folder / "training_image_data" / f"TUPAC-TR-{index:03d}.tif", index, 10 * index)
    add_slide(folder / "testing_image_data" / "TUPAC-TE-001.tif", 99, 50)
    rows = "".join(f"{1 + index // 4},{index / 10 - 0.5:.2f}\n" for index in range(1, 10))
    (folder / "training_ground_truth.csv").write_text(rows)
    return folder


@pytest.fixture(scope="session")
def bowel(tmp_path_factory):
    """Both sets of tiles: each class has its grey, five tiles of 224 px to train on and two to test on."""
    folder = tmp_path_factory.mktemp("bowel")
    rng = np.random.default_rng(0)
    for part, count in (("NCT-CRC-HE-100K", 5), ("CRC-VAL-HE-7K", 2)):
        for number, name in enumerate(CLASSES):
            (folder / part / name).mkdir(parents=True)
            for index in range(count):
                tile = np.clip(40 + 22 * number + rng.normal(0, 5, (224, 224, 3)), 0, 255).astype(np.uint8)
                cv2.imwrite(str(folder / part / name / f"{name}-{index}.tif"), tile)
    return folder
