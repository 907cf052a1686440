"""Tiles with a textured tumour and its outline, made by code."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest
import torch

from napari_nic.experiments.tissue import TissueFolders
from napari_nic.experiments.tissue.stock import load_stock
from napari_nic.patches.tiles import TileFolder

SIDE = 420
PINK, VIOLET = (225, 150, 190), (120, 70, 150)


@pytest.fixture(autouse=True)
def one_thread():
    """Small networks are faster on one thread, and the test machine has few."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tumour_tile(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Picture (SIDE, SIDE, 3), violet in its left half, pink in the right one; and the mask of the left."""
    rng = np.random.default_rng(index)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:, : SIDE // 2] = True
    image = np.where(mask[..., None], VIOLET, PINK) + rng.normal(0, 12, (SIDE, SIDE, 1))
    return np.clip(image, 0, 255).astype(np.uint8), mask


@pytest.fixture(scope="session")
def read_table():
    """``read_table(path)`` -> rows of a table as dictionaries."""

    def read(path):
        with path.open(newline="", encoding="utf-8") as lines:
            return list(csv.DictReader(lines))

    return read


@pytest.fixture(scope="session")
def tumour_folder(tmp_path_factory):
    """Six tiles of six patients at 0.5 um/px, half tumour, with masks, and one tile without a mask."""
    folder = tmp_path_factory.mktemp("tiles") / "outlined"
    (folder / "masks").mkdir(parents=True)
    for index in range(6):
        image, mask = tumour_tile(index)
        cv2.imwrite(str(folder / f"p{index}_a.png"), image[..., ::-1])
        cv2.imwrite(str(folder / "masks" / f"p{index}_a.png"), mask.astype(np.uint8) * 255)
    cv2.imwrite(str(folder / "bare.png"), image)
    return TileFolder(folder, 0.5, group=r"^(p\d)_")


@pytest.fixture(scope="session")
def tissue_folders(tumour_folder):
    return TissueFolders((tumour_folder,))


@pytest.fixture(scope="session")
def stock(tissue_folders):
    return load_stock(tissue_folders, mpp=0.5)
