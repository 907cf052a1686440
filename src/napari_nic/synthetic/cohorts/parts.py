"""The parts of a cohort, and how groups are dealt to them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PARTS = ("train", "validation", "test")

VALIDATION_SHARE, TEST_SHARE = 0.2, 0.3
"""Of the groups; with few of them, one group each."""

_STREAM = 73


def deal_groups(names: Sequence[str], *, seed: int) -> dict[str, list[str]]:
    """Deal groups to train, validation and test.

    Parameters
    ----------
    names : sequence of str
        Fewer than three all train.
    seed : int
    """
    if len(names) < len(PARTS):
        return {"train": list(names), "validation": [], "test": []}
    order = [str(name) for name in np.random.default_rng((_STREAM, seed)).permutation(list(names))]
    validation = max(1, round(VALIDATION_SHARE * len(order)))
    test = max(1, round(TEST_SHARE * len(order)))
    return {
        "validation": order[:validation],
        "test": order[validation : validation + test],
        "train": order[validation + test :],
    }
