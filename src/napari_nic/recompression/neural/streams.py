"""The stream of one tile: a checksum of its symbols, and the symbols.

::

    bytes 0-3   CRC-32, little-endian, of the model's SHA-256, the tile's rows and columns, and all symbols
                as int32, little-endian, in the order of coding
    bytes 4-    words of 4 bytes of constriction's range coder

The checksum is of symbols, not of bytes: it holds against damage, against another network or another size,
and against a machine that does not calculate as it should.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from napari_nic.errors import WeightsError
from napari_nic.probe.threads import one_thread
from napari_nic.recompression.neural.coding import SymbolReader, SymbolWriter, damaged
from napari_nic.recompression.neural.integer import FRACTION, Wholes
from napari_nic.recompression.neural.models import Places, SymbolModel
from napari_nic.recompression.neural.tables import SymbolTables

_CHECK_BYTES = 4
_MOST = 2.0**30


def write_tiles(
    model: SymbolModel, latents: Mapping[str, npt.NDArray[np.float32]], seed: bytes
) -> tuple[list[bytes], Wholes]:
    """Round latents of tiles to symbols and write these.

    Parameters
    ----------
    model : SymbolModel
    latents : mapping of str to ndarray of float32, (n, channels, h, w)
        ``"y"``, and ``"z"`` where the network has it, as the analysis gives them.
    seed : bytes
        What else the checksum is to hold for.

    Returns
    -------
    streams : list of bytes
    y : ndarray of int64, (n, M, h, w)
        What decoding gives, of FRACTION bits after the point.

    Raises
    ------
    WeightsError
        If the network gives what are no numbers, or are beyond all measure.
    """
    y = latents["y"]
    coder = _Writing(latents, seed)
    with one_thread():
        coded = model.latents(coder, len(y), (y.shape[2], y.shape[3]))
    return coder.streams(), coded


def read_tiles(model: SymbolModel, streams: Sequence[bytes], shape: tuple[int, int], seed: bytes) -> Wholes:
    """Read what :func:`write_tiles` wrote.

    Parameters
    ----------
    model : SymbolModel
    streams : sequence of bytes
        Of tiles of one size.
    shape : (int, int)
        Rows and columns of y.
    seed : bytes
        As it was written with.

    Returns
    -------
    ndarray of int64, (n, M, h, w)
        y, of FRACTION bits after the point.

    Raises
    ------
    DamagedSlideError
        If a stream is damaged, or of another network or size.
    """
    coder = _Reading(streams, seed)
    with one_thread():
        found = model.latents(coder, len(streams), shape)
    coder.check()
    return found


class _Writing:
    def __init__(self, latents: Mapping[str, npt.NDArray[np.float32]], seed: bytes) -> None:
        self._latents = latents
        count = len(latents["y"])
        self._writers = [SymbolWriter() for _ in range(count)]
        self._checks = [zlib.crc32(seed)] * count

    def code(self, places: Places, tables: SymbolTables, which: Wholes, means: Wholes) -> Wholes:
        values = places.of(self._latents[places.latents]).astype(np.float64)
        distance = values - means * 2.0**-FRACTION
        if not (np.abs(distance) < _MOST).all():
            raise WeightsError(
                "the network of a learned codec gives what are no numbers, or numbers beyond all measure",
                hint="get its weights again, or train it again from an earlier checkpoint",
            )
        symbols = np.rint(distance).astype(np.int64)
        for tile, writer in enumerate(self._writers):
            self._checks[tile] = _checked(symbols[tile], self._checks[tile])
            writer.write(symbols[tile].ravel(), which[tile].ravel(), tables)
        return symbols

    def streams(self) -> list[bytes]:
        pairs = zip(self._checks, self._writers, strict=True)
        return [check.to_bytes(_CHECK_BYTES, "little") + writer.finish() for check, writer in pairs]


class _Reading:
    def __init__(self, streams: Sequence[bytes], seed: bytes) -> None:
        if any(len(stream) < _CHECK_BYTES for stream in streams):
            raise damaged(f"less than {_CHECK_BYTES} bytes")
        self._readers = [SymbolReader(stream[_CHECK_BYTES:]) for stream in streams]
        self._wanted = [int.from_bytes(stream[:_CHECK_BYTES], "little") for stream in streams]
        self._checks = [zlib.crc32(seed)] * len(streams)

    def code(self, places: Places, tables: SymbolTables, which: Wholes, means: Wholes) -> Wholes:
        del places
        symbols = np.empty(means.shape, np.int64)
        for tile, reader in enumerate(self._readers):
            symbols[tile] = reader.read(which[tile].ravel(), tables).reshape(means.shape[1:])
            self._checks[tile] = _checked(symbols[tile], self._checks[tile])
        return symbols

    def check(self) -> None:
        for reader, wanted, found in zip(self._readers, self._wanted, self._checks, strict=True):
            reader.check_end()
            if wanted != found:
                raise damaged("symbols of another checksum")


def _checked(symbols: Wholes, check: int) -> int:
    return zlib.crc32(symbols.astype("<i4").tobytes(), check)
