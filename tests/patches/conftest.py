"""Plain tiles whose shade tells their class."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.patches import Tile


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
