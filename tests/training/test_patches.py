import numpy as np
import pytest

from napari_nic.errors import InvalidParameterError
from napari_nic.training.patches import PatchSampler, TileFolder, load_tiles


def test_tiles_come_at_the_resolution_asked_for_and_masks_are_left_out(tile_folder):
    tiles = load_tiles([TileFolder(tile_folder, mpp=0.5)], mpp=1.0, least_side=64)
    assert len(tiles.images) == 12
    assert {image.shape for image in tiles.images} == {(80, 100, 3)}
    assert not tiles.skipped


def test_bad_and_small_tiles_are_skipped_with_their_reason(tile_folder, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    tiles = load_tiles(
        [TileFolder(tile_folder, mpp=1.0), TileFolder(tmp_path, mpp=1.0)], mpp=1.0, least_side=64
    )
    assert [(file.name, why) for file, why in tiles.skipped] == [("broken.png", "not a readable picture")]
    with pytest.raises(InvalidParameterError, match="only 50 x 40 px"):
        load_tiles([TileFolder(tile_folder, mpp=0.25)], mpp=1.0, least_side=64)


def test_a_seed_gives_the_same_patches(tile_folder):
    images = load_tiles([TileFolder(tile_folder, 1.0)], mpp=1.0, least_side=64).images
    one, same, other = (PatchSampler(images, 64, seed=seed).draw(20) for seed in (1, 1, 2))
    assert one.shape == (20, 64, 64, 3)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_glass_is_drawn_less_than_its_share():
    image = np.full((600, 600, 3), 245, np.uint8)
    image[:, :150] = (180, 90, 150)
    patches = PatchSampler([image], 64, seed=0).draw(200)
    glass = (patches.min(axis=(1, 2, 3)) > 240).mean()
    assert glass < 0.25
