"""Painted tissue: deterministic, seamless, stained like tissue, with the lesion where its outline says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from skimage.color import rgb2hed

from napari_nic.errors import OutOfBoundsError
from napari_nic.geometry import RegionPx
from napari_nic.synthetic import Lesion, Scene, SyntheticSlideSpec
from napari_nic.synthetic.noise import smooth_noise, smoothstep
from napari_nic.synthetic.nuclei import KINDS, sprite_bank, stamp
from napari_nic.synthetic.painting import Painter
from napari_nic.synthetic.stains import GLASS, Stain
from napari_nic.synthetic.textures import make_textures


def inside(polygons, shape, margin_px):
    """Pixels whose centre lies in the polygons grown by a margin (negative: shrunk)."""
    area = shapely.union_all(polygons).buffer(margin_px)
    y, x = np.mgrid[: shape[0] : 4, : shape[1] : 4]
    return shapely.contains_xy(area, x.ravel() + 0.5, y.ravel() + 0.5).reshape(y.shape)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 999), st.integers(0, 1099), st.integers(1, 600), st.integers(1, 600))
def test_a_region_has_the_pixels_of_the_whole(scene, picture, top, left, height, width):
    region = RegionPx(top, left, height, width).intersect(scene.region)
    np.testing.assert_array_equal(scene.read(region), picture[region.slices])


def test_equal_specs_give_equal_pixels_in_any_order_and_thread(lesion_spec, picture):
    again = Scene(lesion_spec)
    corners = [(512, 512), (0, 512), (512, 0), (0, 0)]
    regions = [RegionPx(top, left, 400, 400) for top, left in corners]
    with ThreadPoolExecutor(4) as pool:
        for region, part in zip(regions, pool.map(again.read, regions), strict=True):
            np.testing.assert_array_equal(part, picture[region.slices])


def test_seeds_differ(picture):
    other = Scene(SyntheticSlideSpec(height=1000, width=1100, seed=4, lesions=(Lesion(0.3),), coverage=0.6))
    assert np.mean(other.read(other.region) != picture) > 0.3


@pytest.mark.parametrize("region", [RegionPx(-1, 0, 5, 5), RegionPx(0, 1096, 5, 5), RegionPx(999, 0, 2, 1)])
def test_pixels_outside_of_the_slide_are_refused(scene, region):
    with pytest.raises(OutOfBoundsError, match="edge"):
        scene.read(region)


def test_the_lesion_is_dark_with_haematoxylin_inside_its_outline_only(scene, picture):
    haematoxylin = rgb2hed(picture)[::4, ::4, 0]
    tissue = picture[::4, ::4].min(axis=-1) < 215
    core = inside(scene.lesion_polygons(), picture.shape, -30) & tissue
    normal = ~inside(scene.lesion_polygons(), picture.shape, 30) & tissue
    assert core.sum() > 1000
    assert normal.sum() > 1000
    assert haematoxylin[core].mean() > 1.5 * haematoxylin[normal].mean()


def test_the_outline_has_the_share_of_the_tissue_that_was_asked_for(scene):
    step = scene.spec.height / (scene.layout.tissue.shape[0] - 1)
    tissue_px = (scene.layout.tissue > 0).sum() * step**2
    share = sum(polygon.area for polygon in scene.lesion_polygons()) / tissue_px
    assert share == pytest.approx(0.3, abs=0.03)
    assert all(polygon.is_valid for polygon in scene.lesion_polygons())


def test_an_outline_encloses_the_pixels_that_are_painted_as_lesion(scene):
    painter = Painter(scene.layout, scene.spec)
    depth = painter.field(scene.layout.lesion_depth, scene.region)[::4, ::4]
    tolerance_px = 2.0 * scene.spec.pixels_per_um + 1.5  # of the simplified outline, and of sampling
    assert (depth[inside(scene.lesion_polygons(), (1000, 1100), -tolerance_px)] > 0).all()
    assert (depth[~inside(scene.lesion_polygons(), (1000, 1100), tolerance_px)] < 0).all()


def test_a_lesion_can_be_placed():
    spec = SyntheticSlideSpec(
        height=1600, width=1600, seed=8, lesions=(Lesion(0.05, center_px=(700, 900)),), coverage=1.0
    )
    area = shapely.union_all(Scene(spec).lesion_polygons())
    assert area.contains(shapely.Point(900, 700))


def test_normal_tissue_has_no_outline_and_no_tumour():
    scene = Scene(SyntheticSlideSpec(height=700, width=700, seed=5, coverage=0.8))
    assert scene.lesion_polygons() == []
    assert (scene.layout.lesion < 0).all()


def test_glass_and_tissue_are_where_the_plan_has_them(scene, picture):
    step = 8.0 * scene.spec.pixels_per_um
    stained = {}
    for sign in (1, -1):
        rows, cols = np.nonzero(sign * scene.layout.tissue > 25)
        y, x = ((rows + 0.5) * step).astype(int), ((cols + 0.5) * step).astype(int)
        fits = (y < picture.shape[0]) & (x < picture.shape[1])
        stained[sign] = (picture[y[fits], x[fits]].min(axis=-1) < 225).mean()
    assert stained[1] > 0.6  # the rest is fat, lumen and clefts
    assert stained[-1] == 0
    assert scene.is_tissue(*np.argwhere(scene.layout.tissue > 25)[0] * step)
    assert not scene.is_tissue(0.0, 0.0)


def test_structures_keep_their_size_in_micrometres_at_another_resolution():
    fine = SyntheticSlideSpec(height=512, width=512, mpp=0.25, seed=2, coverage=1.0, lesions=(Lesion(0.6),))
    half = SyntheticSlideSpec(height=256, width=256, mpp=0.5, seed=2, coverage=1.0, lesions=(Lesion(0.6),))
    areas = [sum(p.area for p in Scene(spec).lesion_polygons()) * spec.mpp**2 for spec in (fine, half)]
    assert areas[0] == pytest.approx(areas[1], rel=0.01)
    big, small = sprite_bank("lymphocyte", 4.0)[0], sprite_bank("lymphocyte", 2.0)[0]
    diameters = [
        2 * np.sqrt(np.mean([(s > 0.3).sum() for s in bank]) / np.pi) / scale
        for bank, scale in ((big, 4.0), (small, 2.0))
    ]
    np.testing.assert_allclose(diameters, 6.2, atol=0.6)


def test_the_reference_stain_is_unvaried_and_others_differ():
    assert Stain.drawn(1, 0.0) == Stain() == Stain.drawn(2, 0.0)
    assert Stain.drawn(1, 1.0) != Stain.drawn(2, 1.0)
    empty = Stain().to_rgb(np.zeros((2, 3, 2), np.float32))
    np.testing.assert_allclose(empty, np.broadcast_to(GLASS, (2, 3, 3)), rtol=1e-5)


def test_a_unit_of_dye_has_its_optical_density():
    stain = Stain()
    rgb = stain.to_rgb(np.array([[[1, 0], [0, 1], [1, 1]]], np.float32))
    density = -np.log10(rgb / np.array(GLASS))
    np.testing.assert_allclose(density[0, 0], stain.haematoxylin, rtol=1e-3)
    np.testing.assert_allclose(density[0, 1], stain.eosin, rtol=1e-3)
    np.testing.assert_allclose(density[0, 2], density[0, 0] + density[0, 1], rtol=1e-3)


def test_stamps_are_cut_off_at_the_border_and_the_denser_wins():
    plane = np.zeros((6, 7), np.float32)
    sprite = np.arange(1, 10, dtype=np.float32).reshape(3, 3)
    stamp(plane, [sprite, 0.5 * sprite, sprite, sprite], np.array([[0, 0], [0, 0], [5, 6], [20, 3]]))
    expected = np.zeros_like(plane)
    expected[:2, :2] = sprite[1:, 1:]
    expected[4:, 5:] = sprite[:2, :2]
    np.testing.assert_array_equal(plane, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_sprites_are_centred_and_lie_within_their_square(kind):
    for sprites in sprite_bank(kind, 2.0)[::6]:
        for sprite in sprites:
            side = len(sprite)
            assert side % 2 == 1
            assert max(sprite[0].max(), sprite[-1].max(), sprite[:, 0].max(), sprite[:, -1].max()) < 0.15
            weights = sprite / sprite.sum()
            y, x = np.mgrid[:side, :side] - side // 2
            assert abs((weights * y).sum()) < 2.0
            assert abs((weights * x).sum()) < 2.0


def test_textures_repeat_without_a_seam():
    textures = make_textures(2.0)
    for name in ("fibres", "clouds", "membranes", "nests"):
        texture = getattr(textures, name)
        seam = np.abs(texture[0] - texture[-1]).mean()
        within = np.abs(np.diff(texture, axis=0)).mean()
        assert seam < 3 * within + 1e-3, name


def test_every_pixel_of_a_fat_cell_points_to_the_same_centre():
    textures = make_textures(2.0)
    y, x = np.mgrid[:1024, :1024]
    centers = (np.stack([y, x], -1) + textures.to_fat_cell) % 1024
    inner = textures.membranes[:-1, :-1] == 0
    step = np.abs(centers[:-1, 1:] - centers[:-1, :-1]).max(axis=-1)
    # Neighbours that are both in the inside of cells belong to the same one, but for float noise and wraps.
    both = inner & (textures.membranes[:-1, 1:] == 0)
    assert ((step[both] < 1e-2) | (step[both] > 1023)).all()


def test_noise_is_standardised_and_smoothstep_may_fall():
    noise = smooth_noise((64, 96), (2.0, 5.0), np.random.default_rng(0))
    assert noise.std() == pytest.approx(1, rel=1e-3)
    assert noise.mean() == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(smoothstep(np.array([-1.0, 0.0, 0.5, 1.0, 2.0]), 0, 1), [0, 0, 0.5, 1, 1])
    np.testing.assert_allclose(smoothstep(np.array([0.0, 1.0]), 1, 0), [1, 0])
