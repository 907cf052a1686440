"""Telling formats apart, and reading and writing files at all."""

from __future__ import annotations

import gc

import pytest
import shapely

from napari_nic.annotations import (
    FORMATS,
    Annotation,
    AnnotationSet,
    read_annotations,
    write_annotations,
)
from napari_nic.errors import AnnotationError, UnknownNameError

ONE = AnnotationSet((Annotation("Tumour", "polygon", shapely.Point(0, 0).buffer(9), "n", "i"),))


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b'  \n{"type"', "geojson"),
        (b"[\n{}]", "geojson"),
        (b"\xef\xbb\xbf{}", "geojson"),
        (b'<?xml version="1.0"?>\n<!-- by hand -->\n<ASAP_Annotations>', "asap"),
        (b"<ASAP_Annotations/>", "asap"),
        (b"\xef\xbb\xbf<?xml version='1.0'?><Annotations MicronsPerPixel='1'>", "imagescope"),
        (b'<annotations><ndpviewstate id="1">', "ndpa"),
        (b'<Annotations><Annotation><Regions><Region HasEndcaps="0"><Vertices><V X="1"', "halo"),
        (b'{"name": "a", "elements": [{"type": "point"', "dsa"),
        (b'[{"_id": 1, "annotation": {"name": "a", "elements": [', "dsa"),
        (b'{"version": "2.0", "schema_ref": "x", "item": {"name": "a"}, "annotations": [', "darwin"),
        (b'[{"id": "1", "rowVersion": 2, "slideId": "3", "content": []}]', "sectra"),
        (b'{"annotation": {"project": 1, "term": [], "location": "POINT (1 2)"}}', "cytomine"),
        (b"PAR1\x15\x04", "geoparquet"),
        (b"id,class,wkt\na,b,POINT (1 2)", "csv"),
        (b"minx,miny,width,height,prob_Tumor\n", "csv"),
        ("Name\tClass\tCentroid X \xb5m\tCentroid Y \xb5m\r\n".encode(), "csv"),
        ('\ufeff<?xml version="1.0" encoding="utf-16"?><Annotations>'.encode("utf-16-le"), "imagescope"),
    ],
)
def test_formats_are_told_by_their_content(head, name):
    assert [other for other in FORMATS if FORMATS.get(other).recognises(head)] == [name]


@pytest.mark.parametrize("content", [b"", b"   ", b"\x89PNG\r\n", b"<svg/>", b"x,y\n1,2"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.geojson").write_bytes(content)
    with pytest.raises(AnnotationError, match=r"(?s)not recognised.*QuPath GeoJSON, ASAP XML, Aperio"):
        read_annotations(tmp_path / "a.geojson")


def test_files_that_cannot_be_read_are_said(tmp_path):
    with pytest.raises(AnnotationError, match=r"none\.xml.*cannot be read"):
        read_annotations(tmp_path / "none.xml")
    with pytest.raises(AnnotationError, match="a folder holds no annotations"):
        read_annotations(tmp_path)
    with pytest.raises(UnknownNameError, match="geojson"):
        read_annotations(__file__, format="csvv")


def test_reading_leaves_the_collector_as_it_was(tmp_path):
    write_annotations(ONE, tmp_path / "a.geojson")
    read_annotations(tmp_path / "a.geojson")
    assert gc.isenabled()
    (tmp_path / "a.geojson").write_text("{")
    with pytest.raises(AnnotationError):
        read_annotations(tmp_path / "a.geojson")
    assert gc.isenabled()


def test_suffix_tells_the_format_and_may_be_overruled(tmp_path):
    with pytest.raises(AnnotationError, match=r"(?s)suffix.*\.geojson.*\.xml"):
        write_annotations(ONE, tmp_path / "a.txt")
    write_annotations(ONE, tmp_path / "a.txt", "asap")
    assert read_annotations(tmp_path / "a.txt").labels() == ("Tumour",)
