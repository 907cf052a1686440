"""How near each layer of an encoder comes to what the processor can do at all, on one core.

    python benchmarks/encoder_layers.py --encoder nic-default

For every convolution and linear layer: multiply-adds (MAC) of a patch, microseconds a patch in the pipeline's
batch, and MAC per second as a share of the *peak*, which is the best of several square matrix products in the
layer's precision. What is missing to 100 % is all that another implementation of the same layer could gain.
What lies between the layers, and computes next to nothing, is the rest. Times are processor time, so that
other work on the machine matters little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import nn

from napari_nic.encoders import load_encoder

SIZES = (512, 1024, 2048)
REPEATS = 5
RUNS = 8


@dataclass(frozen=True)
class Layer:
    """One layer's work for a patch: multiply-adds, seconds, and MAC per second that the processor can do."""

    name: str
    macs: float
    seconds: float
    peak: float


def processor_seconds(step: Callable[[], object]) -> float:
    """Least processor time of several runs."""
    step()
    times = []
    for _ in range(REPEATS):
        start = time.thread_time()
        for _ in range(RUNS):
            step()
        times.append((time.thread_time() - start) / RUNS)
    return min(times)


@cache
def peak_macs(dtype: torch.dtype) -> float:
    """MAC per second of the best square matrix product."""
    rates = []
    for size in SIZES:
        a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
        rates.append(size**3 / processor_seconds(partial(torch.mm, a, b)))
    return max(rates)


def measure(net: nn.Module, pixels: torch.Tensor) -> tuple[list[Layer], float]:
    """Return the layers in the order they run, and the seconds a patch takes as a whole."""
    seen: dict[str, torch.Tensor] = {}
    layers = {name: layer for name, layer in net.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)}
    hooks = [
        layer.register_forward_pre_hook(lambda _, args, name=name: seen.setdefault(name, args[0].clone()))
        for name, layer in layers.items()
    ]
    net(pixels)
    for hook in hooks:
        hook.remove()
    rows = [measure_layer(name, layers[name], x) for name, x in seen.items()]
    return rows, processor_seconds(lambda: net(pixels)) / len(pixels)


def measure_layer(name: str, layer: nn.Module, x: torch.Tensor) -> Layer:
    """Time one layer on what it was given in the network."""
    places = layer(x)[0, 0].numel()
    seconds = processor_seconds(lambda: layer(x)) / len(x)
    return Layer(f"{name} {x.dtype}", layer.weight.numel() * places, seconds, peak_macs(x.dtype))


def main() -> None:
    """Parse the command line, measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--encoder", default="nic-default", help="one of the NIC networks")
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()
    torch.set_num_threads(1)
    encoder = load_encoder(args.encoder, device="cpu", precision=args.precision)
    dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[encoder.precision]
    shape = (encoder.batch_size, encoder.spec.input_size, encoder.spec.input_size, 3)
    with torch.inference_mode():
        pixels = torch.randint(-128, 128, shape, dtype=torch.int8).permute(0, 3, 1, 2).to(dtype)
        layers, whole = measure(encoder.network, pixels)
    print(f"{encoder.spec.name}, {encoder.precision}, batches of {encoder.batch_size}, one core")
    for row in layers:
        rate = row.macs / row.seconds
        print(
            f"  {row.name:<24}{row.macs / 1e6:7.2f} MMAC {row.seconds * 1e6:7.1f} us "
            f"{rate / 1e9:6.0f} GMAC/s {rate / row.peak:6.0%} of {row.peak / 1e9:.0f}"
        )
    rest = whole - sum(row.seconds for row in layers)
    least = sum(row.macs / row.peak for row in layers)
    print(f"  {'the rest':<24}{'':>12} {rest * 1e6:7.1f} us")
    print(f"  {'a patch':<24}{'':>12} {whole * 1e6:7.1f} us, {1 / whole:.0f} patches a second")
    gain = whole / least
    print(f"  At the peak the sums alone take {least * 1e6:.0f} us: no more than {gain:.2f} times as fast")


if __name__ == "__main__":
    main()
