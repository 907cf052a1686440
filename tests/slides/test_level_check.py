"""Levels of a pyramid that show another picture than the slide are left out; odd but true ones are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

from napari_nic.slides import open_slide, read_overview

MPP = {"resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}


@pytest.fixture(scope="module")
def slide_pixels(make_tissue) -> np.ndarray:
    """Mostly glass, with tissue in a part that lies on no axis of symmetry."""
    whole = np.full((2000, 2400, 3), 243, np.uint8)
    whole[300:1100, 200:1200] = make_tissue(800, 1000, seed=3)
    return cv2.GaussianBlur(whole, (5, 5), 0)


def halve(image: np.ndarray, times: int = 1) -> np.ndarray:
    factor = 2**times
    size = image.shape[1] // factor, image.shape[0] // factor
    return cv2.resize(image[: size[1] * factor, : size[0] * factor], size, interpolation=cv2.INTER_AREA)


def write(path: Path, levels: list[np.ndarray], **options: Any) -> Path:
    with tifffile.TiffWriter(path) as tif:
        for index, level in enumerate(levels):
            first = MPP if not index else {"subfiletype": 1}
            tif.write(
                np.ascontiguousarray(level),
                **{"tile": (128, 128), "photometric": "rgb", "metadata": None, **first, **options},
            )
    return path


WRONG: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "upside down": lambda half: half[::-1],
    "mirrored": lambda half: half[:, ::-1],
    "shifted": lambda half: np.roll(half, (60, -40), (0, 1)),
    "inverted": lambda half: 255 - half,
    "red for blue": lambda half: half[..., ::-1],
    "blank": lambda half: np.full_like(half, 255),
    "darker": lambda half: (half * 0.8).astype(np.uint8),
    "an enlarged part": lambda half: cv2.resize(half[:500, :600], half.shape[1::-1]),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_level_that_is_another_picture_is_left_out_and_named(tmp_path, slide_pixels, kind):
    levels = [slide_pixels, WRONG[kind](halve(slide_pixels)), halve(slide_pixels, 2)]
    with open_slide(write(tmp_path / "a.tif", levels)) as slide:
        assert [level.downsample_y for level in slide.levels] == [1, 4]
        (notice,) = slide.notices
        assert notice.startswith("level 1 of 1200 x 1000 px is left out: its ")
        # What is kept is read under its new number, and what was left out is made anew.
        np.testing.assert_array_equal(slide.read_region(1, slide.levels[1].region), levels[2])
        made = np.asarray(slide.pyramid()[1]).astype(int)
        assert np.abs(made - halve(slide_pixels)).max() <= 1
        assert np.abs(read_overview(slide, 1.0).image.astype(int) - halve(slide_pixels)).max() <= 1


@pytest.mark.parametrize("kind", ["waves", "gradients"])
def test_of_pictures_that_are_drawn_by_formula(tmp_path, kind):
    """Much of them stays as it is when they are turned upside down, but not in every colour."""
    y, x = np.mgrid[:1024, :1280]
    waves = [
        120 + 60 * np.sin(x / 23) + 40 * np.cos(y / 9),
        110 + 70 * np.cos(x / 15) * np.sin(y / 31),
        150 + 50 * np.sin((x + y) / 17),
    ]
    drawn = waves if kind == "waves" else [x / 5, y / 4, 255 - (x + y) / 9.1]
    full = np.clip(np.stack(drawn, axis=-1), 0, 255).astype(np.uint8)
    with open_slide(write(tmp_path / "a.tif", [full, full[::2, ::2], full[::4, ::4]])) as slide:
        assert (len(slide.levels), slide.notices) == (3, ())
    with open_slide(write(tmp_path / "b.tif", [full, full[::2, ::2][::-1]])) as slide:
        assert len(slide.levels) == 1
        assert "is left out" in slide.notices[0]


def test_a_coarsest_level_that_is_another_picture(tmp_path, slide_pixels):
    levels = [slide_pixels, halve(slide_pixels), halve(slide_pixels, 2)[::-1]]
    with open_slide(write(tmp_path / "a.tif", levels, compression="jpeg")) as slide:
        assert [level.downsample_y for level in slide.levels] == [1, 2]
        assert "level 2 of 600 x 500 px is left out" in slide.notices[-1]


def test_a_finest_level_that_is_another_picture_stays_alone(tmp_path, slide_pixels):
    """Nothing says which of them is the slide: the finest is what a slide is."""
    levels = [slide_pixels[::-1], halve(slide_pixels), halve(slide_pixels, 2)]
    with open_slide(write(tmp_path / "a.tif", levels)) as slide:
        assert len(slide.levels) == 1
        assert len(slide.notices) == 2


def test_of_a_zarr_too(tmp_path, make_ome_zarr, slide_pixels):
    import zarr

    path = make_ome_zarr(tmp_path / "a.zarr", slide_pixels, version="0.4")
    array = zarr.open_group(path)["1"]
    array[:] = np.asarray(array)[..., ::-1, :]
    with open_slide(path) as slide:
        assert "level 1 of" in "".join(slide.notices)
        assert 2 not in [level.downsample_y for level in slide.levels]


def sharpened(half: np.ndarray) -> np.ndarray:
    return cv2.addWeighted(half, 2.0, cv2.GaussianBlur(half, (0, 0), 1.5), -1.0, 0)


RIGHT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "thinned out": lambda full: full[::2, ::2],
    "half a pixel beside": lambda full: halve(np.roll(full, (1, 1), (0, 1))),
    "two pixels beside": lambda full: np.roll(halve(full), (2, -2), (0, 1)),
    "blurred": lambda full: cv2.GaussianBlur(halve(full), (0, 0), 2.0),
    "sharpened": lambda full: sharpened(halve(full)),
    "a little lighter": lambda full: np.minimum(halve(full).astype(int) + 6, 255).astype(np.uint8),
    "cut by its last pixels": lambda full: halve(full)[:-1, :-1],
}


@pytest.mark.parametrize("kind", RIGHT)
def test_what_writers_do_to_levels_is_no_fault(tmp_path, slide_pixels, kind):
    half = RIGHT[kind](slide_pixels)
    path = write(tmp_path / "a.tif", [slide_pixels, half, half[::2, ::2]])
    with open_slide(path) as slide:
        assert (len(slide.levels), slide.notices) == (3, ())


@pytest.mark.parametrize("quality", [20, 90])
def test_levels_that_were_packed_anew(tmp_path, slide_pixels, quality):
    levels = [slide_pixels, halve(slide_pixels), halve(slide_pixels, 2), halve(slide_pixels, 3)]
    path = write(
        tmp_path / "a.tif",
        levels,
        compression="jpeg",
        compressionargs={"level": quality, "outcolorspace": "rgb"},
    )
    with open_slide(path) as slide:
        assert (len(slide.levels), slide.notices) == (4, ())


def test_noise_that_was_thinned_out(tmp_path):
    """As tests of programs write it: of four pixels one is kept, and says little of the others."""
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    with open_slide(write(tmp_path / "a.tif", [noise, noise[::2, ::2], noise[::4, ::4]])) as slide:
        assert (len(slide.levels), slide.notices) == (3, ())
    with open_slide(write(tmp_path / "b.tif", [noise, noise[::2, ::2][::-1]])) as slide:
        assert len(slide.levels) == 1


def test_nothing_is_said_of_glass(tmp_path):
    glass = np.full((1024, 1024, 3), 240, np.uint8)
    noise = np.random.default_rng(0).integers(-3, 4, (512, 512, 3))
    with open_slide(write(tmp_path / "a.tif", [glass, (240 + noise).astype(np.uint8)])) as slide:
        assert (len(slide.levels), slide.notices) == (2, ())


def test_missing_and_damaged_tiles_say_nothing(tmp_path, slide_pixels):
    """Of sparse files only what both levels hold is compared; a damaged tile is told when it is read."""
    path = write(tmp_path / "a.tif", [slide_pixels, halve(slide_pixels)], compression="zlib")
    with tifffile.TiffFile(path) as tif:
        sizes = [page.tags["TileByteCounts"] for page in tif.pages]
        starts = tif.pages[1].dataoffsets
    with path.open("r+b") as stream:
        for tag, gone in ((sizes[0], range(0, 300, 3)), (sizes[1], range(0, 80, 7))):
            for index in gone:
                stream.seek(tag.valueoffset + 4 * index)
                stream.write(b"\0\0\0\0")
        for start in starts[1::5]:
            stream.seek(start)
            stream.write(b"\xff" * 16)
    with open_slide(path) as slide:
        assert (len(slide.levels), slide.notices) == (2, ())


def test_few_tiles_are_read(tmp_path, slide_pixels, monkeypatch):
    """However large the slide: the same number of places is looked at."""
    from napari_nic.slides.readers.tiff import TiffSource

    read = []
    real = TiffSource.read_tile
    monkeypatch.setattr(
        TiffSource, "read_tile", lambda self, *place: (read.append(place), real(self, *place))[1]
    )
    levels = [slide_pixels, halve(slide_pixels), halve(slide_pixels, 2)]
    with open_slide(write(tmp_path / "a.tif", levels, tile=(32, 32))) as slide:
        assert len(slide.levels) == 3
    per_level = [sum(level == index for level, _, _ in read) for index in range(3)]
    assert per_level[2] <= 32 + 8 * 25
    assert per_level[0] <= 8 * 25
