"""A learned codec that was not trained: its weights are those of a wavelet transform, so it is a good one."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from napari_nic.recompression.learned import SPEC_FILE, CodecSpec, spec_text
from napari_nic.recompression.neural.codec import freeze
from napari_nic.recompression.neural.networks import make_network
from napari_nic.recompression.neural.store import save_codec

NETWORK, FILTERS, CHANNELS = "bmshj2018-factorized", 72, 288
STEP = 20.0
"""Grey levels of one step of a coefficient."""

COLORS = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])
"""Orthonormal: brightness, and two differences of colours."""

HAAR = np.array([[[1, 1], [1, 1]], [[1, -1], [1, -1]], [[1, 1], [-1, -1]], [[1, -1], [-1, 1]]]) / 2
"""Orthonormal: mean, and differences across, down and both ways."""


def kernels() -> tuple[list[np.ndarray], np.ndarray]:
    """Return four kernels (outputs, inputs, 2, 2), of 3 channels to 288, and how often each is of the mean.

    Of brightness all bands are kept, of colours the mean over 4 x 4 pixels and all bands of that.
    """
    made, kinds = [], [(row, 0) for row in range(3)]
    for number in range(4):
        rows, found = [], []
        for channel, (color, detail) in enumerate(kinds):
            for band in range(1 if color and number < 2 else 4):
                kernel = np.zeros((len(kinds), 2, 2))
                kernel[channel] = HAAR[band]
                rows.append(kernel)
                found.append((color, detail + (band > 0)))
        made.append(np.stack(rows))
        kinds = found
    made[0] = np.einsum("ockl,cr->orkl", made[0], COLORS)
    return made, np.array([10 * color + detail for color, detail in kinds])


def wavelet_net(step: float = STEP) -> torch.nn.Module:
    """Return a network whose analysis is an orthonormal transform, and whose synthesis goes back."""
    net = make_network(NETWORK, FILTERS, CHANNELS)
    made, kinds = kernels()
    state = net.state_dict()
    for name, value in state.items():
        if name.startswith(("g_a.", "g_s.")) and name.endswith((".weight", ".bias")):
            value.zero_()
        if name.endswith(".gamma"):
            value.fill_(2.0**-18)  # what stands for 0
        if name.endswith(".beta"):
            value.fill_((1 + 2.0**-36) ** 0.5)
    for number, kernel in enumerate(made):
        outputs, inputs = kernel.shape[:2]
        factor = 255 / step if number == 3 else 1.0
        there = torch.from_numpy(kernel).float()
        state[f"g_a.{2 * number}.weight"][:outputs, :inputs, 2:4, 2:4] = there * factor
        state[f"g_s.{6 - 2 * number}.weight"][:outputs, :inputs, 2:4, 2:4] = there / factor
    detail = kinds % 10
    scales = np.select([kinds == 0, detail == 0, detail == 1], [90.0, 6.0, 0.4], 0.12)
    set_scales(state, scales)
    net.load_state_dict(state)
    return net.eval()


def set_scales(state: dict[str, torch.Tensor], scales: np.ndarray) -> None:
    """Make the distribution of each channel a logistic one around 0."""
    bottleneck = {name: value for name, value in state.items() if name.startswith("entropy_bottleneck.")}
    widths = [value.shape[1] for name, value in bottleneck.items() if ".matrices." in name]
    for name, value in bottleneck.items():
        if ".biases." in name or ".factors." in name:
            value.zero_()
        if ".matrices." in name:
            number = int(name.rpartition(".")[2])
            slope = torch.full(value.shape, 1.0 / value.shape[2])  # of a sum over equal inputs, the mean
            if number == len(widths) - 1:
                slope = slope / torch.from_numpy(scales).float()[:, None, None]
            value.copy_(torch.log(torch.expm1(slope)))
        if name.endswith("quantiles"):
            far = torch.from_numpy(scales * 21.4).float()
            value.copy_(torch.stack([-far, torch.zeros_like(far), far], 1)[:, None])


def write_codec(folder: Path, step: float = STEP, name: str = "wavelet") -> Path:
    """Write the codec as training would."""
    save_codec(freeze(wavelet_net(step)), folder)
    hashes = {
        f"{part}_sha256": hashlib.sha256((folder / f"{part}.safetensors").read_bytes()).hexdigest()
        for part in ("encoder", "decoder")
    }
    spec = CodecSpec(name, NETWORK, FILTERS, CHANNELS, "none", **hashes)
    (folder / SPEC_FILE).write_text(spec_text(spec), "utf-8")
    return folder
