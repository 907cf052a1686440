"""``napari-nic patches sheet``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "sheets" / "sheet.png"


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_sheet_of_tiles(cli, tile_folder, out):
    options = ("--preset", "light", "--rows", 3, "--columns", 4, "--size", 48, "--labelled")
    made = cli("patches", "sheet", "--tiles", f"{tile_folder}=1.0", *options, "--out", out)
    assert (made.code, made.out) == (0, f"{out}\n")
    height, width, channels = picture(out).shape
    assert channels == 3
    assert height > 3 * 48
    assert width > 5 * 48


def test_sheet_of_a_store_shows_what_training_takes_of_it(cli, tile_folder, tmp_path, out):
    store = tmp_path / "made.patches.zarr"
    cli("patches", "extract", "--tiles", f"{tile_folder}=1.0", "--out", store, "--mpp", 1, "--size", 80)
    made = cli("patches", "sheet", store, "--out", out, "--json", "--rows", 2, "--columns", 1)
    assert made.json == {"files": [str(out)], "preset": "strong", "size": 64, "mpp": 1.0}
    assert picture(out).std() > 0


def test_the_same_seed_gives_the_same_sheet(cli, tile_folder, tmp_path):
    sheets = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        path = tmp_path / f"{name}.png"
        assert cli("patches", "sheet", "--tiles", f"{tile_folder}=1", "--seed", seed, "--out", path).code == 0
        sheets.append(picture(path))
    assert np.array_equal(sheets[0], sheets[1])
    assert not np.array_equal(sheets[0][60:], sheets[2][60:])


def test_patches_of_one_kind_are_needed(cli, tile_folder, out):
    for sources in ((), ("made.patches.zarr", "--tiles", f"{tile_folder}=1")):
        outcome = cli("patches", "sheet", *sources, "--out", out)
        assert outcome.code == 2
        assert "STORE or --tiles" in outcome.err


def test_a_store_smaller_than_the_network_is_refused(cli, tile_folder, tmp_path, out):
    store = tmp_path / "made.patches.zarr"
    cli("patches", "extract", "--tiles", f"{tile_folder}=1.0", "--out", store, "--mpp", 1, "--size", 32)
    outcome = cli("patches", "sheet", store, "--size", 64, "--out", out)
    assert outcome.code == 1
    assert "at most 32 px" in outcome.err
