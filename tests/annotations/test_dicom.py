"""Annotations in DICOM: what is written is read by highdicom and pydicom, and what they write by us."""

from __future__ import annotations

import math

import highdicom
import numpy as np
import pydicom
import pytest
import shapely
from highdicom.ann import AnnotationGroup, Measurements, MicroscopyBulkSimpleAnnotations
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import generate_uid

from napari_nic.annotations import (
    UNCLASSIFIED,
    Annotation,
    AnnotationSet,
    SlideExtent,
    ellipse_of,
    ellipse_outline,
    read_annotations,
    write_annotations,
)
from napari_nic.annotations.details import measurements
from napari_nic.errors import AnnotationError

TRIANGLE = np.array([[1.5, 2.25], [40, 5], [11, 30]])
FRAME = "2.25.77"


@pytest.fixture
def slide(tmp_path, make_dicom_headers):
    """Folder of a slide of two levels, and the headers of these."""
    write, header = make_dicom_headers
    series = generate_uid()
    levels = [
        header((3000, 4000), series=series, frame=FRAME),
        header((1500, 2000), series=series, frame=FRAME, resampled=True),
    ]
    return write(tmp_path / "slide", *levels), levels


@pytest.fixture
def extent(slide):
    return SlideExtent((3000, 4000), name="slide", path=slide[0])


def group(kind, shapes, label="Tumour", number=1, **more) -> AnnotationGroup:
    return AnnotationGroup(
        number,
        generate_uid(),
        label,
        codes.SCT.MorphologicallyAbnormalStructure,
        codes.SCT.Neoplasm,
        kind,
        [np.asarray(shape, np.float32) for shape in shapes],
        "MANUAL",
        **more,
    )


def by_highdicom(path, source, *groups, coordinates="2D", **options):
    """Write a file as any other program does."""
    for word in ("PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID", "StudyDate"):
        setattr(source, word, "")
    source.StudyTime = ""
    document = MicroscopyBulkSimpleAnnotations(
        [source],
        coordinates,
        groups,
        generate_uid(),
        1,
        generate_uid(),
        1,
        "maker",
        "model",
        "1",
        "7",
        **options,
    )
    document.save_as(path)
    return path


def test_what_is_written_is_read_by_highdicom(tmp_path, slide, extent):
    turned = ellipse_outline((300, 200), (10, 30), 0.25)
    shapes = (
        Annotation("Tumour", "polygon", shapely.Polygon(TRIANGLE)),
        Annotation("Tumour", "polygon", shapely.Polygon(TRIANGLE + 100)),
        Annotation("Ärzte: Übung", "ellipse", turned),
        Annotation("Tumour", "point", shapely.Point(7.5, 8.25)),
        Annotation(UNCLASSIFIED, "line", shapely.LineString(TRIANGLE)),
        Annotation("Tumour", "rectangle", shapely.box(1, 2, 3, 4)),
    )
    path = tmp_path / "a.dcm"
    drawn = AnnotationSet(shapes, {"Tumour": (200, 10, 30), "Ärzte: Übung": (9, 99, 199)})
    assert write_annotations(drawn, path, extent=extent) == ()
    found = highdicom.ann.annread(path)
    assert found.PatientID == "patient-7"
    assert found.ReferencedImageSequence[0].ReferencedSOPInstanceUID == slide[1][0].SOPInstanceUID
    assert found.AnnotationCoordinateType == "2D"
    assert found.PixelOriginInterpretation == "VOLUME"
    first, ellipse, point, line, box = found.get_annotation_groups()
    labels = [one.label for one in (first, ellipse, point, line, box)]
    assert labels == ["Tumour", "Ärzte: Übung", "Tumour", UNCLASSIFIED, "Tumour"]
    one, two = first.get_graphic_data("2D")
    np.testing.assert_array_equal(one, TRIANGLE)
    np.testing.assert_array_equal(two, TRIANGLE + 100)
    long_a, long_b, short_a, short_b = ellipse.get_graphic_data("2D")[0]
    assert math.dist(long_a, long_b) == pytest.approx(60)
    assert math.dist(short_a, short_b) == pytest.approx(20)
    np.testing.assert_allclose((long_a + long_b) / 2, (300, 200))
    np.testing.assert_array_equal(point.get_graphic_data("2D")[0], [[7.5, 8.25]])
    np.testing.assert_array_equal(line.get_graphic_data("2D")[0], TRIANGLE)
    assert sorted(map(tuple, box.get_graphic_data("2D")[0])) == [(1, 2), (1, 4), (3, 2), (3, 4)]
    color = highdicom.color.CIELabColor.from_dicom_value(list(first.RecommendedDisplayCIELabValue))
    assert color.to_rgb() == (200, 10, 30)
    # pydicom alone, which knows nothing of annotations.
    raw = pydicom.dcmread(path).AnnotationGroupSequence[0]
    assert (
        np.frombuffer(raw.DoublePointCoordinatesData, "<f8").reshape(-1, 2)[:3].tolist() == TRIANGLE.tolist()
    )
    assert np.frombuffer(raw.LongPrimitivePointIndexList, "<i4").tolist() == [1, 7]


def test_what_others_write_is_read(tmp_path, slide, extent):
    ends = np.array([[40, 20], [80, 20], [60, 10], [60, 30]])
    area = Measurements(codes.SCT.Area, np.array([5.5, np.nan], np.float32), Code("um2", "UCUM", "um2"))
    path = by_highdicom(
        tmp_path / "a.dcm",
        slide[1][0],
        group("POLYGON", [TRIANGLE, TRIANGLE + 50], measurements=[area]),
        group("ELLIPSE", [ends], "Gland", 2),
        group("POLYLINE", [TRIANGLE[:2], TRIANGLE], "Gland", 3),
        group("POINT", [[[5, 6]], [[7, 8]]], "Cell", 4),
        group("RECTANGLE", [[[0, 0], [4, 0], [4, 2], [0, 2]], [[2, 0], [4, 2], [2, 4], [0, 2]]], "", 5),
    )
    found = read_annotations(path, extent=extent)
    assert [a.kind for a in found.annotations] == [
        *("polygon", "polygon", "ellipse", "line", "line", "point", "point", "rectangle", "polygon")
    ]
    assert found.labels() == ("Tumour", "Gland", "Cell", "Neoplasm")
    assert found.annotations[0].geometry.equals(shapely.Polygon(TRIANGLE))
    round_one = ellipse_of(found.annotations[2].geometry)
    assert round_one is not None
    assert (*round_one.centre, *round_one.radii) == pytest.approx((60, 20, 20, 10))
    assert measurements(found.annotations[0]) == {"Area um2": 5.5}
    assert measurements(found.annotations[1]) == {}, "it was not measured"


def test_of_a_coarser_level_it_is_brought_to_the_finest(tmp_path, slide, extent):
    path = by_highdicom(tmp_path / "a.dcm", slide[1][1], group("POINT", [[[5, 6]]]))
    assert read_annotations(path, extent=extent).annotations[0].geometry.wkt == "POINT (10 12)"


def test_of_another_slide_it_is_refused(tmp_path, slide, extent, make_dicom_headers):
    _, header = make_dicom_headers
    other = header((3000, 4000), series=generate_uid(), frame=FRAME)
    path = by_highdicom(tmp_path / "a.dcm", other, group("POINT", [[[5, 6]]]))
    with pytest.raises(AnnotationError, match="belong to another slide") as raised:
        read_annotations(path, extent=extent)
    assert other.SOPInstanceUID in str(raised.value)
    document = pydicom.dcmread(by_highdicom(tmp_path / "b.dcm", slide[1][0], group("POINT", [[[5, 6]]])))
    document.FrameOfReferenceUID = "2.25.78"
    document.save_as(tmp_path / "b.dcm")
    with pytest.raises(AnnotationError, match=r"frame 2.25.78, not 2.25.77"):
        read_annotations(tmp_path / "b.dcm", extent=extent)


def test_without_its_slide_it_has_no_place(tmp_path, slide, extent):
    path = by_highdicom(tmp_path / "a.dcm", slide[1][0], group("POINT", [[[5, 6]]]))
    with pytest.raises(AnnotationError, match="no place without their slide"):
        read_annotations(path)
    for elsewhere in (None, tmp_path / "a.svs", tmp_path):
        no_dicom = SlideExtent((3000, 4000), name="a.svs", path=elsewhere)
        with pytest.raises(AnnotationError, match="refer to a DICOM slide"):
            read_annotations(path, extent=no_dicom)
        with pytest.raises(AnnotationError, match="refer to a DICOM slide"):
            write_annotations(AnnotationSet(), tmp_path / "b.dcm", extent=no_dicom)
    with pytest.raises(AnnotationError, match="no place without their slide"):
        write_annotations(AnnotationSet(), tmp_path / "b.dcm")


@pytest.mark.parametrize(
    ("word", "value"),
    [("AnnotationCoordinateType", "3D"), ("PixelOriginInterpretation", "FRAME")],
)
def test_what_counts_otherwise_is_refused(tmp_path, slide, extent, word, value):
    document = pydicom.dcmread(by_highdicom(tmp_path / "a.dcm", slide[1][0], group("POINT", [[[5, 6]]])))
    setattr(document, word, value)
    document.save_as(tmp_path / "a.dcm")
    with pytest.raises(AnnotationError, match="pixels of the whole picture"):
        read_annotations(tmp_path / "a.dcm", extent=extent)


@pytest.mark.parametrize(
    ("word", "value", "said"),
    [
        ("GraphicType", "BLOB", "unknown type 'BLOB'"),
        ("PointCoordinatesData", bytes(4 * 3), "odd number of coordinates"),
        ("LongPrimitivePointIndexList", bytes(8), "list of beginnings"),
        ("LongPrimitivePointIndexList", b"\x01\0\0\0\xff\xff\xff\x7f", "list of beginnings"),
        ("GraphicType", "ELLIPSE", "6 points, which make no ellipses"),
    ],
)
def test_a_damaged_group_costs_itself_alone(tmp_path, slide, extent, word, value, said):
    path = by_highdicom(
        tmp_path / "a.dcm",
        slide[1][0],
        group("POLYGON", [TRIANGLE, TRIANGLE + 50]),
        group("POINT", [[[5, 6]]], number=2),
    )
    document = pydicom.dcmread(path)
    setattr(document.AnnotationGroupSequence[0], word, value)
    document.save_as(path)
    found = read_annotations(path, extent=extent)
    assert [a.kind for a in found.annotations] == ["point"]
    (fault,) = found.faults
    assert fault.where == "group 1"
    assert said in fault.text


def test_a_file_that_was_cut_off_is_said_to_be(tmp_path, slide, extent):
    path = by_highdicom(tmp_path / "a.dcm", slide[1][0], group("POLYGON", [TRIANGLE] * 50))
    whole = path.read_bytes()
    for length in range(400, len(whole) - 1, 97):
        path.write_bytes(whole[:length])
        try:
            found = read_annotations(path, extent=extent)
        except AnnotationError:
            continue
        assert len(found) == 50 or found.faults


def test_long_names_of_classes_are_cut_and_told(tmp_path, extent):
    labels = ["a" * 70, "a" * 80, "back\\slash"]
    drawn = AnnotationSet(tuple(Annotation(label, "point", shapely.Point(1, 2)) for label in labels))
    notes = write_annotations(drawn, tmp_path / "a.dcm", extent=extent)
    found = read_annotations(tmp_path / "a.dcm", extent=extent).labels()
    assert len(set(found)) == 3
    assert found[2] == "back/slash"
    assert len(notes) == 3
