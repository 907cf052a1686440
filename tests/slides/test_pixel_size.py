"""Pixel sizes: the first sensible claim; an unbelievable one is told with its number and may be confirmed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_nic.errors import InvalidParameterError, MissingPixelSizeError
from napari_nic.geometry import CONFIRMED, PixelSize
from napari_nic.grid import PatchGrid
from napari_nic.slides import open_slide, read_overview
from napari_nic.slides.model import PixelSizeClaim
from napari_nic.slides.pixel_size import choose_pixel_size


@pytest.fixture
def coarse(tmp_path):
    """A picture that states 28.97 um per pixel: an overview, or a mistake."""
    path = tmp_path / "coarse.png"
    Image.new("RGB", (90, 60)).save(path, dpi=(25_400 / 28.97, 25_400 / 28.97))
    return path


def test_the_first_sensible_claim_is_used():
    claims = [PixelSizeClaim(353, 353, "a"), PixelSizeClaim(0.5, 0.25, "b"), PixelSizeClaim(1, 1, "c")]
    assert choose_pixel_size(claims) == (PixelSize(0.5, 0.25, "b"), "a says 353 x 353 um/px, which cannot be")


@pytest.mark.parametrize(
    ("claim", "note"),
    [
        ((math.nan, 0.25), "x says 0.25 um/px across and nothing of the other side"),
        ((0.25, math.nan), "x says 0.25 um/px down and nothing of the other side"),
        ((math.nan, math.nan), "x says no length that is known"),
        ((0.5, 0.05), "x says 0.05 x 0.5 um/px, which cannot be"),
        ((0, 0), "x says 0 x 0 um/px, which cannot be"),
        ((math.inf, 1), "x says 1 x inf um/px, which cannot be"),
    ],
)
def test_what_cannot_be_is_told_and_never_guessed(claim, note):
    assert choose_pixel_size([PixelSizeClaim(*claim, "x")]) == (None, note)
    assert choose_pixel_size([]) == (None, "the file states no micrometres per pixel")


def test_an_unbelievable_size_is_confirmed_by_its_number(coarse):
    with open_slide(coarse) as slide:
        assert slide.pixel_size is None
        assert slide.unbelieved_mpp == pytest.approx(28.97, rel=1e-3)
        with pytest.raises(MissingPixelSizeError) as caught:
            slide.require_pixel_size()
        assert "28.97" in (caught.value.found or "")
        assert "confirm it with --mpp 28.97" in (caught.value.hint or "")
        assert slide.with_pixel_size(28.97).require_pixel_size().source == CONFIRMED
    with open_slide(coarse, mpp=28.97) as slide:
        size = slide.require_pixel_size()
        assert size.x == pytest.approx(28.97, rel=1e-3)
        assert PixelSize(**size.to_dict()) == size  # as a store reads it back
        assert slide.unbelieved_mpp is None
        read_overview(slide)


def test_another_absurd_number_is_refused(coarse):
    for mpp in (30.0, 2897.0, 0.02897):
        with pytest.raises(InvalidParameterError, match="out of range"):
            open_slide(coarse, mpp=mpp)
    with open_slide(coarse, mpp=0.5) as slide:
        assert slide.require_pixel_size() == PixelSize(0.5, 0.5, "user")


def test_nothing_is_confirmed_that_no_file_says():
    with pytest.raises(InvalidParameterError):
        PixelSize(30, 30, "user")
    with pytest.raises(InvalidParameterError):
        PixelSize(-1, 30, CONFIRMED)


def test_info_tells_the_number(cli_info, coarse):
    said = cli_info(coarse)
    assert "not known (png resolution says 28.97" in said
    assert "which cannot be)" in said


@pytest.fixture
def cli_info(capsys):
    from napari_nic.cli.main import main

    def call(path) -> str:
        assert main(["info", str(path)]) == 0
        return capsys.readouterr().out

    return call


def test_two_sizes_in_one_file_are_told(tmp_path):
    exif = Image.Exif()
    exif[282], exif[283], exif[296] = 40_000.0, 40_000.0, 3
    Image.new("RGB", (64, 64)).save(tmp_path / "a.jpg", exif=exif, dpi=(25_400, 25_400))
    with open_slide(tmp_path / "a.jpg") as slide:
        assert slide.pixel_size is not None
        assert slide.pixel_size.x == 1.0
        assert slide.notices == (
            "the file states two pixel sizes: 1 um by jfif density is used, 0.25 um by exif is not",
        )


def test_a_better_claim_that_cannot_be_is_told_when_another_is_used(tmp_path, make_tissue):
    path = tmp_path / "a.svs"
    described = {"description": "Aperio Image Library v11\n300x300|AppMag = 40|MPP = 25.2", "metadata": None}
    options = {"photometric": "rgb", "tile": (256, 256), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, make_tissue(300, 300), resolution=(20_000, 20_000), **options, **described)
    with open_slide(path) as slide:
        assert slide.pixel_size is not None
        assert slide.pixel_size.x == 0.5
        assert (
            "aperio.MPP says 25.2 x 25.2 um/px, which cannot be: 0.5 um by tiff resolution is used instead"
            in slide.notices
        )


@pytest.fixture
def oblong(tmp_path, make_tissue):
    """Pixels of 0.5 um down, 0.25 um across."""
    path = tmp_path / "oblong.tif"
    image = make_tissue(600, 1200)
    options = {"photometric": "rgb", "tile": (256, 256), "metadata": None, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, image, resolution=(40_000, 20_000), **options)
    return path


def test_oblong_pixels_keep_both_sides(oblong):
    with open_slide(oblong) as slide:
        size = slide.require_pixel_size()
        assert (size.y, size.x) == (0.5, 0.25)
        overview = read_overview(slide, mpp=2.0)
        assert overview.placement.step_um[0] == 2 * overview.placement.step_um[1]
        rows, cols = overview.image.shape[:2]
        assert np.allclose(np.array(overview.placement.step_um) * (rows, cols), (300, 300), rtol=0.02)


def test_an_encoder_never_sees_squeezed_tissue(oblong):
    with open_slide(oblong) as slide, pytest.raises(InvalidParameterError) as caught:
        PatchGrid.plan(slide.level_geometries, slide.require_pixel_size())
    assert "not square" in caught.value.problem
    assert "0.25 um across, 0.5 um down" in (caught.value.found or "")
    for ratio in (1.0, 1.04):  # scanners are not exact
        PatchGrid.plan(slide.level_geometries, PixelSize(0.5, 0.5 * ratio))


def test_compress_says_so_in_one_sentence(oblong, capsys, tmp_path, monkeypatch):
    from napari_nic.cli.main import main

    monkeypatch.setenv("NAPARI_NIC_HOME", str(tmp_path / "home"))
    assert main(["compress", str(oblong), "--encoder", "mean-rgb"]) == 1
    said = capsys.readouterr().err
    assert "the slide's pixels are not square" in said
    assert "Traceback" not in said
    assert not list(tmp_path.glob("*.zarr"))
