"""Kills, full disks, damage and second writers: a store never lies and nothing is lost."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from zarr.storage import LocalStore

from napari_nic.embeddings import CompressedSlide, cells_of_blocks, layout
from napari_nic.embeddings.stored import StoredCodes
from napari_nic.embeddings.stored import _FileIdentity as FileIdentity
from napari_nic.errors import StoreError, StoreMismatchError

KILLED_WRITER = """
import os, signal, sys
import numpy as np
from zarr.storage import LocalStore
from napari_nic.embeddings import BLOCK, CompressedSlide

path, codes_file, fatal = sys.argv[1], sys.argv[2], int(sys.argv[3])
codes = np.load(codes_file)
store = CompressedSlide.open(path, mode="r+")
count, original = 0, LocalStore.set

async def dying_set(self, key, value):
    global count
    count += 1
    if count == fatal:
        # What a kill in the midst of a write leaves: half a temporary file.
        target = self.root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        half = value.to_bytes()
        target.with_suffix(".0123.partial").write_bytes(half[: len(half) // 2])
        os.kill(os.getpid(), signal.SIGKILL)
    await original(self, key, value)

LocalStore.set = dying_set
for i, (row, col) in enumerate(np.argwhere(~store.done).tolist()):
    store.write_block(row, col, codes[row * BLOCK : (row + 1) * BLOCK, col * BLOCK : (col + 1) * BLOCK])
    if i % 5 == 4:
        store.flush()
store.finish()
"""


def _assert_honest(path: Path, codes: np.ndarray) -> CompressedSlide:
    """Every block that the store calls done holds the right codes."""
    store = CompressedSlide.open(path)
    known = cells_of_blocks(store.done, store.grid.shape)
    np.testing.assert_array_equal(store.read(), np.where(known[..., None], codes, np.float16(0)))
    assert store.status == "partial" or store.is_complete
    return store


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL on Windows")
@pytest.mark.parametrize("fatal", [1, 2, 7])
def test_a_killed_run_leaves_an_honest_store_and_resumes_to_the_same_codes(
    tmp_path, store, codes, toy, fatal
):
    np.save(tmp_path / "codes.npy", codes)
    arguments = [str(store.path), str(tmp_path / "codes.npy"), str(fatal)]
    run = subprocess.run(  # noqa: S603 - our own text, run by our own interpreter
        [sys.executable, "-c", KILLED_WRITER, *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
        timeout=240,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr.decode()
    survivor = _assert_honest(store.path, codes)
    assert not survivor.is_complete
    assert survivor.done.sum() > store.done.sum() or fatal < 7
    resumed = CompressedSlide.open(store.path, mode="r+")
    toy.fill(resumed, codes)
    resumed.finish()
    np.testing.assert_array_equal(CompressedSlide.open(store.path).read(), codes)
    assert CompressedSlide.open(store.path).status == "complete"


def _fail_at(monkeypatch, fatal: int, code: int) -> list[str]:
    """Let the n-th write of zarr, and all after it, fail with an error of the operating system."""
    written: list[str] = []
    original = LocalStore.set

    async def failing_set(self, key, value):
        written.append(key)
        if len(written) >= fatal:
            raise OSError(code, os.strerror(code), key)
        await original(self, key, value)

    monkeypatch.setattr(LocalStore, "set", failing_set)
    return written


def test_full_disk_at_any_moment_loses_nothing(tmp_path, toy, monkeypatch):
    rows, cols = 20, 70
    coverage = np.ones((rows, cols), bool)
    codes = toy.codes(coverage)
    for fatal in itertools.count(1):
        path = tmp_path / f"{fatal}.nic.zarr"
        writer = CompressedSlide.create(path, toy.header(rows, cols), coverage)
        failed = False
        with monkeypatch.context() as patch:
            _fail_at(patch, fatal, errno.ENOSPC)
            for index, (row, col) in enumerate(np.argwhere(~writer.done).tolist()):
                try:
                    writer.write_block(row, col, toy.part(codes, row, col))
                    if index % 4 == 3:
                        writer.flush()
                except StoreError as error:
                    failed = "no space left" in str(error) and "free some space" in str(error)
            try:
                writer.finish()
            except StoreError:
                failed = True
        _assert_honest(path, codes)
        # Room was made: what is still in memory is written now.
        writer.finish()
        np.testing.assert_array_equal(_assert_honest(path, codes).read(), codes)
        if not failed:
            break
    assert fatal > 6, "the loop has tried every write"


def _fail_to_create(monkeypatch, code: int) -> None:
    """Let the third file that is written fail with an error of the operating system."""
    written: list[Path] = []
    original = Path.write_bytes

    def failing(path, content):
        written.append(path)
        if len(written) == 3:
            raise OSError(code, os.strerror(code), str(path))
        return original(path, content)

    monkeypatch.setattr(Path, "write_bytes", failing)


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS])
def test_read_only_folder_is_said_at_creation_and_nothing_is_left(tmp_path, coverage, toy, monkeypatch, code):
    _fail_to_create(monkeypatch, code)
    with pytest.raises(StoreError, match=r"(?s)not allowed to write.*choose another output"):
        CompressedSlide.create(tmp_path / "a.nic.zarr", toy.header(), coverage)
    assert list(tmp_path.iterdir()) == []


def test_read_only_store_is_said_when_it_is_opened_for_writing(store, monkeypatch):
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    with pytest.raises(StoreError, match="not allowed to write"):
        CompressedSlide.open(store.path, mode="r+")


def test_another_system_error_is_passed_on_in_words(tmp_path, coverage, toy, monkeypatch):
    _fail_to_create(monkeypatch, errno.EIO)
    with pytest.raises(StoreError, match=os.strerror(errno.EIO)) as caught:
        CompressedSlide.create(tmp_path / "a.nic.zarr", toy.header(), coverage)
    assert isinstance(caught.value.__cause__, OSError)


def test_two_writers_on_one_store_waste_work_but_lose_nothing(store, codes, toy):
    other = CompressedSlide.open(store.path, mode="r+")
    blocks = np.argwhere(~store.done).tolist()
    for index, block in enumerate(blocks):
        writer = (store, other)[index % 2]
        writer.write_block(*block, toy.part(codes, *block))
        if index % 3 == 0:
            writer.flush()
        _assert_honest(store.path, codes)
    store.flush()
    other.finish()
    assert other.is_complete
    assert other.status == "complete"
    np.testing.assert_array_equal(_assert_honest(store.path, codes).read(), codes)
    store.reload()
    assert store.status == "complete"


def test_shard_replaced_while_it_is_read_is_read_again(full_store, codes, monkeypatch):
    viewer = CompressedSlide.open(full_store.path)
    file = full_store.path / "embeddings" / "c" / "0" / "0" / "0"
    original, calls = zarr.Array.__getitem__, []

    def disturbed(array, selection):
        calls.append(selection)
        if len(calls) == 1:
            shutil.copy(file, file.with_suffix(".new"))
            file.with_suffix(".new").replace(file)
            raise ValueError("parts of two files")
        return original(array, selection)

    monkeypatch.setattr(zarr.Array, "__getitem__", disturbed)
    np.testing.assert_array_equal(viewer.read_cells(slice(60), slice(60)), codes[:60, :60])
    assert len(calls) == 2


def test_shard_that_never_stands_still_is_given_up(full_store, monkeypatch):
    versions = itertools.count()
    monkeypatch.setattr(StoredCodes, "_identity_of", lambda *_: FileIdentity(next(versions), 0, 1))
    with pytest.raises(StoreError, match="being rewritten"):
        full_store.read()


def test_store_replaced_while_open_is_noticed(store, coverage, codes, toy):
    store.write_block(2, 2, toy.part(codes, 2, 2))
    fresh = CompressedSlide.create(store.path, toy.header(), coverage, overwrite=True)
    with pytest.raises(StoreMismatchError, match="replaced"):
        store.flush()
    with pytest.raises(StoreMismatchError, match="replaced"):
        store.reload()
    assert not fresh.encoded().any()


@pytest.mark.parametrize("gone", ["shard", "store", "replaced"])
def test_codes_of_a_store_that_is_no_longer_there_are_not_read(full_store, codes, toy, monkeypatch, gone):
    """Neither an error of the system's nor, worse, the codes of the store that took its place."""
    viewer = CompressedSlide.open(full_store.path)
    original = zarr.Array.__getitem__

    def disturbed(array, selection):
        found = original(array, selection)
        if gone == "shard":
            (full_store.path / "embeddings" / "c" / "0" / "0" / "0").unlink()
        else:
            shutil.rmtree(full_store.path)
        return found

    if gone == "replaced":
        again = CompressedSlide.create(full_store.path, toy.header(), viewer.coverage, overwrite=True)
        for row, col in np.ndindex(again.done.shape):
            again.write_block(row, col, -toy.part(codes, row, col))
        again.finish()
    else:
        monkeypatch.setattr(zarr.Array, "__getitem__", disturbed)
    with pytest.raises(StoreMismatchError, match="replaced or removed"):
        viewer.read()


def test_create_never_replaces_unasked_nor_what_is_not_ours(store, coverage, toy, tmp_path):
    with pytest.raises(StoreError, match="exists"):
        CompressedSlide.create(store.path, toy.header(), coverage)
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "holiday.jpg").write_bytes(b"sea")
    with pytest.raises(StoreError, match="in the way"):
        CompressedSlide.create(photos, toy.header(), coverage, overwrite=True)
    assert (photos / "holiday.jpg").exists()
    with pytest.raises(StoreError, match="in the way"):
        CompressedSlide.create(photos / "holiday.jpg", toy.header(), coverage, overwrite=True)
    (tmp_path / "empty").mkdir()
    CompressedSlide.create(tmp_path / "empty", toy.header(), coverage, overwrite=True)
    CompressedSlide.create(tmp_path / "empty", toy.header(), coverage, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "photos", "slide.nic.zarr"]


def test_what_is_no_store_is_said(tmp_path):
    with pytest.raises(StoreError, match="no such store"):
        CompressedSlide.open(tmp_path / "none.nic.zarr")
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match=r"without zarr\.json"):
        CompressedSlide.open(tmp_path / "folder")
    (tmp_path / "file.svs").write_bytes(b"x")
    with pytest.raises(StoreError, match="a file"):
        CompressedSlide.open(tmp_path / "file.svs")
    zarr.create_group(LocalStore(tmp_path / "other.zarr"), attributes={"spatialdata": 1})
    with pytest.raises(StoreError, match=r"(?s)not a compressed slide.*spatialdata"):
        CompressedSlide.open(tmp_path / "other.zarr")


def _edit_header(path: Path, **changes: object) -> None:
    document = json.loads((path / "zarr.json").read_text())
    document["attributes"][layout.ATTRIBUTES_KEY] |= changes
    (path / "zarr.json").write_text(json.dumps(document))


def test_another_schema_version_is_said(full_store):
    _edit_header(full_store.path, schema=99)
    with pytest.raises(StoreError, match=r"(?s)schema version.*99"):
        CompressedSlide.open(full_store.path)


@pytest.mark.parametrize("change", [{"grid": {"rows": 3}}, {"slide_shape": 7}, {"encoder": {}}])
def test_damaged_header_is_said(full_store, change):
    _edit_header(full_store.path, **change)
    with pytest.raises(StoreError, match="damaged"):
        CompressedSlide.open(full_store.path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("zarr.json", b""),
        ("zarr.json", b'{"zarr_format": 3, "node_type": "gro'),
        ("embeddings/zarr.json", None),
        ("embeddings/zarr.json", b"{}"),
        ("done/c/0/0", None),
        ("coverage/c/0/0", b"garbage"),
    ],
)
def test_damaged_metadata_is_said_when_opened(full_store, file, content):
    target = full_store.path / file
    target.unlink()
    if content is not None:
        target.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"):
        CompressedSlide.open(full_store.path)


def test_array_of_another_shape_is_said(full_store):
    metadata = full_store.path / "done" / "zarr.json"
    metadata.write_text(metadata.read_text().replace("6", "4", 1))
    with pytest.raises(StoreError, match="damaged"):
        CompressedSlide.open(full_store.path)


@pytest.mark.parametrize("damage", ["missing", "truncated", "empty", "flipped bit"])
def test_damaged_codes_are_said_and_never_read_as_zero(full_store, damage):
    file = full_store.path / "embeddings" / "c" / "0" / "0" / "0"
    content = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "flipped bit":
        content[len(content) // 2] ^= 1
        file.write_bytes(content)
    else:
        file.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"")
    store = CompressedSlide.open(full_store.path)
    with pytest.raises(StoreError, match=r"(?s)damaged.*embeddings/c/0/0/0"):
        store.read()


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header["grid"].update(level=1),
        lambda header: header["grid"].update(downsample=3.5),
        lambda header: header["grid"].update(downsample={}),
        lambda header: header["grid"].update(stride_px=9),
        lambda header: header.update(slide_name="another"),
        lambda header: header.update(status="partial"),
    ],
)
def test_a_description_that_was_changed_is_never_believed(full_store, change):
    """A flipped bit in the grid would put every overlay at another place, without a word."""
    file = full_store.path / "zarr.json"
    data = json.loads(file.read_text())
    change(data["attributes"]["napari_nic"])
    file.write_text(json.dumps(data))
    with pytest.raises(StoreError, match=r"changed or damaged|damaged"):
        CompressedSlide.open(full_store.path)


def test_a_store_of_before_without_a_seal_is_read(full_store, codes):
    file = full_store.path / "zarr.json"
    data = json.loads(file.read_text())
    del data["attributes"]["napari_nic"]["content_sha256"]
    file.write_text(json.dumps(data))
    np.testing.assert_array_equal(CompressedSlide.open(full_store.path).read(), codes)


@pytest.mark.parametrize("name", ["embeddings", "coverage", "done"])
@pytest.mark.parametrize("entry", ["data_type", "fill_value", "chunk_grid"])
def test_an_array_that_is_laid_out_otherwise_is_damage(full_store, name, entry):
    file = full_store.path / name / "zarr.json"
    data = json.loads(file.read_text())
    if entry == "data_type":
        data[entry] = {"bool": "uint8", "float16": "int16"}[data[entry]]
    elif entry == "fill_value":
        data[entry] = True if data[entry] is False else 1.0
    else:
        data[entry]["configuration"]["chunk_shape"][0] *= 2
    file.write_text(json.dumps(data))
    with pytest.raises(StoreError, match="damaged"):
        CompressedSlide.open(full_store.path).read()


def test_metadata_nested_without_end_is_damage(full_store):
    (full_store.path / "coverage" / "zarr.json").write_text("[" * 40_000 + "]" * 40_000)
    with pytest.raises(StoreError, match="damaged"):
        CompressedSlide.open(full_store.path)


@pytest.mark.parametrize("kind", ["folder", "link to itself", "nothing"])
def test_a_shard_that_is_no_file_is_damage_and_never_zeros(full_store, kind):
    shard = next(path for path in (full_store.path / "embeddings" / "c").rglob("*") if path.is_file())
    shard.unlink()
    if kind == "folder":
        shard.mkdir()
    elif kind == "link to itself":
        try:
            shard.symlink_to(shard)
        except OSError:
            pytest.skip("links are not allowed here")
    with pytest.raises(StoreError, match="damaged"):
        CompressedSlide.open(full_store.path).read()


def test_what_a_killed_write_left_is_removed_by_the_next_run(store):
    left = store.path / "done" / "c" / "0" / f"0.{'0af1' * 8}.partial"
    description = store.path / f"zarr.{'0af1' * 8}.partial"
    kept = store.path / "done" / "c" / "0" / "mine.partial", store.path / "mine.partial"
    for file in (left, description, *kept):
        file.write_bytes(b"half")
    with store.writing():
        pass
    assert not left.exists()
    assert not description.exists()
    assert all(file.exists() for file in kept)


def test_what_a_killed_picture_left_is_removed_by_the_next_one(full_store):
    rgb = np.zeros((*full_store.grid.shape, 3), np.uint8)
    full_store.write_preview(rgb)
    left = [full_store.path / place / f"zarr.{'0af1' * 8}.partial" for place in ("", "preview", "preview/0")]
    for file in left:
        file.write_bytes(b"half")
    full_store.write_preview(rgb)
    assert not any(file.exists() for file in left)


def test_all_that_a_store_may_hold_gives_way_and_nothing_else_does(full_store, toy, coverage):
    documented = re.findall(r"^ {6}(\w+(?:\.json)?)/?", layout.__doc__ or "", re.M)
    assert {"zarr.json", "embeddings", "coverage", "done", "failed", "preview"} <= set(documented)
    for name in documented:
        if not (full_store.path / name).exists():
            (full_store.path / name).mkdir()
    CompressedSlide.create(full_store.path, toy.header(), coverage, overwrite=True)
    (full_store.path / "notes.txt").write_text("of the user")
    with pytest.raises(StoreError, match="in the way"):
        CompressedSlide.create(full_store.path, toy.header(), coverage, overwrite=True)
