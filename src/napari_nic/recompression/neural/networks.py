"""The networks by name, their sizes, and their weights as others publish them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch

from napari_nic.errors import InvalidParameterError, WeightsError
from napari_nic.recompression.neural.elic import Elic
from napari_nic.recompression.neural.nets import (
    CompressionNet,
    FactorizedPrior,
    MeanScaleHyperprior,
    ScaleHyperprior,
)
from napari_nic.registry import Registry

NETWORKS: Registry[type[CompressionNet]] = Registry("network of a learned codec")
for _net in (FactorizedPrior, ScaleHyperprior, MeanScaleHyperprior, Elic):
    NETWORKS.register(_net.name, _net)

QUALITIES = range(1, 9)
MOST_CHANNELS = 1024

_SMALL, _LARGE = (128, 192), (192, 320)
_LARGE_FROM = {FactorizedPrior.name: 6, ScaleHyperprior.name: 6, MeanScaleHyperprior.name: 5, Elic.name: 1}

# What the library computes of weights, and stores beside them: made anew where it is wanted.
_COMPUTED = re.compile(
    r"(^|\.)(_offset|_quantized_cdf|_cdf_length|scale_table|scale_bound|target|mask"
    r"|(likelihood_lower_bound|lower_bound_scale)\.bound)$"
)
_OLDER = re.compile(r"(^|\.)(entropy_bottleneck)\._(matrix|bias|factor)(\d+)$")
_MIDDLE = re.compile(r"(^|\.)(entropy_bottleneck)\._(matrices|biases|factors)\.")
_PLURAL = {"matrix": "matrices", "bias": "biases", "factor": "factors"}


def channels_of(name: str, quality: int) -> tuple[int, int]:
    """Return (N, M) of a network at CompressAI's quality 1 to 8.

    Raises
    ------
    UnknownNameError
        If there is no such network.
    InvalidParameterError
        If there is no such quality.
    """
    NETWORKS.get(name)
    if quality not in QUALITIES:
        raise InvalidParameterError(
            "no such quality of a learned codec", expected="1 to 8", found=str(quality)
        )
    return _LARGE if quality >= _LARGE_FROM[name] else _SMALL


def make_network(name: str, filters: int, channels: int) -> CompressionNet:
    """Make a network with random weights.

    Parameters
    ----------
    name : str
        One of :data:`NETWORKS`.
    filters, channels : int
        N and M of the papers.

    Raises
    ------
    UnknownNameError
        If there is no such network.
    InvalidParameterError
        If a size makes no network.
    """
    kind = NETWORKS.get(name)
    least = 12 if kind is Elic else 1
    if not (2 <= filters <= MOST_CHANNELS and least <= channels <= MOST_CHANNELS):
        raise InvalidParameterError(
            f"these sizes make no network {name}",
            expected=f"N of 2 to {MOST_CHANNELS} and M of {least} to {MOST_CHANNELS}",
            found=f"N {filters}, M {channels}",
        )
    return kind(filters, channels)


def load_network(name: str, state: Mapping[str, torch.Tensor]) -> CompressionNet:
    """Make a network of weights, as CompressAI publishes them, of its older versions too.

    Parameters
    ----------
    name : str
        One of :data:`NETWORKS`.
    state : mapping of str to tensor
        N and M follow from it.

    Raises
    ------
    UnknownNameError
        If there is no such network.
    WeightsError
        If they are of another network, or damaged.
    """
    kind = NETWORKS.get(name)
    try:
        named = {_renamed(key): value for key, value in state.items() if not _COMPUTED.search(key)}
        last = "g_a.13.weight" if kind is Elic else "g_a.6.weight"
        net = make_network(name, len(named["g_a.0.weight"]), len(named[last]))
        own = net.state_dict()
        masks = {key: value for key, value in own.items() if key.endswith(".mask")}
        net.load_state_dict({**named, **masks})
    except (LookupError, RuntimeError, AttributeError, TypeError, InvalidParameterError) as error:
        raise WeightsError(
            f"these are no weights of {name}", found=str(error).splitlines()[0][:200]
        ) from error
    if not all(torch.isfinite(value).all() for value in net.state_dict().values()):
        raise WeightsError(f"these weights of {name} hold values that are no numbers", hint="get them again")
    return net.eval()


def _renamed(name: str) -> str:
    """The name of a parameter in weights of any version: of DataParallel, or numbered without a list."""
    name = name.removeprefix("module.")
    name = _OLDER.sub(lambda found: f"{found[1]}{found[2]}.{_PLURAL[found[3]]}.{found[4]}", name)
    return _MIDDLE.sub(r"\1\2.\3.", name)
