"""TIFF directories that cannot be: each is refused at once, before a library sees it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_nic.errors import DamagedSlideError, UnsupportedPixelsError
from napari_nic.slides import open_slide
from napari_nic.slides.readers.tiff import open_tiff
from napari_nic.slides.readers.tiff_structure import check_structure, tiff_is_absurd


def write_pyramid(path: Path, *, bigtiff: bool = False, byteorder: str = "<") -> Path:
    """Write three levels of deflated tiles."""
    image = np.random.default_rng(0).integers(100, 220, (512, 512, 3), np.uint8)
    with tifffile.TiffWriter(path, bigtiff=bigtiff, byteorder=byteorder) as tif:
        for factor in (1, 2, 4):
            level = np.ascontiguousarray(image[::factor, ::factor])
            tif.write(level, tile=(128, 128), photometric="rgb", compression="deflate", metadata=None)
    return path


class Bytes:
    """A classic little-endian TIFF whose directories can be changed in place."""

    def __init__(self, path: Path) -> None:
        self.data = bytearray(path.read_bytes())
        self.directories = []  # (offset, {tag: offset of its entry}, offset of the link)
        at = struct.unpack_from("<I", self.data, 4)[0]
        while at:
            count = struct.unpack_from("<H", self.data, at)[0]
            entries = {
                struct.unpack_from("<H", self.data, place)[0]: place
                for place in range(at + 2, at + 2 + 12 * count, 12)
            }
            link = at + 2 + 12 * count
            self.directories.append((at, entries, link))
            at = struct.unpack_from("<I", self.data, link)[0]

    def set_value(self, tag: int, value: int, page: int = 0) -> None:
        place = self.directories[page][1][tag]
        struct.pack_into("<H", self.data, place + 2, 4)
        struct.pack_into("<I", self.data, place + 8, value)

    def set_count(self, tag: int, count: int, page: int = 0) -> None:
        struct.pack_into("<I", self.data, self.directories[page][1][tag] + 4, count)

    def link(self, page: int, to: int) -> None:
        struct.pack_into("<I", self.data, self.directories[page][2], to)


@pytest.fixture
def change(tmp_path: Path) -> Callable[[Callable[[Bytes], None]], Path]:
    """Write a healthy pyramid, change it, and return its path."""

    def make(edit: Callable[[Bytes], None]) -> Path:
        path = write_pyramid(tmp_path / "changed.tif")
        content = Bytes(path)
        edit(content)
        path.write_bytes(content.data)
        return path

    return make


@pytest.mark.parametrize(("bigtiff", "byteorder"), [(False, "<"), (False, ">"), (True, "<"), (True, ">")])
def test_a_healthy_file_passes(tmp_path, bigtiff, byteorder):
    path = write_pyramid(tmp_path / "healthy.tif", bigtiff=bigtiff, byteorder=byteorder)
    assert check_structure(path) is False
    assert tiff_is_absurd(path) is None
    path.write_bytes(path.read_bytes() + b"something that another program left here")
    assert tiff_is_absurd(path) is None


def test_an_ndpi_is_told_by_its_first_directory(tmp_path, small_image, dialects):
    assert check_structure(dialects["hamamatsu"](tmp_path / "a.tif", small_image[:640, :768])) is True


def test_what_is_no_tiff_is_not_walked(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"MZ")
    assert tiff_is_absurd(tmp_path / "a.tif") is None


@pytest.mark.parametrize(("page", "to"), [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)])
def test_a_circle_of_directories(change, page, to):
    path = change(lambda content: content.link(page, content.directories[to][0]))
    with pytest.raises(DamagedSlideError, match="form a circle"):
        open_slide(path)


def test_branching_directories(tmp_path):
    """Each directory names the others as its own sub-directories: twice as many at every step."""
    offsets = [8 + 100 * index for index in range(40)]
    data = bytearray(b"II*\0" + struct.pack("<I", offsets[0]))
    for at in offsets:
        data += bytes(at - len(data))
        below = [min(at + 100, offsets[-1]), min(at + 200, offsets[-1])]
        data += (
            struct.pack("<H", 3) + struct.pack("<HHII", 256, 4, 1, 16) + struct.pack("<HHII", 257, 4, 1, 16)
        )
        data += (
            struct.pack("<HHII", 330, 4, 2, at + 50)
            + struct.pack("<I", 0)
            + bytes(8)
            + struct.pack("<II", *below)
        )
    path = tmp_path / "branching.tif"
    path.write_bytes(data)
    with pytest.raises(DamagedSlideError, match="form a circle"):
        open_slide(path)


@pytest.mark.parametrize(("width", "height"), [(2**31 - 1, 6), (2**30, 16), (200_000, 65_536), (8192, 8192)])
def test_absurd_tiles_are_refused_by_everyone(change, width, height):
    def edit(content: Bytes) -> None:
        content.set_value(322, width)
        content.set_value(323, height)

    path = change(edit)
    with pytest.raises(UnsupportedPixelsError, match="are too large"):
        open_tiff(path)
    assert "are too large" in (tiff_is_absurd(path) or "")


EDITS: dict[str, Callable[[Bytes], None]] = {
    "tile width 0": lambda content: content.set_value(322, 0),
    "tile height 0": lambda content: content.set_value(323, 0),
    "tile width 15": lambda content: content.set_value(322, 15),
    "height of a million": lambda content: content.set_value(257, 1_000_000),
    "height 0": lambda content: content.set_value(257, 0),
    "width 33005": lambda content: content.set_value(256, 33_005),
    "width 2**32 - 1": lambda content: content.set_value(256, 2**32 - 1),
    "compression 0": lambda content: content.set_value(259, 0),
    "compression many times": lambda content: content.set_count(259, 34_712),
    "planar 7": lambda content: content.set_value(284, 7),
    "no samples": lambda content: content.set_value(277, 0),
    "no bits": lambda content: content.set_value(258, 0),
    "bits far away": lambda content: content.set_value(258, 2**31),
    "3 offsets": lambda content: content.set_count(324, 3),
    "65535 sizes": lambda content: content.set_count(325, 65_535),
    "4 billion offsets": lambda content: content.set_count(324, 2**32 - 1),
    "level 2: 3 offsets": lambda content: content.set_count(324, 3, page=1),
    "link past the end": lambda content: content.link(2, 2**31),
    "link to the last byte": lambda content: content.link(2, len(content.data) - 1),
    "first link past the end": lambda content: content.data.__setitem__(slice(4, 8), b"\xff\xff\xff\x7f"),
    "no first link": lambda content: content.data.__setitem__(slice(4, 8), bytes(4)),
    "no tags": lambda content: content.data.__setitem__(
        slice(content.directories[0][0], content.directories[0][0] + 2), bytes(2)
    ),
    "65535 tags": lambda content: content.data.__setitem__(
        slice(content.directories[0][0], content.directories[0][0] + 2), b"\xff\xff"
    ),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_impossible_values_are_named(change, edit):
    path = change(edit)
    with pytest.raises(DamagedSlideError, match=r"changed\.tif"):
        open_slide(path)
    assert tiff_is_absurd(path)
