"""Symbols to bytes and back by tables of whole numbers, with the library constriction."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_nic.errors import DamagedSlideError, InvalidParameterError
from napari_nic.extras import require
from napari_nic.recompression.neural.tables import PRECISION, SymbolTables

_WHAT = "learned codecs"
_HALF_BITS = 16
_MOST_BEYOND = 2**31
"""A symbol lies no farther beyond the ends of its table."""


def encode_symbols(symbols: npt.NDArray[np.int32], tables: SymbolTables) -> bytes:
    """Code symbols.

    Parameters
    ----------
    symbols : ndarray of int32, (channels, n)
    tables : SymbolTables
        One for each channel.

    Raises
    ------
    InvalidParameterError
        If there are other channels than tables, or a symbol is beyond all measure.
    MissingDependencyError
        If constriction is not installed.
    """
    if symbols.ndim != 2 or len(symbols) != len(tables.tables):
        raise InvalidParameterError(
            "symbols and tables do not belong together",
            expected=f"(channels, n) of {len(tables.tables)} channels",
            found=f"{symbols.shape}",
        )
    stream = require("constriction", _WHAT).stream
    coder = stream.queue.RangeEncoder()
    for channel, offset, table in zip(symbols.astype(np.int64), tables.offsets, tables.tables, strict=True):
        last = len(table) - 1
        at = channel - offset
        is_beyond = (at < 0) | (at >= last)
        coder.encode(np.where(is_beyond, last, at).astype(np.int32), _model(stream, table))
        if is_beyond.any():
            _encode_beyond(coder, stream, at[is_beyond], last)
    return bytes(coder.get_compressed().astype("<u4").tobytes())


def decode_symbols(data: bytes, count: int, tables: SymbolTables) -> npt.NDArray[np.int32]:
    """Decode `count` symbols of each channel.

    Returns
    -------
    ndarray of int32, (channels, count)

    Raises
    ------
    DamagedSlideError
        If the bytes are no such stream, or more or fewer than it takes.
    """
    if len(data) % 4:
        raise _damaged("a length that is no multiple of 4 bytes")
    stream = require("constriction", _WHAT).stream
    words = np.frombuffer(data, "<u4").astype(np.uint32)
    coder = stream.queue.RangeDecoder(words)
    found = np.empty((len(tables.tables), count), np.int32)
    for number, (offset, table) in enumerate(zip(tables.offsets, tables.tables, strict=True)):
        last = len(table) - 1
        try:
            at = np.asarray(coder.decode(_model(stream, table), count), np.int64)
            is_beyond = at == last
            if is_beyond.any():
                at[is_beyond] = _decode_beyond(coder, stream, int(is_beyond.sum()), last)
        except (ValueError, AssertionError) as error:
            raise _damaged(str(error)) from error
        found[number] = at + offset
    if not coder.maybe_exhausted():
        raise _damaged("more bytes than it needs")
    return found


def _model(stream: Any, table: npt.NDArray[np.int64]) -> Any:
    """The library's model: quotients by a power of 2 and their sums are exact, the same anywhere."""
    return stream.model.Categorical((table / (1 << PRECISION)).astype(np.float32), perfect=False)


def _encode_beyond(coder: Any, stream: Any, at: npt.NDArray[np.int64], last: int) -> None:
    """Code by how much symbols lie beyond the ends: those above as even numbers, those below as odd ones."""
    beyond = np.where(at >= last, 2 * (at - last), -2 * at - 1)
    if beyond.max() >= _MOST_BEYOND:
        raise InvalidParameterError("a symbol is beyond all measure", found=f"{int(np.abs(at).max())}")
    halves = np.stack([beyond >> _HALF_BITS, beyond & ((1 << _HALF_BITS) - 1)], 1).ravel()
    coder.encode(halves.astype(np.int32), stream.model.Uniform(1 << _HALF_BITS))


def _decode_beyond(coder: Any, stream: Any, count: int, last: int) -> npt.NDArray[np.int64]:
    halves = np.asarray(coder.decode(stream.model.Uniform(1 << _HALF_BITS), 2 * count), np.int64)
    beyond = (halves[::2] << _HALF_BITS) | halves[1::2]
    if beyond.max() >= _MOST_BEYOND:
        raise _damaged("a symbol beyond all measure")
    return np.where(beyond % 2, -(beyond + 1) // 2, beyond // 2 + last)


def _damaged(found: str) -> DamagedSlideError:
    return DamagedSlideError(
        "the stream of a learned codec is damaged, or belongs to other tables", found=found
    )
