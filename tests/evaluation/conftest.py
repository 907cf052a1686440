"""Labelled tiles made by code: two classes that differ in stain, of several slides each."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

PINK, BLUE = (225, 150, 200), (120, 90, 170)
SLIDES, TILES = 4, 2
SIDE = 256


def stained(color: tuple[int, int, int], rng: np.random.Generator, side: int = SIDE) -> np.ndarray:
    """Return a noisy picture (side, side, 3) of one colour."""
    return np.clip(rng.normal(color, 12, (side, side, 3)), 0, 255).astype(np.uint8)


def write(file: Path, image: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), image[..., ::-1])


@pytest.fixture(scope="session")
def class_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``blue/s0-0.png`` ...: two classes, four slides each, two tiles of 256 px a slide."""
    folder, rng = tmp_path_factory.mktemp("classes"), np.random.default_rng(0)
    for name, color in (("blue", BLUE), ("pink", PINK)):
        for slide in range(SLIDES):
            for tile in range(TILES):
                write(folder / name / f"{name[0]}{slide}-{tile}.png", stained(color, rng))
    return folder
