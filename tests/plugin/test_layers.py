"""Values of the core become layers in one frame, and come back."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from napari.layers import Image, Labels

from napari_nic.errors import DamagedSlideError
from napari_nic.explain import Overlay
from napari_nic.geometry import PixelSize, Placement
from napari_nic.plugin.layers import (
    METADATA_KEY,
    UNKNOWN_PIXEL,
    LayerTag,
    frame,
    overlay_layer,
    slide_layer,
    tag_of,
    tissue_layer,
    tissue_of,
    to_slide_um,
    visible_region,
)
from napari_nic.slides import open_slide
from napari_nic.slides.hatching import hatched
from napari_nic.slides.slide import Slide
from napari_nic.tissue import TissueMask


@pytest.fixture
def slide(slide_file):
    with open_slide(slide_file) as opened:
        yield opened


def test_slide_layer_is_lazy_and_in_micrometres(slide):
    levels, options, kind = slide_layer(slide)
    layer = Image(levels, **options)
    assert kind == "image"
    assert layer.multiscale
    assert layer.rgb
    assert layer.name == "made"
    assert tuple(layer.scale) == (0.5, 0.5)
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
    assert tag_of(layer).slide is slide
    assert set(slide.reads.tiles) <= {len(slide.levels) - 1}


def test_slide_of_unknown_size_is_shown_in_pixels(unscaled_file):
    with open_slide(unscaled_file) as slide:
        layer = Image(slide_layer(slide)[0], **slide_layer(slide)[1])
        assert [str(unit) for unit in layer.units] == ["pixel", "pixel"]
        assert tuple(layer.scale) == (1.0, 1.0)


def test_duplicated_layer_shares_the_slide(slide):
    tag = LayerTag("slide", slide)
    assert copy.deepcopy({METADATA_KEY: tag})[METADATA_KEY].slide is slide


@given(st.floats(0.1, 2), st.floats(0, 500), st.floats(1, 200), st.integers(0, 50), st.integers(0, 50))
def test_corner_of_a_cell_comes_back(mpp, origin, step, row, col):
    """The world position of a cell's corner, as napari has it, is that corner in micrometres again."""
    pixel = PixelSize(mpp, mpp)
    place = frame(pixel, Placement((origin, origin), (step, step)))
    # napari puts element (r, c)'s centre at translate + (r, c) * scale.
    world = [
        t + (i - 0.5) * s for t, i, s in zip(place["translate"], (row, col), place["scale"], strict=True)
    ]

    class Fake:
        pixel_size = pixel

    assert to_slide_um(world, Fake()) == pytest.approx((origin + row * step, origin + col * step))


def overlay(data: np.ndarray, **more) -> Overlay:
    mask = np.ones(data.shape[:2], bool)
    mask[0, 0] = False
    return Overlay("Test", "channel", data, mask, Placement((0, 0), (64, 64)), **more)


def test_values_keep_their_numbers_and_hide_what_means_nothing(slide):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    data, options, _ = overlay_layer(overlay(values, limits=(0.0, 4.0)), slide, title="x")
    layer = Image(data, **options)
    assert np.isnan(layer.data[0, 0])
    assert layer.data[1, 2] == 5
    assert tuple(layer.contrast_limits) == (0.0, 4.0)
    assert layer.colormap.name == "viridis"
    assert tuple(layer.translate) == (31.75, 31.75)


def test_picture_is_transparent_outside_its_mask(slide):
    picture = np.full((2, 3, 3), 7, np.uint8)
    data, options, _ = overlay_layer(overlay(picture), slide, title="x")
    assert Image(data, **options).rgb
    assert data[0, 0].tolist() == [0, 0, 0, 0]
    assert data[1, 1].tolist() == [7, 7, 7, 255]


def test_tissue_mask_round_trip_with_edits(slide):
    mask = np.zeros((30, 40), bool)
    mask[5:20, 5:30] = True
    tissue = TissueMask(mask, Placement((0.0, 0.0), (550 / 30, 750 / 40)), "otsu")
    data, options, kind = tissue_layer(tissue, slide)
    assert kind == "labels"
    layer = Labels(data, **options)
    layer.data[25, 35] = 2
    back = tissue_of(layer, slide)
    assert back.mask.sum() == mask.sum() + 1
    assert back.mask[25, 35]
    assert back.method == "edited"
    assert back.placement.origin_um == pytest.approx((0, 0), abs=1e-9)
    assert back.placement.step_um == pytest.approx(tissue.placement.step_um)


def test_visible_region_is_in_level_0_and_inside(slide):
    corners = np.array([[10, 20], [99, 119]])
    region = visible_region(corners, np.array([4.0, 4.0]), slide)
    assert (region.y, region.x, region.height, region.width) == (40, 80, 360, 400)
    everything = visible_region(np.array([[-5, -5], [9999, 9999]]), np.array([4.0, 4.0]), slide)
    assert everything == slide.levels[0].region


def test_unknown_pixel_is_never_a_claim():
    assert frame(UNKNOWN_PIXEL)["units"] == ("pixel", "pixel")
    assert frame(PixelSize(1.0, 1.0, "unknown"))["units"] == ("um", "um")


def test_what_cannot_be_read_is_hatched_and_told_once(slide_path, monkeypatch):
    """Blank would look like glass; and an error at each draw would take the window down."""
    told = []
    monkeypatch.setattr("napari.utils.notifications.show_warning", told.append)
    read_tile = Slide.read_stored_tile

    def broken(self, level, row, col):
        if (level, row, col) in ((0, 1, 1), (0, 2, 3)):
            raise DamagedSlideError("the tile cannot be decoded", path=self.path)
        return read_tile(self, level, row, col)

    with open_slide(slide_path) as slide:
        whole = [np.asarray(level) for level in slide.pyramid()]
        monkeypatch.setattr(Slide, "read_stored_tile", broken)
        levels, _, _ = slide_layer(slide)
        shown = np.asarray(levels[0])[:1100, :1500]
        for row, col in ((1, 1), (2, 3)):
            tile = slide.levels[0].tile_region(row, col)
            assert np.array_equal(shown[tile.slices], hatched(tile.height, tile.width))
            whole[0][tile.slices] = hatched(tile.height, tile.width)
        assert np.array_equal(shown, whole[0])
        np.asarray(levels[1])  # averaged from it, or the file's own
        np.asarray(levels[0])
        assert len(told) == 1
        assert "made cannot be read" in told[0]
        with pytest.raises(DamagedSlideError):  # whatever computes is still told
            slide.read_tile(0, 1, 1)


def test_stripes_are_not_the_colour_of_glass():
    stripes = hatched(64, 48)
    assert stripes.shape == (64, 48, 3)
    assert len(np.unique(stripes.reshape(-1, 3), axis=0)) == 2
    assert np.ptp(stripes.astype(int), axis=2).max() > 100
