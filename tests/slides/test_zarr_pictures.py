"""OME-Zarr whose chunks are pictures, and what this program puts beside them; AVIF in TIFF."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import zarr

from napari_nic.errors import DamagedSlideError, NicError, UnreadableSlideError
from napari_nic.slides import open_slide
from napari_nic.slides.readers.codestreams import read_avif_size
from napari_nic.slides.readers.zarr_pictures import register_picture_codecs

ENCODERS: dict[str, Callable[[np.ndarray], bytes]] = {
    "imagecodecs_jpeg": lambda tile: imagecodecs.jpeg8_encode(tile, level=95, subsampling="444"),
    "imagecodecs_jpegxl": lambda tile: imagecodecs.jpegxl_encode(tile, distance=0.5),
    "imagecodecs_jpeg2k": lambda tile: imagecodecs.jpeg2k_encode(tile, level=0, codecformat="j2k"),
    "imagecodecs_avif": lambda tile: imagecodecs.avif_encode(tile, level=90, pixelformat="yuv444"),
    "imagecodecs_webp": lambda tile: imagecodecs.webp_encode(tile, lossless=True),
}


def picture() -> np.ndarray:
    y, x = np.mgrid[:200, :260] / 50
    return np.stack([180 + 40 * np.sin(x), 100 + 40 * np.cos(y), 150 + 20 * np.sin(x + y)], -1).astype(
        np.uint8
    )


def write(folder: Path, codec: str, ours: Any = None, chunk: int = 128) -> Path:
    """Write an OME-Zarr of one level by hand, its last row of chunks left out."""
    path = folder / "a.ome.zarr"
    array = {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [3, 200, 260],
        "data_type": "uint8",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [3, chunk, chunk]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 255,
        "codecs": [
            {"name": "transpose", "configuration": {"order": [1, 2, 0]}},
            {"name": codec, "configuration": {"level": 90}},
        ],
        "attributes": {},
    }
    scale = {"type": "scale", "scale": [1, 0.5, 0.5]}
    axes = [{"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    datasets = [{"path": "0", "coordinateTransformations": [scale]}]
    attributes = {"ome": {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}}
    attributes |= {} if ours is None else {"napari_nic_slide": ours}
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    for name, metadata in (("", group), ("0", array)):
        (path / name).mkdir(parents=True, exist_ok=True)
        (path / name / "zarr.json").write_text(json.dumps(metadata))
    whole = np.pad(picture(), ((0, 56), (0, 124), (0, 0)), mode="edge")
    for col in range(3):
        file = path / "0" / "c" / "0" / "0" / str(col)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(
            bytes(ENCODERS[codec](np.ascontiguousarray(whole[:128, col * 128 : col * 128 + 128])))
        )
    return path


@pytest.mark.parametrize("codec", ENCODERS)
def test_chunks_that_are_pictures_are_shown(tmp_path: Path, codec: str) -> None:
    with open_slide(write(tmp_path, codec)) as slide:
        assert slide.levels[0].shape == (200, 260)
        assert slide.pixel_size is not None
        shown = slide.read_region(0, slide.levels[0].region)
    assert np.abs(shown[:128].astype(int) - picture()[:128]).mean() < 3
    assert (shown[128:] == 255).all(), "what is not stored is white"


@pytest.mark.parametrize("codec", ENCODERS)
def test_what_zarr_itself_writes_by_them_is_read(tmp_path: Path, codec: str) -> None:
    register_picture_codecs()
    path = write(tmp_path, codec)
    array = zarr.open_array(path / "0", mode="r+")
    array[:] = np.full((3, 200, 260), 77, np.uint8)
    assert np.abs(np.asarray(array[:]).astype(int) - 77).max() <= 3
    with open_slide(path) as slide:
        assert np.abs(slide.read_tile(0, 1, 1).astype(int) - 77).max() <= 3


@pytest.mark.parametrize("codec", ENCODERS)
@pytest.mark.parametrize("how", ["cut", "junk", "another size", "nothing"])
def test_a_damaged_chunk_is_one_sentence(tmp_path: Path, codec: str, how: str) -> None:
    path = write(tmp_path, codec)
    chunk = path / "0" / "c" / "0" / "0" / "1"
    content = chunk.read_bytes()
    other = bytes(ENCODERS[codec](np.zeros((64, 96, 3), np.uint8)))
    chunk.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "junk": bytes(range(200)),
            "another size": other,
            "nothing": b"",
        }[how]
    )
    with open_slide(path) as slide, pytest.raises(DamagedSlideError, match="cannot be decoded"):
        slide.read_tile(0, 0, 1)


@pytest.mark.parametrize(
    "ours",
    [
        {"associated": "label"},
        {"associated": ["../../etc"]},
        {"associated": ["label"]},
        {"associated": [7]},
        {"icc_profile": "not base 64!"},
        {"icc_profile": 12},
        {"associated": ["x"] * 99},
    ],
)
def test_what_stands_beside_is_checked(tmp_path: Path, ours: Any) -> None:
    with pytest.raises(NicError) as caught:
        open_slide(write(tmp_path, "imagecodecs_jpeg", ours))
    assert isinstance(caught.value, UnreadableSlideError | DamagedSlideError)


def test_attributes_of_another_kind_are_no_ours(tmp_path: Path) -> None:
    with open_slide(write(tmp_path, "imagecodecs_jpeg", ["?"])) as slide:
        assert slide.associated_images == ()


def test_the_size_of_an_avif() -> None:
    for shape in ((100, 260), (256, 16)):
        data = bytes(imagecodecs.avif_encode(np.zeros((*shape, 3), np.uint8)))
        assert read_avif_size(data) == shape
    assert read_avif_size(b"") is None
    assert read_avif_size(b"\0\0\0 ftypavif" + bytes(50)) is None
    assert read_avif_size(data.replace(b"avif", b"heic")) is None
