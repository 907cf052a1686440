"""The architectures of encoders by name, in PyTorch; only imported when one is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from napari_nic.encoders.nets import (
    EncoderNet,
    Nic128EncoderNet,
    NicEncoderNet,
    PooledEncoderNet,
    SlimEncoderNet,
    TinyEncoderNet,
)
from napari_nic.encoders.prepared import (
    Folded128Net,
    FoldedNet,
    FoldedPooledNet,
    FoldedSlimNet,
    PreparedNet,
)
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.errors import WeightsError


@dataclass(frozen=True)
class Architecture:
    """A family of encoder networks.

    Attributes
    ----------
    input_size : int
        Side of the network's input, px.
    input_mpp : float
        Resolution of the input, um/px.
    patch_size, mpp : int, float
        Of the slide's patch that the input is averaged from.
    build : callable
        Maps a code size to a network with random weights.
    prepare : callable
        Maps a trained network to one that gives the same codes faster, for pixels as ``uint8 - 128``.
    """

    input_size: int
    input_mpp: float
    patch_size: int
    mpp: float
    build: Callable[[int], EncoderNet]
    prepare: Callable[[EncoderNet], PreparedNet]


NETWORKS: dict[str, Architecture] = {
    "nic-64": Architecture(64, 1.0, 128, 0.5, NicEncoderNet, FoldedNet),
    "nic-64-pooled": Architecture(64, 1.0, 128, 0.5, PooledEncoderNet, FoldedPooledNet),
    "nic-64-slim": Architecture(64, 1.0, 128, 0.5, SlimEncoderNet, FoldedSlimNet),
    "nic-64-tiny": Architecture(64, 1.0, 128, 0.5, TinyEncoderNet, FoldedSlimNet),
    "nic-128": Architecture(128, 0.5, 128, 0.5, Nic128EncoderNet, Folded128Net),
}
"""Architectures by the name that a spec gives."""


def get_architecture(name: str) -> Architecture:
    """Return an architecture by name.

    Raises
    ------
    WeightsError
        If it is unknown.
    """
    if name not in NETWORKS:
        raise WeightsError(
            "unknown encoder architecture",
            expected=f"one of {', '.join(NETWORKS)}",
            found=name,
            hint="it may need a newer napari-nic",
        )
    return NETWORKS[name]


def build_network(spec: EncoderSpec) -> EncoderNet:
    """Return the network of a spec with random weights.

    Raises
    ------
    WeightsError
        If the architecture is unknown, or takes patches of another size than the spec says.
    """
    architecture = get_architecture(spec.architecture)
    if architecture.input_size != spec.input_size:
        raise WeightsError(
            f"a network {spec.architecture} does not take patches of this size",
            expected=f"input_size {architecture.input_size}",
            found=f"{spec.input_size}",
        )
    return architecture.build(spec.code_size)
