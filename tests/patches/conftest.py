"""Plain tiles whose shade tells their class, and stores whose patches tell their number."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.patches import PatchOrigin, PatchStore, StoreRecord, Tile
from napari_nic.patches.writing import PatchPiece, writing_patches

STEP = 2.0
"""Pixels of a source for one of a patch."""


@pytest.fixture
def grey_tiles():
    """Return a function that makes 64 px tiles, so many of each class; shades 60, 120, ... by class name."""

    def make(counts, groups=None):
        tiles = []
        for position, name in enumerate(sorted(counts)):
            image = np.full((64, 64, 3), 60 * (position + 1), np.uint8)
            for index in range(counts[name]):
                group = index % groups if groups else f"{name}{index}"
                tiles.append(Tile(image, str(group), class_name=name))
        return tiles

    return make


@pytest.fixture
def make_store(tmp_path):
    """Return a function that writes a store of 8 px patches, each in a colour of its own.

    ``make_store({"group/name": (cells, class)})``: one source for each entry, its patches at `cells`,
    (row, col) of its grid, all of one class. Red and green of a patch are its number, low byte first.
    """

    def make(sources, size=8):
        number = 0
        path = tmp_path / "made.patches.zarr"
        with writing_patches(path, size, overwrite=True) as writer:
            for name, (cells, kind) in sources.items():
                images = np.zeros((len(cells), size, size, 3), np.uint8)
                for image in images:
                    image[..., 0], image[..., 1] = number % 256, number // 256
                    number += 1
                corners = np.array(cells, float) * size * STEP
                writer.add(PatchPiece(images, corners, (kind,) * len(cells)))
                group = name.partition("/")[0]
                writer.close_source(PatchOrigin(name, group, "tile", 0.5, (size * STEP, size * STEP)))
            writer.finish(StoreRecord(size, 1.0, skipped=(("bad.png", "broken"),), seed=3, software="test"))
        return PatchStore.open(path)

    return make


@pytest.fixture
def numbers():
    """Return a function from the pictures of `make_store` to the numbers of the patches."""
    return lambda images: images[:, 0, 0, 0].astype(int) + 256 * images[:, 0, 0, 1].astype(int)
