"""Both lossless modes on files of every make: the same pixels, the same bytes back, other readers agree."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile

from napari_nic.errors import DamagedSlideError, UnreadableSlideError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import result_of
from napari_nic.recompression import recompress, restore, try_sample, validate
from napari_nic.slides import open_slide

FORMS = {"classic": ("<", False), "big": ("<", True), "big endian": (">", False), "both": (">", True)}


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pixels(path: Path) -> dict[str, np.ndarray]:
    with open_slide(path, mpp=0.5) as slide:
        found = {f"level {n}": np.asarray(level) for n, level in enumerate(slide.pyramid())}
        return found | {name: slide.read_associated(name) for name in slide.associated_images}


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, picture in one.items():
        np.testing.assert_array_equal(picture, other[name], err_msg=name)


@pytest.mark.parametrize("workers", [1, 3])
def test_repacked_and_back(made: Path, tmp_path: Path, workers: int) -> None:
    packed, back = tmp_path / "packed.svs", tmp_path / "back.svs"
    before = pixels(made)
    report = result_of(recompress(made, packed, "repack", workers=workers))
    assert_same(before, pixels(packed))
    assert report.sha256 == sha256(made)
    assert report.after == packed.stat().st_size
    found = result_of(validate(packed, workers=workers))
    assert found.can_restore
    assert result_of(restore(packed, back, workers=workers)).sha256 == sha256(made)
    assert back.read_bytes() == made.read_bytes()


def test_no_tile_starts_threads_of_its_own(
    aperio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for 0 threads libjxl starts one for each core, at each call."""
    asked: list[object] = []
    for name in ("jpegxl_encode_jpeg", "jpegxl_decode_jpeg"):
        call = getattr(imagecodecs, name)
        watched = partial(
            lambda call, data, **given: asked.append(given["numthreads"]) or call(data, **given), call
        )
        monkeypatch.setattr(imagecodecs, name, watched)
    result_of(recompress(aperio, tmp_path / "packed.svs", "repack", workers=2))
    result_of(restore(tmp_path / "packed.svs", tmp_path / "back.svs", workers=2))
    pixels(tmp_path / "packed.svs")
    assert len(asked) > 3
    assert set(asked) == {1}


@pytest.mark.parametrize("mode", ["optimize", "progressive"])
def test_optimised(made: Path, tmp_path: Path, mode: str) -> None:
    out = tmp_path / "small.svs"
    report = result_of(recompress(made, out, mode, workers=1))
    assert_same(pixels(made), pixels(out))
    assert not result_of(validate(out)).can_restore
    with tifffile.TiffFile(made) as old, tifffile.TiffFile(out) as new:
        assert len(old.pages) == len(new.pages)
        for page, other in zip(old.pages, new.pages, strict=True):
            np.testing.assert_array_equal(page.asarray(), other.asarray())
            assert page.compression == other.compression
            moved = {"TileOffsets", "TileByteCounts", "StripOffsets", "StripByteCounts", "SubIFDs", "65330"}
            tags = {tag.name: tag.value for tag in page.tags if tag.name not in moved}
            assert tags == {tag.name: tag.value for tag in other.tags if tag.name not in moved}
    assert sum(page.after for page in report.pages) <= sum(page.before for page in report.pages)
    with pytest.raises(UnreadableSlideError, match="cannot be had back"):
        result_of(restore(out, tmp_path / "back.svs"))


@pytest.mark.parametrize("mode", ["repack", "optimize", "progressive"])
@pytest.mark.parametrize("form", FORMS)
def test_byte_order_and_kind_of_tiff_stay(write_pages, gallery, tmp_path: Path, form: str, mode: str) -> None:
    order, big = FORMS[form]
    source = write_pages(tmp_path / "a.svs", gallery["sub-directories"](), order=order, big=big)
    out = tmp_path / "b.svs"
    result_of(recompress(source, out, mode, workers=1))
    assert out.read_bytes()[:4] == source.read_bytes()[:4]
    with tifffile.TiffFile(source) as old, tifffile.TiffFile(out) as new:
        assert [len(p.pages or ()) for p in old.pages] == [len(p.pages or ()) for p in new.pages]
        assert new.pages[0].tags[65001].value == bytes(range(200))
    if mode == "repack":
        result_of(restore(out, out, workers=1))
        assert out.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("mode", ["optimize", "progressive"])
def test_openslide_reads_an_optimised_slide_as_before(aperio: Path, tmp_path: Path, mode: str) -> None:
    out = tmp_path / "small.svs"
    report = result_of(recompress(aperio, out, mode, workers=1))
    assert report.after < report.before
    with openslide.OpenSlide(aperio) as old, openslide.OpenSlide(out) as new:
        changing = {"openslide.quickhash-1"}
        same = {k: v for k, v in old.properties.items() if k not in changing}
        assert same == {k: v for k, v in new.properties.items() if k not in changing}
        one, other = (np.asarray(s.read_region((0, 0), 0, s.dimensions)) for s in (old, new))
        np.testing.assert_array_equal(one, other)
        assert set(old.associated_images) == {"label", "macro", "thumbnail"}
        for name in old.associated_images:
            np.testing.assert_array_equal(
                np.asarray(old.associated_images[name]), np.asarray(new.associated_images[name])
            )


def test_openslide_does_not_open_a_repacked_slide(aperio: Path, tmp_path: Path) -> None:
    out = tmp_path / "packed.svs"
    result_of(recompress(aperio, out, workers=1))
    with pytest.raises(openslide.OpenSlideError):
        openslide.OpenSlide(out)


@pytest.mark.parametrize("mode", ["repack", "optimize", "progressive"])
def test_what_cannot_be_packed_is_copied_and_counted(write_pages, gallery, tmp_path: Path, mode: str) -> None:
    source = write_pages(tmp_path / "a.svs", gallery["mixed"](), trailer=b"behind the end" * 5)
    out, back = tmp_path / "b.svs", tmp_path / "c.svs"
    (page,) = result_of(recompress(source, out, mode, workers=1)).pages
    assert page.tiles == 8, "one of nine is there twice"
    assert page.copied["damaged JPEG"] >= 1
    assert 1 < sum(page.copied.values()) < 5
    with tifffile.TiffFile(source) as old, tifffile.TiffFile(out) as new:
        keyframe, other = old.pages.first, new.pages.first
        assert other.dataoffsets[7] == other.dataoffsets[8]
        if mode == "optimize":
            for index in (0, 1, 2, 3, 6, 7, 8):
                np.testing.assert_array_equal(tile(old, keyframe, index), tile(new, other, index))
    if mode == "repack":
        result_of(restore(out, back, workers=2))
        assert back.read_bytes() == source.read_bytes()


def tile(tif: tifffile.TiffFile, page: tifffile.TiffPage, index: int) -> np.ndarray:
    tif.filehandle.seek(page.dataoffsets[index])
    data = tif.filehandle.read(page.databytecounts[index])
    return page.decode(data, index, jpegtables=page.jpegtables)[0]


def test_shared_tables_are_never_relied_on_behind_a_tile_of_its_own(aperio: Path, tmp_path: Path) -> None:
    """libtiff would go on with the tables of the tile before."""
    out = tmp_path / "small.svs"
    result_of(recompress(aperio, out, "optimize", workers=1))
    with tifffile.TiffFile(out) as tif:
        for page in tif.pages:
            if page.compression == 7:
                streams = []
                for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
                    tif.filehandle.seek(offset)
                    streams.append(b"\xff\xc4" in tif.filehandle.read(size))
                assert len(set(streams)) == 1


@pytest.mark.parametrize("mode", ["repack", "optimize"])
def test_a_sample_foresees_the_size(aperio: Path, tmp_path: Path, mode: str) -> None:
    out = tmp_path / "b.svs"
    foreseen = result_of(try_sample(aperio, out, mode, workers=2))
    assert not out.exists()
    assert foreseen.sampled > 0
    report = result_of(recompress(aperio, out, mode, workers=2))
    assert [page.copied for page in foreseen.pages] == [page.copied for page in report.pages]
    assert abs(foreseen.after - report.after) < 4096
    assert [page.after for page in foreseen.pages] == pytest.approx([p.after for p in report.pages], abs=1)


@pytest.mark.parametrize("mode", ["repack", "optimize"])
def test_twice_is_refused(aperio: Path, tmp_path: Path, mode: str) -> None:
    out = tmp_path / "b.svs"
    result_of(recompress(aperio, out, mode, workers=1))
    with pytest.raises(UnreadableSlideError, match="already"):
        result_of(recompress(out, tmp_path / "c.svs", mode, workers=1))


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


def test_a_flipped_bit_is_found_or_harmless(aperio: Path, tmp_path: Path) -> None:
    out, back = tmp_path / "b.svs", tmp_path / "c.svs"
    result_of(recompress(aperio, out, workers=1))
    content = out.read_bytes()
    found = 0
    for at in range(8, len(content), len(content) // 40):
        out.write_bytes(flipped(content, at))
        try:
            result_of(restore(out, back, workers=1))
        except (DamagedSlideError, UnreadableSlideError):
            found += 1
            assert not back.exists()
        else:
            assert back.read_bytes() == aperio.read_bytes()
            back.unlink()
    assert found > 30


def test_a_flipped_bit_in_a_tile_is_found_without_the_original(aperio: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.svs"
    report = result_of(recompress(aperio, out, "optimize", workers=1))
    content, tiles = out.read_bytes(), sum(page.after for page in report.pages)
    for at in range(8, 8 + tiles, tiles // 30):
        out.write_bytes(flipped(content, at))
        with pytest.raises(DamagedSlideError, match="not as it was written"):
            result_of(validate(out, workers=1))


@pytest.mark.parametrize("content", [b"", b"II*\0", b"no TIFF", b"II*\0\x08\0\0\0\0\0"])
def test_what_is_no_slide_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.svs"
    path.write_bytes(content)
    with pytest.raises((UnreadableSlideError, DamagedSlideError)):
        result_of(recompress(path, tmp_path / "b.svs"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.svs"]


@pytest.mark.data
@pytest.mark.parametrize("name", ["slides/CMU-1-Small-Region.svs", "slides_real/svs/luna_1065626.svs"])
def test_real_slides_come_back(data_dir: Path, tmp_path: Path, name: str) -> None:
    source, out, back = data_dir / name, tmp_path / "b.svs", tmp_path / "c.svs"
    if not source.is_file():
        pytest.skip(f"{source} is not there")
    report = result_of(recompress(source, out))
    assert report.after < report.before
    with open_slide(source) as old, open_slide(out) as new:
        region = RegionPx(700, 500, 512, 512)
        np.testing.assert_array_equal(old.read_region(0, region), new.read_region(0, region))
        for name in old.associated_images:
            np.testing.assert_array_equal(old.read_associated(name), new.read_associated(name))
    result_of(restore(out, back))
    assert sha256(back) == sha256(source) == report.sha256


@pytest.mark.data
def test_a_real_slide_optimised(cmu_path: Path, tmp_path: Path) -> None:
    out = tmp_path / "b.svs"
    report = result_of(recompress(cmu_path, out, "optimize"))
    level = report.pages[0]
    assert level.after < 0.95 * level.before
    with openslide.OpenSlide(cmu_path) as old, openslide.OpenSlide(out) as new:
        one, other = (np.asarray(s.read_region((0, 0), 0, s.dimensions)) for s in (old, new))
        np.testing.assert_array_equal(one, other)
        for name in old.associated_images:
            np.testing.assert_array_equal(
                np.asarray(old.associated_images[name]), np.asarray(new.associated_images[name])
            )
    np.testing.assert_array_equal(tifffile.imread(cmu_path), tifffile.imread(out))
