"""A slide with tissue in the middle and glass around it, for lossy modes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

ROWS, COLS = 800, 1000


def tissue_and_glass() -> np.ndarray:
    """Return (rows, cols, 3) uint8: an even glass, textured tissue, with a sharp mark in it."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:ROWS, :COLS] / 250
    pixels = np.full((ROWS, COLS, 3), 244.0)
    tissue = ((y - 1.6) ** 2 + (x - 1.6) ** 2 / 1.4) < 1
    base = np.stack([180 + 40 * np.sin(7 * x), 90 + 40 * np.cos(5 * y), 150 + 30 * np.sin(4 * (x + y))], -1)
    pixels[tissue] = (base + rng.normal(0, 8, (ROWS, COLS, 1)))[tissue]
    pixels[380:420, 380:420] = (60, 30, 110)
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def plain_slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiled TIFF of 0.5 um/px and one level."""
    path = tmp_path_factory.mktemp("lossy") / "plain.tif"
    tifffile.imwrite(
        path,
        tissue_and_glass(),
        tile=(256, 256),
        photometric="rgb",
        resolution=(20_000, 20_000),
        resolutionunit="CENTIMETER",
    )
    return path
