"""Whether a saliency map depends on what the model learned: its weights are made random, layer by layer."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.explain.saliency import CamMethod, SaliencyMap, grad_cam
from napari_nic.explain.stability import rank_correlation
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.slide_models import ModelBundle

N_SEEDS = 5
"""Draws of random weights."""

MOST_LIKE = 0.5
"""Largest mean rank correlation that a map of random weights may have with the model's own: a bound of ours,
Adebayo et al. judge by eye. Chance gives maps of a few dozen cells 0.1 to 0.2."""

_HEAD = (("output", ("output.",)), ("dense layer", ("dense.", "norm.")))
_ATTENTION = ("attention", ("content.", "gate.", "weight."))


@dataclass(frozen=True, eq=False)
class Randomised:
    """What random weights do to a map.

    Attributes
    ----------
    target : str
    stages : tuple of str
        Layers from the top; those above a stage are random as well.
    signed : ndarray of float64, (stages, seeds)
        Rank correlation (Spearman) of the map with the model's own.
    sizes : ndarray of float64, (stages, seeds)
        Of the maps without their signs: random weights of the output turn a map's sign as easily as not.
    """

    target: str
    stages: tuple[str, ...]
    signed: np.ndarray
    sizes: np.ndarray

    @property
    def likeness(self) -> float:
        """Mean size of the rank correlation with all layers random."""
        return float(np.abs(self.signed[-1]).mean())

    @property
    def passes(self) -> bool:
        """Whether the map is another one with random weights."""
        return self.likeness <= MOST_LIKE

    @property
    def line(self) -> str:
        """One line for people."""
        found = f"rank correlation {self.likeness:.2f} with all layers random, at most {MOST_LIKE:g} wanted"
        mark, how = (
            ("\N{CHECK MARK}", "depends") if self.passes else ("\N{MULTIPLICATION X}", "hardly depends")
        )
        return f"{mark} Saliency of {self.target!r} {how} on what the model learned: {found}"

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "target": self.target,
            "passes": self.passes,
            "likeness": self.likeness,
            "stages": list(self.stages),
            "signed": self.signed.tolist(),
            "sizes": self.sizes.tolist(),
        }


def randomise_layers(
    bundle: ModelBundle,
    codes: np.ndarray,
    mask: np.ndarray,
    *,
    target: int | None = None,
    layer: int = 0,
    method: CamMethod = "Grad-CAM",
    seeds: Sequence[int] = range(N_SEEDS),
    device: str = "auto",
    token: CancellationToken | None = None,
) -> Generator[Progress, None, Randomised]:
    """Explain a slide by a model whose layers are made random one after the other, from the top.

    Parameters
    ----------
    bundle : ModelBundle
    codes : ndarray of float, (rows, cols, C)
    mask : ndarray of bool, (rows, cols)
        Encoded cells.
    target : int, optional
        Class or regressed value; by default the last one.
    layer : int
    method : {"Grad-CAM", "LayerCAM", "HiResCAM"}
    seeds : sequence of int
        Of the random weights.
    device : str
    token : CancellationToken, optional
        Asked at each map.

    Yields
    ------
    Progress
        Of maps; the :class:`Randomised` is what it returns.

    Raises
    ------
    InvalidParameterError
        If target, layer or method does not exist, or there is no seed.
    CancelledError

    Notes
    -----
    The cascading randomisation of Adebayo et al. 2018 ("Sanity checks for saliency maps", section 4): a map
    that stays the same says something of the slide, but nothing of the model. Random weights are those that
    a training would begin with.
    """
    if not len(seeds):
        raise InvalidParameterError("random weights need at least one seed", found="none")
    what: dict[str, Any] = {"target": target, "layer": layer, "method": method}
    what |= {"device": device, "token": token}
    own = grad_cam(bundle, codes, mask, **what)
    stages = _stages(bundle)
    found = np.empty((2, len(stages), len(seeds)))
    for column, seed in enumerate(seeds):
        names: list[str] = []
        for row, (stage, prefixes) in enumerate(stages):
            if token is not None:
                token.checkpoint()
            yield Progress(
                column * len(stages) + row, found[0].size, f"random from the top to {stage}", "maps"
            )
            names += [name for name in bundle.weights if name.startswith(prefixes)]
            other = grad_cam(bundle.randomised(names, seed), codes, mask, **what)
            found[:, row, column] = _likeness(own, other)
    return Randomised(own.target, tuple(stage for stage, _ in stages), *found)


def _stages(bundle: ModelBundle) -> list[tuple[str, tuple[str, ...]]]:
    """Name the layers from the top, each with how its weights' names begin."""
    network = bundle.card.network
    attention = [_ATTENTION] if network.kind == "attention" else []
    numbers = reversed(range(network.layers))
    return [*_HEAD, *attention, *((f"layer {number + 1}", (f"blocks.{number}.",)) for number in numbers)]


def _likeness(own: SaliencyMap, other: SaliencyMap) -> tuple[float, float]:
    first, second = own.values[own.mask], other.values[own.mask]
    return rank_correlation(first, second), rank_correlation(np.abs(first), np.abs(second))
