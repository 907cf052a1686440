"""On a device: the same batches and the same bits, whatever the order, the threads and the interruptions.

The device is a stand-in whose codes depend on the shape of the batch and on the place in it, as a GPU's do in
their last bits, only that here nobody can overlook it.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from napari_nic.embeddings import CompressedSlide
from napari_nic.embeddings.dihedral import open_transformed
from napari_nic.encoders import EncoderSpec
from napari_nic.errors import CancelledError, DamagedSlideError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken
from napari_nic.pipeline import GridOptions, iter_compress, iter_compress_transformed, prepare_store
from napari_nic.pipeline.batches import Work
from napari_nic.pipeline.feeding import BatchLine
from napari_nic.pipeline.plan import Block, WorkOrder, blocks_within, count_tile_uses, pending_blocks
from napari_nic.pipeline.reading import BlockReader
from napari_nic.slides import Slide, open_slide
from napari_nic.tissue import TissueMask

OVERLAPPING = GridOptions(min_tissue=0, stride=40)
"""130 x 110 cells on the slide below: 3 x 2 shards, 9 x 7 blocks."""

VIEW = RegionPx(2900, 2000, 900, 900)


class ShapedEncoder:
    """A device that gives away in which batch a patch was encoded, and where in it."""

    device = "cuda:0"
    precision = "float32"

    def __init__(self, batch_size: int = 96, cancel: tuple[int, CancellationToken] | None = None) -> None:
        self.spec = EncoderSpec(
            name="shaped",
            code_size=3,
            patch_size=64,
            mpp=0.5,
            input_size=16,
            architecture="shaped",
            weights_sha256=None,
            licence="none",
            summary="for tests",
            training={},
            citation="",
        )
        self.batch_size = batch_size
        self.batches: list[str] = []
        self.lengths: list[int] = []
        self._cancel = cancel

    def prepare_thread(self) -> None:
        """Nothing to prepare."""

    def encode(self, batch: np.ndarray) -> np.ndarray:
        self.batches.append(hashlib.sha256(batch.tobytes()).hexdigest())
        self.lengths.append(len(batch))
        if self._cancel and len(self.batches) == self._cancel[0]:
            self._cancel[1].cancel()
        place = np.arange(len(batch)) % 2000
        shape = np.full(len(batch), len(batch) % 2000)
        return np.stack([batch.mean((1, 2, 3)), place, shape], axis=1).astype(np.float32)


@pytest.fixture
def slide(noise_slide: Path) -> Iterator[Slide]:
    with open_slide(noise_slide) as opened:
        yield opened


@pytest.fixture
def tissue(slide: Slide, tmp_path: Path) -> TissueMask:
    """Ragged: blocks of any number of patches."""
    grid = prepare_store(slide, ShapedEncoder(), path=tmp_path / "grid.nic.zarr", options=OVERLAPPING).grid
    random = np.random.default_rng(0)
    rows, cols = np.ogrid[: grid.rows, : grid.cols]
    disc = np.hypot(rows - grid.rows / 2, cols - grid.cols / 2) < grid.cols * 0.45
    return TissueMask(disc & (random.random(grid.shape) < 0.7), grid.placement, "made")


@pytest.fixture
def prepared(slide: Slide, tissue: TissueMask, tmp_path: Path) -> Callable[..., CompressedSlide]:
    def prepare(name: str, encoder: ShapedEncoder) -> CompressedSlide:
        options = GridOptions(stride=40, min_tissue=0.7)
        return prepare_store(
            slide, encoder, path=tmp_path / f"{name}.nic.zarr", tissue=tissue, options=options
        )

    return prepare


def bits(store: CompressedSlide) -> bytes:
    found = CompressedSlide.open(store.path)
    assert found.status == "complete"
    return found.read().tobytes()


@pytest.mark.parametrize("size", [96, 256, 1000])
def test_three_runs_give_the_same_batches_in_the_same_order_and_the_same_bits(slide, prepared, size) -> None:
    seen = []
    for run, workers in enumerate((1, 2, 5)):
        encoder = ShapedEncoder(size)
        store = prepared(f"{run}", encoder)
        list(iter_compress(slide, encoder, store, workers=workers))
        seen.append((encoder.batches, encoder.lengths, bits(store)))
    assert seen[0] == seen[1] == seen[2]
    assert max(seen[0][1]) == size


def test_batches_hold_patches_of_several_blocks(slide, prepared) -> None:
    encoder = ShapedEncoder(1000)
    list(iter_compress(slide, encoder, store := prepared("a", encoder)))
    assert len(encoder.batches) < (~store.pending()).sum() / 2


@pytest.mark.parametrize("size", [96, 1000])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_cancelled_in_the_middle_and_resumed_gives_the_same_bits(slide, prepared, size, share) -> None:
    whole = ShapedEncoder(size)
    list(iter_compress(slide, whole, reference := prepared("whole", whole)))
    token = CancellationToken()
    first = ShapedEncoder(size, (max(1, round(share * len(whole.batches))), token))
    with pytest.raises(CancelledError):
        list(iter_compress(slide, first, prepared("part", first), token=token, workers=3))
    second = ShapedEncoder(size)
    store = prepared("part", second)
    assert not store.is_complete
    list(iter_compress(slide, second, store, workers=2))
    assert bits(store) == bits(reference)
    assert set(first.batches) | set(second.batches) == set(whole.batches)


def test_killed_with_any_blocks_stored_and_resumed_gives_the_same_bits(slide, prepared) -> None:
    whole = ShapedEncoder()
    list(iter_compress(slide, whole, reference := prepared("whole", whole)))
    codes, random = CompressedSlide.open(reference.path).read(), np.random.default_rng(1)
    store = prepared("part", whole)
    for row, col in np.argwhere(store.pending()).tolist():
        if random.random() < 0.5:
            cells = slice(row * 16, row * 16 + 16), slice(col * 16, col * 16 + 16)
            store.write_block(row, col, codes[cells])
    store.close()
    again = ShapedEncoder()
    list(iter_compress(slide, again, store := prepared("part", again)))
    assert bits(store) == bits(reference)
    assert set(again.batches) < set(whole.batches)


def test_the_visible_region_first_gives_the_same_batches_and_bits(slide, prepared) -> None:
    plain, centred = ShapedEncoder(), ShapedEncoder()
    list(iter_compress(slide, plain, reference := prepared("plain", plain)))
    list(iter_compress(slide, centred, store := prepared("centred", centred), first=VIEW))
    assert sorted(centred.batches) == sorted(plain.batches)
    assert centred.batches != plain.batches
    assert bits(store) == bits(reference)


def test_the_visible_region_alone_and_then_the_rest_gives_the_same_bits(slide, prepared) -> None:
    """As the window does it: two runs, of which the first stops after what is seen."""
    plain, first, rest = ShapedEncoder(), ShapedEncoder(), ShapedEncoder()
    list(iter_compress(slide, plain, reference := prepared("plain", plain)))
    store = prepared("two", first)
    reports = list(iter_compress(slide, first, store, first=VIEW, only_first=True))
    assert reports[-1].done == reports[-1].total == store.encoded().sum()
    rows, cols = store.grid.cells_within(VIEW)
    assert np.array_equal(store.encoded()[rows, cols], store.coverage[rows, cols])
    assert store.status == "partial"
    list(iter_compress(slide, rest, store))
    assert bits(store) == bits(reference)
    assert set(first.batches) | set(rest.batches) == set(plain.batches)


def test_transformed_patches_too_also_after_an_interruption(slide, prepared) -> None:
    stores = []
    for run, workers in enumerate((1, 4, 2)):
        encoder, token = ShapedEncoder(1000), CancellationToken()
        list(iter_compress(slide, encoder, store := prepared(f"{run}", encoder)))
        if run == 2:
            broken = ShapedEncoder(1000, (len(encoder.batches) * 2 + 1, token))
            with pytest.raises(CancelledError):
                list(iter_compress_transformed(slide, broken, store, workers=workers, token=token))
            assert open_transformed(store) == ()
        list(iter_compress_transformed(slide, encoder, store, workers=workers))
        stores.append([inner.read().tobytes() for inner in open_transformed(store)])
    assert len(stores[0]) == 7
    assert stores[0] == stores[1] == stores[2]


def test_readers_that_arrive_in_any_order_fill_the_same_batches(slide, prepared) -> None:
    encoder = ShapedEncoder()
    store = prepared("a", encoder)
    pending = np.argwhere(store.pending()).tolist()
    work = Work.by_batch(_blocks(pending), _blocks(pending), store.coverage, encoder.batch_size)
    reader = BlockReader(slide, store.grid, store.coverage, work.read * 2, encoder.spec.input_size)
    seen = []
    for backwards in (False, True):
        line = BatchLine(work, WorkOrder(work.read, store.grid), encoder.spec, readers=1)
        blocks = list(iter(line.take, None))
        assert blocks == work.read
        for block in reversed(blocks) if backwards else blocks:
            line.fill(block, reader.read(block, line.places(block), lambda: None))
        line.leave()
        seen.append([filling.patches.tobytes() for filling in line])
    assert seen[0] == seen[1]
    assert len(seen[0]) == len({b.number for of_block in work.batches.values() for b in of_block})


def _blocks(positions: list[list[int]]) -> list[Block]:
    return [Block(row, col) for row, col in positions]


def test_tiles_of_blocks_that_are_read_for_company_are_not_blamed(slide, prepared, monkeypatch) -> None:
    """What only fills up a batch is not stored: that it cannot be read is told when it is its turn."""
    encoder = ShapedEncoder(1000)
    list(iter_compress(slide, encoder, reference := prepared("whole", encoder)))
    list(iter_compress(slide, encoder, part := prepared("part", encoder), first=VIEW, only_first=True))
    broken = _tile_read_for_company(slide, part, encoder)
    read_tile = Slide.read_stored_tile

    def read(self: Slide, level: int, row: int, col: int) -> np.ndarray | None:
        if (row, col) == broken:
            raise DamagedSlideError("tile cannot be decoded", path=self.path)
        return read_tile(self, level, row, col)

    store = prepared("damaged", encoder)
    with monkeypatch.context() as patch:
        patch.setattr(Slide, "read_stored_tile", read)
        list(iter_compress(slide, encoder, store, first=VIEW, only_first=True))
        assert np.array_equal(store.encoded(), part.encoded())
        with pytest.raises(DamagedSlideError, match="1 tiles cannot be read"):
            list(iter_compress(slide, encoder, store))
    list(iter_compress(slide, encoder, store))
    assert bits(store) == bits(reference)


def _tile_read_for_company(slide: Slide, store: CompressedSlide, encoder: ShapedEncoder) -> tuple[int, int]:
    """A tile that the visible region's batches need, and no block that they complete."""
    grid, level = store.grid, slide.levels[store.grid.level]
    inside = blocks_within(grid, VIEW)
    wanted = [b for b in inside if store.coverage[b.cells(grid)].any()]
    everything = pending_blocks(np.zeros(store.done.shape, bool), store.coverage)
    work = Work.by_batch(wanted, everything, store.coverage, encoder.batch_size)

    def tiles(blocks: Iterable[Block]) -> set[tuple[int, int]]:
        of = {"tile": level.tile, "level_shape": level.shape}
        return set(count_tile_uses(blocks, grid, work.cells(store.coverage), **of))

    return min(tiles(set(work.read) - set(work.stored)) - tiles(work.stored))


def test_few_places_for_blocks_never_starve_a_batch(slide, prepared, monkeypatch) -> None:
    """A batch larger than all that may be read ahead would wait for its last block for ever."""
    monkeypatch.setattr("napari_nic.pipeline.run.BLOCKS_WAITING", 0)
    encoder, ended = ShapedEncoder(100_000), threading.Event()
    store = prepared("a", encoder)

    def run() -> None:
        list(iter_compress(slide, encoder, store, workers=1, first=VIEW))
        ended.set()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ended.wait(60)
    thread.join()
    assert store.is_complete
