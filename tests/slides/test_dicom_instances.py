"""What a DICOM slide calls its pictures."""

from __future__ import annotations

import numpy as np
import shapely

from napari_nic.annotations import (
    Annotation,
    AnnotationSet,
    SlideExtent,
    read_annotations,
    write_annotations,
)
from napari_nic.slides import open_slide
from napari_nic.slides.dicom_instances import dicom_instances


def test_levels_and_parts_are_known(make_dicom, tmp_path):
    picture = np.full((416, 624, 3), 200, np.uint8)
    folder = make_dicom(tmp_path / "slide", picture, parts=2, header={"FrameOfReferenceUID": "2.25.7"})
    found = dicom_instances(folder)
    assert found is not None
    assert found.shape == (416, 624)
    assert sorted(found.shapes.values()) == [(208, 312)] * 3 + [(416, 624)] * 3, "each part, and the whole"
    assert found.frame_of_reference == "2.25.7"
    assert dicom_instances(found.finest) == found
    assert dicom_instances(tmp_path) is None
    (tmp_path / "a.txt").write_text("no slide")
    assert dicom_instances(tmp_path / "a.txt") is None


def test_annotations_of_an_open_slide_there_and_back(make_dicom, tmp_path):
    folder = make_dicom(tmp_path / "slide", np.full((416, 624, 3), 200, np.uint8))
    with open_slide(folder) as slide:
        extent = SlideExtent.of(slide)
    drawn = AnnotationSet((Annotation("Tumour", "rectangle", shapely.box(10, 20, 300, 400)),))
    write_annotations(drawn, tmp_path / "a.dcm", extent=extent)
    (found,) = read_annotations(tmp_path / "a.dcm", extent=extent).annotations
    assert (found.label, found.kind, found.geometry.bounds) == ("Tumour", "rectangle", (10, 20, 300, 400))
