"""Tiles that a network decodes: how they, and the half of the network that decodes them, are stored.

A tile is a header of 30 bytes and the stream of the codec; or a JPEG XL codestream, where the network did not
do::

    NICT | version, 1 byte | 0 | rows, cols: 2 bytes each | 16 bytes of the network's id | CRC-32 | stream

The network travels with its tiles, in private tag 65331 of a TIFF's first directory, or in the file
``learned-codec.bin`` of a Zarr's folder::

    NICNETW1 | length of the JSON, 8 bytes | JSON: name, licence, hashes | decoder | light decoder, if any

Its id is the SHA-256 of the decoder. All numbers are little-endian. What decodes is loaded, PyTorch with it,
when the first tile is read.
"""

from __future__ import annotations

import hashlib
import json
import struct
import threading
import weakref
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import imagecodecs

from napari_nic.errors import MissingDependencyError, NicError, WeightsError
from napari_nic.registry import Registry
from napari_nic.slides.looking import is_looking
from napari_nic.slides.model import RgbArray
from napari_nic.slides.readers.codestreams import read_jpegxl_size

COMPRESSION, NETWORK_TAG, ZARR_NAME, NETWORK_FILE = 60205, 65331, "napari_nic_learned", "learned-codec.bin"
"""What TIFF and Zarr call such tiles, and where the network stands."""

JPEG_XL_START = b"\xff\x0a"
MOST_NETWORK_BYTES = 2**28
MOST_SIDE = 2**13

_TILE, _ID_BYTES = struct.Struct("<4sBBHH16sI"), 16
_TILE_MAGIC, _NETWORK_MAGIC, _VERSION = b"NICT", b"NICNETW1", 1
_LENGTH = struct.Struct("<Q")
_HINT = "copy the slide again from where it came, with all its files"


class TileDecoder(Protocol):
    """Turns streams into pixels; may be called by several threads at once."""

    def decode(self, stream: bytes, rows: int, cols: int) -> RgbArray:
        """Decode the stream of a tile of so many rows and columns.

        Raises
        ------
        NicError
            If it is damaged.
        """


DECODERS: Registry[Any] = Registry("decoder of learned tiles")
"""``open_decoder(decoder: bytes, light: bytes | None) -> TileDecoder``; in a room above this one."""

DECODERS.register("learned", "napari_nic.recompression.learned.decoding:open_decoder")


@dataclass(frozen=True, eq=False)
class TileNetwork:
    """The half of a codec that decodes, as bytes.

    Attributes
    ----------
    id : str
        SHA-256 of `decoder`.
    decoder : bytes
        Weights and tables, safetensors.
    light : bytes or None
        A decoder for the same streams that is quicker and not as exact, safetensors.
    facts : mapping
        Name, network, licence, and both hashes.
    """

    id: str
    decoder: bytes
    light: bytes | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_opened", {})
        object.__setattr__(self, "_lock", threading.Lock())

    def opened(self, *, quick: bool = False) -> TileDecoder:
        """Return what decodes tiles, loaded at the first call: the full decoder, or the light one."""
        opened: dict[bool, TileDecoder] = self.__dict__["_opened"]
        quick = quick and self.light is not None
        with self.__dict__["_lock"]:
            if quick not in opened:
                opened[quick] = DECODERS.get("learned")(self.decoder, self.light if quick else None)
            return opened[quick]

    def to_bytes(self) -> bytes:
        """Return it as it travels with tiles."""
        facts = {
            **self.facts,
            "decoder": {"sha256": self.id, "bytes": len(self.decoder)},
            "light": None
            if self.light is None
            else {"sha256": hashlib.sha256(self.light).hexdigest(), "bytes": len(self.light)},
        }
        text = json.dumps(facts, sort_keys=True).encode("ascii")
        return _NETWORK_MAGIC + _LENGTH.pack(len(text)) + text + self.decoder + (self.light or b"")


_SHARED: weakref.WeakValueDictionary[tuple[str, bytes | None], TileNetwork] = weakref.WeakValueDictionary()
_READING: ContextVar[TileNetwork | None] = ContextVar("network of the slide that is read", default=None)


def shared_network(network: TileNetwork) -> TileNetwork:
    """Return the same network, as another slide that is open has loaded it already."""
    return _SHARED.setdefault((network.id, network.light), network)


@contextmanager
def reading_by(network: TileNetwork | None) -> Iterator[None]:
    """Let tiles be decoded by the network of their slide; in this thread and what it waits for."""
    before = _READING.set(network)
    try:
        yield
    finally:
        _READING.reset(before)


def read_network(data: bytes, path: Path | None = None) -> TileNetwork:
    """Read a network that travelled with tiles.

    Raises
    ------
    WeightsError
        If it is damaged.
    """
    start = len(_NETWORK_MAGIC) + _LENGTH.size
    try:
        if not data.startswith(_NETWORK_MAGIC):
            raise ValueError("another beginning")  # noqa: TRY301 - said once, below
        (length,) = _LENGTH.unpack_from(data, len(_NETWORK_MAGIC))
        facts = json.loads(data[start : start + length])
        end = start + length + int(facts["decoder"]["bytes"])
        decoder, light = data[start + length : end], data[end:]
        found = [facts["decoder"]["sha256"], facts["light"] and facts["light"]["sha256"]]
    except (ValueError, TypeError, LookupError, RecursionError, struct.error) as error:
        raise _damaged(path, str(error)) from error
    meant = [hashlib.sha256(part).hexdigest() if part else None for part in (decoder, light)]
    if found != meant:
        raise _damaged(path, "another checksum")
    named = {key: value for key, value in facts.items() if key not in ("decoder", "light")}
    return TileNetwork(str(meant[0]), decoder, light or None, named)


def network_file(folder: Path) -> TileNetwork:
    """Read the network of a Zarr's folder.

    Raises
    ------
    WeightsError
        If it is not there, or damaged.
    """
    path = folder / NETWORK_FILE
    if not path.is_file() or path.stat().st_size > MOST_NETWORK_BYTES:
        raise WeightsError(
            "the network that decodes the tiles of this slide is not there", path=path, hint=_HINT
        )
    return read_network(path.read_bytes(), path)


def pack_tile(stream: bytes, rows: int, cols: int, network: str) -> bytes:
    """Return a tile as it is stored.

    Parameters
    ----------
    stream : bytes
    rows, cols : int
        Of the tile, px.
    network : str
        Id of the network.
    """
    key = bytes.fromhex(network)[:_ID_BYTES]
    return _TILE.pack(_TILE_MAGIC, _VERSION, 0, rows, cols, key, zlib.crc32(stream)) + stream


def learned_size(data: bytes) -> tuple[int, int] | None:
    """Return (rows, cols) of a tile; None if it is none."""
    if data.startswith(JPEG_XL_START):
        return read_jpegxl_size(data)
    if len(data) < _TILE.size or not data.startswith(_TILE_MAGIC):
        return None
    _, version, _, rows, cols, _, _ = _TILE.unpack_from(data)
    if version != _VERSION or not 0 < rows <= MOST_SIDE or not 0 < cols <= MOST_SIDE:
        return None
    return rows, cols


def decode_learned(data: bytes) -> RgbArray:
    """Decode a tile by the network of its slide (:func:`reading_by`), or as JPEG XL.

    The full decoder is taken, but for looking (:mod:`napari_nic.slides.looking`).

    Parameters
    ----------
    data : bytes

    Raises
    ------
    ValueError
        If it is damaged, or the network that it needs is another one than the slide's.
    """
    if data.startswith(JPEG_XL_START):
        pixels: RgbArray = imagecodecs.jpegxl_decode(data, numthreads=1)
        return pixels
    if learned_size(data) is None:
        raise ValueError("no tile of a learned codec")
    _, _, _, rows, cols, key, crc = _TILE.unpack_from(data)
    stream = data[_TILE.size :]
    if zlib.crc32(stream) != crc:
        raise ValueError("a tile of a learned codec with another checksum")
    network = _READING.get()
    if network is None:
        raise ValueError("a tile of a learned codec without its slide, which has the network")
    if not network.id.startswith(key.hex()):
        raise ValueError(f"made by another network than the one that came with the slide ({key.hex()})")
    try:
        return network.opened(quick=is_looking()).decode(stream, rows, cols)
    except MissingDependencyError:
        raise
    except NicError as error:
        raise ValueError(error.problem) from error


def _damaged(path: Path | None, found: str) -> WeightsError:
    return WeightsError(
        "the network that decodes the tiles of this slide is damaged", path=path, found=found, hint=_HINT
    )
