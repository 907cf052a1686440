"""Symbols to bytes and back by tables of whole numbers, with the library constriction."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from napari_nic.errors import DamagedSlideError, WeightsError
from napari_nic.extras import require
from napari_nic.recompression.neural.tables import PRECISION, SymbolTables

_WHAT = "learned codecs"
_HALF_BITS = 16
_MOST_BEYOND = 2**31

Wholes = npt.NDArray[np.int64]

_models: WeakKeyDictionary[SymbolTables, list[Any]] = WeakKeyDictionary()


class SymbolWriter:
    """Writes symbols, each by a table of its own.

    Raises
    ------
    MissingDependencyError
        If constriction is not installed.
    """

    def __init__(self) -> None:
        self._coder = _stream().queue.RangeEncoder()

    def write(self, symbols: Wholes, which: Wholes, tables: SymbolTables) -> None:
        """Write symbols.

        Parameters
        ----------
        symbols, which : ndarray of int64, (n,)
            Symbols, and the number of the table of each.
        tables : SymbolTables

        Raises
        ------
        WeightsError
            If a symbol is beyond all measure: no sound network makes one.
        """
        order = _order(which, len(tables.tables))
        sorted_which = which[order]
        last = tables.lengths[sorted_which] - 1
        at = symbols[order] - tables.offsets[sorted_which]
        is_beyond = (at < 0) | (at >= last)
        inside = np.where(is_beyond, last, at).astype(np.int32)
        models = _models_of(tables)
        for table, part in _runs(sorted_which, len(models)):
            self._coder.encode(inside[part], models[table])
        if is_beyond.any():
            self._write_beyond(at[is_beyond], last[is_beyond])

    def _write_beyond(self, at: Wholes, last: Wholes) -> None:
        """Write how far symbols lie beyond their tables: above as even numbers, below as odd ones."""
        beyond = np.where(at >= last, 2 * (at - last), -2 * at - 1)
        if beyond.max() >= _MOST_BEYOND:
            raise WeightsError(
                "the network gives a symbol beyond all measure",
                expected="at most 2 ** 30 beyond its table",
                found=f"{int(beyond.max()) // 2}",
            )
        halves = np.stack([beyond >> _HALF_BITS, beyond & ((1 << _HALF_BITS) - 1)], 1).ravel()
        self._coder.encode(halves.astype(np.int32), _stream().model.Uniform(1 << _HALF_BITS))

    def finish(self) -> bytes:
        """Return all that was written."""
        return bytes(self._coder.get_compressed().astype("<u4").tobytes())


class SymbolReader:
    """Reads what a :class:`SymbolWriter` wrote, in the same order.

    Raises
    ------
    DamagedSlideError
        If the bytes are no such stream.
    MissingDependencyError
        If constriction is not installed.
    """

    def __init__(self, data: bytes) -> None:
        if len(data) % 4:
            raise damaged("a length that is no multiple of 4 bytes")
        self._coder = _stream().queue.RangeDecoder(np.frombuffer(data, "<u4").astype(np.uint32))

    def read(self, which: Wholes, tables: SymbolTables) -> Wholes:
        """Read symbols.

        Parameters
        ----------
        which : ndarray of int64, (n,)
            Number of the table of each.
        tables : SymbolTables

        Returns
        -------
        ndarray of int64, (n,)

        Raises
        ------
        DamagedSlideError
            If the bytes cannot come from such symbols.
        """
        order = _order(which, len(tables.tables))
        sorted_which = which[order]
        at = np.empty(len(which), np.int64)
        models = _models_of(tables)
        try:
            for table, part in _runs(sorted_which, len(models)):
                at[part] = self._coder.decode(models[table], part.stop - part.start)
            last = tables.lengths[sorted_which] - 1
            is_beyond = at == last
            if is_beyond.any():
                at[is_beyond] = self._read_beyond(last[is_beyond])
        except (ValueError, AssertionError) as error:
            raise damaged(str(error)) from error
        symbols = np.empty_like(at)
        symbols[order] = at + tables.offsets[sorted_which]
        return symbols

    def _read_beyond(self, last: Wholes) -> Wholes:
        model = _stream().model.Uniform(1 << _HALF_BITS)
        halves = np.asarray(self._coder.decode(model, 2 * len(last)), np.int64)
        beyond = (halves[::2] << _HALF_BITS) | halves[1::2]
        if beyond.max() >= _MOST_BEYOND:
            raise damaged("a symbol beyond all measure")
        return np.where(beyond % 2, -(beyond + 1) // 2, beyond // 2 + last)

    def check_end(self) -> None:
        """Refuse bytes of which not all were needed.

        Raises
        ------
        DamagedSlideError
            If there are more.
        """
        if not self._coder.maybe_exhausted():
            raise damaged("more bytes than it needs")


def damaged(found: str) -> DamagedSlideError:
    """Return the error of a stream that does not decode."""
    return DamagedSlideError(
        "the stream of a learned codec is damaged, or belongs to another network or size of tile",
        found=found,
    )


def _stream() -> Any:
    return require("constriction", _WHAT).stream


def _models_of(tables: SymbolTables) -> list[Any]:
    """The library's models: quotients by a power of 2 and their sums are exact, the same anywhere."""
    found = _models.get(tables)
    if found is None:
        make = _stream().model.Categorical
        found = [
            make((table / (1 << PRECISION)).astype(np.float32), perfect=False) for table in tables.tables
        ]
        _models[tables] = found
    return found


def _order(which: Wholes, count: int) -> Wholes:
    """Symbols of one table after the other: the library codes many by one table in one call."""
    # A stable sort of so narrow numbers takes a time that is linear in their count.
    narrow = which.astype(np.uint8 if count <= 1 << 8 else np.uint16)
    return np.argsort(narrow, kind="stable")


def _runs(sorted_which: Wholes, count: int) -> Iterator[tuple[int, slice]]:
    bounds = np.searchsorted(sorted_which, np.arange(count + 1))
    for table in np.flatnonzero(np.diff(bounds)):
        yield int(table), slice(int(bounds[table]), int(bounds[table + 1]))
