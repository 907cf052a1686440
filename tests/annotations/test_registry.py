"""Telling formats apart, and reading and writing files at all."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
import shapely

from napari_nic.annotations import (
    FORMATS,
    Annotation,
    AnnotationSet,
    read_annotations,
    writable_formats,
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
    with pytest.raises(AnnotationError, match="cannot be read"):
        read_annotations(tmp_path)
    with pytest.raises(UnknownNameError, match="geojson"):
        read_annotations(__file__, format="csv")


def test_reading_leaves_the_collector_as_it_was(tmp_path):
    write_annotations(ONE, tmp_path / "a.geojson")
    read_annotations(tmp_path / "a.geojson")
    assert gc.isenabled()
    (tmp_path / "a.geojson").write_text("{")
    with pytest.raises(AnnotationError):
        read_annotations(tmp_path / "a.geojson")
    assert gc.isenabled()


@pytest.mark.parametrize("name", writable_formats())
class TestEveryWriter:
    """Contract of all formats that can be written."""

    def test_what_is_written_is_read(self, tmp_path, name):
        path = tmp_path / f"a{FORMATS.get(name).suffixes[0]}"
        assert write_annotations(ONE, path) == ()
        again = read_annotations(path)
        assert again.labels() == ONE.labels()
        assert again.colors == ONE.colors
        assert again.annotations[0].geometry.equals_exact(ONE.annotations[0].geometry)
        assert list(tmp_path.iterdir()) == [path]

    def test_empty_set(self, tmp_path, name):
        path = tmp_path / f"a{FORMATS.get(name).suffixes[0]}"
        write_annotations(AnnotationSet(), path)
        assert len(read_annotations(path)) == 0

    def test_a_failed_write_keeps_the_old_file(self, tmp_path, name, monkeypatch):
        path = tmp_path / f"a{FORMATS.get(name).suffixes[0]}"
        write_annotations(ONE, path)
        before = path.read_bytes()

        def full(*_args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "replace", full)
        with pytest.raises(AnnotationError, match="No space left"):
            write_annotations(AnnotationSet(), path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]


def test_suffix_tells_the_format_and_may_be_overruled(tmp_path):
    with pytest.raises(AnnotationError, match=r"(?s)suffix.*\.geojson.*\.xml"):
        write_annotations(ONE, tmp_path / "a.txt")
    write_annotations(ONE, tmp_path / "a.txt", "asap")
    assert read_annotations(tmp_path / "a.txt").labels() == ("Tumour",)
