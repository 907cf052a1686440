"""Tells what a file is whose annotations we do not read, so that the refusal can say it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_nic.annotations.xml_stream import root_tag

CONVERT = "open it in the program that made it, or in QuPath, and export GeoJSON"

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "a gzip-compressed file; unpack it first"),
    (b"PK\x03\x04", "a ZIP archive, such as ImageJ's RoiSet.zip; unpack it first"),
    (b"BZh", "a bzip2-compressed file; unpack it first"),
    (b"\xfd7zXZ", "an xz-compressed file; unpack it first"),
    (b"(\xb5/\xfd", "a Zstandard-compressed file; unpack it first"),
    (b"Iout", "an ImageJ ROI"),
    (b"\xac\xed\x00\x05", "QuPath's own .qpdata; export GeoJSON from QuPath"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"SQLite format 3", "an SQLite database"),
    (b"%PDF", "a PDF document"),
    (b"POLYGON", "well-known text"),
    (b"MULTIPOLYGON", "well-known text"),
)

_PASCAL_VOC = "Pascal VOC XML"
_XML_ROOTS = {
    "annotation": f"{_PASCAL_VOC}, or LabelMe's older XML",
    "annotations": "CVAT XML",
    "OME": "OME-XML",
    "svg": "an SVG picture",
    "html": "a web page",
    "kml": "KML",
    "gpx": "GPX",
    "session": "a Sedeen session",
    "project": "a project file",
}
_IN_HEAD: tuple[tuple[str, bytes, str], ...] = (
    ("annotation", b"<polygon", "LabelMe XML"),
    ("annotation", b"<bndbox", _PASCAL_VOC),
)

_JSON_KEYS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("images", "annotations"), "COCO JSON"),
    (("images", "categories"), "COCO JSON"),
    (("_via_img_metadata",), "VGG Image Annotator (VIA) JSON"),
    (("shapes", "imagePath"), "LabelMe JSON"),
    (("shapes", "imageHeight"), "LabelMe JSON"),
    (("asset", "regions"), "VoTT JSON"),
    (("createTimestamp", "images"), "a QuPath project; export GeoJSON from it"),
    (("elements",), "Digital Slide Archive JSON"),
    (("rowVersion", "slideId"), "Sectra JSON, in parts of the slide's width"),
    (("content", "slideId"), "Sectra JSON, in parts of the slide's width"),
    (("item", "annotations"), "Darwin (V7) JSON"),
    (("dataset", "annotations"), "Darwin (V7) JSON"),
    (("objects", "size"), "Supervisely JSON"),
    (("data", "annotations"), "Label Studio JSON"),
    (("nuc",), "HoVer-Net JSON"),
    (("markerFiles",), "a TissUUmaps project"),
    (("00080016",), "DICOM JSON"),
)


def name_of(head: bytes) -> str:
    """Say what a file is that begins with `head`."""
    if not head.strip(b"\xef\xbb\xbf \t\r\n"):
        return "an empty file"
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    root = root_tag(head)
    if root is None:
        return f"a file that begins with {head[:20]!r}"
    tells = (name for tag, word, name in _IN_HEAD if tag == root and word in head)
    known = next(tells, None) or _XML_ROOTS.get(root)
    return known or f"XML of an unknown kind, whose root is <{root[:40]}>"


def name_of_json(document: Any) -> str | None:
    """Say what annotations a JSON document holds; None if they are of no kind that we know."""
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, Mapping):
        return None
    if document.get("type") == "Topology":
        return "TopoJSON"
    for keys, name in _JSON_KEYS:
        if all(key in document for key in keys):
            return name
    inner = document.get("annotation")
    if isinstance(inner, Mapping):
        return "Digital Slide Archive JSON" if "elements" in inner else "Cytomine JSON"
    first = next(iter(document.values()), None)
    if isinstance(first, Mapping) and "regions" in first and "filename" in first:
        return "VGG Image Annotator (VIA) JSON"
    return None
