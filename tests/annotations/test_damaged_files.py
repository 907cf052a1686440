"""Hundreds of damaged files, fifty of each format: an error that names the file, or sound shapes."""

from __future__ import annotations

import random
import re
from dataclasses import replace

import numpy as np
import pytest
import shapely

from napari_nic.annotations import (
    FORMATS,
    UNCLASSIFIED,
    Annotation,
    AnnotationSet,
    SlideExtent,
    read_annotations,
    write_annotations,
)
from napari_nic.errors import NicError
from napari_nic.geometry import PixelSize

FILES = 50

EXTENT = SlideExtent((6000, 8000), PixelSize(0.25, 0.25), centre_nm=(0, 0))

READ_ONLY = {
    "sectra": '[{"id": "1", "type": "Area", "rowVersion": 1, "slideId": "3", "name": "n", "content": '
    '[{"x": 0.1, "y": 0.1}, {"x": 0.2, "y": 0.1}, {"x": 0.2, "y": 0.2}]}, {"id": "2", "type": "Polyline", '
    '"rowVersion": 2, "slideId": "3", "content": [{"x": 0.3, "y": 0.3}, {"x": 0.4, "y": 0.4}]}]',
    "cytomine": '{"collection": [{"project": 1, "term": [5], "id": 7, "location": '
    '"POLYGON ((1 1, 9 1, 9 9, 1 1))"}, {"project": 1, "term": [], "id": 8, "location": "POINT (3 4)"}]}',
}


def sample(name: str, folder, extent) -> bytes:
    """A file with some of everything."""
    if name in READ_ONLY:
        return READ_ONLY[name].encode()
    ring = shapely.box(10, 10, 90, 70).difference(shapely.box(30, 30, 50, 40))
    shapes = (
        Annotation("Tumour", "polygon", ring, "one", "id-1", {"properties": {"measurements": {"n": 1.5}}}),
        Annotation(
            "Stroma", "polygon", shapely.MultiPolygon([shapely.box(0, 0, 5, 5), shapely.box(9, 9, 20, 20)])
        ),
        Annotation(UNCLASSIFIED, "line", shapely.LineString([(0, 0), (50, 60), (70, 80)])),
        Annotation("Stroma", "point", shapely.Point(5, 6)),
    )
    path = folder / f"good{FORMATS.get(name).suffixes[0]}"
    write_annotations(AnnotationSet(shapes), path, name, extent=extent)
    return path.read_bytes()


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Damage as disks, copying, editors and scripts do it."""
    way, at = rng.randrange(8), rng.randrange(len(content))
    other = rng.randrange(len(content))
    if way == 0:
        return content[:at]
    if way == 1:
        return content[:at] + bytes(rng.randrange(256) for _ in range(8)) + content[at + 8 :]
    if way == 2:
        return content[: min(at, other)] + content[max(at, other) :]
    if way == 3:
        return content[:at] + content[max(0, at - 40) : at] + content[at:]
    if way == 4:
        return content[:at] + bytes(64) + content[at + 64 :]
    numbers = list(re.finditer(rb"-?\d+(\.\d+)?", content))
    chosen = rng.choice(numbers)
    new = rng.choice([b"NaN", b"null", b'"x"', b"1e400", b"-1e300", b"", b"[]", b"9" * 30, b"1,234", b"\xff"])
    if way == 5:
        return content[: chosen.start()] + new + content[chosen.end() :]
    words = list(re.finditer(rb"[A-Za-z_]{3,}", content))
    chosen = rng.choice(words)
    new = rng.choice(
        [b"null", b"", b"<", b"&", b"\xc3\x28", b"Tumour", b"}", b'"', rng.choice(words).group()]
    )
    return content[: chosen.start()] + new + content[chosen.end() :]


def read_or_refusal(path, extent):
    try:
        return read_annotations(path, extent=extent), ""
    except NicError as error:
        return None, str(error)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", [name for name in FORMATS if name != "omezarr"])  # a folder, see its tests
def test_fifty_damaged_files(tmp_path, dicom_slide, name):
    extent = replace(EXTENT, path=dicom_slide)
    content, rng = sample(name, tmp_path, extent), random.Random(name)  # noqa: S311 -- damage, no secret
    path = tmp_path / f"bad{FORMATS.get(name).suffixes[0]}"
    refused = 0
    for _ in range(FILES):
        path.write_bytes(damaged(content, rng))
        found, said = read_or_refusal(path, extent)
        if found is None:
            assert path.name in said
            refused += 1
            continue
        geometries = np.array([*(a.geometry for a in found.annotations), None], object)[:-1]
        assert shapely.is_valid(geometries).all()
        assert np.isfinite(shapely.get_coordinates(geometries)).all()
        assert all(fault.where and fault.text for fault in found.faults)
        # What was read can be written again.
        write_annotations(found, tmp_path / "again.geojson")
    assert refused > 0
