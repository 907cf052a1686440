"""What was not scanned is no tissue: even grey, black, and the black around fluorescence."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.slides import open_slide
from napari_nic.tissue import find_tissue, segment_tissue

SIDE = 1536


def scan(make_tissue, *, noise: float = 2.0) -> np.ndarray:
    """Tissue in the middle of glass that has the grain of a scan, (1536, 1536, 3)."""
    rng = np.random.default_rng(5)
    image = make_tissue(SIDE, SIDE).astype(float) + rng.normal(0, noise, (SIDE, SIDE, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def mask_of(path) -> np.ndarray:
    with open_slide(path) as slide:
        return find_tissue(slide).mask


@pytest.mark.parametrize(
    ("compression", "factors"), [(None, (1,)), ("jpeg", (1, 4, 16))], ids=["plain", "pyramid of JPEG"]
)
@pytest.mark.parametrize(
    "color", [(204, 204, 204), (220, 220, 220), (128, 128, 128), (0, 0, 0), (192, 190, 194)]
)
@pytest.mark.parametrize("share", [0.3, 0.7], ids=["some", "most"])
def test_an_even_filling_is_no_tissue_and_no_glass(
    tmp_path, make_tissue, make_tiff, compression, factors, color, share
):
    """It reaches into the tissue, as where scanning ended, and covers more than the glass does."""
    whole = scan(make_tissue)
    expected = mask_of(make_tiff(tmp_path / "whole.tif", whole, factors=factors, compression=compression))
    filled = whole.copy()
    edge = int(share * SIDE)
    filled[:, :edge] = color
    mask = mask_of(make_tiff(tmp_path / "filled.tif", filled, factors=factors, compression=compression))
    border = edge // 16
    assert not mask[:, : border - 2].any()
    rest = slice(border + 6, None)
    assert (mask[:, rest] ^ expected[:, rest]).mean() < 0.03
    assert share > 0.5 or mask[:, rest].any()


def test_a_slide_that_is_all_filling_has_no_tissue(tmp_path, make_tiff):
    for color in ((204, 204, 204), (0, 0, 0), (255, 255, 255)):
        image = np.full((1024, 1024, 3), color, np.uint8)
        assert not mask_of(make_tiff(tmp_path / f"{color[0]}.tif", image)).any()


def test_even_glass_stays_the_colour_of_glass(tmp_path, make_tissue, make_tiff):
    """Glass without any grain, as of a picture that was painted: the pale tissue beside it is not lost."""
    image = np.full((SIDE, SIDE, 3), 236, np.uint8)
    image[400:1100, 400:1100] = (228, 210, 222)
    image[400:1100:7, 400:1100] = (226, 207, 220)
    mask = mask_of(make_tiff(tmp_path / "even.tif", image, compression=None))
    assert mask[28:66, 28:66].all()
    assert not mask[:20].any()


def test_black_borders_and_the_edge_of_the_coverslip_are_no_tissue(make_tissue):
    rng = np.random.default_rng(1)
    image = make_tissue(300, 400).astype(float)
    expected, _ = segment_tissue(image.astype(np.uint8), 8.0)
    image[:, :25] = np.clip(rng.normal(6, 3, (300, 25, 1)), 0, 40)  # black with noise, as at the stage's edge
    image[:, 360:362] = (150, 152, 151)
    mask, _ = segment_tissue(image.astype(np.uint8), 8.0)
    assert not mask[:, :25].any()
    assert not mask[:, 357:365].any()
    assert (mask[:, 40:350] ^ expected[:, 40:350]).mean() < 0.01


@pytest.mark.parametrize("background", [0, 3, 12])
@pytest.mark.parametrize("color", [(0, 0, 180), (40, 200, 60), (120, 90, 200)])
def test_on_black_what_shines_is_tissue(background, color):
    rng = np.random.default_rng(2)
    rows, cols = np.mgrid[:300, :400]
    where = (rows - 150) ** 2 + (cols - 220) ** 2 < 70**2
    image = rng.poisson(background, (300, 400, 3)).astype(float)
    image[where] += np.array(color) * rng.uniform(0.4, 1.0, (where.sum(), 1))
    mask, _ = segment_tissue(np.clip(image, 0, 255).astype(np.uint8), 8.0)
    assert np.count_nonzero(mask & where) / np.count_nonzero(mask | where) > 0.9


@pytest.mark.parametrize("background", [0, 3, 12, 25])
def test_black_alone_is_no_tissue(background):
    noise = np.random.default_rng(2).poisson(background, (300, 400, 3))
    assert not segment_tissue(noise.astype(np.uint8), 8.0)[0].any()
