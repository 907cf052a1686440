"""Healthy TIFFs are never called damaged, damaged ones always, and neither opens as something else."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_nic.errors import DamagedSlideError, NicError
from napari_nic.slides import open_slide

SIDE = 256
RESOLUTION = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    noise = np.random.default_rng(0).integers(-25, 25, (2 * SIDE, 2 * SIDE, 3))
    return np.clip(np.array((180, 90, 160)) + noise, 0, 255).astype(np.uint8)


def jpeg(tile: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(tile, level=90, colorspace="RGB", outcolorspace="YCBCR"))


def progressive(tile: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(tile).save(buffer, "JPEG", quality=90, progressive=True)
    return buffer.getvalue()


def write_tiles(
    path: Path,
    image: np.ndarray,
    change: Callable[[bytes], bytes],
    encode: Callable[[np.ndarray], bytes] = jpeg,
) -> Path:
    """Write JPEG tiles, each changed."""
    corners = [(y, x) for y in (0, SIDE) for x in (0, SIDE)]
    tiles = [change(encode(np.ascontiguousarray(image[y : y + SIDE, x : x + SIDE]))) for y, x in corners]
    options = {"shape": image.shape, "dtype": np.uint8, "tile": (SIDE, SIDE), "metadata": None, **RESOLUTION}
    tifffile.imwrite(path, iter(tiles), photometric="rgb", compression="jpeg", **options)
    return path


HEALTHY: dict[str, Callable[[bytes], bytes]] = {
    "as they are": lambda data: data,
    "zeros behind": lambda data: data + bytes(-len(data) % 512 + 512),
    "many zeros behind": lambda data: data + bytes(5000),
    "garbage behind": lambda data: data + b"left over from an older and longer tile " * 20,
    "without the end marker": lambda data: data[:-2],
    "without the end marker, zeros behind": lambda data: data[:-2] + bytes(100),
    "half an end marker": lambda data: data[:-1],
    "the next tile behind": lambda data: data + data,
    "the next tile behind, without the end marker": lambda data: data[:-2] + data,
}


@pytest.mark.parametrize("encode", [jpeg, progressive])
@pytest.mark.parametrize("change", HEALTHY.values(), ids=HEALTHY)
def test_tiles_that_hold_all_their_pixels_are_healthy(tmp_path, image, change, encode):
    whole = write_tiles(tmp_path / "whole.tif", image, HEALTHY["as they are"], encode)
    path = write_tiles(tmp_path / "odd.tif", image, change, encode)
    with open_slide(path) as slide, open_slide(whole) as oracle:
        region = slide.levels[0].region
        np.testing.assert_array_equal(slide.read_region(0, region), oracle.read_region(0, region))


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda data: data[: len(data) // 2],
    "all but a little": lambda data: data[:-40],
    "half, and zeros": lambda data: data[: len(data) // 2] + bytes(len(data) // 2),
    "half, and the next tile": lambda data: data[: len(data) // 2] + data,
    "header only": lambda data: data[:300],
    "text": lambda data: b"no picture at all".ljust(len(data)),
    "zeros": lambda data: bytes(len(data)),
}


@pytest.mark.parametrize("change", DAMAGED.values(), ids=DAMAGED)
def test_tiles_that_lack_pixels_are_named(tmp_path, image, change):
    path = write_tiles(tmp_path / "cut.tif", image, change)
    with open_slide(path) as slide, pytest.raises(DamagedSlideError, match="tile 3 of page 0"):
        slide.read_tile(0, 1, 1)


@pytest.mark.parametrize("more", [1, 7, 60])
def test_a_last_tile_that_is_stated_a_little_too_long(tmp_path, image, more):
    path = write_tiles(tmp_path / "long.tif", image, lambda data: data)
    move_last_tile_to_the_end(path, more)
    with open_slide(path) as slide:
        assert np.abs(slide.read_tile(0, 1, 1).astype(int) - image[SIDE:, SIDE:]).mean() < 20


@pytest.mark.parametrize("cut", [3, 20, 63, 64, 3000])
def test_a_last_tile_that_is_cut_off(tmp_path, image, cut):
    path = write_tiles(tmp_path / "cut.tif", image, lambda data: data)
    move_last_tile_to_the_end(path, 0)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(DamagedSlideError, match="ends before its last tile"):
        open_slide(path)


def move_last_tile_to_the_end(path: Path, more: int) -> None:
    """Put the last tile behind everything else, and state `more` bytes too many."""
    with tifffile.TiffFile(path, mode="r+b") as tif:
        page = tif.pages[0]
        offsets, sizes = list(page.dataoffsets), list(page.databytecounts)
        data = path.read_bytes()
        tile = data[offsets[-1] : offsets[-1] + sizes[-1]]
        page.tags["TileOffsets"].overwrite([*offsets[:-1], len(data)])
        page.tags["TileByteCounts"].overwrite([*sizes[:-1], sizes[-1] + more])
    path.write_bytes(path.read_bytes() + tile)


@pytest.mark.parametrize("compression", ["zlib", "lzw", "zstd", "lzma", "jpeg", None])
def test_missing_tiles_are_white_however_they_are_marked(tmp_path, image, compression):
    path = tmp_path / "sparse.tif"
    options = {"tile": (128, 128), "compression": compression, "metadata": None, **RESOLUTION}
    tifffile.imwrite(path, image, photometric="rgb", **options)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tags = tif.pages[0].tags
        sizes, offsets = list(tags["TileByteCounts"].value), list(tags["TileOffsets"].value)
        sizes[5] = sizes[6] = offsets[6] = offsets[7] = 0
        tags["TileByteCounts"].overwrite(sizes)
        tags["TileOffsets"].overwrite(offsets)
    with open_slide(path) as slide:
        for col, is_there in enumerate((True, False, False, False)):
            tile = slide.read_tile(0, 1, col)
            assert (tile.min() == 255) != is_there
        assert slide.read_tile(0, 3, 3).min() < 255


def test_garbage_behind_the_file_is_no_damage(tmp_path, image):
    path = write_tiles(tmp_path / "tail.tif", image, lambda data: data)
    path.write_bytes(path.read_bytes() + b"\0" * 1000 + b"signature")
    with open_slide(path) as slide:
        slide.read_region(0, slide.levels[0].region)


def test_a_plane_without_its_tile_is_named(tmp_path, image):
    path = tmp_path / "planes.tif"
    planes = np.ascontiguousarray(np.moveaxis(image, -1, 0))
    options = {"tile": (128, 128), "compression": "zlib", "metadata": None}
    tifffile.imwrite(path, planes, photometric="rgb", planarconfig="separate", **options)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tag = tif.pages[0].tags["TileByteCounts"]
        sizes = list(tag.value)
        sizes[16] = 0  # the first tile of green
        tag.overwrite(sizes)
    with open_slide(path) as slide:
        with pytest.raises(DamagedSlideError, match=r"tile 0 of page 0 .*\n.*\n.*colours are missing"):
            slide.read_tile(0, 0, 0)
        slide.read_tile(0, 0, 1)


def test_every_byte_of_the_directory_may_be_wrong(tmp_path):
    """Each byte of the first directory in turn: it opens, or is refused; nothing else."""
    path = tmp_path / "made.tif"
    image = np.random.default_rng(0).integers(0, 255, (64, 48, 3), np.uint8)
    tifffile.imwrite(path, image, photometric="rgb", tile=(16, 16), compression="zlib", metadata=None)
    data = path.read_bytes()
    with tifffile.TiffFile(path) as tif:
        page = tif.pages[0]
        entries = [(tag.offset, tag.code) for tag in page.tags]
    for start, _ in entries:
        for at in range(start, start + 12):
            for value in (0x00, 0xFF, data[at] ^ 0x01):
                changed = bytearray(data)
                changed[at] = value
                path.write_bytes(changed)
                try:
                    with open_slide(path) as slide:
                        assert max(slide.levels[0].shape) < 100_000
                        slide.read_tile(0, 0, 0)
                except NicError as error:
                    assert "made.tif" in str(error)  # noqa: PT017 - one of many in a row
