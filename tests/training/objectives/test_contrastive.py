import numpy as np
import torch

from napari_nic.patches import Tile, TileSet
from napari_nic.training.loop import Sources, run_training
from napari_nic.training.objectives import OBJECTIVES


def test_pairs_of_slides_with_patterns_of_their_own_are_told_apart(quick, tmp_path):
    """Stripes of a width that changes along the tile: places differ, views of one place do not."""
    tiles = []
    for index in range(4):
        x = np.linspace(0, 30 + 25 * index, 200) ** 1.3
        stripes = 130 + 90 * np.sin(x)[None, :, None] * np.ones((200, 1, 3))
        tiles.append(Tile(stripes.astype(np.uint8), f"slide{index}"))
    source = TileSet(tiles, 80, mpp=1.0)
    options = quick(
        steps=80,
        batch_size=16,
        validate_every=40,
        validation_patches=128,
        augmentation="none",
        learning_rate=3e-3,
    )
    torch.manual_seed(0)
    objective = OBJECTIVES.get("contrastive")(options, [source])
    reports = list(run_training(objective, Sources([source], [source]), tmp_path, options))
    assert reports[-1].validation["accuracy"] > 0.75
