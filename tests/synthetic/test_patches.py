"""Patches: reproducible, of tissue, with the lesion's share of each."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.errors import InvalidParameterError
from napari_nic.synthetic import synthetic_patch_set, synthetic_patches


@pytest.fixture(scope="module")
def patch_set():
    return synthetic_patch_set(60, 64, seed=1)


def test_shapes_and_types(patch_set):
    assert patch_set.images.shape == (60, 64, 64, 3)
    assert patch_set.images.dtype == np.uint8
    assert patch_set.lesion.shape == patch_set.labels.shape == patch_set.scene.shape == (60,)
    assert set(np.unique(patch_set.labels)) == {0, 1}
    assert set(np.unique(patch_set.scene)) == {0, 1}


def test_the_first_patches_stay_when_more_are_asked_for(patch_set):
    np.testing.assert_array_equal(synthetic_patches(20, 64, seed=1), patch_set.images[:20])


def test_other_seeds_give_other_patches(patch_set):
    assert (synthetic_patches(5, 64, seed=2) != patch_set.images[:5]).any(axis=(1, 2, 3)).all()


def test_a_lesion_is_told_by_its_colour(patch_set):
    red = patch_set.images[..., 0].mean(axis=(1, 2))
    assert red[patch_set.lesion > 0.9].mean() < red[patch_set.lesion == 0].mean() - 20


def test_scenes_have_different_stains(patch_set):
    normal = patch_set.lesion == 0
    means = [patch_set.images[normal & (patch_set.scene == s)].mean(axis=(0, 1, 2)) for s in (0, 1)]
    assert np.abs(means[0] - means[1]).max() > 2


def test_none_and_senseless():
    assert synthetic_patches(0, 32).shape == (0, 32, 32, 3)
    with pytest.raises(InvalidParameterError):
        synthetic_patches(-1, 32)
    with pytest.raises(InvalidParameterError):
        synthetic_patches(1, 0)
