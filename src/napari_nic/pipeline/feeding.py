"""Batches for a device: filled by several readers, encoded one by one in an order that no thread decides."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from napari_nic.encoders import EncoderSpec
from napari_nic.pipeline.batches import Batch, Part, Work
from napari_nic.pipeline.plan import Block, WorkOrder


@dataclass(eq=False)
class Filling:
    """A batch that is being filled.

    Attributes
    ----------
    batch : Batch
    patches : ndarray of uint8, (padded, s, s, 3)
        Zero where nothing is filled in.
    missing : int
        Patches to come.
    """

    batch: Batch
    patches: np.ndarray
    missing: int


@dataclass(eq=False)
class BlockInHand:
    """A block whose patches are in batches, and whose codes come back from them.

    Attributes
    ----------
    block : Block
    failed : ndarray of bool, (rows, cols) of the block
    missing : int
        Batches to come.
    codes : dict of int to ndarray of float32, (n, C)
        By the first of the patches that they belong to.
    """

    block: Block
    failed: np.ndarray
    missing: int
    codes: dict[int, np.ndarray] = field(default_factory=dict)

    def joined(self) -> np.ndarray:
        """Return all codes, (n_covered, C)."""
        return np.concatenate([codes for _, codes in sorted(self.codes.items())])


class BatchLine:
    """The batches of a run, in line for the device.

    Readers :meth:`take` blocks and :meth:`fill` in their patches, each straight into its place; iterating
    gives the batches, full, in the order in which their last blocks were taken. While the device encodes one,
    those behind it are filled.

    Parameters
    ----------
    work : Work
    order : WorkOrder
    spec : EncoderSpec
    readers : int
        Threads that fill; each must call :meth:`leave` at its end, whatever ends it.
    """

    def __init__(self, work: Work, order: WorkOrder, spec: EncoderSpec, *, readers: int) -> None:
        self._batches = work.batches
        self._order = order
        self._spec = spec
        self._readers = readers
        self._changed = threading.Condition()
        self._line: deque[Batch] = deque()
        self._fillings: dict[int, Filling] = {}
        self._blocks: dict[Block, BlockInHand] = {}

    def take(self) -> Block | None:
        """Take the next block; the batches that it ends join the line."""
        with self._changed:
            block = self._order.take()
            if block is not None:
                self._line.extend(batch for batch in self._batches[block] if batch.last_block == block)
            return block

    def places(self, block: Block) -> list[np.ndarray]:
        """Return where in the batches the patches of a block go; call :meth:`fill` when they are there.

        Returns
        -------
        list of ndarray of uint8, (n, s, s, 3)
            In the order of the patches; together as many as :meth:`Work.cells` has in this block.
        """
        with self._changed:
            return [self._filling(batch).patches[part.within] for batch, part in self._parts(block)]

    def fill(self, block: Block, failed: np.ndarray) -> None:
        """Tell that the patches of a block are in their places.

        Parameters
        ----------
        block : Block
        failed : ndarray of bool, (rows, cols) of the block
        """
        parts = self._parts(block)
        with self._changed:
            self._blocks[block] = BlockInHand(block, failed, len(parts))
            for batch, part in parts:
                self._fillings[batch.number].missing -= part.count
            self._changed.notify_all()

    def leave(self) -> None:
        """Tell that a reader has ended: once all have, nothing more is waited for."""
        with self._changed:
            self._readers -= 1
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Filling]:
        while (filling := self._next()) is not None:
            yield filling

    def spread(self, filling: Filling, codes: np.ndarray) -> Iterator[BlockInHand]:
        """Give the codes of a batch to its blocks, and yield those that have all of theirs.

        Parameters
        ----------
        filling : Filling
        codes : ndarray of float32, (padded, C)
        """
        for part in filling.batch.parts:
            in_hand = self._blocks[part.block]
            in_hand.codes[part.patches.start] = codes[part.within]
            in_hand.missing -= 1
            if not in_hand.missing:
                with self._changed:
                    del self._blocks[part.block]
                yield in_hand

    def _parts(self, block: Block) -> list[tuple[Batch, Part]]:
        """The parts that a block has in batches, in the order of its patches."""
        return [
            (batch, part) for batch in self._batches[block] for part in batch.parts if part.block == block
        ]

    def _filling(self, batch: Batch) -> Filling:
        side = self._spec.input_size
        if batch.number not in self._fillings:
            patches = np.zeros((batch.padded, side, side, 3), np.uint8)
            self._fillings[batch.number] = Filling(batch, patches, batch.size)
        return self._fillings[batch.number]

    def _next(self) -> Filling | None:
        """Wait for the first batch of the line; None when it will not come, because nothing more is read."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_ready() or not self._readers)
            if not self._is_ready():
                return None
            return self._fillings.pop(self._line.popleft().number)

    def _is_ready(self) -> bool:
        filling = self._fillings.get(self._line[0].number) if self._line else None
        return filling is not None and not filling.missing
