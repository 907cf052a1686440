"""Zarr 3 codecs whose chunks are pictures (JPEG, JPEG XL...), under the names of imagecodecs.

From imagecodecs 2026.5 on, which needs Python 3.12, there are codecs of these names in ``imagecodecs.zarr``;
where they are registered they stay. Ours read what they write, and write what they read: a chunk is a
stream of (rows, cols, 3) uint8, and needs no configuration to be decoded. Before a stream is decoded its
header is asked how large it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import imagecodecs
import numpy as np
import numpy.typing as npt
import zarr.errors
import zarr.registry
from zarr.abc.codec import ArrayBytesCodec

from napari_nic.slides.readers.codestreams import (
    JPEG_END,
    one_jpeg_of,
    read_avif_size,
    read_jpeg2000_header,
    read_jpeg_header,
    read_jpegxl_size,
    read_webp_size,
)
from napari_nic.slides.readers.learned_tiles import ZARR_NAME, decode_learned, learned_size

Size = tuple[int, int]


def _jpeg_size(data: bytes) -> Size | None:
    header = read_jpeg_header(data)
    if not one_jpeg_of(data, header.scan)[1]:
        raise ValueError("a JPEG stream without its end")  # its decoder would fill the rest with grey
    return header.height, header.width


def _jpeg2000_size(data: bytes) -> Size | None:
    header = read_jpeg2000_header(data)
    if header is not None and not header.is_boxed and not data.rstrip(b"\0").endswith(JPEG_END):
        raise ValueError("a JPEG 2000 stream without its end")  # likewise
    return None if header is None else (header.height, header.width)


@dataclass(frozen=True)
class _PictureCodec(ArrayBytesCodec):
    """A codec of arrays that are RGB pictures."""

    is_fixed_size = False
    name: ClassVar[str] = ""
    size: ClassVar[Callable[[bytes], Size | None]]
    run: ClassVar[Callable[..., Any]]
    make: ClassVar[Callable[..., Any]]
    options: ClassVar[dict[str, Any]] = {}

    configuration: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Make it of the metadata of an array; what they say of encoding is kept."""
        return cls(dict(data.get("configuration") or {}))

    def to_dict(self) -> dict[str, Any]:
        """Return the metadata."""
        more = {"configuration": self.configuration} if self.configuration else {}
        return {"name": self.name} | more

    async def _decode_single(self, chunk_bytes: Any, chunk_spec: Any) -> Any:
        """Decode a chunk in a thread."""
        pixels = await asyncio.to_thread(self._decoded, chunk_bytes.to_bytes(), chunk_spec.shape)
        return chunk_spec.prototype.nd_buffer.from_numpy_array(pixels)

    async def _encode_single(self, chunk_array: Any, chunk_spec: Any) -> Any:
        """Encode a chunk in a thread."""
        pixels = np.ascontiguousarray(chunk_array.as_numpy_array())
        data = await asyncio.to_thread(type(self).make, pixels, **self.options)
        return chunk_spec.prototype.buffer.from_bytes(bytes(data))

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        """Raise, since nobody knows."""
        raise NotImplementedError

    def _decoded(self, data: bytes, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        """Decode a stream of the very size of its chunk.

        Raises
        ------
        ValueError
            If it is none.
        """
        found = type(self).size(data)
        if found is None or found != tuple(shape[:2]):
            raise ValueError(f"a chunk of {shape} holds a picture of {found}")
        pixels: npt.NDArray[np.uint8] = type(self).run(data)
        return np.ascontiguousarray(pixels).reshape(shape)


@dataclass(frozen=True)
class Jpeg(_PictureCodec):
    """JPEG."""

    name = "imagecodecs_jpeg"
    size, run, make = _jpeg_size, imagecodecs.jpeg8_decode, imagecodecs.jpeg8_encode


@dataclass(frozen=True)
class JpegXl(_PictureCodec):
    """JPEG XL."""

    name = "imagecodecs_jpegxl"
    size, run, make = read_jpegxl_size, imagecodecs.jpegxl_decode, imagecodecs.jpegxl_encode


@dataclass(frozen=True)
class Jpeg2000(_PictureCodec):
    """JPEG 2000."""

    name = "imagecodecs_jpeg2k"
    size, run, make = _jpeg2000_size, imagecodecs.jpeg2k_decode, imagecodecs.jpeg2k_encode


@dataclass(frozen=True)
class Avif(_PictureCodec):
    """AVIF."""

    name = "imagecodecs_avif"
    size, run, make = read_avif_size, imagecodecs.avif_decode, imagecodecs.avif_encode


@dataclass(frozen=True)
class WebP(_PictureCodec):
    """WebP."""

    name = "imagecodecs_webp"
    size, run, make = read_webp_size, imagecodecs.webp_decode, imagecodecs.webp_encode
    options: ClassVar[dict[str, Any]] = {"lossless": False}


def _refuse(pixels: npt.NDArray[np.uint8]) -> bytes:
    raise NotImplementedError(f"{ZARR_NAME} is written by napari-nic recompress alone: {pixels.shape}")


@dataclass(frozen=True)
class Learned(_PictureCodec):
    """Tiles that a network decodes; the configuration names it, and the slide brings it along."""

    name = ZARR_NAME
    size, run, make = learned_size, decode_learned, _refuse


def register_picture_codecs() -> None:
    """Make the codecs known to zarr, but for those that are known already."""
    for codec in (Jpeg, JpegXl, Jpeg2000, Avif, WebP, Learned):
        try:
            zarr.registry.get_codec_class(codec.name)
        except (KeyError, zarr.errors.UnknownCodecError):  # the latter of newer versions of Zarr
            zarr.registry.register_codec(codec.name, codec)
