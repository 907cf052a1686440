import json
import shutil

import numpy as np
import pytest
import zarr

from napari_nic.errors import InvalidParameterError, StoreError
from napari_nic.patches import PatchStore, StoreRecord
from napari_nic.patches import writing as writing_module
from napari_nic.patches.writing import shard_layout, writing_patches

ROW = [(0, col) for col in range(5)]


@pytest.fixture
def store(make_store):
    return make_store({"a/1": (ROW, "zebra"), "a/2": ([(3, 7)], "ape"), "b/3": (ROW, None)})


def test_what_was_written_is_read(store, numbers):
    assert len(store) == 11
    assert (store.size, store.mpp, store.class_names) == (8, 1.0, ("ape", "zebra"))
    assert store.labels.tolist() == [1] * 5 + [0] + [-1] * 5
    assert store.groups.tolist() == ["a"] * 6 + ["b"] * 5
    assert store.source_index.tolist() == [0] * 5 + [1] + [2] * 5
    assert (store.y[5], store.x[5]) == (48, 112)
    assert store.cells[5].tolist() == [3, 7]
    assert store.record.skipped == (("bad.png", "broken"),)
    assert store.record.seed == 3
    assert numbers(store.read(range(11))).tolist() == list(range(11))
    assert "11 patches of 8 px" in repr(store)


def test_patches_are_read_in_any_order_across_chunks_and_shards(make_store, numbers, monkeypatch):
    monkeypatch.setattr(writing_module, "shard_layout", lambda _size: (4, 8))
    store = make_store({f"g/{source}": ([(0, col) for col in range(7)], None) for source in range(9)})
    assert len(list((store.path / "images" / "c").iterdir())) == 8
    rng = np.random.default_rng(0)
    for count in (1, 5, 63, 100):
        wanted = rng.integers(63, size=count)
        assert numbers(store.read(wanted)).tolist() == wanted.tolist()
    assert store.read([]).shape == (0, 8, 8, 3)
    with pytest.raises(InvalidParameterError, match="0 to 62"):
        store.read([63])
    with pytest.raises(InvalidParameterError, match="-1 to -1"):
        store.read([-1])


def test_black_patches_are_not_taken_for_lost_ones(make_store):
    store = make_store({"a/1": ([(0, 0)], None)})  # the first patch of these stores is black
    assert not store.read([0]).any()


def test_other_programs_can_read_it(store):
    group = zarr.open_group(store.path, mode="r")
    assert group["images"].shape == (11, 8, 8, 3)
    assert group["images"].dtype == np.uint8
    assert group["y"][:].tolist() == store.y.tolist()


@pytest.mark.parametrize("size", [8, 64, 128, 224, 512, 2048])
def test_chunks_and_shards_stay_small_enough_to_hold(size):
    chunk, shard = shard_layout(size)
    assert 1 <= chunk <= 64
    assert shard % chunk == 0
    assert shard <= 2048
    assert shard * 3 * size**2 <= 64 * 2**20
    assert chunk * 3 * size**2 <= 2**20 or chunk == 1


def test_a_failed_run_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), writing_patches(tmp_path / "x.patches.zarr", 8):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_replaced_only_when_asked_and_only_a_store(store, tmp_path):
    with pytest.raises(StoreError, match="--overwrite"), writing_patches(store.path, 8):
        pytest.fail("must not be reached")
    other = tmp_path / "thesis.patches.zarr"
    other.mkdir()
    (other / "chapter.txt").write_text("years of work")
    with pytest.raises(StoreError, match="not a patch store"), writing_patches(other, 8, overwrite=True):
        pytest.fail("must not be reached")
    assert (other / "chapter.txt").exists()
    with pytest.raises(StoreError, match=r"x\.patches\.zarr"), writing_patches(tmp_path / "x.zarr", 8):
        pytest.fail("must not be reached")


def test_a_store_without_patches_is_refused(tmp_path):
    with (
        pytest.raises(InvalidParameterError, match="no patch"),
        writing_patches(tmp_path / "x.patches.zarr", 8) as writer,
    ):
        writer.finish(StoreRecord(8, 1.0))
    assert list(tmp_path.iterdir()) == []


def lose_a_shard(path):
    shutil.rmtree(path / "images" / "c" / "0")


def lose_a_column(path):
    shutil.rmtree(path / "label")


def cut_a_column(path):
    (path / "label" / "c" / "0").write_bytes(b"\x28\xb5\x2f\xfd")


def forget_the_classes(path):
    change_attributes(path, class_names=[])


def forget_the_size(path):
    change_attributes(path, size=None)


def come_from_the_future(path):
    change_attributes(path, schema=99)


def change_attributes(path, **values):
    file = path / "zarr.json"
    data = json.loads(file.read_text())
    data["attributes"]["napari_nic_patches"].update(values)
    file.write_text(json.dumps(data))


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lose_a_shard, "files of pictures are missing"),
        (lose_a_column, "label"),
        (cut_a_column, "column 'label'"),
        (forget_the_classes, "column 'label' names what"),
        (forget_the_size, "attributes: TypeError"),
        (come_from_the_future, "another schema version"),
    ],
)
def test_a_damaged_store_says_which_part(store, harm, said):
    harm(store.path)
    with pytest.raises(StoreError, match=said):
        PatchStore.open(store.path)


def test_damaged_pictures_are_an_error_and_not_noise(store):
    file = store.path / "images" / "c" / "0" / "0" / "0" / "0"
    content = bytearray(file.read_bytes())
    content[20:40] = bytes(20)
    file.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        store.read([0])


def test_what_is_no_store_is_refused(tmp_path):
    with pytest.raises(StoreError, match="no such patch store"):
        PatchStore.open(tmp_path / "x.patches.zarr")
    with pytest.raises(StoreError, match="not a patch store"):
        PatchStore.open(tmp_path)


def test_a_split_of_a_store_keeps_groups_together(make_store):
    store = make_store({f"{group}/1": (ROW, "ab"[group % 2]) for group in range(8)})
    train, test = store.split([0.75, 0.25], seed=1)
    assert len(train) == 30
    assert len(test) == 10
    assert not set(store.groups[train]) & set(store.groups[test])
    assert np.bincount(store.labels[test]).tolist() == [5, 5]
