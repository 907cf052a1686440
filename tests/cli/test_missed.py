"""What was asked for and not done is named, with --quiet too, and the exit code says so; the rest is done."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_nic.patches import PatchStore

EXTRACT = ("patches", "extract", "--size", "64", "--target-mpp", "1", "-q")


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    """Two tiles that are well."""
    folder = tmp_path / "tiles"
    folder.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(40, 180, (256, 256, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_a_slide_that_cannot_be_read(cli, slide, bad_slide, tmp_path) -> None:
    out = tmp_path / "made.patches.zarr"
    outcome = cli(*EXTRACT, slide.parent, "--out", out)
    assert outcome.code == 1
    assert "skipped bad.svs: no slide of a kind that is known" in outcome.err
    assert len(PatchStore.open(out)) > 0


def test_a_slide_without_tissue(cli, slide, make_tiff, tmp_path) -> None:
    make_tiff(slide.with_name("glass.tif"), np.full((1100, 1500, 3), 242, np.uint8))
    outcome = cli(*EXTRACT, slide.parent, "--out", tmp_path / "made.patches.zarr")
    assert outcome.code == 1
    assert "skipped glass.tif: no patch" in outcome.err


def test_a_slide_of_unknown_size_is_told_the_right_option(cli, slide, tmp_path) -> None:
    path = slide.with_name("plain.tif")
    pixels = np.random.default_rng(1).integers(90, 180, (600, 600, 3), np.uint8)
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(128, 128), metadata=None)
    outcome = cli(*EXTRACT, slide.parent, "--out", tmp_path / "made.patches.zarr")
    assert outcome.code == 1
    assert "skipped plain.tif: the size of a pixel is not known" in outcome.err
    assert "state it with --slide-mpp" in outcome.err


def test_a_tile_that_cannot_be_read_and_one_of_glass(cli, tiles, tmp_path) -> None:
    Image.new("RGB", (256, 256), (245, 245, 245)).save(tiles / "glass.png")
    outcome = cli(*EXTRACT, "--tiles", f"{tiles}=1", "--out", tmp_path / "a.patches.zarr")
    assert outcome.code == 0
    assert outcome.err == ""
    (tiles / "bad.png").write_bytes(b"no picture")
    outcome = cli(*EXTRACT, "--tiles", f"{tiles}=1", "--out", tmp_path / "b.patches.zarr")
    assert outcome.code == 1
    assert "skipped tiles/bad.png: not a readable picture" in outcome.err


def test_tiles_that_a_sheet_cannot_use(cli, tiles, tmp_path) -> None:
    Image.new("RGB", (8, 8)).save(tiles / "tiny.png")
    command = ("patches", "sheet", "-q", "--tiles", f"{tiles}=1", "--out", tmp_path / "sheet.png")
    outcome = cli(*command)
    assert outcome.code == 1
    assert f"skipped {tiles / 'tiny.png'}: only 8 x 8 px" in outcome.err
    assert (tmp_path / "sheet.png").is_file()


def test_a_damaged_model_among_the_models(cli, tiny_model) -> None:
    broken = tiny_model.with_name("broken")
    broken.mkdir()
    (broken / "model.json").write_text("{")
    outcome = cli("models", "list", "-q")
    assert outcome.code == 1
    assert f"skipped {broken}" in outcome.err
    assert "tiny" in outcome.out


def test_regions_without_a_mask_and_regions_of_one_name(cli, tiles, tmp_path) -> None:
    (tiles / "masks").mkdir()
    mask = np.zeros((256, 256), np.uint8)
    mask[64:128, 64:128] = 255
    cv2.imwrite(str(tiles / "masks" / "0.png"), mask)
    outcome = cli("synthetic", "regions", f"{tiles}=1", "--out", tmp_path / "out", "-q")
    assert outcome.code == 1
    assert f"skipped {tiles / '1.png'}: no mask" in outcome.err
    assert (tmp_path / "out" / "0.tif").is_file()
    Image.new("RGB", (256, 256)).save(tiles / "0.jpg")
    outcome = cli("synthetic", "regions", f"{tiles}=1", "--out", tmp_path / "other")
    assert outcome.code == 1
    assert "would be written to the same place" in outcome.err
    again = cli("synthetic", "regions", f"{tiles}=1", "--out", tmp_path / "out")
    assert again.code == 1


def test_many_are_counted(cli, tiles, tmp_path) -> None:
    for number in range(25):
        (tiles / f"bad{number}.png").write_bytes(b"no picture")
    outcome = cli(*EXTRACT, "--tiles", f"{tiles}=1", "--out", tmp_path / "made.patches.zarr")
    assert outcome.code == 1
    assert outcome.err.count("not a readable picture") == 20
    assert "25 were skipped; 20 of them are named above" in outcome.err


@pytest.fixture
def odd(slide: Path) -> Path:
    """A slide with something that must be known: a picture of 16 bits of which 12 count."""
    path = slide.with_name("odd.tif")
    rng = np.random.default_rng(0)
    pixels = rng.integers(1500, 2600, (1024, 1024, 3), np.uint16)
    resolution = {"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(256, 256), metadata=None, **resolution)
    return path


@pytest.mark.parametrize(
    "command",
    [
        ("compress", "--encoder", "mean-rgb", "--no-tissue", "--overwrite"),
        ("pca",),
        ("export", "--format", "npy"),
        ("predict", "--model", "tiny"),
        ("saliency", "--model", "tiny"),
        ("patches", "extract", "--min-tissue", "0", "--out", "{folder}/a.patches.zarr"),
    ],
)
def test_notices_of_a_slide_are_told_once_by_every_command(cli, odd, tiny_model, command) -> None:
    assert cli("compress", odd, "--encoder", "mean-rgb", "--no-tissue").code == 0
    name, *rest = (part.format(folder=odd.parent) for part in command)
    words = (name, rest.pop(0)) if name == "patches" else (name,)
    outcome = cli(*words, odd, *rest, "-q")
    assert outcome.code in (0, 1), outcome.err
    assert outcome.err.count("note: odd.tif: ") == 1, outcome.err
    assert "note:" not in outcome.out
