"""Overviews painted by code: their tissue is where the mask says, and nothing else changes it."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import RegionPx
from napari_nic.synthetic import VARIANTS, OverviewSpec, Scene, SyntheticSlideSpec, paint_overview

SIDE = 192


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_spec_is_the_same_picture(variant):
    spec = OverviewSpec(5, variant, SIDE, 8.0)
    one, other = paint_overview(spec), paint_overview(spec)
    np.testing.assert_array_equal(one.image, other.image)
    assert one.image.shape == (SIDE, SIDE, 3)
    assert one.image.dtype == np.uint8
    assert 0 < one.tissue.mean() < 0.8
    assert not (one.hidden & ~one.tissue).any()


def test_tissue_is_darker_than_glass_where_nothing_else_is():
    painted = paint_overview(OverviewSpec(3, "plain", SIDE, 8.0))
    tissue, glass = painted.image[painted.tissue], painted.image[~painted.tissue]
    assert tissue.mean() < glass.mean() - 10
    assert glass.std(axis=0).max() < 6


def test_variants_are_what_they_are_called():
    light = {name: paint_overview(OverviewSpec(2, name, SIDE, 8.0)) for name in ("plain", "dark", "bright")}
    glass = {name: one.image[~one.tissue].mean() for name, one in light.items()}
    assert glass["dark"] < glass["plain"] - 30
    assert glass["bright"] > 235
    inked = [paint_overview(OverviewSpec(seed, "pen", SIDE, 8.0)) for seed in range(4)]
    assert any(one.hidden.any() for one in inked)
    dusty = paint_overview(OverviewSpec(4, "dust", SIDE, 8.0))
    assert dusty.image[~dusty.tissue].min() < 200


def test_another_variant_is_refused():
    with pytest.raises(InvalidParameterError, match="pale fat"):
        OverviewSpec(1, "wet")


def test_the_mask_of_a_scene_is_where_dye_is():
    scene = Scene(SyntheticSlideSpec(256, 256, mpp=2.0, seed=4, fat=0.0, coverage=0.4))
    region = RegionPx(0, 0, 256, 256)
    mask, image = scene.tissue_mask(region), scene.read(region)
    assert image[mask].mean() < image[~mask].mean() - 30
    part = RegionPx(40, 60, 100, 80)
    np.testing.assert_array_equal(scene.tissue_mask(part), mask[part.slices])
    assert not scene.fat_mask(region).any()
