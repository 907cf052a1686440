"""``napari-nic pca``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import zarr
from PIL import Image

from napari_nic.embeddings import CompressedSlide


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_picture_beside_the_store_is_transparent_on_glass(cli, store: Path) -> None:
    outcome = cli("pca", store, "--cell-px", "1")
    assert outcome.code == 0
    assert outcome.out == f"{store.with_name('made.pca.png')}\n"
    encoded = CompressedSlide.open(store).encoded()
    rgba = picture(store.with_name("made.pca.png"))
    np.testing.assert_array_equal(rgba[..., 3] > 0, encoded)


def test_cells_are_squares(cli, store: Path, tmp_path: Path) -> None:
    cli("pca", store, "--out", tmp_path / "x.png", "--cell-px", "3")
    rows, cols = CompressedSlide.open(store).grid.shape
    image = picture(tmp_path / "x.png")
    assert image.shape == (3 * rows, 3 * cols, 4)
    np.testing.assert_array_equal(image[::3, ::3], image[2::3, 2::3])


def test_channel(cli, store: Path, tmp_path: Path) -> None:
    assert cli("pca", store, "--channel", "2", "--out", tmp_path / "x.png").code == 0
    outcome = cli("pca", store, "--channel", "3", "--out", tmp_path / "y.png")
    assert outcome.code == 1
    assert "0 to 2" in outcome.err


def test_folder_that_cannot_be_written(cli, store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    outcome = cli("pca", store, "--out", tmp_path / "file" / "x.png")
    assert outcome.code == 1
    assert "cannot be written" in outcome.err


def test_store_carries_a_picture_for_other_programs(store: Path) -> None:
    group = zarr.open_group(store, mode="r")
    (level,) = group.attrs["ome"]["multiscales"][0]["datasets"]
    preview = np.asarray(group[level["path"]])
    glass = ~CompressedSlide.open(store).encoded()
    assert (preview[:, glass] == 255).all()
    assert preview[:, ~glass].std() > 0
