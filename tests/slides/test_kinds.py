"""What a file is, told before any library sees it: parts of slides, lists, archives, other formats."""

from __future__ import annotations

import os
import zipfile

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_nic.cli.inputs import find_slides
from napari_nic.errors import NicError, UnreadableSlideError
from napari_nic.slides import open_slide
from napari_nic.slides.kinds import identify


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a", b"II*\0", "tiff"),
        ("a.jpg", b"MM\0+", "tiff"),
        ("a.svs", b"\x89PNG\r\n\x1a\n", "png"),
        ("a.mrxs", b"\xff\xd8\xff\xe0", "mirax"),
        ("a.jpg", b"\xff\xd8\xff\xe0", "jpeg"),
        ("a", bytes(128) + b"DICM", "dicom"),
        ("a.czi", b"ZISRAWFILE", "czi"),
        ("a.svslide", b"SQLite format 3\0", "sakura"),
        ("a.vms", b"[Virtual Microscope Specimen]\r\n", "vms"),
        ("a.vmu", b"[Uncompressed Virtual Microscope Specimen]\n", "vms"),
        ("a.isyntax", b'\xef\xbb\xbf<DataObject ObjectType="DPUfsImport">', "isyntax"),
    ],
)
def test_kinds_that_readers_take(tmp_path, name, content, kind):
    (tmp_path / name).write_bytes(content)
    assert identify(tmp_path / name).name == kind


AFI = (
    b"<ImageList><Image><Path>a_DAPI.svs</Path></Image>"
    b"<Image><Path>C:\\scans\\a_FITC.svs</Path></Image></ImageList>"
)
NDPIS = (
    b"[NanoZoomer Digital Pathology Image Set]\r\nNoImages=2\r\nImage0=a-DAPI.ndpi\r\nImage1=a-Cy3.ndpi\r\n"
)


@pytest.mark.parametrize(
    ("name", "content", "problem", "hint"),
    [
        ("a.afi", AFI, "an Aperio AFI list", "open one of its files: a_DAPI.svs, a_FITC.svs"),
        ("a.ndpis", NDPIS, "a Hamamatsu NDPIS list", "open one of its files: a-DAPI.ndpi, a-Cy3.ndpi"),
        ("a.afi", b"<ImageList></ImageList>", "an Aperio AFI list", "open one of the slides beside it"),
        ("a.vsi", b"II*\0", "an Olympus VSI slide", "convert it to OME-TIFF"),
        ("frame_t.ets", b"SIS\0", "the pixels of an Olympus VSI slide", "convert it"),
        ("Data0001.dat", b"x", "a part of a MIRAX slide", "open the .mrxs file"),
        ("Slidedat.ini", b"[GENERAL]", "a part of a MIRAX slide", ".mrxs instead, which is missing"),
        ("a.opt", b"x", "a part of a Hamamatsu VMS slide", "open the .vms file"),
        ("a.lif", b"\x70\0\0\0", "a Leica LIF collection", "convert it"),
        ("a.nd2", b"\xda\xce\xbe\x0a", "a Nikon ND2 picture", "convert it"),
        ("a.kfb", b"KFB", "a KFBio slide", "convert it"),
        ("a.sdpc", b"SQ", "a TEKSQRAY slide", "convert it"),
        ("a.mdsx", b"x", "a Motic slide", "convert it"),
        ("a.zvi", b"\xd0\xcf\x11\xe0", "a Zeiss ZVI picture", "convert it"),
        ("a.pdf", b"%PDF-1.7", "a PDF document", "open the slide itself"),
        ("a.svs", b"<!DOCTYPE html><html>", "a web page", "download the slide again"),
        ("a.svs", b"\n<html><head>", "a web page", "download the slide again"),
        ("a.xml", b"<?xml version='1.0'?><ASAP_Annotations/>", "an XML text", "annotations as annotations"),
        ("a.json", b'{"type": "FeatureCollection"}', "a JSON text", "annotations as annotations"),
        ("a.svs", b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer", "git lfs pull"),
        ("a.h5", b"\x89HDF\r\n\x1a\n", "an HDF5 file", "open the slide itself"),
        ("a.npy", b"\x93NUMPY", "a NumPy array", "open the slide itself"),
        ("a.svs", bytes(5000), "begins with zeros only", "copy it again"),
        ("a.dcm", b"x" * 200, "no DICOM file", "copy it again"),
        ("a.gif", b"GIF89a", "a GIF picture", "save it as PNG"),
        ("a.bmp", b"BM", "a BMP picture", "save it as PNG"),
        ("a.webp", b"RIFF1234WEBP", "a WebP picture", "save it as PNG"),
        ("a.jp2", b"\0\0\0\x0cjP  \r\n", "a JPEG 2000 picture", "save it as PNG"),
        ("a.jxl", b"\xff\x0a", "a JPEG XL picture", "save it as PNG"),
        ("a.heic", b"\0\0\0\x18ftypheic", "a film or HEIF picture", "save it as PNG"),
        ("a.tar", bytes(257) + b"ustar", "a tar archive", "unpack it"),
        ("a.svs.gz", b"\x1f\x8b\x08", "a gzip archive", "unpack it"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it"),
        ("zarr.json", b"{}", "a part of an OME-Zarr picture", "instead"),
    ],
)
def test_what_is_no_slide_says_what_it_is_in_two_lines(tmp_path, name, content, problem, hint):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableSlideError) as caught:
        open_slide(tmp_path / name)
    first, second = str(caught.value).splitlines()
    assert problem in first
    assert name in first
    assert hint in second


def test_a_zipped_zarr(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.ome.zarr.zip", "w") as archive:
        archive.writestr("zarr.json", "{}")
    with pytest.raises(UnreadableSlideError, match=r"(?s)a ZIP archive.*unpack it"):
        open_slide(tmp_path / "a.ome.zarr.zip")


def test_an_olympus_slide_never_opens_as_its_overview(tmp_path):
    tifffile.imwrite(tmp_path / "a.vsi", np.zeros((64, 64, 3), np.uint8), photometric="rgb")
    with pytest.raises(UnreadableSlideError, match="an Olympus VSI slide"):
        open_slide(tmp_path / "a.vsi")
    (tmp_path / "_a_" / "stack1").mkdir(parents=True)
    with pytest.raises(UnreadableSlideError, match="the folder of an Olympus VSI slide"):
        open_slide(tmp_path / "_a_")


def test_a_mirax_thumbnail_without_its_name_is_only_a_jpeg(tmp_path):
    Image.new("RGB", (60, 40)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "a.mrxs")
    with pytest.raises(NicError, match=r"Slidedat\.ini"):
        open_slide(tmp_path / "a.mrxs")


def test_folders_that_are_no_slide(tmp_path):
    with pytest.raises(UnreadableSlideError, match="an empty folder"):
        open_slide(tmp_path)
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(UnreadableSlideError, match="without Zarr metadata"):
        open_slide(tmp_path / "a.zarr")
    os.mkfifo(tmp_path / "pipe.dcm")
    with pytest.raises(UnreadableSlideError, match=r"open one of the files in it: a\.zarr"):
        open_slide(tmp_path)


def test_a_folder_stands_for_its_slides_not_for_their_parts(tmp_path, dialects, small_image):
    dialects["vms"](tmp_path / "a.vms", small_image)
    Image.new("RGB", (60, 40)).save(tmp_path / "other.jpg")
    assert [path.name for path in find_slides([str(tmp_path)])] == ["a.vms", "other.jpg"]
