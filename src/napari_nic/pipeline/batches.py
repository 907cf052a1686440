"""Which patches share a batch on a device: decided before any is read.

On a GPU a code's last bits depend on the shape of its batch, and a block seldom fills one. So the covered
cells of a *group*, the blocks of one shard of the store, are laid end to end in a fixed order and cut at the
batch size; the rest of one block goes on in the next, and only the last batch of a group may be smaller.
Nothing of it depends on what is stored already, on what is seen first, or on which thread is quicker. A run
that goes on after another one reads what it needs for whole batches, also of blocks that are stored.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from napari_nic.embeddings import BLOCK, SHARD, block_cells
from napari_nic.pipeline.plan import Block

DEVICE_BATCH_STEP = 256
"""The last batch of a group is padded to a multiple of this: a smaller one would cost a GPU as much."""

_GROUP = SHARD // BLOCK


@dataclass(frozen=True)
class Part:
    """Patches of one block that go into one batch.

    Attributes
    ----------
    block : Block
    patches : slice
        Which of the block's patches, counted over its covered cells row by row.
    at : int
        Where in the batch they begin.
    """

    block: Block
    patches: slice
    at: int

    @property
    def count(self) -> int:
        """How many they are."""
        return int(self.patches.stop - self.patches.start)

    @property
    def within(self) -> slice:
        """Their place in the batch."""
        return slice(self.at, self.at + self.count)


@dataclass(frozen=True)
class Batch:
    """What the device encodes at once.

    Attributes
    ----------
    number : int
        In the order of :func:`cut_batches`.
    parts : tuple of Part
        In the order of their blocks.
    padded : int
        Patches with the zeros at the end.
    """

    number: int
    parts: tuple[Part, ...]
    padded: int

    @property
    def size(self) -> int:
        """Patches without the zeros."""
        return self.parts[-1].within.stop

    @property
    def last_block(self) -> Block:
        """The block after which it is full."""
        return self.parts[-1].block


def cut_batches(coverage: np.ndarray, size: int) -> list[Batch]:
    """Cut all covered cells of a grid into batches.

    Parameters
    ----------
    coverage : ndarray of bool, (rows, cols)
    size : int
        Patches in a full batch.
    """
    batches: list[Batch] = []
    for group in _groups(coverage):
        batches.extend(_cut(group, size, first=len(batches)))
    return batches


def _groups(coverage: np.ndarray) -> Iterator[list[tuple[Block, int]]]:
    """Yield the blocks of each shard with the number of their covered cells, back and forth."""
    if not coverage.size:
        return
    edges = [np.arange(0, length, BLOCK) for length in coverage.shape]
    counts = np.add.reduceat(np.add.reduceat(coverage, edges[0], 0, dtype=np.int64), edges[1], 1)
    groups: dict[tuple[int, int], list[tuple[Block, int]]] = {}
    for row, col in np.argwhere(counts).tolist():
        key = (row // _GROUP, col // _GROUP)
        groups.setdefault(key, []).append((Block(row, col), int(counts[row, col])))
    for key in sorted(groups, key=lambda k: (k[0], -k[1] if k[0] % 2 else k[1])):
        yield sorted(groups[key], key=lambda item: (item[0].row, item[0].col * (-1) ** item[0].row))


def _cut(group: Iterable[tuple[Block, int]], size: int, *, first: int) -> Iterator[Batch]:
    """Lay the patches of a group end to end and cut them at `size`."""
    parts: list[Part] = []
    filled, number = 0, first
    for block, count in group:
        start = 0
        while start < count:
            stop = min(count, start + size - filled)
            parts.append(Part(block, slice(start, stop), filled))
            filled, start = parts[-1].within.stop, stop
            if filled == size:
                yield Batch(number, tuple(parts), size)
                parts, filled, number = [], 0, number + 1
    if parts:
        step = min(DEVICE_BATCH_STEP, size)
        yield Batch(number, tuple(parts), min(size, filled + -filled % step))


@dataclass(frozen=True)
class Work:
    """What a run reads, encodes and stores.

    Attributes
    ----------
    stored : list of Block
        Blocks that it stores.
    read : list of Block
        Blocks that it reads, in order: these, and on a device others that share a batch with one of them.
    batches : mapping of Block to tuple of Batch
        The batches that a block's patches go into; empty on a CPU, where each block is cut by itself.
    together : mapping of Block to int
        Blocks of one number are joined by batches, and read one after the other.
    """

    stored: list[Block]
    read: list[Block]
    batches: Mapping[Block, tuple[Batch, ...]] = field(default_factory=dict)
    together: Mapping[Block, int] = field(default_factory=dict)

    @classmethod
    def by_block(cls, wanted: list[Block]) -> Self:
        """Each block by itself: on a CPU."""
        return cls(wanted, wanted)

    @classmethod
    def by_batch(
        cls, wanted: Collection[Block], pending: Collection[Block], coverage: np.ndarray, size: int
    ) -> Self:
        """Whole batches: on a device.

        Parameters
        ----------
        wanted : collection of Block
            All batches that hold a patch of these are encoded.
        pending : collection of Block
            What is not stored. Those that these batches complete are stored too: it costs nothing more.
        coverage : ndarray of bool, (rows, cols)
        size : int
            Patches in a full batch.
        """
        whole, needed = _by_block(cut_batches(coverage, size)), set(wanted)
        numbers = {batch.number for block in needed for batch in whole[block]}
        batches: dict[Block, tuple[Batch, ...]] = {}
        for block, of_block in whole.items():
            encoded = tuple(batch for batch in of_block if batch.number in numbers)
            if encoded:
                batches[block] = encoded
        stored = set(pending)
        return cls(
            [block for block in batches if block in stored and len(batches[block]) == len(whole[block])],
            list(batches),
            batches,
            _runs(batches),
        )

    def cells(self, coverage: np.ndarray) -> np.ndarray:
        """Return the cells that are encoded, of all that are covered; (rows, cols) bool.

        Of a block that is read for company only those are that share a batch with one that is stored.
        """
        if not self.batches:
            return coverage
        encoded = np.zeros_like(coverage)
        for block, of_block in self.batches.items():
            place = block_cells(block.row, block.col, coverage.shape)
            rows, cols = np.nonzero(coverage[place])
            for part in (part for batch in of_block for part in batch.parts if part.block == block):
                encoded[place][rows[part.patches], cols[part.patches]] = True
        return encoded

    @property
    def span(self) -> int:
        """The most blocks that one batch is made of; 1 on a CPU."""
        return max((len(b.parts) for of_block in self.batches.values() for b in of_block), default=1)


def _by_block(batches: Iterable[Batch]) -> dict[Block, list[Batch]]:
    found: dict[Block, list[Batch]] = {}
    for batch in batches:
        for part in batch.parts:
            found.setdefault(part.block, []).append(batch)
    return found


def _runs(batches: Mapping[Block, tuple[Batch, ...]]) -> dict[Block, int]:
    """Number the chains of blocks in which each shares a batch with the one before it."""
    runs: dict[Block, int] = {}
    last = run = -1
    for block, of_block in batches.items():
        run += of_block[0].number != last
        last = of_block[-1].number
        runs[block] = run
    return runs
