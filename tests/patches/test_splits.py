import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_nic.errors import InvalidParameterError
from napari_nic.patches import split_by_group

SHARES = st.sampled_from([(0.8, 0.2), (0.5, 0.5), (0.6, 0.2, 0.2), (0.9, 0.05, 0.05)])
PATCHES = st.lists(
    st.tuples(st.integers(0, 9).map("patient {}".format), st.integers(-1, 3)), min_size=3, max_size=60
)


@settings(deadline=None)
@given(PATCHES, SHARES, st.integers(0, 2**32 - 1))
def test_no_group_is_divided_and_no_patch_is_lost(patches, shares, seed):
    groups = np.array([group for group, _ in patches])
    labels = np.array([label for _, label in patches])
    if len(set(groups)) < len(shares):
        with pytest.raises(InvalidParameterError, match="too few slides or patients"):
            split_by_group(groups, shares, labels=labels, seed=seed)
        return
    parts = split_by_group(groups, shares, labels=labels, seed=seed)
    assert sorted(np.concatenate(parts)) == list(range(len(groups)))
    assert all(len(part) for part in parts)
    homes = [set(groups[part]) for part in parts]
    assert sum(map(len, homes)) == len(set(groups))
    again = split_by_group(groups, shares, labels=labels, seed=seed)
    assert all(np.array_equal(one, two) for one, two in zip(parts, again, strict=True))


def test_every_class_is_spread_as_wanted():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(60), 20)
    labels = np.repeat(rng.integers(3, size=60), 20)  # each patient has one class: the hard case
    parts = split_by_group(groups, (0.6, 0.2, 0.2), labels=labels, seed=5)
    for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
        assert np.bincount(labels[part]) / np.bincount(labels) == pytest.approx(share, abs=0.06)


def test_seeds_give_different_splits():
    groups = np.arange(20)
    tests = {tuple(split_by_group(groups, (0.8, 0.2), seed=seed)[1]) for seed in range(5)}
    assert len(tests) > 1
    assert {len(test) for test in tests} == {4}


@pytest.mark.parametrize("shares", [(), (0.5, 0.4), (1.2, -0.2), (1.0, 0.0)])
def test_shares_that_make_no_sense_are_refused(shares):
    with pytest.raises(InvalidParameterError, match="sum to 1"):
        split_by_group(["a", "b", "c"], shares)
