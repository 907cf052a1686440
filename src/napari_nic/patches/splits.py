"""Split patches for training and testing by slide or patient, never by patch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_nic.errors import InvalidParameterError

ATTEMPTS = 16
"""Random orders in which the groups are dealt out; the most even outcome is taken."""

_SUM_TOLERANCE = 1e-6


def split_by_group(
    groups: Sequence[str] | np.ndarray,
    shares: Sequence[float],
    *,
    labels: np.ndarray | None = None,
    seed: int = 0,
) -> tuple[np.ndarray, ...]:
    """Divide patches into parts so that every group is in one part only.

    Groups are dealt out one by one in random order, each to the part where it brings the shares of all
    classes closest to those wanted; of several orders the best is kept. No part stays empty.

    Parameters
    ----------
    groups : sequence of str, (n,)
        Slide or patient of each patch.
    shares : sequence of float
        Share of the patches, and of each class's patches, wanted in each part; their sum is 1.
    labels : ndarray of int, (n,), optional
        Classes that are to be spread evenly; patches without label (-1) count as one more class.
    seed : int
        The same seed gives the same split of the same groups.

    Returns
    -------
    tuple of ndarray of int64
        For each part the indices of its patches, ascending.

    Raises
    ------
    InvalidParameterError
        If a share is not above 0, their sum is not 1, or there are fewer groups than parts.
    """
    wanted = _checked(shares)
    names, members = np.unique(np.asarray(groups), return_inverse=True)
    if len(names) < len(wanted):
        raise InvalidParameterError(
            "there are too few slides or patients to split by",
            expected=f"at least {len(wanted)}, one for each part",
            found=f"{len(names)}: {', '.join(map(str, names))}",
            hint="check the rule that finds the group in a file's name (--group)",
        )
    weights = _class_shares(members, len(names), labels)
    part_of_group = _deal(weights, wanted, np.random.default_rng(seed))
    return tuple(np.flatnonzero(part_of_group[members] == part) for part in range(len(wanted)))


def _checked(shares: Sequence[float]) -> np.ndarray:
    wanted = np.asarray(shares, float)
    if len(wanted) == 0 or (wanted <= 0).any() or abs(wanted.sum() - 1) > _SUM_TOLERANCE:
        raise InvalidParameterError("shares are above 0 and sum to 1", found=f"{[float(s) for s in wanted]}")
    return wanted


def _class_shares(members: np.ndarray, count: int, labels: np.ndarray | None) -> np.ndarray:
    """Return what share of each class's patches is in each group, (groups, classes)."""
    classes = np.zeros(len(members), int) if labels is None else np.unique(labels, return_inverse=True)[1]
    table = np.zeros((count, int(classes.max()) + 1))
    np.add.at(table, (members, classes), 1)
    return np.asarray(table / table.sum(axis=0))


def _deal(weights: np.ndarray, wanted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the part of each group: the best of several random deals."""
    deals = [_deal_once(weights, wanted, rng.permutation(len(weights))) for _ in range(ATTEMPTS)]
    return min(deals, key=lambda deal: deal[0])[1]


def _deal_once(weights: np.ndarray, wanted: np.ndarray, order: np.ndarray) -> tuple[float, np.ndarray]:
    """Deal groups in `order`; return (how far the shares are off, part of each group)."""
    held = np.zeros((len(wanted), weights.shape[1]))
    sizes = np.zeros(len(wanted), int)
    parts = np.empty(len(weights), int)
    for position, group in enumerate(order):
        # What the sum of squared deviations changes by when the group goes to each of the parts.
        cost = (weights[group] * (2 * (held - wanted[:, None]) + weights[group])).sum(axis=1)
        if (sizes == 0).sum() >= len(order) - position:
            cost[sizes > 0] = np.inf
        part = int(cost.argmin())
        held[part] += weights[group]
        sizes[part] += 1
        parts[group] = part
    return float(((held - wanted[:, None]) ** 2).sum()), parts
