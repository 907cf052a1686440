"""Nothing of the old names is left in the bytes of a result, whatever it is packed in."""

from __future__ import annotations

import json
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import result_of
from napari_nic.names import CONTAINER_SUFFIXES
from napari_nic.recompression.lossy import CONTAINERS, LossyOptions, recompress_lossy
from napari_nic.recompression.lossy.deidentifying import draw_label
from napari_nic.slides import open_slide

SECRETS = ("SMITH^JOHN", "H-2026-00815", "b414003d", "11/29/26", "dr.jones", "BARCODE77", "Case of Smith")
AUTHOR = "dr.jones"
"""Stands in a tag of its own too, which is not kept."""

DESCRIPTION = (
    "Aperio Image Library v11.2.1 \r\n208x208 [0,0 208x208] (96x96) JPEG/RGB Q=40|AppMag = 20|MPP = 0.4990|"
    "Filename = H-2026-00815|User = b414003d|Date = 11/29/26|Title = Case of Smith|Barcode = BARCODE77|"
    "Patient = SMITH^JOHN|ImageID = dr.jones|Exposure Time = 32|Left = 25.69 SMITH^JOHN"
)


@pytest.fixture
def named_slide(make_page, write_pages, gallery, tmp_path: Path) -> Path:
    """An SVS with names in its description, its own name, a label and a macro."""
    pages = gallery["aperio"]()
    pages[0].tags[270] = (2, DESCRIPTION.encode() + b"\0")
    pages[0].tags[315] = (2, b"dr.jones\0")
    return write_pages(tmp_path / "H-2026-00815.svs", pages)


def all_bytes(path: Path) -> bytes:
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    names = "".join(str(file.relative_to(path.parent)) for file in files)
    return b"".join(file.read_bytes() for file in files) + names.encode()


@pytest.mark.parametrize("container", CONTAINERS.names())
def test_no_old_name_is_found_in_the_bytes(named_slide: Path, tmp_path: Path, container: str) -> None:
    out = tmp_path / "out" / f"study{CONTAINER_SUFFIXES[container][0]}"
    options = LossyOptions(codec="jpeg", container=container, deidentify=True)
    result_of(recompress_lossy(named_slide, out, options, workers=1))
    content = all_bytes(out)
    for secret in SECRETS:
        assert secret.encode("ascii") not in content
        assert secret.encode("utf-16-le") not in content
    with open_slide(out) as slide:
        assert set(slide.associated_images) == {"thumbnail"}
        assert slide.pixel_size is not None
        assert slide.pixel_size.x == pytest.approx(0.499, abs=1e-4)
    assert [entry.name for entry in out.parent.iterdir()] == [out.name]


def test_they_are_there_without_it(named_slide: Path, tmp_path: Path) -> None:
    """Else the test above would pass for a writer that keeps nothing."""
    out = tmp_path / "out" / "a.svs"
    result_of(recompress_lossy(named_slide, out, LossyOptions(codec="jpeg", container="svs"), workers=1))
    content = all_bytes(out)
    assert all(secret.encode() in content for secret in SECRETS if secret != AUTHOR)
    assert b"Exposure Time = 32" in content


def test_a_new_label_says_what_it_should(named_slide: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "a.svs"
    options = LossyOptions(codec="jpeg", container="svs", deidentify=True, label_text="STUDY-007")
    assert result_of(recompress_lossy(named_slide, out, options, workers=1)).notes == ()
    with open_slide(out) as slide:
        assert set(slide.associated_images) == {"thumbnail", "label"}
        assert np.array_equal(slide.read_associated("label"), draw_label("STUDY-007"))
    with tifffile.TiffFile(out) as tif:
        assert "Exposure Time = 32" in tif.pages[0].description
        assert "Left" not in tif.pages[0].description, "a number with a name behind it is none"


def test_a_name_that_is_the_slides_own_is_told(named_slide: Path, tmp_path: Path) -> None:
    options = LossyOptions(codec="jpeg", deidentify=True)
    out = tmp_path / "out" / "H-2026-00815.tif"
    (note,) = result_of(recompress_lossy(named_slide, out, options, workers=1)).notes
    assert "another name" in note


def test_a_long_text_fits_on_the_label() -> None:
    short, long = draw_label("A"), draw_label("STUDY-2026-NUMBER-0000012345678\nsecond line")
    assert short.shape == long.shape
    assert (long[:, -10:] == 255).all()
    assert (long < 128).any()


def test_a_text_alone_keeps_the_old_label() -> None:
    with pytest.raises(InvalidParameterError, match="new label"):
        LossyOptions(label_text="X")


def test_the_streams_hold_no_comments(named_slide: Path, tmp_path: Path) -> None:
    """Tiles are encoded from pixels: what stood in the old streams is gone."""
    out = tmp_path / "out" / "a.ome.zarr"
    options = LossyOptions(codec="jpeg", container="ome-zarr", deidentify=True)
    result_of(recompress_lossy(named_slide, out, options, workers=1))
    chunks = [file for file in (out / "0" / "c").rglob("*") if file.is_file()]
    assert all(b"\xff\xfe" not in file.read_bytes()[:20] for file in chunks)
    assert imagecodecs.jpeg8_decode(chunks[0].read_bytes()).shape == (96, 96, 3)
    attributes = json.loads((out / "zarr.json").read_text())["attributes"]
    assert attributes["napari_nic_slide"]["record"]["source"] == ""
