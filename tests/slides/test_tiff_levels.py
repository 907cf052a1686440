"""Which pages are levels of a slide, which are labels, and which are neither."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from napari_nic.errors import UnsupportedPixelsError
from napari_nic.slides import open_slide
from napari_nic.slides.levels import is_same_picture

APERIO = "Aperio Image Library v11.2.1\n640x480 [0,0 640x480] (128x128) JPEG/RGB Q=70|AppMag = 20|MPP = 0.5"
TILED: dict[str, Any] = {"tile": (128, 128), "metadata": None}


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    y, x = np.mgrid[:480, :640]
    return np.stack([x // 3, y // 2, 255 - (x + y) // 5], axis=-1).astype(np.uint8)


def halve(image: np.ndarray, factor: int) -> np.ndarray:
    return np.ascontiguousarray(image[::factor, ::factor])


def test_levels_in_sub_directories(tmp_path, image):
    """As OME-TIFF and GDAL write pyramids."""
    path = tmp_path / "sub.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(image, photometric="rgb", subifds=2, **TILED)
        for factor in (2, 4):
            tif.write(halve(image, factor), photometric="rgb", subfiletype=1, **TILED)
    with open_slide(path) as slide:
        assert [level.downsample_y for level in slide.levels] == [1, 2, 4]
        np.testing.assert_array_equal(slide.read_region(2, slide.levels[2].region), halve(image, 4))


def test_levels_of_different_colours_look_alike(tmp_path, image):
    path = tmp_path / "mixed.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(image, photometric="rgb", compression="zlib", **TILED)
        tif.write(halve(image, 2), photometric="rgb", compression="jpeg", subfiletype=1, **TILED)
        tif.write(halve(image, 4), photometric="rgb", compression="lzw", subfiletype=1, **TILED)
    with open_slide(path) as slide:
        for index, level in enumerate(slide.levels):
            expected = halve(image, int(level.downsample_y)).astype(int)
            assert np.abs(slide.read_region(index, level.region) - expected).mean() < 3


def test_a_page_of_another_aspect_is_no_level(tmp_path, image):
    path = tmp_path / "aspect.svs"
    with tifffile.TiffWriter(path) as tif:
        tif.write(image, photometric="rgb", description=APERIO, **TILED)
        tif.write(
            halve(image, 4), photometric="rgb", rowsperstrip=16, metadata=None, description="Aperio thumbnail"
        )
        tif.write(image[:240, :200], photometric="rgb", description="Aperio level", **TILED)
        tif.write(halve(image, 4), photometric="rgb", description="Aperio level", **TILED)
    with open_slide(path) as slide:
        assert [level.shape for level in slide.levels] == [(480, 640), (120, 160)]
        assert [notice for notice in slide.notices if "200 x 240 px is left out" in notice]


@pytest.mark.parametrize(
    ("full", "coarse", "is_one"),
    [
        ((32914, 46000), (8228, 11500), True),
        ((32914, 46000), (2057, 2875), True),
        ((10249, 11952), (2562, 2988), True),
        ((701, 903), (350, 451), True),
        ((701, 903), (88, 113), True),
        ((701, 903), (3, 4), True),
        ((88_100, 100_010), (22_032, 25_008), True),
        ((1000, 1000), (500, 480), False),
        ((1000, 1000), (1000, 500), False),
        ((480, 640), (431, 1280), False),
        ((48000, 64000), (431, 1280), False),
    ],
)
def test_same_picture(full, coarse, is_one):
    assert is_same_picture(full, coarse) is is_one


def write_slide(path: Path, image: np.ndarray, label: np.ndarray, **options: Any) -> Path:
    """An Aperio slide with a thumbnail, a label and a macro image."""
    with tifffile.TiffWriter(path) as tif:
        tif.write(image, photometric="rgb", description=APERIO, **TILED)
        tif.write(
            halve(image, 4), photometric="rgb", rowsperstrip=16, metadata=None, description="Aperio thumbnail"
        )
        tif.write(label, description="Aperio\nlabel 100x60", subfiletype=1, metadata=None, **options)
        tif.write(
            halve(image, 8),
            photometric="rgb",
            description="Aperio\nmacro 80x60",
            subfiletype=9,
            metadata=None,
        )
    return path


def test_associated_images_have_their_colours(tmp_path, image):
    colors = np.random.default_rng(0).integers(0, 256, (256, 3), np.uint8)
    indices = np.add.outer(np.arange(60), np.arange(100)).astype(np.uint8)
    options = {"photometric": "palette", "colormap": colors.T.astype(np.uint16) * 257, "rowsperstrip": 7}
    path = write_slide(tmp_path / "slide.svs", image, indices, **options)
    with open_slide(path) as slide:
        assert slide.associated_images == ("thumbnail", "label", "macro")
        np.testing.assert_array_equal(slide.read_associated("label"), colors[indices])
        np.testing.assert_array_equal(slide.read_associated("macro"), halve(image, 8))


def test_a_white_is_zero_label(tmp_path, image):
    label = np.full((60, 100), 30, np.uint8)
    path = write_slide(tmp_path / "slide.svs", image, label, photometric="miniswhite", rowsperstrip=60)
    with open_slide(path) as slide:
        assert (slide.read_associated("label") == 225).all()


def test_a_label_that_cannot_be_shown_is_left_out_and_named(tmp_path, image):
    path = write_slide(
        tmp_path / "slide.svs", image, np.zeros((60, 100), np.float32), photometric="minisblack"
    )
    with open_slide(path) as slide:
        assert slide.associated_images == ("thumbnail", "macro")
        assert [notice for notice in slide.notices if "label image" in notice and "float32" in notice]
        np.testing.assert_array_equal(slide.read_region(0, slide.levels[0].region), image)


def test_a_file_of_several_slides_says_so(tmp_path, image):
    path = tmp_path / "two.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(image, photometric="rgb", **TILED)
        tif.write(image[:400, :500], photometric="rgb", **TILED)
    with open_slide(path) as slide:
        assert slide.levels[0].shape == (480, 640)
        assert [notice for notice in slide.notices if "2 pictures" in notice]


def test_levels_turned_in_different_ways_are_refused(tmp_path, image):
    path = tmp_path / "turned.tif"
    with tifffile.TiffWriter(path) as tif:
        for factor, turn in ((1, 1), (2, 3)):
            tag = (274, "H", 1, turn, True)
            options = {"subfiletype": int(factor > 1), "extratags": [tag], **TILED}
            tif.write(halve(image, factor), photometric="rgb", **options)
    with pytest.raises(UnsupportedPixelsError, match="turned in different ways"):
        open_slide(path)


def area(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Average down to (rows, cols)."""
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)


ODD_PYRAMIDS = {
    "up then down": [(481, 641), (241, 321), (120, 160)],
    "steps of two and four": [(480, 640), (240, 320), (60, 80)],
    "steps of eight": [(480, 640), (60, 80)],
    "coarsest first": [(480, 640), (120, 160), (240, 320)],
}


@pytest.mark.parametrize("is_marked", [True, False], ids=["marked", "unmarked"])
@pytest.mark.parametrize("kind", ODD_PYRAMIDS)
def test_levels_of_odd_steps_are_levels(tmp_path, image, kind, is_marked):
    """tifffile joins those of one step only; the others are no pictures of their own."""
    path, sizes = tmp_path / "odd.tif", ODD_PYRAMIDS[kind]
    full = area(image, sizes[0])
    with tifffile.TiffWriter(path) as tif:
        for index, size in enumerate(sizes):
            tif.write(area(full, size), photometric="rgb", subfiletype=int(is_marked and index > 0), **TILED)
    with open_slide(path) as slide:
        assert [level.shape for level in slide.levels] == sorted(sizes, reverse=True)
        assert (slide.associated_images, slide.notices) == ((), ())
        np.testing.assert_array_equal(
            slide.read_region(len(sizes) - 1, slide.levels[-1].region), area(full, min(sizes))
        )


@pytest.mark.parametrize("is_marked", [True, False], ids=["marked", "unmarked"])
def test_an_aperio_without_thumbnail(tmp_path, image, is_marked):
    """The page after the slide is its thumbnail only if it is no level: a thumbnail lies in strips."""
    path = tmp_path / "slide.svs"
    with tifffile.TiffWriter(path) as tif:
        for factor in (1, 2, 4, 8, 16):
            tif.write(
                halve(image, factor),
                photometric="rgb",
                description=APERIO,
                subfiletype=int(is_marked and factor > 1),
                **TILED,
            )
    with open_slide(path) as slide:
        assert [level.downsample_x for level in slide.levels] == [1, 2, 4, 8, 16]
        assert (slide.associated_images, slide.notices) == ((), ())
        np.testing.assert_array_equal(slide.read_region(1, slide.levels[1].region), halve(image, 2))


def test_small_pictures_of_the_slide_s_aspect_that_are_no_levels(tmp_path, image):
    path = tmp_path / "beside.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(image, photometric="rgb", **TILED)
        tif.write(halve(image, 2), photometric="rgb", subfiletype=1, **TILED)
        tif.write(halve(image, 8), photometric="rgb", description="macro", subfiletype=1, **TILED)
        tif.write(halve(image[..., 0], 4), photometric="minisblack", subfiletype=1, **TILED)
    with open_slide(path) as slide:
        assert [level.downsample_x for level in slide.levels] == [1, 2]
        assert "macro" in slide.associated_images


def test_metadata_are_no_name_of_a_picture(tmp_path, image):
    path = tmp_path / "two.tif"
    with tifffile.TiffWriter(path) as tif:
        tif.write(image, photometric="rgb", tile=(128, 128))  # each with a JSON description
        tif.write(image[:100, :150], photometric="rgb")
    with open_slide(path) as slide:
        assert slide.associated_images == ("image-1",)
