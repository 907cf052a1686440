"""Symbols to bytes and back, whatever they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_nic.errors import DamagedSlideError, WeightsError
from napari_nic.recompression.neural import SymbolTables, frequencies
from napari_nic.recompression.neural.coding import SymbolReader, SymbolWriter
from napari_nic.recompression.neural.tables import SCALES, gaussian_tables


def written(symbols: np.ndarray, which: np.ndarray, tables: SymbolTables) -> bytes:
    writer = SymbolWriter()
    writer.write(symbols, which, tables)
    return writer.finish()


def read(stream: bytes, which: np.ndarray, tables: SymbolTables) -> np.ndarray:
    reader = SymbolReader(stream)
    found = reader.read(which, tables)
    reader.check_end()
    return found


@given(
    probabilities=arrays.arrays(np.float64, st.integers(1, 300), elements=st.floats(0, 1)).filter(
        lambda p: p.sum() > 0
    )
)
def test_frequencies_are_whole_and_sum_to_a_power_of_two(probabilities):
    found = frequencies(probabilities)
    assert found.min() >= 1
    assert found.sum() == 1 << 16
    exact = probabilities / probabilities.sum() * (1 << 16)
    assert np.abs(found - exact).max() <= len(probabilities) + 1


def test_what_are_no_probabilities_is_refused():
    for wrong in ([0.0, 0.0], [np.nan, 1.0], [-0.1, 1.0]):
        with pytest.raises(WeightsError):
            frequencies(np.array(wrong))
    with pytest.raises(WeightsError):
        SymbolTables(np.zeros(1, np.int64), (np.array([1, 2]),))


@settings(deadline=None, max_examples=60)
@given(data=st.data(), channels=st.integers(1, 300), count=st.integers(1, 60))
def test_any_symbols_come_back(data, channels, count):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    tables = SymbolTables(
        rng.integers(-20, 5, channels),
        tuple(frequencies(rng.random(n) ** 4 + 1e-9) for n in rng.integers(2, 40, channels)),
    )
    symbols = data.draw(
        arrays.arrays(np.int64, count, elements=st.integers(-100, 100) | st.integers(-(2**29), 2**29))
    )
    which = rng.integers(0, channels, count)
    np.testing.assert_array_equal(read(written(symbols, which, tables), which, tables), symbols)


def test_symbols_of_several_steps_share_one_stream():
    tables, rng = gaussian_tables(), np.random.default_rng(0)
    steps = [(rng.integers(-9, 9, n), rng.integers(0, len(SCALES), n)) for n in (1, 40, 300)]
    writer = SymbolWriter()
    for symbols, which in steps:
        writer.write(symbols, which, tables)
    reader = SymbolReader(writer.finish())
    for symbols, which in steps:
        np.testing.assert_array_equal(reader.read(which, tables), symbols)
    reader.check_end()


def test_frequent_symbols_cost_what_they_should():
    table = frequencies(np.array([0.9, 0.05, 0.04, 0.01]))
    tables = SymbolTables(np.array([-1]), (table,))
    shares = table[:3] / table[:3].sum()
    symbols = np.random.default_rng(0).choice(3, 20_000, p=shares) - 1
    bits = -np.log2(table[symbols + 1] / 65536).sum()
    assert 8 * len(written(symbols, np.zeros(20_000, np.int64), tables)) < 1.002 * bits + 64


def test_gaussians_of_each_scale_cost_their_entropy():
    tables, rng = gaussian_tables(), np.random.default_rng(0)
    for number in (0, 20, 40, 63):
        symbols = np.rint(rng.normal(0, SCALES[number], 20_000)).astype(np.int64)
        which = np.full(20_000, number)
        shares = np.unique(symbols, return_counts=True)[1] / 20_000
        entropy = -(shares * np.log2(shares)).sum() * 20_000
        assert entropy - 64 < 8 * len(written(symbols, which, tables)) < 1.03 * entropy + 64


def test_damage_is_told_or_gives_other_symbols():
    tables, rng = gaussian_tables(), np.random.default_rng(0)
    which = rng.integers(0, len(SCALES), 300)
    symbols = np.rint(rng.normal(0, np.array(SCALES)[which])).astype(np.int64)
    stream = written(symbols, which, tables)
    for wrong in (stream[:-1], stream + bytes(range(8))):
        with pytest.raises(DamagedSlideError):
            read(wrong, which, tables)
    with pytest.raises(WeightsError, match="beyond"):
        written(np.full(1, 2**31 - 1), np.zeros(1, np.int64), tables)
    for at in range(0, len(stream) - 8, 5):  # of the last words not all bits count
        flipped = bytes([*stream[:at], stream[at] ^ 64, *stream[at + 1 :]])
        try:
            found = read(flipped, which, tables)
        except DamagedSlideError:
            continue
        assert not np.array_equal(found, symbols)
