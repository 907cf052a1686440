"""bmshj2018-factorized: streams that come back, tables of whole numbers, and CompressAI as the judge."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_nic.errors import DamagedSlideError, InvalidParameterError, WeightsError
from napari_nic.recompression.neural import SymbolTables, frequencies
from napari_nic.recompression.neural.coding import decode_symbols, encode_symbols
from napari_nic.recompression.neural.nets import CHANNELS, FactorizedPrior, load_factorized

N, M = 6, 8


@pytest.fixture(autouse=True)
def quick_networks(one_thread):
    """All of these run small networks."""


@pytest.fixture
def net():
    torch.manual_seed(0)
    made = FactorizedPrior(N, M)
    with torch.no_grad():
        for matrix in made.entropy_bottleneck.matrices:
            matrix += 0.1 * torch.randn_like(matrix)
        made.entropy_bottleneck.quantiles[:, 0, 1] += torch.randn(M)
        made.entropy_bottleneck.quantiles[:, 0, 0] -= 5 * torch.rand(M)
    return made.eval()


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
@given(data=st.data(), channels=st.integers(1, 4), count=st.integers(1, 60))
def test_any_symbols_come_back(data, channels, count):
    lengths = [data.draw(st.integers(2, 40)) for _ in range(channels)]
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    tables = SymbolTables(
        rng.integers(-20, 5, channels), tuple(frequencies(rng.random(n) ** 4 + 1e-9) for n in lengths)
    )
    symbols = data.draw(
        arrays.arrays(
            np.int32, (channels, count), elements=st.integers(-100, 100) | st.integers(-(2**29), 2**29)
        )
    )
    stream = encode_symbols(symbols, tables)
    np.testing.assert_array_equal(decode_symbols(stream, count, tables), symbols)


def test_frequent_symbols_cost_what_they_should():
    table = frequencies(np.array([0.9, 0.05, 0.04, 0.01]))
    tables = SymbolTables(np.array([-1]), (table,))
    shares = table[:3] / table[:3].sum()
    symbols = np.random.default_rng(0).choice(3, 20_000, p=shares)[None].astype(np.int32) - 1
    bits = -np.log2(table[symbols[0] + 1] / 65536).sum()
    assert 8 * len(encode_symbols(symbols, tables)) < 1.002 * bits + 64


def decoded_or_none(stream: bytes, tables: SymbolTables) -> np.ndarray | None:
    try:
        return decode_symbols(stream, 30, tables)
    except DamagedSlideError:
        return None


def test_damage_and_other_tables_are_told_or_give_other_symbols(net):
    tables = net.entropy_bottleneck.make_tables()
    symbols = np.random.default_rng(0).integers(-4, 5, (M, 30)).astype(np.int32)
    stream = encode_symbols(symbols, tables)
    for wrong in (stream[:-1], stream + bytes(range(8))):
        with pytest.raises(DamagedSlideError):
            decode_symbols(wrong, 30, tables)
    flipped = bytes([stream[0] ^ 64]) + stream[1:]
    assert not np.array_equal(decoded_or_none(flipped, tables), symbols)
    with pytest.raises(InvalidParameterError):
        encode_symbols(symbols[:-1], tables)
    with pytest.raises(InvalidParameterError, match="beyond"):
        encode_symbols(np.full((M, 1), 2**31 - 1, np.int32), tables)


def test_a_picture_comes_back_through_bytes(net):
    x = torch.rand(1, 3, 64, 48)
    tables = net.entropy_bottleneck.make_tables()
    symbols = net.symbols_of(x)
    assert symbols.shape == (1, M, 4, 3)
    stream = encode_symbols(symbols[0].reshape(M, -1).numpy(), tables)
    again = torch.from_numpy(decode_symbols(stream, 12, tables)).reshape(1, M, 4, 3)
    assert torch.equal(again, symbols)
    assert torch.equal(net.pixels_of(again), net.pixels_of(symbols))


def test_tables_are_the_same_for_any_number_of_threads(net):
    first = net.entropy_bottleneck.make_tables().sha256
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert net.entropy_bottleneck.make_tables().sha256 == first
    finally:
        torch.set_num_threads(before)


def test_names_of_all_versions_are_known(net):
    state = net.state_dict()
    older = {}
    for name, value in state.items():
        for new, old in (("matrices.", "_matrix"), ("biases.", "_bias"), ("factors.", "_factor")):
            name = name.replace(f"entropy_bottleneck.{new}", f"entropy_bottleneck.{old}")
        older[f"module.{name}"] = value
    found, tables = load_factorized(older)
    assert all(torch.equal(value, found.state_dict()[name]) for name, value in state.items())
    assert tables.sha256 == net.entropy_bottleneck.make_tables().sha256
    with pytest.raises(WeightsError):
        load_factorized({name: value for name, value in state.items() if "g_s" not in name})


def test_the_published_sizes():
    assert CHANNELS[5] == (128, 192)
    assert CHANNELS[6] == (192, 320)


def test_compressai_agrees():
    """Its own network of the same weights gives the same symbols, pixels and tables."""
    models = pytest.importorskip(
        "compressai.models", reason="CompressAI is not installed", exc_type=ImportError
    )
    torch.manual_seed(1)
    theirs = models.FactorizedPrior(N, M).eval()
    theirs.update(force=True)
    net, tables = load_factorized(theirs.state_dict())
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        y = theirs.g_a(x)
        wanted = theirs.entropy_bottleneck.quantize(
            y, "symbols", theirs.entropy_bottleneck._get_medians()[None]
        )
        back = theirs.decompress(**theirs.compress(x))["x_hat"]
    symbols = net.symbols_of(x)
    assert torch.equal(symbols, wanted)
    torch.testing.assert_close(net.pixels_of(symbols), back, rtol=0, atol=1e-6)
    own = net.entropy_bottleneck.make_tables()
    np.testing.assert_array_equal(own.offsets, tables.offsets)
    for one, other in zip(own.tables, tables.tables, strict=True):
        assert np.abs(one - other).max() <= len(one) + 2
