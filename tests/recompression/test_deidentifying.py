"""Without loss and without names: nothing of label, macro or texts is in the bytes of a result."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from napari_nic.errors import InvalidParameterError, UnreadableSlideError
from napari_nic.jobs import result_of
from napari_nic.recompression import Deidentification, recompress, restore, validate
from napari_nic.recompression.deidentifying import draw_label, without_comments
from napari_nic.recompression.layout import read_layout
from napari_nic.recompression.recipe import recipe_of
from napari_nic.slides import open_slide

SECRETS = (b"SMITH^JOHN", b"H-2026-00815", b"b414003d", b"11/29/26", b"dr.jones", b"BARCODE77", b"GPS-HERE")
DESCRIPTION = (
    "Aperio Image Library v11.2.1 \r\n208x208 [0,0 208x208] (96x96) JPEG/RGB Q=40|AppMag = 20|MPP = 0.4990|"
    "Filename = H-2026-00815|User = b414003d|Date = 11/29/26|Barcode = BARCODE77|Left = 25.69 SMITH^JOHN|"
    "Exposure Time = 32"
)
COMMENT = b"\xff\xfe\x00\x0cSMITH^JOHN"
MODES = ("repack", "optimize", "progressive")


def with_comment(jpeg: bytes) -> bytes:
    return jpeg[:2] + COMMENT + jpeg[2:]


@pytest.fixture
def named_slide(make_page, write_pages, gallery, tmp_path: Path) -> Path:
    """An SVS with names in texts, tags, a directory below, a tile, behind its end, and on its label."""
    pages = gallery["aperio"]()
    pages[1].tags[254] = (4, (0,))  # as scanners mark a thumbnail
    macro = {254: (4, (9,)), 270: (2, b"Aperio Image Library\r\nmacro 208x208\0")}
    pages[3] = replace(pages[2], tags=pages[2].tags | macro)  # another picture than the thumbnail is
    (gps,) = gallery["grey"]()
    gps.tags[270] = (2, b"GPS-HERE\0")
    tiles = [with_comment(tile) if number == 4 else tile for number, tile in enumerate(pages[0].tiles)]
    tags = pages[0].tags | {270: (2, DESCRIPTION.encode() + b"\0"), 315: (2, b"dr.jones\0")}
    tags |= {65009: (7, b"SMITH^JOHN"), 34675: (7, bytes(range(256)) * 5)}
    pages[0] = replace(pages[0], tags=tags, tiles=tiles, below={34853: [gps]})
    return write_pages(tmp_path / "H-2026-00815.svs", pages, trailer=b"SMITH^JOHN")


def hidden(slide: Path) -> list[bytes]:
    """Stretches of the stored pixels of label and macro."""
    with tifffile.TiffFile(slide) as tif:
        found = []
        for page in tif.pages[2:]:
            for at, size in zip(page.dataoffsets, page.databytecounts, strict=True):
                tif.filehandle.seek(at + size // 3)
                found.append(tif.filehandle.read(24))
        return found


def spelt(path: Path) -> bytes:
    """All bytes of a file, with what is packed in the tag of ours unpacked behind them."""
    data = path.read_bytes()
    recipe = recipe_of(read_layout(lambda at, size: data[at : at + size], len(data), path), path)
    return data + (recipe.content if recipe else b"")


@pytest.mark.parametrize("mode", MODES)
def test_no_old_name_is_found_in_the_bytes(named_slide: Path, tmp_path: Path, mode: str) -> None:
    out = tmp_path / "out" / "study.svs"
    report = result_of(recompress(named_slide, out, mode, deidentify=Deidentification(), workers=1))
    assert report.deidentified
    assert report.source == named_slide
    assert report.before == named_slide.stat().st_size
    secrets = [*SECRETS, *hidden(named_slide)]
    assert all(secret in named_slide.read_bytes() for secret in secrets), "else nothing is tested"
    content = spelt(out)
    assert not [secret for secret in secrets if secret in content]
    assert [entry.name for entry in out.parent.iterdir()] == [out.name]
    with open_slide(named_slide) as old, open_slide(out) as new:
        assert new.associated_images == ("thumbnail",)
        assert (new.levels, new.pixel_size) == (old.levels, old.pixel_size)
        region = old.levels[0].region
        assert np.array_equal(new.read_region(0, region), old.read_region(0, region))
        assert np.array_equal(new.read_associated("thumbnail"), old.read_associated("thumbnail"))
    with tifffile.TiffFile(out) as tif:
        assert tif.pages[0].tags[34675].value == bytes(range(256)) * 5
        assert tif.pages[0].description.startswith("Aperio Image Library\r\n208x208 [0,0 208x208] (96x96)")
        assert "Exposure Time = 32" in tif.pages[0].description


def test_what_is_restored_is_the_slide_without_names(named_slide: Path, tmp_path: Path) -> None:
    out, back, again = tmp_path / "study.svs", tmp_path / "back.svs", tmp_path / "again.svs"
    report = result_of(recompress(named_slide, out, deidentify=Deidentification(), workers=1))
    found = result_of(validate(out))
    assert found.can_restore
    assert found.is_deidentified
    assert found.name == "study.svs"
    assert result_of(restore(out, back)).is_deidentified
    assert hashlib.sha256(back.read_bytes()).hexdigest() == report.sha256 == found.sha256
    assert not [secret for secret in SECRETS if secret in back.read_bytes()]
    result_of(recompress(back, again, workers=1))
    assert not result_of(validate(again)).is_deidentified, "this one is of the file that it was made of"


@pytest.mark.parametrize("mode", MODES)
def test_openslide_sees_the_same_slide(named_slide: Path, tmp_path: Path, mode: str) -> None:
    if mode == "repack":
        pytest.skip("it does not open what was repacked")
    out = tmp_path / "study.svs"
    result_of(recompress(named_slide, out, mode, deidentify=Deidentification("STUDY-7"), workers=1))
    with openslide.OpenSlide(named_slide) as old, openslide.OpenSlide(out) as new:
        assert new.properties["openslide.vendor"] == "aperio"
        for name in ("openslide.mpp-x", "openslide.objective-power", "aperio.MPP"):
            assert new.properties[name] == old.properties[name]
        assert set(new.associated_images) == {"thumbnail", "label"}
        assert new.level_dimensions == old.level_dimensions
        assert old.read_region((0, 0), 0, (208, 208)) == new.read_region((0, 0), 0, (208, 208))
        assert not any(b"SMITH" in str(value).encode() for value in new.properties.values())


@pytest.mark.parametrize("form", [("<", False), (">", False), ("<", True), (">", True)])
def test_a_new_label_says_what_it_should(write_pages, gallery, tmp_path: Path, form) -> None:
    order, big = form
    pages = gallery["aperio"]()
    pages[1].tags[254] = (4, (0,))
    slide, out = write_pages(tmp_path / "a.svs", pages, order=order, big=big), tmp_path / "b.svs"
    result_of(recompress(slide, out, "optimize", deidentify=Deidentification("STUDY-007"), workers=1))
    with open_slide(out) as new:
        assert set(new.associated_images) == {"thumbnail", "label"}
        assert np.array_equal(new.read_associated("label"), draw_label("STUDY-007"))


@pytest.mark.parametrize("name", ["chroma 4:2:0", "own tables", "grey", "sparse"])
def test_other_files_keep_their_pixels(write_pages, gallery, tmp_path: Path, name: str) -> None:
    pages = gallery[name]()
    pages[0].tags[270] = (2, b"Case of SMITH^JOHN\0") if name != "sparse" else pages[0].tags[270]
    slide, out = write_pages(tmp_path / "a.tif", pages), tmp_path / "b.tif"
    result_of(recompress(slide, out, deidentify=Deidentification(), workers=1))
    assert b"SMITH" not in spelt(out)
    with open_slide(slide, mpp=0.5) as old, open_slide(out, mpp=0.5) as new:
        region = old.levels[0].region
        assert np.array_equal(new.read_region(0, region), old.read_region(0, region))


def test_a_label_that_would_be_taken_for_a_thumbnail_is_refused(write_pages, gallery, tmp_path: Path) -> None:
    slide = write_pages(tmp_path / "a.svs", gallery["aperio"]()[:1])
    with pytest.raises(InvalidParameterError, match="has no thumbnail"):
        result_of(recompress(slide, tmp_path / "b.svs", deidentify=Deidentification("STUDY-007")))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.svs"]


def test_texts_in_xml_are_refused(write_pages, gallery, tmp_path: Path) -> None:
    (page,) = gallery["chroma 4:4:4"]()
    page.tags[270] = (2, b"<?xml version='1.0'?><Patient>SMITH^JOHN</Patient>\0")
    slide = write_pages(tmp_path / "a.tif", [page])
    with pytest.raises(UnreadableSlideError, match="without writing its pixels anew") as caught:
        result_of(recompress(slide, tmp_path / "b.tif", deidentify=Deidentification()))
    assert "--mode lossy" in str(caught.value.hint)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.tif"]


def test_the_slide_is_not_replaced(named_slide: Path) -> None:
    before = named_slide.read_bytes()
    with pytest.raises(InvalidParameterError, match="on the disk unseen"):
        result_of(recompress(named_slide, named_slide, "optimize", deidentify=Deidentification()))
    assert named_slide.read_bytes() == before


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 9], lambda _: b"junk", lambda _: b""])
def test_damaged_streams_stay(gallery, damage: Callable[[bytes], bytes]) -> None:
    tile = damage(gallery["aperio"]()[0].tiles[0])
    assert without_comments(tile) == tile


def test_comments_go_and_the_rest_stays(gallery) -> None:
    (page,) = gallery["own tables"]()
    exif = b"\xff\xe1\x00\x0cExif\0\0NAME"
    noted = with_comment(page.tiles[0])
    assert without_comments(noted[:2] + exif + noted[2:]) == page.tiles[0]
    assert without_comments(page.tiles[0]) == page.tiles[0]
