"""Folders of small tiles made by code."""

from __future__ import annotations

import cv2
import numpy as np
import pytest


@pytest.fixture(scope="session")
def tile_folder(tmp_path_factory, make_tissue):
    """Twelve tiles of 160 x 200 px that are tissue all over, in two class folders, and a folder of masks."""
    folder = tmp_path_factory.mktemp("tiles")
    for index in range(12):
        kind = folder / ("a" if index % 2 else "b")
        kind.mkdir(exist_ok=True)
        tile = make_tissue(700, 800, seed=index)[270:430, 300:500]
        cv2.imwrite(str(kind / f"{index}.png"), tile[..., ::-1])
    (folder / "masks").mkdir()
    cv2.imwrite(str(folder / "masks" / "0.png"), np.zeros((160, 200, 3), np.uint8))
    return folder
