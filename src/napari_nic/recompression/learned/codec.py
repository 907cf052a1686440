"""A learned codec as the lossy way takes codecs: tiles to bytes and back, JPEG XL where the network fails."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.recompression.learned.spec import CodecSpec
from napari_nic.recompression.learned.store import (
    DECODER_FILE,
    LIGHT_FILE,
    find_codec,
    read_codec,
    read_part,
)
from napari_nic.recompression.lossy.codecs import (
    FULL_CHROMA,
    LEARNED,
    RGB,
    CodecSettings,
    JpegXl,
    QualityScale,
)
from napari_nic.slides import RgbArray
from napari_nic.slides.readers.learned_tiles import (
    COMPRESSION,
    ZARR_NAME,
    TileNetwork,
    decode_learned,
    pack_tile,
    reading_by,
    shared_network,
)

_FALLBACK = 90.0
"""Quality of JPEG XL that is tried first where the network is not good enough: a distance of 1."""


class LearnedCodec:
    """A codec that was trained; see :class:`~napari_nic.recompression.lossy.PixelCodec`.

    Parameters
    ----------
    name : str
        Of the codec, or its folder.

    Raises
    ------
    UnknownNameError
        If there is none.
    WeightsError
        If it is damaged.
    """

    compression, zarr_name, photometric = COMPRESSION, ZARR_NAME, RGB
    subsamplings: tuple[str, ...] = (FULL_CHROMA,)
    scale = QualityScale("", 1, 1, 1)

    def __init__(self, name: str | Path) -> None:
        folder = find_codec(name)
        self.spec: CodecSpec = read_codec(folder)
        self.name = f"{LEARNED}:{self.spec.name}"
        self._folder, self._jpegxl = folder, JpegXl()
        spec = self.spec
        decoder = read_part(folder, DECODER_FILE, spec.decoder_sha256)
        light = read_part(folder, LIGHT_FILE, spec.light_sha256) if spec.light_sha256 else None
        facts = {"name": spec.name, "network": spec.network, "licence": spec.licence}
        self.network = shared_network(TileNetwork(spec.decoder_sha256, decoder, light, facts))

    @cached_property
    def _codec(self) -> Any:
        from napari_nic.recompression.neural.store import load_codec

        return load_codec(self._folder)

    def encode(self, pixels: RgbArray, settings: CodecSettings) -> bytes:
        """Encode a tile by the network, or by JPEG XL where it fell back."""
        from napari_nic.device import one_kernel_thread

        if settings.is_fallback:
            return self._jpegxl.encode(pixels, settings)
        with one_kernel_thread():
            (stream,) = self._codec.encode(np.ascontiguousarray(pixels)[None])
        return pack_tile(stream, pixels.shape[0], pixels.shape[1], self.network.id)

    def decode(self, data: bytes) -> RgbArray:
        """Decode by the full decoder, as our readers do."""
        with reading_by(self.network):
            return decode_learned(data)

    def better(self, settings: CodecSettings) -> CodecSettings | None:
        """Fall back to JPEG XL, then to better and better JPEG XL."""
        if not settings.is_fallback:
            return replace(settings, is_fallback=True, quality=_FALLBACK)
        return self._jpegxl.better(settings)
