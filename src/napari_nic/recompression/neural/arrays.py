"""Models of symbols as named arrays of whole numbers, as files hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from napari_nic.errors import WeightsError
from napari_nic.recompression.neural.integer import IntegerLayer, IntegerNet
from napari_nic.recompression.neural.models import (
    ChannelModel,
    GroupModel,
    GroupNets,
    HyperModel,
    SymbolModel,
)
from napari_nic.recompression.neural.tables import SymbolTables

Array = npt.NDArray[np.generic]
Arrays = dict[str, Array]


def arrays_of(model: SymbolModel) -> Arrays:
    """Return all that a model consists of, by name."""
    if isinstance(model, ChannelModel):
        return _of_channels(model)
    assert isinstance(model, HyperModel | GroupModel)  # noqa: S101  # there are no others
    found = {
        **_of_channels(model.hyper),
        **_of_tables("gaussians", model.gaussians),
        **_of_net("synthesis", model.synthesis),
    }
    if isinstance(model, GroupModel):
        for number, group in enumerate(model.groups):
            nets = {"spatial": group.spatial, "parameters": group.parameters, "channel": group.channel}
            for name, net in nets.items():
                found |= {} if net is None else _of_net(f"groups.{number}.{name}", net)
    return found


def model_of(arrays: Mapping[str, Array], *, kind: str, has_means: bool) -> SymbolModel:
    """Make the model of its arrays.

    Parameters
    ----------
    arrays : mapping
        As :func:`arrays_of` names them.
    kind : str
        ``"factorized"``, ``"hyper"`` or ``"groups"``.
    has_means : bool
        Of ``"hyper"``: whether the network gives means.

    Raises
    ------
    WeightsError
        If arrays are missing, or are no such model.
    """
    try:
        tables = _tables(arrays, "bottleneck")
        medians = arrays["medians"].astype(np.int64)
        if kind == "factorized":
            return ChannelModel(tables, medians)
        hyper = ChannelModel(tables, medians, "z")
        synthesis, gaussians = _net(arrays, "synthesis"), _tables(arrays, "gaussians")
        if kind == "hyper":
            return HyperModel(hyper, synthesis, gaussians, has_means)
        count = len({name.split(".")[1] for name in arrays if name.startswith("groups.")})
        return GroupModel(hyper, synthesis, gaussians, tuple(_group(arrays, k) for k in range(count)))
    except (LookupError, ValueError, TypeError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(
            "the whole numbers of a learned codec are damaged",
            found=str(error)[:200],
            hint="get the file again",
        ) from error


def digest(arrays: Mapping[str, Array]) -> str:
    """SHA-256 of arrays with their names, types and shapes, hexadecimal."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        total.update(f"{name} {little.dtype.str} {little.shape}\n".encode())
        total.update(little.tobytes())
    return total.hexdigest()


def _of_channels(model: ChannelModel) -> Arrays:
    return {**_of_tables("bottleneck", model.tables), "medians": model.medians}


def _of_tables(name: str, tables: SymbolTables) -> Arrays:
    return {
        f"{name}.frequencies": np.concatenate(tables.tables).astype(np.uint16),
        f"{name}.lengths": tables.lengths.astype(np.int32),
        f"{name}.offsets": tables.offsets.astype(np.int32),
    }


def _tables(arrays: Mapping[str, Array], name: str) -> SymbolTables:
    flat, lengths, offsets = (
        arrays[f"{name}.{part}"].astype(np.int64) for part in ("frequencies", "lengths", "offsets")
    )
    if (lengths < 0).any() or lengths.sum() != len(flat):
        raise WeightsError("the tables of a learned codec are damaged", hint="get the file again")
    return SymbolTables(offsets, tuple(np.split(flat, np.cumsum(lengths)[:-1])))


def _of_net(name: str, net: IntegerNet) -> Arrays:
    found: Arrays = {f"{name}.bits": net.bits.astype(np.int16)}
    for number, layer in enumerate(net.layers):
        # Sums below 2 ** 24 of products with 2 ** 11 - 1 leave weights of 14 bits.
        found[f"{name}.{number}.weights"] = layer.weights.astype(np.int16)
        found[f"{name}.{number}.bias"] = layer.bias
        found[f"{name}.{number}.shift"] = layer.shift.astype(np.int16)
        found[f"{name}.{number}.form"] = np.array([layer.slope, layer.limit, layer.stride], np.int64)
    return found


def _net(arrays: Mapping[str, Array], name: str) -> IntegerNet:
    layers: list[IntegerLayer] = []
    while f"{name}.{len(layers)}.weights" in arrays:
        head = f"{name}.{len(layers)}"
        slope, limit, stride = (int(value) for value in arrays[f"{head}.form"])
        bias, shift = (arrays[f"{head}.{part}"].astype(np.int64) for part in ("bias", "shift"))
        weights = arrays[f"{head}.weights"].astype(np.float32)
        layers.append(IntegerLayer(weights, bias, shift, slope=slope, limit=limit, stride=stride))
    return IntegerNet(arrays[f"{name}.bits"].astype(np.int64), tuple(layers))


def _group(arrays: Mapping[str, Array], number: int) -> GroupNets:
    head = f"groups.{number}"
    spatial = _net(arrays, f"{head}.spatial")
    channel = _net(arrays, f"{head}.channel") if number else None
    return GroupNets(len(spatial.bits), spatial, _net(arrays, f"{head}.parameters"), channel)
