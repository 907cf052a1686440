"""Which patches share a batch on a device: each cell once, full batches, nothing that depends on a run."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_nic.embeddings import BLOCK, SHARD
from napari_nic.pipeline.batches import DEVICE_BATCH_STEP, Batch, Work, cut_batches
from napari_nic.pipeline.plan import Block, pending_blocks

GRIDS = st.tuples(st.integers(1, 150), st.integers(1, 150))
SIZES = st.sampled_from([1, 7, 64, 256, 300, 2048, 10_000])


def covered(shape: tuple[int, int], seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.random(shape) < random.choice([0.005, 0.3, 1.0])


def cells_of(batch: Batch, coverage: np.ndarray) -> list[tuple[int, int]]:
    """The cells of a batch, in its order."""
    cells: list[tuple[int, int]] = []
    for part in batch.parts:
        top, left = part.block.row * BLOCK, part.block.col * BLOCK
        inside = np.argwhere(coverage[top : top + BLOCK, left : left + BLOCK]) + np.array([top, left])
        assert part.within == slice(len(cells), len(cells) + part.patches.stop - part.patches.start)
        cells += map(tuple, inside[part.patches].tolist())
    assert len(cells) == batch.size
    return cells


@given(shape=GRIDS, seed=st.integers(0, 99), size=SIZES)
def test_each_covered_cell_is_in_one_batch_and_only_the_last_of_a_shard_is_smaller(shape, seed, size):
    coverage = covered(shape, seed)
    batches = cut_batches(coverage, size)
    cells = [cell for batch in batches for cell in cells_of(batch, coverage)]
    assert sorted(cells) == list(map(tuple, np.argwhere(coverage).tolist()))
    assert [batch.number for batch in batches] == list(range(len(batches)))
    shards = [{(row // SHARD, col // SHARD) for row, col in cells_of(batch, coverage)} for batch in batches]
    assert all(len(of_batch) == 1 for of_batch in shards)
    for batch, shard, following in zip(batches, shards, [*shards, None][1:], strict=True):
        assert batch.size == size if shard == following else batch.size <= size
        assert batch.size <= batch.padded <= size
        assert batch.padded == size or batch.padded % min(DEVICE_BATCH_STEP, size) == 0


@given(shape=GRIDS, seed=st.integers(0, 99), size=SIZES)
def test_what_is_left_to_do_is_encoded_in_the_very_same_batches(shape, seed, size):
    coverage, random = covered(shape, seed), np.random.default_rng(seed)
    every = pending_blocks(np.zeros([-(-length // BLOCK) for length in shape], bool), coverage)
    pending = [block for block in every if random.random() < 0.6]
    wanted = [block for block in pending if random.random() < 0.3]
    whole = cut_batches(coverage, size)
    work = Work.by_batch(wanted, pending, coverage, size)
    encoded = {batch.number: batch for of_block in work.batches.values() for batch in of_block}
    assert all(whole[number] == batch for number, batch in encoded.items())
    assert {part.block for batch in encoded.values() for part in batch.parts} == set(work.read)
    assert set(wanted) <= set(work.stored) <= set(pending)
    for block in work.stored:
        assert work.batches[block] == tuple(b for b in whole if any(p.block == block for p in b.parts))
    for (
        batch
    ) in encoded.values():  # read one after the other, so that a batch never waits for what comes late
        positions = [work.read.index(part.block) for part in batch.parts]
        assert positions == list(range(positions[0], positions[0] + len(positions)))
        assert len({work.together[part.block] for part in batch.parts}) == 1
        assert len(positions) <= work.span


def test_full_blocks_of_the_size_of_a_batch_are_never_joined():
    work = Work.by_batch([Block(1, 2)], [Block(1, 2)], np.ones((70, 70), bool), BLOCK * BLOCK)
    assert work.read == work.stored == [Block(1, 2)]


def test_no_tissue_no_batch():
    assert cut_batches(np.zeros((40, 40), bool), 64) == []
    assert cut_batches(np.zeros((0, 40), bool), 64) == []
    assert Work.by_batch([], [], np.ones((40, 40), bool), 64).read == []
