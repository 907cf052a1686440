"""Which table each symbol has and what it stands for, in whole numbers: for writing and reading alike.

A model walks through the symbols of tiles in a fixed order. At each step it knows from what was coded before
which table each symbol of the step has and what its mean is; a :class:`Coder` then writes the symbols or
reads them. Both see the same numbers, so both go the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from napari_nic.errors import WeightsError
from napari_nic.recompression.neural.integer import (
    FRACTION,
    Floats,
    IntegerNet,
    Wholes,
    activations,
)
from napari_nic.recompression.neural.tables import SCALES, SymbolTables

HYPER_FACTOR = 4
"""Places of y along a side for one of z."""

_THRESHOLDS = np.floor(np.array(SCALES[:-1]) * 2**FRACTION).astype(np.int64)
_MOST_SCALE = int(_THRESHOLDS[-1]) + 1
_TABLE_OF = np.searchsorted(_THRESHOLDS, np.arange(_MOST_SCALE + 1))
"""Looking a scale up takes a tenth of the time that a search takes."""


@dataclass(frozen=True, eq=False)
class Places:
    """Some places of latents: a range of channels, and everything or a half of a checkerboard.

    Attributes
    ----------
    latents : str
        ``"y"`` or ``"z"``.
    channels : slice
    mask : ndarray of bool, (h, w)
    """

    latents: str
    channels: slice
    mask: npt.NDArray[np.bool_]

    def of(self, latents: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Take these places (n, channels, places) out of latents (n, C, h, w)."""
        found: npt.NDArray[np.generic] = latents[:, self.channels][:, :, self.mask]
        return found


class Coder(Protocol):
    """Writes symbols of tiles, or reads them."""

    def code(self, places: Places, tables: SymbolTables, which: Wholes, means: Wholes) -> Wholes:
        """Write or read the symbols of some places.

        Parameters
        ----------
        places : Places
        tables : SymbolTables
        which : ndarray of int64, (n, channels, places)
            Number of the table of each symbol.
        means : ndarray of int64, (n, channels, places)
            What symbol 0 stands for, of FRACTION bits after the point.

        Returns
        -------
        ndarray of int64, (n, channels, places)
        """
        ...


class SymbolModel(Protocol):
    """What is known of the symbols of a network."""

    kind: ClassVar[str]

    def latents(self, coder: Coder, count: int, shape: tuple[int, int]) -> Wholes:
        """Code the symbols of tiles, and return what they stand for.

        Parameters
        ----------
        coder : Coder
        count : int
            Tiles, n.
        shape : (int, int)
            Rows and columns of y.

        Returns
        -------
        ndarray of int64, (n, M, rows, columns)
            y, of FRACTION bits after the point.
        """
        ...


@dataclass(frozen=True, eq=False)
class ChannelModel:
    """Symbols with a table for each channel, by a bottleneck: y of bmshj2018-factorized, z of all others.

    Attributes
    ----------
    tables : SymbolTables
    medians : ndarray of int64, (channels,)
        What symbol 0 stands for, of FRACTION bits after the point.
    name : str
        Of the latents.
    """

    kind: ClassVar[str] = "factorized"
    tables: SymbolTables
    medians: Wholes
    name: str = "y"

    def __post_init__(self) -> None:
        if self.medians.shape != (len(self.tables.tables),) or (np.abs(self.medians) > 2**40).any():
            raise WeightsError("the medians of a learned codec do not fit its tables")

    def latents(self, coder: Coder, count: int, shape: tuple[int, int]) -> Wholes:
        """See the protocol."""
        channels = len(self.medians)
        places = Places(self.name, slice(0, channels), np.ones(shape, bool))
        size = (count, channels, shape[0] * shape[1])
        which = np.broadcast_to(np.arange(channels)[:, None], size)
        means = np.broadcast_to(self.medians[:, None], size)
        symbols = coder.code(places, self.tables, which, means)
        return (symbols * 2**FRACTION + means).reshape(count, channels, *shape)


@dataclass(frozen=True, eq=False)
class HyperModel:
    """Symbols whose scales, and perhaps means, a network in whole numbers computes from z.

    Attributes
    ----------
    hyper : ChannelModel
        Of z.
    synthesis : IntegerNet
        From z to scales, or to scales and means.
    gaussians : SymbolTables
        One for each scale.
    has_means : bool
    """

    hyper: ChannelModel
    synthesis: IntegerNet
    gaussians: SymbolTables
    has_means: bool
    kind: ClassVar[str] = "hyper"

    def __post_init__(self) -> None:
        outputs = len(self.synthesis.layers[-1].bias)
        _check_gaussians(self.gaussians)
        if len(self.synthesis.bits) != len(self.hyper.medians) or (self.has_means and outputs % 2):
            raise WeightsError("the parts of a learned codec do not fit each other")

    def latents(self, coder: Coder, count: int, shape: tuple[int, int]) -> Wholes:
        """See the protocol."""
        z = self.hyper.latents(coder, count, _hyper_shape(shape))
        found = _channels_first(self.synthesis(activations(z, self.synthesis.bits)))
        scales, means = np.split(found, 2, 1) if self.has_means else (found, np.zeros_like(found))
        channels = scales.shape[1]
        places = Places("y", slice(0, channels), np.ones(shape, bool))
        flat = (count, channels, shape[0] * shape[1])
        symbols = coder.code(places, self.gaussians, table_of(scales).reshape(flat), means.reshape(flat))
        return symbols.reshape(means.shape) * 2**FRACTION + means


@dataclass(frozen=True, eq=False)
class GroupNets:
    """Networks in whole numbers that know one group of channels.

    Attributes
    ----------
    size : int
        Channels of the group.
    spatial : IntegerNet
        From the group's first half of places.
    parameters : IntegerNet
        From what `spatial`, `channel` and the hyper-synthesis give, to means and scales.
    channel : IntegerNet or None
        From earlier groups.
    """

    size: int
    spatial: IntegerNet
    parameters: IntegerNet
    channel: IntegerNet | None


@dataclass(frozen=True, eq=False)
class GroupModel:
    """Symbols of ELIC: group after group, each in two halves of a checkerboard.

    Attributes
    ----------
    hyper : ChannelModel
        Of z.
    synthesis : IntegerNet
    gaussians : SymbolTables
    groups : tuple of GroupNets
    """

    hyper: ChannelModel
    synthesis: IntegerNet
    gaussians: SymbolTables
    groups: tuple[GroupNets, ...]
    kind: ClassVar[str] = "groups"
    _bounds: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_gaussians(self.gaussians)
        object.__setattr__(self, "_bounds", tuple(accumulate((g.size for g in self.groups), initial=0)))
        known = len(self.synthesis.layers[-1].bias)
        fits = bool(self.groups) and len(self.synthesis.bits) == len(self.hyper.medians)
        for number, group in enumerate(self.groups):
            before = (
                0
                if number == 0
                else self.groups[0].size + (self.groups[number - 1].size if number > 1 else 0)
            )
            inputs = known + 2 * group.size * (1 if number == 0 else 2)
            fits &= (group.channel is None) == (number == 0) and len(group.spatial.bits) == group.size
            fits &= len(group.parameters.bits) == inputs
            fits &= len(group.parameters.layers[-1].bias) == 2 * group.size
            fits &= group.channel is None or len(group.channel.bits) == before
        if not fits:
            raise WeightsError("the networks of a learned codec's groups do not fit each other")

    def latents(self, coder: Coder, count: int, shape: tuple[int, int]) -> Wholes:
        """See the protocol."""
        z = self.hyper.latents(coder, count, _hyper_shape(shape))
        hyper = self.synthesis(activations(z, self.synthesis.bits))
        y = np.zeros((count, self._bounds[-1], *shape), np.int64)
        for number, nets in enumerate(self.groups):
            known = hyper
            if nets.channel is not None:
                seen = y[:, self._before(number)]
                known = np.concatenate([nets.channel(activations(seen, nets.channel.bits)), hyper], -1)
            self._code_group(coder, number, y, known)
        return y

    def _before(self, number: int) -> Wholes:
        """Channels that a group sees: of the first group, and of the one before it."""
        first, last = np.arange(self._bounds[1]), np.arange(self._bounds[number - 1], self._bounds[number])
        return first if number == 1 else np.concatenate([first, last])

    def _code_group(self, coder: Coder, number: int, y: Wholes, known: Floats) -> None:
        """Code a group into `y`, first the one half of places, then, knowing it, the other."""
        nets, channels = self.groups[number], slice(self._bounds[number], self._bounds[number + 1])
        rows, columns = y.shape[2:]
        is_first = (np.arange(rows)[:, None] + np.arange(columns)) % 2 == 0
        spatial = np.zeros((*known.shape[:3], 2 * nets.size), np.float32)
        for mask in (is_first, ~is_first):
            if mask is not is_first:
                spatial = nets.spatial(activations(y[:, channels], nets.spatial.bits))
            inputs = np.concatenate([spatial, known], -1)[:, mask]
            found = nets.parameters(inputs[:, :, None])[:, :, 0].transpose(0, 2, 1).astype(np.int64)
            means, scales = found[:, : nets.size], found[:, nets.size :]
            symbols = coder.code(Places("y", channels, mask), self.gaussians, table_of(scales), means)
            y[:, channels][:, :, mask] = symbols * 2**FRACTION + means


def table_of(scales: Wholes) -> Wholes:
    """Number of the table of each scale (FRACTION bits after the point): the first that is as wide."""
    return np.take(_TABLE_OF, np.clip(scales, 0, _MOST_SCALE))


def latents_as_floats(latents: Wholes) -> npt.NDArray[np.float32]:
    """Return what the synthesis takes."""
    return (latents * 2.0**-FRACTION).astype(np.float32)


def tables_of(model: SymbolModel) -> Mapping[str, SymbolTables]:
    """All tables of a model by name."""
    if isinstance(model, ChannelModel):
        return {"bottleneck": model.tables}
    assert isinstance(model, HyperModel | GroupModel)  # noqa: S101  # there are no others
    return {"bottleneck": model.hyper.tables, "gaussians": model.gaussians}


def _hyper_shape(shape: tuple[int, int]) -> tuple[int, int]:
    return shape[0] // HYPER_FACTOR, shape[1] // HYPER_FACTOR


def _channels_first(found: Floats) -> Wholes:
    return np.ascontiguousarray(np.moveaxis(found, -1, 1)).astype(np.int64)


def _check_gaussians(tables: SymbolTables) -> None:
    if len(tables.tables) != len(SCALES):
        raise WeightsError(
            "a learned codec has other tables than one for each scale",
            expected=f"{len(SCALES)} tables",
            found=f"{len(tables.tables)}",
        )
