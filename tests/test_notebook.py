"""What a notebook shows is text that cannot run, and a picture of bounded size."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from napari_nic.notebook import SIDE_PX, card, data_address


def picture_of(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))


def test_names_of_files_are_text() -> None:
    shown = card("<script>alert(1)</script>", {"path": "a & b", "nothing": ""})
    assert "<script>" not in shown
    assert "a &amp; b" in shown
    assert "nothing" not in shown


def test_pictures_are_scaled_to_one_size() -> None:
    large = picture_of(data_address(np.zeros((2000, 1000, 3), np.uint8)))
    assert large.size == (SIDE_PX // 2, SIDE_PX)
    cells = np.array([[[255, 0, 0, 255], [0, 0, 255, 0]]], np.uint8)
    small = np.asarray(picture_of(data_address(cells)))
    assert small.shape == (SIDE_PX // 2, SIDE_PX, 4)
    assert {tuple(color) for color in small.reshape(-1, 4).tolist()} == {(255, 0, 0, 255), (0, 0, 255, 0)}
