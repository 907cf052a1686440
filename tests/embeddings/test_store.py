"""Writing and reading a store: what goes in comes out, at any moment and in any order."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_nic import disk
from napari_nic.disk import exclusive
from napari_nic.embeddings import BLOCK, SHARD, CompressedSlide, blocks_with_cells, cells_of_blocks, shards
from napari_nic.errors import InvalidParameterError, StoreBusyError, StoreError, StoreMismatchError
from napari_nic.jobs import CancellationToken


def _files(folder: Path) -> dict[str, bytes]:
    array = folder / "embeddings"
    return {str(path.relative_to(array)): path.read_bytes() for path in array.rglob("*") if path.is_file()}


def test_new_store_holds_nothing_but_knows_where_nothing_is_to_do(store, coverage, toy):
    assert store.shape == (*coverage.shape, 5)
    assert store.header == toy.header()
    np.testing.assert_array_equal(store.coverage, coverage)
    assert store.done[0, 0], "the empty corner counts as done"
    np.testing.assert_array_equal(store.done, ~blocks_with_cells(coverage))
    assert not store.encoded().any()
    assert not store.read().any()
    assert store.status == "partial"
    assert not store.is_complete


def test_codes_come_back_after_reopening(full_store, codes, coverage):
    again = CompressedSlide.open(full_store.path)
    assert again.status == "complete"
    assert again.is_complete
    stored = again.read()
    assert stored.dtype == np.float16
    np.testing.assert_array_equal(stored, codes)
    np.testing.assert_array_equal(again.encoded(), coverage)


def test_store_without_tissue_is_complete_at_once(tmp_path, toy):
    store = CompressedSlide.create(tmp_path / "a.nic.zarr", toy.header(), np.zeros((90, 75), bool))
    assert store.is_complete
    assert store.status == "complete"
    assert not store.read().any()


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(bounds=st.tuples(*[st.integers(-5, 100)] * 4))
def test_any_rectangle_of_cells_equals_a_slice_of_the_whole(full_store, codes, bounds):
    rows, cols = slice(*bounds[:2]), slice(*bounds[2:])
    np.testing.assert_array_equal(full_store.read_cells(rows, cols), codes[rows, cols])


def test_codes_are_readable_before_they_are_flushed(store, codes, toy):
    store.write_block(2, 2, toy.part(codes, 2, 2))
    inside = np.s_[2 * BLOCK : 3 * BLOCK, 2 * BLOCK : 3 * BLOCK]
    np.testing.assert_array_equal(store.read()[inside], codes[inside])
    np.testing.assert_array_equal(store.read_cells(slice(40, 45), slice(30, 41)), store.read()[40:45, 30:41])
    assert store.encoded().sum() == store.coverage[inside].sum()


def test_second_opener_sees_what_is_flushed_after_reload(store, codes, toy):
    viewer = CompressedSlide.open(store.path)
    store.write_block(2, 2, toy.part(codes, 2, 2))
    viewer.reload()
    assert not viewer.encoded().any()
    store.flush()
    assert not viewer.encoded().any()
    viewer.reload()
    np.testing.assert_array_equal(viewer.done, store.done)
    np.testing.assert_array_equal(viewer.read(), store.read())
    toy.fill(store, codes)
    store.finish()
    viewer.reload()
    assert viewer.status == "complete"
    np.testing.assert_array_equal(viewer.read(), codes)


def test_cells_that_a_reader_does_not_know_as_done_read_as_zero(store, codes, toy):
    viewer = CompressedSlide.open(store.path)
    store.write_block(2, 2, toy.part(codes, 2, 2))
    store.flush()
    store.write_block(2, 3, toy.part(codes, 2, 3))
    viewer.reload()
    store.flush()
    inside = np.s_[2 * BLOCK : 3 * BLOCK, 3 * BLOCK : 4 * BLOCK]
    assert not viewer.read()[inside].any()
    assert store.read()[inside].any()


def test_a_full_shard_is_written_at_once(store, codes, toy):
    viewer = CompressedSlide.open(store.path)
    first_shard = [(r, c) for r, c in np.argwhere(~store.done[:4, :4]).tolist()]
    toy.fill(store, codes, first_shard)
    viewer.reload()
    np.testing.assert_array_equal(viewer.read()[:SHARD, :SHARD], codes[:SHARD, :SHARD])


def test_order_of_writing_and_flushing_does_not_change_a_byte(tmp_path, coverage, codes, toy, full_store):
    reference = _files(full_store.path)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        path = tmp_path / f"{seed}.nic.zarr"
        store = CompressedSlide.create(path, toy.header(), coverage)
        for row, col in rng.permutation(np.argwhere(~store.done)).tolist():
            store.write_block(row, col, toy.part(codes, row, col))
            if rng.random() < 0.3:
                store.flush()
            if rng.random() < 0.2:
                store.close()
                store = CompressedSlide.open(path, mode="r+")
        store.finish()
        assert _files(path) == reference


def test_buffers_are_bounded(store, codes, toy, monkeypatch):
    monkeypatch.setattr(shards, "BUFFER_BYTES", 3 * BLOCK * BLOCK * 5 * 2)
    viewer = CompressedSlide.open(store.path)
    toy.fill(store, codes, [(1, 2), (4, 3), (5, 4)])
    viewer.reload()
    assert viewer.done[1, 2], "written without a flush, because the memory was used up"
    toy.fill(store, codes)
    store.finish()
    np.testing.assert_array_equal(store.read(), codes)


def test_values_of_cells_without_coverage_are_dropped(store, coverage, codes, toy):
    noisy = codes.copy()
    noisy[~coverage] = np.nan
    toy.fill(store, noisy)
    np.testing.assert_array_equal(store.read(), codes)


def test_codes_that_are_all_zero_are_codes(store, coverage, toy):
    toy.fill(store, np.zeros((*coverage.shape, 5), np.float32))
    store.finish()
    again = CompressedSlide.open(store.path)
    np.testing.assert_array_equal(again.encoded(), coverage)
    assert not again.read().any()


@pytest.mark.parametrize("bad", [1e6, np.nan, -np.inf])
def test_codes_that_float16_cannot_hold_are_refused(store, codes, toy, bad):
    block = toy.part(codes, 2, 2).astype(np.float32)
    row, col = np.argwhere(store.coverage[32:48, 32:48])[0]
    block[row, col, 3] = bad
    with pytest.raises(StoreError, match=r"'toy'.*float16"):
        store.write_block(2, 2, block)
    assert not store.done[2, 2]


def test_wrong_arguments_are_refused(store, codes, toy, tmp_path):
    with pytest.raises(InvalidParameterError, match="fit the block"):
        store.write_block(0, 0, np.zeros((BLOCK, BLOCK, 4), np.float16))
    with pytest.raises(InvalidParameterError, match="no such block"):
        store.write_block(6, 0, np.zeros((BLOCK, BLOCK, 5), np.float16))
    with pytest.raises(InvalidParameterError, match="no such block"):
        store.write_block(-1, 0, np.zeros((BLOCK, BLOCK, 5), np.float16))
    with pytest.raises(InvalidParameterError, match="step"):
        store.read_cells(slice(0, 10, 2), slice(None))
    with pytest.raises(InvalidParameterError, match="fit the grid"):
        CompressedSlide.create(tmp_path / "b.nic.zarr", toy.header(), np.ones((3, 3), bool))
    with pytest.raises(InvalidParameterError, match="mode"):
        CompressedSlide.open(store.path, mode="w")


def test_a_store_opened_for_reading_cannot_be_written(full_store, codes, toy):
    viewer = CompressedSlide.open(full_store.path)
    with pytest.raises(StoreError, match="for reading"):
        viewer.write_block(2, 2, toy.part(codes, 2, 2))
    with pytest.raises(StoreError, match="for reading"):
        viewer.flush()
    with pytest.raises(ValueError, match="read-only"):
        viewer.coverage[0, 0] = True


def test_leaving_the_context_writes(tmp_path, coverage, codes, toy):
    path = tmp_path / "c.nic.zarr"
    with CompressedSlide.create(path, toy.header(), coverage) as store:
        toy.fill(store, codes, [(2, 2)])
    with CompressedSlide.open(path) as viewer:
        assert viewer.done[2, 2]
        assert "partial" in repr(viewer)


def test_opening_reads_no_codes(full_store, monkeypatch):
    read = []
    original = Path.read_bytes
    opened = Path.open

    def spy_bytes(path):
        read.append(path.relative_to(full_store.path).as_posix())
        return original(path)

    def spy_open(path, *args, **kwargs):
        read.append(path.relative_to(full_store.path).as_posix())
        return opened(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_bytes", spy_bytes)
    monkeypatch.setattr(Path, "open", spy_open)
    viewer = CompressedSlide.open(full_store.path)
    assert "coverage/c/0/0" in read
    assert not [name for name in read if name.startswith("embeddings/c")]
    viewer.read_cells(slice(0, 70), slice(0, 5))
    assert {name for name in read if name.startswith("embeddings/c")} == {
        "embeddings/c/0/0/0",
        "embeddings/c/1/0/0",
    }


def test_threads_may_write_and_read_together(store, codes, toy):
    pending = np.argwhere(~store.done).tolist()

    def write(block):
        store.write_block(*block, toy.part(codes, *block))
        seen = store.read()
        encoded = cells_of_blocks(store.done, store.grid.shape)
        known = seen.any(axis=2)
        assert (encoded | ~known).all()
        np.testing.assert_array_equal(seen[known], codes[known])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, pending))
    store.finish()
    np.testing.assert_array_equal(CompressedSlide.open(store.path).read(), codes)


@contextmanager
def paused_read(store: CompressedSlide) -> Iterator[Future[np.ndarray]]:
    """A read of all codes that waits at its first checkpoint during the body, and ends after it."""
    token, waits = CancellationToken(), threading.Event()
    token.when_heard(waits.set)
    token.pause()
    with ThreadPoolExecutor(1) as pool:
        reading = pool.submit(store.read, token=token)
        try:
            assert waits.wait(30)
            yield reading
        finally:
            token.resume()


def test_a_paused_read_holds_up_nobody(full_store):
    """The window asks what is encoded in its main thread: it would stand still, and could not resume."""
    with ThreadPoolExecutor(1) as window, paused_read(full_store):
        assert window.submit(full_store.encoded).result(timeout=30).any()
        assert not window.submit(full_store.pending).result(timeout=30).any()


def test_what_is_flushed_during_a_paused_read_is_read(store, codes, toy):
    """It was in memory when the read began, and is on the disk when the read comes by."""
    blocks = np.argwhere(~store.done).tolist()
    for block in blocks[: len(blocks) // 2]:
        store.write_block(*block, toy.part(codes, *block))
    known = store.encoded()
    with paused_read(store) as reading:
        store.flush()
        for block in blocks[len(blocks) // 2 :]:
            store.write_block(*block, toy.part(codes, *block))
        store.finish()
    np.testing.assert_array_equal(reading.result(), np.where(known[..., None], codes, 0))


def test_a_store_is_checked_against_slide_and_encoder(store, toy):
    store.check_slide(toy.slide())
    store.check_encoder(toy.spec())
    with pytest.raises(StoreMismatchError, match=r"(?s)other.*sha256:bbbb.*slide.*sha256:aaaa"):
        store.check_slide(toy.slide("other", "sha256:bbbb"))
    with pytest.raises(StoreMismatchError, match=r"(?s)retrained.*weights_sha256=1.*toy: weights_sha256=0"):
        store.check_encoder(toy.spec("retrained", "1"))


def test_codes_with_options_are_not_those_without(toy, tmp_path):
    header = toy.header()
    pooled = toy.header(encoder=dict(header.encoder) | {"options": {"pooling": "cls"}})
    store = CompressedSlide.create(tmp_path / "b.nic.zarr", pooled, np.ones(header.grid.shape, bool))
    with store, pytest.raises(StoreMismatchError, match="options"):
        store.check_encoder(toy.spec())


def test_blocks_and_cells_map_to_each_other():
    cells = np.zeros((33, 17), bool)
    cells[32, 16] = cells[3, 4] = True
    blocks = blocks_with_cells(cells)
    np.testing.assert_array_equal(blocks, [[1, 0], [0, 0], [0, 1]])
    spread = cells_of_blocks(blocks, (33, 17))
    assert spread.sum() == BLOCK * BLOCK + 1
    assert spread[32, 16]


def test_cells_that_failed_are_not_encoded_and_are_pending_until_they_are_tried_again(store, codes, toy):
    toy.fill(store, codes)
    assert store.is_complete
    failed = np.zeros((BLOCK, BLOCK), bool)
    failed[3:5, 7] = True
    rows, cols = slice(BLOCK * 3, BLOCK * 4), slice(BLOCK * 2, BLOCK * 3)
    store.write_block(3, 2, codes[rows, cols], failed)
    for found in (store, CompressedSlide.open(store.path)):
        store.finish()
        found.reload()
        lost = found.failed
        assert np.array_equal(lost[rows, cols], failed & store.coverage[rows, cols])
        assert lost.sum() == (failed & store.coverage[rows, cols]).sum() > 0
        assert np.array_equal(found.encoded(), store.coverage & ~lost)
        assert np.argwhere(found.pending()).tolist() == [[3, 2]]
        assert (found.is_complete, found.status) == (False, "partial")
        assert not found.read()[lost].any()
    other = CompressedSlide.open(store.path, mode="r+")
    other.write_block(3, 2, codes[rows, cols])
    other.finish()
    store.reload()
    assert store.is_complete
    assert not store.failed.any()
    assert np.array_equal(CompressedSlide.open(store.path).read(), codes)


def test_what_failed_in_memory_is_not_forgotten_by_what_another_stored(store, codes, toy):
    """Two writers: what each knows of its own blocks holds, whoever flushes last."""
    twin = CompressedSlide.open(store.path, mode="r+")
    failed = np.ones((BLOCK, BLOCK), bool)
    block = codes[3 * BLOCK : 4 * BLOCK, 2 * BLOCK : 3 * BLOCK]
    store.write_block(3, 2, block, failed)
    twin.write_block(3, 3, codes[3 * BLOCK : 4 * BLOCK, 3 * BLOCK : 4 * BLOCK], failed)
    twin.flush()
    store.reload()
    store.flush()
    found = CompressedSlide.open(store.path).failed
    assert found[3 * BLOCK : 4 * BLOCK, 2 * BLOCK : 4 * BLOCK].sum() == found.sum() > BLOCK * BLOCK


def test_a_write_waits_for_another_process_a_bounded_time_and_loses_nothing(store, codes, toy, monkeypatch):
    store.write_block(2, 2, toy.part(codes, 2, 2))
    monkeypatch.setattr(disk, "LOCK_SECONDS", 0.1)
    with exclusive(store.path), pytest.raises(StoreBusyError, match="another process is writing here"):
        store.flush()
    store.flush()
    assert np.array_equal(CompressedSlide.open(store.path).read(), store.read())


def test_what_is_encoded_is_told_while_a_write_waits_for_another_process(store, codes, toy, monkeypatch):
    store.write_block(2, 2, toy.part(codes, 2, 2))
    waits, found = threading.Event(), []
    sleep = time.sleep

    def waiting(seconds):
        waits.set()
        sleep(seconds)

    monkeypatch.setattr(disk.time, "sleep", waiting)
    writer = threading.Thread(target=store.flush, daemon=True)
    asking = threading.Thread(
        target=lambda: found.extend(
            [store.encoded(), store.done, store.failed, store.pending(), store.is_complete]
        ),
        daemon=True,
    )
    with exclusive(store.path):
        writer.start()
        assert waits.wait(30)
        asking.start()
        asking.join(30)
        assert len(found) == 5
        assert writer.is_alive()
    writer.join(30)
    assert not writer.is_alive()
