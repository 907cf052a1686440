"""What do learned codecs cost: bits that whole numbers lose against floats, and seconds a tile?

    python benchmarks/neural_codecs.py SLIDE.svs
    python benchmarks/neural_codecs.py SLIDE.svs --networks mbt2018-mean --sizes 128 192 --steps 400
    python benchmarks/neural_codecs.py SLIDE.svs --codec FOLDER                # one that was trained

Without `--codec` each network is trained for some steps on crops of the left half of the slide's first level,
enough for symbols of ordinary entropy, not for good pictures; tiles of the right half are coded.

Bits a pixel, over all tiles:

* likelihoods: sum of -log2 of what the float network thinks of the symbols that it would send;
* floats: bytes of the same coder and tables, were scales and means those of the float network;
* stream: all bytes of the streams, in which networks in whole numbers say scales and means; in brackets how
  much more that is than by floats.

Milliseconds a tile, tiles one by one, on `--threads` threads: the best of several rounds, for all of encoding
and decoding, for the symbols alone (networks in whole numbers and entropy coding) and for the synthesis. A
codec that has a light decoder gets a line for each precision: what it loses against the full one, and the
tiles a second that a viewer can pan by, from stream to pixels.

On a machine that does other work give the command a core for the seconds that it takes: `nice -n -20` or
`chrt -f 50` before it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from napari_nic.device import PRECISIONS
from napari_nic.recompression.learned import LIGHT_FILE, read_codec, read_part
from napari_nic.recompression.learned.decoding import load_light_of
from napari_nic.recompression.neural.bottleneck import GaussianConditional
from napari_nic.recompression.neural.codec import NeuralCodec, freeze
from napari_nic.recompression.neural.coding import SymbolWriter
from napari_nic.recompression.neural.nets import CompressionNet, FactorizedPrior
from napari_nic.recompression.neural.networks import NETWORKS, make_network
from napari_nic.recompression.neural.store import load_codec
from napari_nic.recompression.neural.tables import SCALES, gaussian_tables
from napari_nic.slides import open_slide

SIDE, CROP, BATCH = 256, 128, 4
LAMBDA = 0.0483
ROUNDS = 3


class Recording(GaussianConditional):
    """Gaussians that keep the symbols they see, and the table of each."""

    def __init__(self) -> None:
        super().__init__()
        self.symbols: list[np.ndarray] = []
        self.tables: list[np.ndarray] = []

    def forward(self, values, scales, means=None):  # type: ignore[no-untyped-def]  # as the base class
        """Map as the base class does."""
        distance = values if means is None else values - means
        self.symbols.append(distance.double().round().long().numpy().ravel())
        self.tables.append(np.searchsorted(SCALES[:-1], scales.double().numpy()).ravel())
        return super().forward(values, scales, means)


def read_tiles(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the slide's left half, and `count` tiles (n, 256, 256, 3) of its right half with most tissue."""
    with open_slide(path) as slide:
        pixels = slide.read_region(0, slide.levels[0].region)
    middle = pixels.shape[1] // 2
    right = pixels[:, middle:]
    places = [
        (y, x)
        for y in range(0, right.shape[0] - SIDE + 1, SIDE)
        for x in range(0, right.shape[1] - SIDE + 1, SIDE)
    ]
    tiles = np.stack([right[y : y + SIDE, x : x + SIDE] for y, x in places])
    busiest = np.argsort(-tiles.std((1, 2)).mean(1), kind="stable")[:count]
    return pixels[:, :middle], tiles[busiest]


def train(net: CompressionNet, pixels: np.ndarray, steps: int) -> None:
    """Train for some steps: rate plus distortion."""
    rng = np.random.default_rng(0)
    main = [p for name, p in net.named_parameters() if not name.endswith("quantiles")]
    optimiser = torch.optim.Adam(main, 1e-3)
    net.train()
    for step in range(steps):
        if step == steps * 3 // 4:
            optimiser.param_groups[0]["lr"] = 2e-4
        corners = rng.integers(0, np.array(pixels.shape[:2]) - CROP + 1, (BATCH, 2))
        crops = np.stack([pixels[y : y + CROP, x : x + CROP] for y, x in corners])
        x = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255
        found, likelihoods = net(x)
        rate = sum(-value.log2().sum() for value in likelihoods.values()) / (BATCH * CROP**2)
        loss = LAMBDA * 255**2 * ((found - x) ** 2).mean() + rate
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(main, 1.0)
        optimiser.step()
    net.bottleneck.find_quantiles()
    net.eval()


@torch.inference_mode()
def float_bits(net: CompressionNet, tiles: np.ndarray) -> tuple[float, int]:
    """Return bits of all tiles: by likelihoods, and by the coder with the float network's scales."""
    gaussians, bottleneck = gaussian_tables(), net.bottleneck.make_tables()
    medians = net.bottleneck.medians[:, None, None]
    likelihoods, coded = 0.0, 0
    for tile in tiles:
        recording = Recording().eval()
        for name, module in list(net.named_children()):
            if isinstance(module, GaussianConditional):
                setattr(net, name, recording)
        x = torch.from_numpy(tile).permute(2, 0, 1)[None].float() / 255
        likelihoods += sum(float(-value.double().log2().sum()) for value in net(x)[1].values())
        y = net.g_a(x)
        z = y if isinstance(net, FactorizedPrior) else net.hyper_analysis(y)
        writer = SymbolWriter()
        symbols = (z - medians).round().long().numpy()
        channels = np.broadcast_to(np.arange(len(medians))[:, None, None], symbols.shape)
        writer.write(symbols.ravel(), channels.ravel(), bottleneck)
        if recording.symbols:
            writer.write(np.concatenate(recording.symbols), np.concatenate(recording.tables), gaussians)
        coded += 8 * len(writer.finish())
    return likelihoods, coded


def best(work: Callable[[np.ndarray | bytes], object], parts: list) -> float:  # type: ignore[type-arg]  # either
    """Milliseconds for one part, the best of several rounds over all."""
    seconds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for part in parts:
            work(part)
        seconds.append(time.perf_counter() - started)
    return 1000 * min(seconds) / len(parts)


def report(codec: NeuralCodec, tiles: np.ndarray) -> None:
    """Print a line on one codec."""
    assert codec.net is not None
    pixels = tiles[..., 0].size
    streams = codec.encode(tiles)
    likelihoods, floats = (bits / pixels for bits in float_bits(codec.net, tiles))
    stream = 8 * sum(map(len, streams)) / pixels
    latents = codec.latents(streams, (SIDE, SIDE))
    mse = ((codec.decode(streams, (SIDE, SIDE)).astype(float) - tiles) ** 2).mean()
    encode = best(lambda tile: codec.encode(tile[None]), list(tiles[:4]))
    symbols = best(lambda data: codec.latents([data], (SIDE, SIDE)), streams[:4])
    synthesis = best(lambda y: codec.pixels(y[None], (SIDE, SIDE)), list(latents[:4]))
    size = f"{codec.description.filters}, {codec.description.channels}"
    zeros = float((latents.round() == 0).float().mean())
    print(
        f"{codec.description.network:22} ({size})  bpp: likelihoods {likelihoods:.4f}, floats {floats:.4f}, "
        f"stream {stream:.4f} ({stream / floats - 1:+.2%})  "
        f"PSNR {10 * np.log10(255**2 / mse):.1f}  latents near 0: {zeros:.0%}\n"
        f"    ms a tile: encode {encode:.0f}, decode {symbols + synthesis:.0f} "
        f"(symbols {symbols:.1f}, synthesis {synthesis:.0f})",
        flush=True,
    )


def report_light(folder: Path, codec: NeuralCodec, tiles: np.ndarray) -> None:
    """Print a line for each precision of a codec's light decoder, if it has one, after one for the full."""
    spec, shape = read_codec(folder), (SIDE, SIDE)
    if not spec.light_sha256:
        return
    streams = codec.encode(tiles)
    latents = codec.latents(streams, shape)
    light = load_light_of(read_part(folder, LIGHT_FILE, spec.light_sha256), spec.decoder_sha256)
    decoders = {"full, float32": None, **{f"light, {name}": light for name in PRECISIONS}}
    full = 0.0
    for name, synthesis in decoders.items():
        if synthesis is not None:
            synthesis.to(dtype=getattr(torch, name.split()[-1]))
        made = codec.pixels(latents, shape, synthesis)
        psnr = 10 * float(np.log10(255**2 / ((made.astype(float) - tiles) ** 2).mean()))
        full = full or psnr
        work = partial(_decode, codec, synthesis)
        ms = best(work, streams)
        print(
            f"    {name:15} PSNR {psnr:.2f} ({psnr - full:+.2f})  {ms:.1f} ms a tile, "
            f"{1000 / ms:.0f} tiles/s",
            flush=True,
        )


def _decode(codec: NeuralCodec, synthesis: torch.nn.Module | None, stream: bytes) -> np.ndarray:
    return codec.pixels(codec.latents([stream], (SIDE, SIDE)), (SIDE, SIDE), synthesis)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("slide", type=Path)
    parser.add_argument("--codec", type=Path, help="folder of a trained codec, instead of training")
    parser.add_argument("--networks", nargs="+", default=NETWORKS.names(), choices=NETWORKS.names())
    parser.add_argument("--sizes", nargs=2, type=int, default=(64, 96), metavar=("N", "M"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--tiles", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(args.threads)
    left, tiles = read_tiles(args.slide, args.tiles)
    with threadpool_limits(args.threads):
        if args.codec:
            codec = load_codec(args.codec)
            report(codec, tiles)
            report_light(args.codec, codec, tiles)
            return
        for name in args.networks:
            net = make_network(name, *args.sizes)
            train(net, left, args.steps)
            sample = np.stack([left[y : y + SIDE, :SIDE] for y in range(0, left.shape[0] - SIDE, 2 * SIDE)])
            report(freeze(net, sample[:6]), tiles)


if __name__ == "__main__":
    main()
