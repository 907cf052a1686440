"""iSyntax. No sample is at hand, and nothing writes the format: tested is what needs none."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest
from PIL import Image

from napari_nic.errors import DamagedSlideError, OutOfBoundsError, UnreadableSlideError
from napari_nic.slides import open_slide
from napari_nic.slides.readers.isyntax import IsyntaxSource

HEAD = b'<DataObject ObjectType="DPUfsImport">\r\n<Attribute/>\r\n</DataObject>\r\n\x04'


class StandIn:
    """What the library's documentation says of its handle; not the library."""

    tile_width = tile_height = 256
    level_dimensions = ((900, 700), (450, 350))
    mpp_x, mpp_y = 0.25, 0.26

    def __init__(self, image: np.ndarray) -> None:
        self.image = image

    def read_region(self, x, y, width, height, level=0):
        part = self.image[:: 2**level, :: 2**level][y : y + height, x : x + width]
        return np.dstack([part, np.full(part.shape[:2], 255, np.uint8)])

    def read_label_image_jpeg(self):
        stream = io.BytesIO()
        Image.new("RGB", (30, 20), (9, 99, 199)).save(stream, "JPEG")
        return memoryview(stream.getvalue())

    def read_macro_image_jpeg(self):
        return None

    def read_icc_profile(self):
        return None


class BrokenError(Exception):
    pass


def test_the_adapter_asks_for_rows_and_columns_in_the_right_order(make_tissue, tmp_path):
    image = make_tissue(700, 900, seed=2)
    source = IsyntaxSource(tmp_path / "a.isyntax", StandIn(image), lambda: None, (BrokenError,))
    assert [level.shape for level in source.info.levels] == [(700, 900), (350, 450)]
    np.testing.assert_array_equal(source.read_tile(0, 2, 3), image[512:700, 768:900])
    np.testing.assert_array_equal(source.read_tile(1, 1, 0), image[::2, ::2][256:350, :256])
    assert (source.info.pixel_sizes[0].y, source.info.pixel_sizes[0].x) == (0.26, 0.25)
    assert "untested" in source.info.notices[0]


def test_associated_images_and_errors(make_tissue, tmp_path):
    handle = StandIn(make_tissue(700, 900, seed=2))
    source = IsyntaxSource(tmp_path / "a.isyntax", handle, lambda: None, (BrokenError,))
    assert source.info.associated == ("label",)
    assert source.read_associated("label").shape == (20, 30, 3)
    with pytest.raises(OutOfBoundsError):
        source.read_associated("macro")

    def fail(*_):
        raise BrokenError

    handle.read_region = fail
    with pytest.raises(DamagedSlideError, match=r"tile \(0, 0\) of level 0"):
        source.read_tile(0, 0, 0)


def test_without_the_library_the_install_line_is_the_answer(tmp_path, monkeypatch):
    path = tmp_path / "a.isyntax"
    path.write_bytes(HEAD)
    monkeypatch.setitem(sys.modules, "isyntax", None)
    with pytest.raises(UnreadableSlideError, match="needs pyisyntax") as caught:
        open_slide(path)
    assert caught.value.hint == 'pip install "napari-nic[isyntax]"'


def test_a_file_that_only_starts_like_one_is_damaged(tmp_path):
    pytest.importorskip("isyntax")
    path = tmp_path / "a.isyntax"
    path.write_bytes(HEAD + bytes(100))
    with pytest.raises(DamagedSlideError):
        open_slide(path)
