import os
import sys
import threading
import time
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import tifffile

from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import (
    CancelledError,
    DamagedSlideError,
    StoreBusyError,
    StoreError,
    StoreMismatchError,
)
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken
from napari_nic.pipeline import BlocksDone, GridOptions, encode_padded, iter_compress, prepare_store
from napari_nic.slides import open_slide
from napari_nic.slides.slide import Slide
from napari_nic.telling import telling
from napari_nic.tissue import TissueMask

ALL_CELLS = GridOptions(min_tissue=0)
MANY_BLOCKS = GridOptions(min_tissue=0, stride=40)
"""More than are read ahead: a run that nobody takes from does not end by itself."""


@pytest.fixture
def slide(noise_slide):
    with open_slide(noise_slide) as slide:
        yield slide


def test_the_store_keeps_which_part_was_scanned(slide, moment_encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(slide, "bounds", RegionPx(32, 16, 128, 96))
    store = prepare_store(slide, moment_encoder(), path=tmp_path / "a.nic.zarr", options=ALL_CELLS)
    assert CompressedSlide.open(store.path).header.slide_bounds == RegionPx(32, 16, 128, 96)


def expected_codes(slide, store, encoder):
    """The plain way: one read_region and one encode for each patch."""
    import cv2

    grid, size = store.grid, encoder.spec.input_size
    codes = np.zeros(store.shape, np.float16)
    for row, col in np.argwhere(store.coverage):
        patch = slide.read_region(grid.level, grid.patch_region(int(row), int(col)))
        if patch.shape[0] != size:
            patch = cv2.resize(patch, (size, size), interpolation=cv2.INTER_AREA)
        codes[row, col] = encoder.encode(patch[None])[0]
    return codes


@pytest.mark.parametrize(
    "options",
    [
        ALL_CELLS,
        GridOptions(min_tissue=0, stride=96),
        GridOptions(min_tissue=0, mpp=1.0),
        GridOptions(min_tissue=0, mpp=0.8, patch_size=100),
        GridOptions(min_tissue=0, mpp=2.0),
        GridOptions(),
    ],
)
@pytest.mark.parametrize("input_size", [64, 128])
def test_codes_equal_reading_each_patch_alone(slide, moment_encoder, tmp_path, options, input_size):
    encoder = moment_encoder(input_size=input_size)
    store = prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr", options=options)
    reports = list(iter_compress(slide, encoder, store, workers=3))
    assert store.is_complete
    assert reports[-1].done == reports[-1].total == store.coverage.sum() > 0
    assert np.array_equal(store.read(), expected_codes(slide, store, encoder))


def test_progress_counts_up_and_carries_the_codes_that_were_stored(slide, moment_encoder, tmp_path):
    encoder = moment_encoder()
    store = prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr", options=ALL_CELLS)
    reports = list(iter_compress(slide, encoder, store, workers=2))
    assert all(isinstance(report, BlocksDone) and report.unit == "patches" for report in reports)
    assert reports[0].done == 0
    assert reports[0].seconds_left is None
    assert all(a.done < b.done for a, b in pairwise(reports))
    seen = np.zeros(store.shape, np.float16)
    for report in reports:
        for block in report.blocks:
            seen[block.rows, block.cols] = block.codes
    assert np.array_equal(seen, store.read())


def test_each_tile_is_decoded_once(slide, moment_encoder, tmp_path):
    encoder = moment_encoder()
    store = prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr", options=ALL_CELLS)
    before = slide.reads.tiles.get(store.grid.level, 0)
    list(iter_compress(slide, encoder, store, workers=2))
    rows, cols = slide.levels[store.grid.level].tile_grid
    grid = store.grid
    tile = slide.levels[grid.level].tile
    used_rows = -(-grid.rows * grid.stride_px // tile[0])
    used_cols = -(-grid.cols * grid.stride_px // tile[1])
    assert slide.reads.tiles[grid.level] - before == min(rows, used_rows) * min(cols, used_cols)


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_the_order_and_the_number_of_workers_change_no_bit(slide, moment_encoder, tmp_path, workers):
    encoder = moment_encoder()
    stores = [tmp_path / "plain.nic.zarr", tmp_path / "centre.nic.zarr"]
    for path, first in zip(stores, [None, RegionPx(2000, 1500, 900, 900)], strict=True):
        store = prepare_store(slide, encoder, path=path, options=ALL_CELLS)
        list(iter_compress(slide, encoder, store, first=first, workers=workers))
    one, other = (CompressedSlide.open(path).read() for path in stores)
    assert one.tobytes() == other.tobytes()


def test_cancelled_half_way_and_resumed_gives_the_same_bits(slide, moment_encoder, tmp_path):
    encoder = moment_encoder()
    whole = prepare_store(slide, encoder, path=tmp_path / "whole.nic.zarr", options=ALL_CELLS)
    list(iter_compress(slide, encoder, whole))
    token = CancellationToken()
    store = prepare_store(slide, encoder, path=tmp_path / "part.nic.zarr", options=ALL_CELLS)
    run = iter_compress(slide, encoder, store, token=token, workers=1)
    next(run)
    assert next(run).blocks
    token.cancel()
    with pytest.raises(CancelledError):
        list(run)
    again = prepare_store(slide, encoder, path=tmp_path / "part.nic.zarr", options=ALL_CELLS)
    assert again.status == "partial"
    assert 0 < again.encoded().sum() < again.coverage.sum()
    resumed = list(iter_compress(slide, encoder, again))
    assert resumed[0].total == again.coverage.sum() - (whole.coverage.sum() - resumed[0].total)
    assert again.read().tobytes() == whole.read().tobytes()
    assert list(iter_compress(slide, encoder, again)) == [BlocksDone(0, 0, "compressing")]


def test_closing_the_generator_stops_the_threads_and_keeps_what_is_finished(slide, moment_encoder, tmp_path):
    encoder = moment_encoder()
    store = prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr", options=ALL_CELLS)
    run = iter_compress(slide, encoder, store, workers=2)
    next(run)
    next(run)
    run.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("nic-worker")]
    assert CompressedSlide.open(tmp_path / "a.nic.zarr").encoded().any()


def test_a_paused_run_waits_and_goes_on(slide, moment_encoder, tmp_path):
    encoder = moment_encoder()
    store = prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr", options=ALL_CELLS)
    token = CancellationToken()
    token.pause()
    finished = threading.Event()

    def consume():
        list(iter_compress(slide, encoder, store, token=token))
        finished.set()

    thread = threading.Thread(target=consume)
    thread.start()
    assert not finished.wait(0.2)
    assert not encoder.batches
    token.resume()
    thread.join(30)
    assert store.is_complete


def paused_run(slide, encoder, store):
    """A run whose workers all wait, paused."""
    token = CancellationToken()
    run = iter_compress(slide, encoder, store, token=token, workers=2)
    next(run)
    next(run)
    heard = threading.Event()
    token.when_heard(heard.set)
    token.pause()
    assert heard.wait(30)
    return run, token


def in_time(work):
    """Call it in a thread, so that a hang fails and does not hang the tests; return what it raised."""
    raised = []

    def call():
        try:
            work()
        except Exception as error:  # noqa: BLE001 - handed to the caller
            raised.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive(), "it hangs"
    return raised


def no_workers():
    return not [thread for thread in threading.enumerate() if thread.name.startswith("nic-worker")]


def test_closing_while_paused_ends_the_threads(slide, moment_encoder, tmp_path):
    encoder = moment_encoder()
    store = prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr", options=MANY_BLOCKS)
    run, token = paused_run(slide, encoder, store)
    assert in_time(run.close) == []
    assert no_workers()
    assert token.paused
    assert CompressedSlide.open(store.path).encoded().any()


AT_ONCE = 0.3
"""Seconds in which a paused run ends."""


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
@pytest.mark.parametrize("end", ["close", "cancel"])
def test_a_paused_run_ends_within_a_moment(slide, moment_encoder, tmp_path, device, end):
    """The best of some: what is measured is not how busy the machine is."""
    seconds = [1.0]
    for number in range(5):
        if min(seconds) < AT_ONCE:
            break
        encoder = moment_encoder(device=device, batch_size=256)
        store = prepare_store(slide, encoder, path=tmp_path / f"{number}.nic.zarr", options=MANY_BLOCKS)
        run, token = paused_run(slide, encoder, store)
        begin = time.perf_counter()
        if end == "close":
            assert in_time(run.close) == []
        else:
            token.cancel()
            (error,) = in_time(partial(list, run))
            assert isinstance(error, CancelledError)
        seconds.append(time.perf_counter() - begin)
        assert no_workers()
        assert CompressedSlide.open(store.path).status == "partial"
    assert min(seconds) < AT_ONCE


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_cancelling_wakes_whoever_waits_for_a_paused_run(slide, moment_encoder, tmp_path, device):
    """As in the window: one thread asks for the next block while all others are paused."""
    encoder = moment_encoder(device=device, batch_size=256)
    store = prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr", options=MANY_BLOCKS)
    run, token = paused_run(slide, encoder, store)
    raised = []

    def ask():
        try:
            list(run)
        except CancelledError as error:
            raised.append(error)

    waiting = threading.Thread(target=ask, daemon=True)
    waiting.start()
    waiting.join(0.05)
    begin = time.perf_counter()
    token.cancel()
    waiting.join(30)
    assert time.perf_counter() - begin < 10 * AT_ONCE
    assert raised
    assert no_workers()


@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_an_error_of_one_thread_ends_the_others_that_are_paused(
    slide, moment_encoder, tmp_path, monkeypatch, device
):
    encoder = moment_encoder(device=device, batch_size=256)
    store = prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr", options=MANY_BLOCKS)
    token, heard, failing = CancellationToken(), threading.Event(), threading.Lock()
    token.when_heard(heard.set)
    read_tile = Slide.read_stored_tile

    def read(self, level, row, col):
        if level == store.grid.level and failing.acquire(blocking=False):
            token.pause()
            assert heard.wait(30)  # another thread waits already
            raise ValueError("a bug in a reader")
        return read_tile(self, level, row, col)

    monkeypatch.setattr(Slide, "read_stored_tile", read)
    (error,) = in_time(lambda: list(iter_compress(slide, encoder, store, token=token, workers=2)))
    assert "a bug in a reader" in str(error)
    assert token.paused
    assert no_workers()


def test_an_error_while_paused_is_told_at_once(slide, moment_encoder, tmp_path, monkeypatch):
    encoder = moment_encoder()
    store = prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr", options=ALL_CELLS)
    token, heard = CancellationToken(), threading.Event()
    token.when_heard(heard.set)

    def full(*_args, **_options):
        token.pause()
        assert heard.wait(30)  # the threads wait already
        raise StoreError("no space left on the disk")

    monkeypatch.setattr(store, "write_block", full)
    (error,) = in_time(lambda: list(iter_compress(slide, encoder, store, token=token, workers=2)))
    assert "no space" in str(error)
    assert no_workers()


def test_two_runs_on_one_store_the_second_is_told_who_writes_and_encodes_nothing(
    slide, moment_encoder, tmp_path
):
    encoder, late = moment_encoder(), moment_encoder()
    store = prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr", options=ALL_CELLS)
    run = iter_compress(slide, encoder, store, workers=1)
    next(run)
    second = prepare_store(slide, late, path=store.path, options=ALL_CELLS)
    assert second.writer().pid == os.getpid()
    with pytest.raises(StoreBusyError, match="another run"):
        list(iter_compress(slide, late, second))
    assert late.batches == []
    with pytest.raises(StoreBusyError):
        prepare_store(slide, late, path=store.path, options=ALL_CELLS, overwrite=True)
    list(run)
    assert second.writer() is None
    list(iter_compress(slide, late, second))
    assert late.batches == []
    assert CompressedSlide.open(store.path).status == "complete"


def test_finding_tissue_is_cancelled_and_leaves_nothing(slide, moment_encoder, tmp_path):
    token = CancellationToken()
    token.cancel()
    with pytest.raises(CancelledError):
        prepare_store(slide, moment_encoder(), path=tmp_path / "a.nic.zarr", token=token)
    assert list(tmp_path.iterdir()) == []


def test_visible_only_stops_after_the_blocks_it_touches(slide, moment_encoder, tmp_path):
    encoder = moment_encoder()
    store = prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr", options=ALL_CELLS)
    list(iter_compress(slide, encoder, store, first=RegionPx(10, 10, 100, 100), only_first=True))
    assert store.encoded()[:16, :16].all()
    assert store.encoded().sum() == 16 * 16
    assert store.status == "partial"


BROKEN = ((0, 0), (7, 8), (7, 9), (20, 17))


@pytest.fixture
def broken_tiles(monkeypatch):
    """Four tiles cannot be decoded, until the fixture is called."""
    read_tile = Slide.read_stored_tile

    def broken(self, level, row, col):
        if (row, col) in BROKEN:
            raise DamagedSlideError("tile cannot be decoded", path=self.path)
        return read_tile(self, level, row, col)

    with monkeypatch.context() as patch:
        patch.setattr(Slide, "read_stored_tile", broken)
        yield patch.undo


def cells_on_broken_tiles(slide, store):
    """The plain way: each cell's patch against each broken tile."""
    tiles = [slide.levels[store.grid.level].tile_region(*position) for position in BROKEN]
    touched = np.zeros(store.grid.shape, bool)
    for row, col in np.ndindex(*store.grid.shape):
        patch = store.grid.patch_region(row, col)
        touched[row, col] = any(not patch.intersect(tile).is_empty for tile in tiles)
    return touched


@pytest.mark.parametrize("options", [ALL_CELLS, GridOptions(min_tissue=0, stride=96)])
@pytest.mark.parametrize("device", ["cpu", "cuda:0"])
def test_damaged_tiles_cost_the_cells_that_touch_them_and_are_named(
    slide, moment_encoder, tmp_path, broken_tiles, options, device
):
    encoder = moment_encoder(device=device, batch_size=256)
    store = prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr", options=options)
    expected = cells_on_broken_tiles(slide, store)
    reports = []
    with pytest.raises(DamagedSlideError, match=r"4 tiles cannot be read; the [\d,]+ cells") as caught:
        reports += iter_compress(slide, encoder, store, workers=2)
    assert "(0, 0), (7, 8), (7, 9), (20, 17)" in str(caught.value)
    assert no_workers()
    found = CompressedSlide.open(store.path)
    assert np.array_equal(found.failed, expected)
    assert np.array_equal(found.encoded(), ~expected)
    assert (found.status, found.is_complete, store.is_complete) == ("partial", False, False)
    broken_tiles()
    whole = prepare_store(slide, encoder, path=tmp_path / "whole.nic.zarr", options=options)
    list(iter_compress(slide, encoder, whole))
    assert np.array_equal(found.read(), np.where(expected[..., None], np.float16(0), whole.read()))
    # With the file mended, the next run tries them again, and nothing else.
    encoder.batches.clear()
    again = prepare_store(slide, encoder, path=store.path, options=options)
    list(iter_compress(slide, encoder, again))
    assert 0 < sum(encoder.batches) < whole.coverage.sum()
    mended = CompressedSlide.open(store.path)
    assert (mended.status, mended.failed.any()) == ("complete", False)
    assert mended.read().tobytes() == whole.read().tobytes()


def test_many_damaged_tiles_are_counted_and_the_first_are_named(slide, moment_encoder, tmp_path, monkeypatch):
    def broken(self, *_args):
        raise DamagedSlideError("tile cannot be decoded", path=self.path)

    encoder = moment_encoder()
    store = prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr", options=ALL_CELLS)
    monkeypatch.setattr(Slide, "read_stored_tile", broken)
    with pytest.raises(DamagedSlideError, match=r"\(0, 4\) and [\d,]+ more"):
        list(iter_compress(slide, encoder, store))
    assert not store.encoded().any()
    assert store.status == "partial"


def copied(slide, tmp_path):
    path = tmp_path / "slide.tif"
    path.write_bytes(slide.path.read_bytes())
    return path


def rewritten_in_place(path):
    """Other bytes in the middle of the tiles, of the same size."""
    content = bytearray(path.read_bytes())
    at = len(content) // 4
    content[at : at + 100] = bytes(100)
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1_000_000))  # clocks of file systems are coarse


def truncated(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def grown(path):
    with path.open("ab") as file:
        file.write(b"more")


def replaced(path):
    other = path.with_name("other.tif")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(0, path.stat().st_mtime_ns))
    other.replace(path)


def with_its_old_time(path):
    before = path.stat().st_mtime_ns
    content = bytearray(path.read_bytes())
    content[-50:] = bytes(50)
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(0, before))


@pytest.mark.parametrize(
    "change", [rewritten_in_place, truncated, grown, replaced, os.unlink, with_its_old_time]
)
def test_a_slide_that_changes_while_it_is_compressed_ends_the_run(slide, moment_encoder, tmp_path, change):
    path, encoder = copied(slide, tmp_path), moment_encoder()
    if change is os.unlink and sys.platform == "win32":
        pytest.skip("an open file cannot be removed there")
    with open_slide(path) as changing:
        store = prepare_store(changing, encoder, path=tmp_path / "a.nic.zarr", options=ALL_CELLS)
        run = iter_compress(changing, encoder, store, workers=1)
        next(run)
        next(run)
        change(path)
        with pytest.raises(DamagedSlideError, match="the slide changed while it was open"):
            list(run)
    assert no_workers()
    found = CompressedSlide.open(store.path)
    assert found.status == "partial"
    if change is not with_its_old_time:  # told at the next flush only; the fingerprint keeps a next run away
        whole = prepare_store(slide, encoder, path=tmp_path / "whole.nic.zarr", options=ALL_CELLS)
        list(iter_compress(slide, encoder, whole))
        assert np.array_equal(found.read(), np.where(found.encoded()[..., None], whole.read(), np.float16(0)))


def test_a_bug_in_a_worker_is_never_swallowed(slide, moment_encoder, tmp_path):
    encoder = moment_encoder()
    encoder.encode = lambda batch: batch.no_such_attribute
    store = prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr", options=ALL_CELLS)
    with pytest.raises(AttributeError):
        list(iter_compress(slide, encoder, store))


def test_a_device_is_fed_by_one_thread_with_batches_of_several_blocks(slide, moment_encoder, tmp_path):
    on_cpu, on_device = moment_encoder(), moment_encoder(device="cuda:0", batch_size=512)
    reference = prepare_store(slide, on_cpu, path=tmp_path / "cpu.nic.zarr", options=ALL_CELLS)
    list(iter_compress(slide, on_cpu, reference))
    store = prepare_store(slide, on_device, path=tmp_path / "device.nic.zarr", options=ALL_CELLS)
    list(iter_compress(slide, on_device, store, workers=3))
    assert not [n for n in on_device.batches if n % 256]
    assert store.read().tobytes() == reference.read().tobytes()


def test_a_device_that_fails_ends_the_run(slide, moment_encoder, tmp_path):
    encoder = moment_encoder(device="cuda:0")

    def fail(batch):
        raise RuntimeError("device lost")

    encoder.encode = fail
    store = prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr", options=ALL_CELLS)
    with pytest.raises(RuntimeError, match="device lost"):
        list(iter_compress(slide, encoder, store, workers=2))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("nic-worker")]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux only")
def test_background_workers_step_back_and_others_do_not(slide, moment_encoder, tmp_path):
    encoder, seen = moment_encoder(), []
    prepare = encoder.prepare_thread

    def record():
        prepare()
        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

    encoder.prepare_thread = record
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    for name, background in (("a", True), ("b", False)):
        store = prepare_store(slide, encoder, path=tmp_path / f"{name}.nic.zarr", options=ALL_CELLS)
        list(iter_compress(slide, encoder, store, workers=1, background=background))
    assert seen == [19, before]
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


def test_the_last_batch_is_padded_and_cut_again(moment_encoder):
    encoder = moment_encoder(batch_size=32)
    patches = np.random.default_rng(0).integers(0, 256, (70, 64, 64, 3), np.uint8)
    codes = encode_padded(encoder, patches, step=16)
    assert encoder.batches == [32, 32, 16]
    assert np.array_equal(codes, moment_encoder().encode(patches))


def test_a_store_made_otherwise_is_not_resumed(slide, moment_encoder, tmp_path):
    encoder = moment_encoder()
    path = tmp_path / "a.nic.zarr"
    prepare_store(slide, encoder, path=path, options=ALL_CELLS)
    for options in (
        GridOptions(min_tissue=0, mpp=1.0),
        GridOptions(min_tissue=0, stride=64),
        GridOptions(min_tissue=0.5),
    ):
        with pytest.raises(StoreMismatchError):
            prepare_store(slide, encoder, path=path, options=options)
    other = moment_encoder()
    other.precision = "bfloat16"
    with pytest.raises(StoreMismatchError, match="precision"):
        prepare_store(slide, other, path=path, options=ALL_CELLS)
    assert (
        prepare_store(slide, other, path=path, options=ALL_CELLS, overwrite=True).header.precision
        == "bfloat16"
    )


def test_an_edited_tissue_mask_decides_the_cells(slide, moment_encoder, tmp_path):
    encoder = moment_encoder()
    found = prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr", options=ALL_CELLS)
    grid = found.grid
    painted = np.zeros(grid.shape, bool)
    painted[2, 3] = True
    mask = TissueMask(mask=painted, placement=grid.placement, method="edited")
    store = prepare_store(slide, encoder, path=tmp_path / "b.nic.zarr", tissue=mask)
    assert np.argwhere(store.coverage).tolist() == [[2, 3]]
    assert store.header.tissue["method"] == "edited"
    other = TissueMask(mask=np.roll(painted, 1), placement=grid.placement, method="edited")
    with pytest.raises(StoreMismatchError, match="tissue"):
        prepare_store(slide, encoder, path=tmp_path / "b.nic.zarr", tissue=other)


@pytest.mark.parametrize("holds_tissue", [True, False])
def test_tissue_whose_pixels_are_left_out_is_told(tmp_path, moment_encoder, holds_tissue):
    """A copy that was never finished; a scanner that leaves out the glass has no such patches."""
    picture = np.full((1024, 1024, 3), 243, np.uint8)
    picture[:, 512:] = np.random.default_rng(0).normal((190, 90, 160), 15, (1024, 512, 3)).astype(np.uint8)
    path, cm = tmp_path / "a.tif", 20_000
    with tifffile.TiffWriter(path) as tif:
        for step in (1, 2):
            resolution = {"resolution": (cm / step, cm / step), "resolutionunit": "centimeter"}
            level = np.ascontiguousarray(picture[::step, ::step])
            tif.write(level, photometric="rgb", tile=(256, 256), metadata=None, **resolution)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        gone = (2, 3) if holds_tissue else (0, 1)
        for tag in (324, 325):  # where the tiles are, and how long: 0 for one that is not there
            values = list(tif.pages[0].tags[tag].value)
            tif.pages[0].tags[tag].overwrite([0 if i in gone else value for i, value in enumerate(values)])
    told, encoder = [], moment_encoder()
    with telling(told.append), open_slide(path) as slide:
        list(iter_compress(slide, encoder, prepare_store(slide, encoder, path=tmp_path / "a.nic.zarr")))
    texts = [text for event in told for text in event.texts]
    expected = ["8 patches of tissue lie where level 0 of the slide holds no pixels"] if holds_tissue else []
    assert [text.partition(", and")[0] for text in texts] == expected
