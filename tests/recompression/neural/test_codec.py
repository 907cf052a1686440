"""Pixels to streams and back: the same symbols everywhere, and one clear error for what is damaged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from napari_nic.errors import DamagedSlideError, InvalidParameterError, WeightsError
from napari_nic.recompression.neural.codec import MOST_SIDE, freeze
from napari_nic.recompression.neural.integer import FRACTION, MOST_RESULT
from napari_nic.recompression.neural.models import latents_as_floats, table_of
from napari_nic.recompression.neural.store import decoder_bytes, load_decoder
from napari_nic.recompression.neural.streams import read_tiles, write_tiles
from napari_nic.recompression.neural.tables import SCALES

SHAPE = (90, 75)


@pytest.fixture
def tiles(pixels) -> np.ndarray:
    return pixels[:, : SHAPE[0], : SHAPE[1]]


@pytest.fixture
def streams(codec, tiles) -> list[bytes]:
    return codec.encode(tiles)


def test_tiles_come_back(codec, net, tiles, streams):
    """Decoding gives exactly what was encoded, symbols of many values, and pixels of the network's own."""
    latents = codec._analysed(tiles)
    again, coded = write_tiles(codec.model, latents, codec._seed(SHAPE))
    assert again == streams
    y = codec.latents(streams, SHAPE)
    np.testing.assert_array_equal(y.numpy(), latents_as_floats(coded))
    assert len(np.unique(np.rint(y.numpy()))) > 10
    assert np.abs(y.numpy() - latents["y"]).max() <= 0.5 + 1e-4
    found = codec.decode(streams, SHAPE)
    assert found.dtype == np.uint8
    assert found.shape == tiles.shape
    with torch.inference_mode():
        wanted = net.g_s(y).clamp(0, 1) * 255
    wanted = wanted.permute(0, 2, 3, 1)[:, : SHAPE[0], : SHAPE[1]]
    assert np.abs(found - wanted.numpy()).max() <= 0.51


@pytest.mark.parametrize("shape", [(1, 1), (16, 16), (64, 128), (65, 63)])
def test_any_size_comes_back(codec, pixels, shape):
    tiles = pixels[:, : shape[0], : shape[1]]
    streams = codec.encode(tiles)
    found = codec.decode(streams, shape)
    assert found.shape == tiles.shape
    factor = codec.description.factor
    rows, columns = (-(-side // factor) * factor for side in shape)
    padded = np.pad(tiles, ((0, 0), (0, rows - shape[0]), (0, columns - shape[1]), (0, 0)), "edge")
    whole = codec.decode(codec.encode(padded), (rows, columns))
    np.testing.assert_array_equal(found, whole[:, : shape[0], : shape[1]])


def test_what_is_known_costs_less(codecs, nets, pixels):
    """Symbols cost what the float network says, within what whole numbers may lose."""
    for name, codec in codecs.items():
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            bits = sum(float(-torch.log2(value).sum()) for value in nets[name](x)[1].values())
        assert 8 * sum(map(len, codec.encode(pixels))) < 1.02 * bits + 2 * 128


def test_a_scale_has_the_narrowest_table_that_holds_it():
    scales = np.concatenate([np.arange(-3, 70_000), [-MOST_RESULT, MOST_RESULT]]).reshape(1, -1)
    widths = np.floor(np.array(SCALES[:-1]) * 2**FRACTION)
    wanted = (widths[:, None, None] < scales).sum(0)
    np.testing.assert_array_equal(table_of(scales), wanted)


def test_threads_and_batches_change_no_symbol(codec, streams):
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            with threadpool_limits(threads):
                found.append(codec.latents(streams, SHAPE))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)
    apart = torch.cat([codec.latents([stream], SHAPE) for stream in streams])
    assert torch.equal(apart, found[0])


def test_bfloat16_changes_pixels_by_rounding_and_no_symbol(codec, streams):
    half = codec.to("cpu", "bfloat16")
    assert half.precision == "bfloat16"
    assert torch.equal(half.latents(streams, SHAPE), codec.latents(streams, SHAPE))
    difference = half.decode(streams, SHAPE).astype(int) - codec.decode(streams, SHAPE)
    assert difference.any()
    assert np.abs(difference).mean() < 3
    assert half.encode(np.zeros((1, 8, 8, 3), np.uint8)) == codec.encode(np.zeros((1, 8, 8, 3), np.uint8))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_decodes_the_same_symbols(codec, tiles):
    gpu = codec.to("cuda", "float32")
    streams = gpu.encode(tiles)
    assert torch.equal(gpu.latents(streams, SHAPE), codec.latents(streams, SHAPE))
    difference = gpu.decode(streams, SHAPE).astype(int) - codec.decode(streams, SHAPE)
    assert np.abs(difference).max() <= 2


def decoded_or_error(codec, stream: bytes) -> torch.Tensor | DamagedSlideError:
    try:
        return codec.latents([stream], SHAPE)
    except DamagedSlideError as error:
        return error


def test_damage_is_told(codec, streams):
    stream = streams[0]
    damaged = [b"", stream[:3], stream[:4], stream[:-1], stream[:-4], stream + bytes(range(1, 9))]
    rng = np.random.default_rng(0)
    places = zip(rng.integers(0, len(stream), 30), rng.integers(1, 256, 30), strict=True)
    damaged += [bytes([*stream[:at], stream[at] ^ int(by), *stream[at + 1 :]]) for at, by in places]
    damaged += [rng.bytes(count) for count in (4, 8, 64, 4096)]
    right = codec.latents([stream], SHAPE)
    found = [decoded_or_error(codec, wrong) for wrong in damaged]
    told = [result for result in found if isinstance(result, DamagedSlideError)]
    assert all("learned codec" in str(error) for error in told)
    # A bit of the last word may not count; then the tile is right, and never anything else.
    assert len(told) >= len(damaged) - 2
    assert all(torch.equal(result, right) for result in found if isinstance(result, torch.Tensor))


def test_other_sizes_and_other_networks_are_told(name, codec, streams, make_net):
    with pytest.raises(DamagedSlideError):
        codec.decode(streams, (SHAPE[0] - 1, SHAPE[1]))
    with pytest.raises(DamagedSlideError):
        codec.decode(streams, (2 * SHAPE[0], SHAPE[1]))
    other = make_net(name)
    with torch.no_grad():
        other.bottleneck.quantiles += 0.25
    with pytest.raises(DamagedSlideError):
        freeze(other, np.zeros((1, 64, 64, 3), np.uint8)).decode(streams, SHAPE)


def test_a_machine_that_calculates_wrongly_is_found_out(codecs, streams, monkeypatch):
    """Were a sum off by one on the other machine, symbols might be others: they are not taken for pixels."""
    from napari_nic.recompression.neural import integer

    codec = codecs["mbt2018-mean"]
    (stream,) = codec.encode(np.full((1, 64, 64, 3), 200, np.uint8))
    right = integer.IntegerLayer.__call__
    monkeypatch.setattr(integer.IntegerLayer, "__call__", lambda self, x: right(self, x) + 40)
    with pytest.raises(DamagedSlideError):
        codec.decode([stream], (64, 64))


def test_what_are_no_pixels_is_refused(codec, pixels):
    for wrong in (pixels[0], pixels.astype(np.float32), pixels[..., :2], pixels[:0]):
        with pytest.raises(InvalidParameterError):
            codec.encode(wrong)
    for shape in ((0, 5), (5, MOST_SIDE + 1)):
        with pytest.raises(InvalidParameterError):
            codec.latents([b""], shape)
    assert codec.decode([], (5, 5)).shape == (0, 5, 5, 3)


def test_weights_that_give_no_codec_are_refused(name, make_net, pixels):
    net = make_net(name)
    with torch.no_grad():
        net.g_a[0].weight.fill_(torch.nan)
    with pytest.raises(WeightsError):
        freeze(net, pixels)
    net = make_net(name)
    with torch.no_grad():
        net.bottleneck.quantiles[:, 0, 2] += 1e9
    with pytest.raises(WeightsError):
        freeze(net, pixels)


def test_another_synthesis_takes_the_same(codec, streams):
    class Grey(torch.nn.Module):
        def forward(self, y):
            return y.new_full((len(y), 3, 16 * y.shape[2], 16 * y.shape[3]), 0.5)

    latents = codec.latents(streams, SHAPE)
    found = codec.pixels(latents, SHAPE, synthesis=Grey())
    assert found.shape == (2, *SHAPE, 3)
    assert (found == 128).all()


def test_what_only_decodes_says_so(codec, streams, tiles):
    half = load_decoder(decoder_bytes(codec))
    np.testing.assert_array_equal(half.decode(streams, SHAPE), codec.decode(streams, SHAPE))
    with pytest.raises(WeightsError, match="only decodes"):
        half.encode(tiles)


def test_symbols_are_checked_before_they_are_floats(codec, streams):
    with pytest.raises(DamagedSlideError):
        read_tiles(codec.model, streams, codec._places(SHAPE), b"another seed")
