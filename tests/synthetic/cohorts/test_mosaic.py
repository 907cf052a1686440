"""Composed slides: the same however they are cut, tumour inside the outline and nowhere else."""

import numpy as np
import pytest
import shapely

from napari_nic.errors import OutOfBoundsError
from napari_nic.geometry import RegionPx
from napari_nic.synthetic import Lesion, SyntheticSlideSpec
from napari_nic.synthetic.cohorts.mosaic import Composition, Mosaic

SPEC = SyntheticSlideSpec(700, 800, seed=4, lesions=(Lesion(0.25),), coverage=0.6, stain_variation=0.0)
WHOLE = RegionPx(0, 0, 700, 800)


@pytest.fixture(scope="module")
def with_lesion(stock):
    return Mosaic(Composition(SPEC, "outlined", has_lesion=True), stock)


@pytest.fixture(scope="module")
def picture(with_lesion):
    return with_lesion.read(WHOLE)


def test_every_cut_gives_the_same_pixels(with_lesion, picture):
    for region in (RegionPx(0, 0, 256, 256), RegionPx(300, 211, 301, 407), RegionPx(699, 799, 1, 1)):
        assert np.array_equal(with_lesion.read(region), picture[region.slices])


def test_tumour_lies_inside_the_outline(with_lesion, picture):
    area = shapely.union_all(with_lesion.lesion_polygons())
    y, x = np.mgrid[0:700:7, 0:800:7]
    inside = shapely.contains_xy(area.buffer(-12), x + 0.5, y + 0.5)
    outside = ~shapely.contains_xy(area.buffer(12), x + 0.5, y + 0.5)
    # Violet tumour is much darker in green than in pink tissue, glass is brighter still.
    green = picture[::7, ::7, 1].astype(float)
    assert green[inside].mean() < 90
    assert green[outside].min() > 90


def test_a_slide_without_lesion_has_normal_tissue_in_its_graft(stock):
    mosaic = Mosaic(Composition(SPEC, "outlined", has_lesion=False), stock)
    assert mosaic.lesion_polygons() == []
    assert mosaic.read(WHOLE)[..., 1].min() > 90


def test_stain_changes_colours_but_not_glass_alone(stock, picture):
    spec = SyntheticSlideSpec(700, 800, seed=4, lesions=(Lesion(0.25),), coverage=0.6, stain_variation=1.0)
    changed = Mosaic(Composition(spec, "outlined", has_lesion=True), stock).read(WHOLE)
    difference = np.abs(changed.astype(int) - picture).max(axis=2)
    tissue = picture[..., 1] < 200
    assert difference[tissue].mean() > 5


def test_a_region_beyond_the_edge_is_refused(with_lesion):
    with pytest.raises(OutOfBoundsError):
        with_lesion.read(RegionPx(690, 0, 20, 10))
