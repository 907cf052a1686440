import cv2
import numpy as np
import pytest

from napari_nic.errors import InvalidParameterError
from napari_nic.patches import Tile, TileFolder, TileSet, load_tiles, split_tiles


def seeded(seed=0):
    return np.random.default_rng(seed)


def test_tiles_come_at_the_resolution_asked_for_and_masks_are_left_out(tile_folder):
    loaded = load_tiles([TileFolder(tile_folder, mpp=0.5)], mpp=1.0, least_side=64)
    assert len(loaded.tiles) == 12
    assert {tile.image.shape for tile in loaded.tiles} == {(80, 100, 3)}
    assert {tile.class_name for tile in loaded.tiles} == {None}
    assert not loaded.skipped


def test_a_sub_folder_is_the_class_and_the_file_name_holds_the_group(tile_folder):
    folder = TileFolder(tile_folder, mpp=1.0, labelled=True, group=r"^(\d)")
    loaded = load_tiles([folder], mpp=1.0, least_side=64)
    assert {tile.class_name for tile in loaded.tiles} == {"a", "b"}
    groups = [tile.group for tile in loaded.tiles]
    assert groups.count(f"{tile_folder.name}/1") == 3  # 1, 10 and 11


def test_bad_and_small_tiles_are_skipped_with_their_reason(tile_folder, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    loaded = load_tiles(
        [TileFolder(tile_folder, mpp=1.0), TileFolder(tmp_path, mpp=1.0)], mpp=1.0, least_side=64
    )
    assert [(file.name, why) for file, why in loaded.skipped] == [("broken.png", "not a readable picture")]
    with pytest.raises(InvalidParameterError, match="only 50 x 40 px"):
        load_tiles([TileFolder(tile_folder, mpp=0.25)], mpp=1.0, least_side=64)


def test_a_mask_of_the_same_name_is_the_outline_whatever_its_suffix(tmp_path):
    image = np.full((128, 128, 3), 150, np.uint8)
    mask = np.zeros((128, 128), np.uint8)
    mask[:, 64:] = 255
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "one.jpg"), image)
    cv2.imwrite(str(tmp_path / "masks" / "one.png"), mask)
    (tile,) = load_tiles([TileFolder(tmp_path, 0.5)], mpp=1.0, least_side=32).tiles
    assert tile.mask is not None
    assert not tile.mask[:, :32].any()
    assert tile.mask[:, 32:].all()


def test_a_seed_gives_the_same_patches(tile_folder):
    source = TileSet(load_tiles([TileFolder(tile_folder, 1.0)], mpp=1.0, least_side=64).tiles, 64, mpp=1.0)
    one, same, other = (source.draw(20, seeded(seed)).images for seed in (1, 1, 2))
    assert one.shape == (20, 64, 64, 3)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_glass_is_drawn_less_than_its_share():
    image = np.full((600, 600, 3), 245, np.uint8)
    image[:, :150] = (180, 90, 150)
    patches = TileSet([Tile(image, "a")], 64, mpp=1.0).draw(200, seeded()).images
    glass = (patches.min(axis=(1, 2, 3)) > 240).mean()
    assert glass < 0.25


def test_classes_come_at_equal_chance_however_rare(grey_tiles):
    tiles = grey_tiles({"rare": 1, "common": 9})
    batch = TileSet(tiles, 32, mpp=1.0).draw(400, seeded())
    assert batch.labels is not None
    assert 0.4 < batch.labels.mean() < 0.6
    shades = batch.images.mean((1, 2, 3))
    assert set(shades[batch.labels == 0]) == {60}  # "common" sorts first
    assert set(shades[batch.labels == 1]) == {120}


def test_patches_of_outlined_tiles_are_inside_or_outside_and_not_between():
    image = np.full((200, 200, 3), 60, np.uint8)
    mask = np.zeros((200, 200), bool)
    mask[:, :100] = True
    image[mask] = 160
    batch = TileSet([Tile(image, "a", mask=mask)], 32, mpp=1.0).draw(100, seeded())
    assert batch.labels is not None
    assert set(batch.labels) == {0, 1}
    share = (batch.images[..., 0] > 100).mean((1, 2))
    assert (share[batch.labels == 0] < 0.01).all()
    assert (share[batch.labels == 1] > 0.5).all()


def test_pairs_are_of_the_same_place_beside_it_or_of_another_group():
    ramp = np.arange(200, dtype=np.uint8)[None, :, None] + np.zeros((200, 1, 3), np.uint8)
    dark = np.full((200, 200, 3), 210, np.uint8)
    pairs = TileSet([Tile(ramp, "a"), Tile(dark, "b")], 32, mpp=1.0).draw_pairs(400, seeded())
    equal = (pairs.first == pairs.second).all((1, 2, 3))
    assert equal[pairs.same].all()
    assert 0.4 < pairs.same.mean() < 0.6
    is_dark = [(patches == 210).all((1, 2, 3)) for patches in (pairs.first, pairs.second)]
    other = is_dark[0] != is_dark[1]
    assert not other[pairs.same].any()
    assert 0.15 < other[~pairs.same].mean() < 0.35
    sideways = ~pairs.same & ~is_dark[0] & ~is_dark[1]
    shift = pairs.second[sideways, 0, 0, 0].astype(int) - pairs.first[sideways, 0, 0, 0]
    assert set(shift) == {-32, 0, 32}


def test_a_split_never_divides_a_group(grey_tiles):
    tiles = grey_tiles({"a": 10, "b": 10}, groups=5)
    kept, away = split_tiles(tiles, held_out=0.4, seed=0)
    assert len(kept) + len(away) == 20
    assert len({tile.group for tile in away}) == 2
    assert not {tile.group for tile in kept} & {tile.group for tile in away}


def test_both_sides_of_a_split_have_every_class(grey_tiles):
    tiles = grey_tiles({"common": 12, "rare": 4})
    for seed in range(5):
        for side in split_tiles(tiles, held_out=0.25, seed=seed):
            assert {tile.class_name for tile in side} == {"common", "rare"}


def test_a_set_without_a_tile_that_is_large_enough_is_an_error(grey_tiles):
    with pytest.raises(InvalidParameterError, match="1 tiles, 1 of them smaller"):
        TileSet(grey_tiles({"a": 1}), 128, mpp=1.0)
