"""Shard files of blocks as they are: zarr reads what is written and writes what is read; damage is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from zarr.codecs import ZstdCodec

from napari_nic.embeddings.layout import BLOCK, BLOCKS_PER_SHARD, SHARD
from napari_nic.embeddings.plain_shards import CODEC, NewShard, is_plain, read_shard

SIZE = 3


def make_array(folder: Path, codec: object = CODEC, **options: object) -> zarr.Array:
    """One shard of codes, as stores hold them."""
    return zarr.create_array(
        folder / "codes",
        shape=(SHARD, SHARD, SIZE),
        dtype="float16",
        chunks=(BLOCK, BLOCK, SIZE),
        shards=(SHARD, SHARD, SIZE),
        compressors=codec,
        fill_value=0,
        overwrite=True,
        **options,
    )


def codes_of(present: np.ndarray) -> np.ndarray:
    codes = np.random.default_rng(0).normal(size=(SHARD, SHARD, SIZE)).astype(np.float16)
    codes[~present.repeat(BLOCK, 0).repeat(BLOCK, 1)] = 0
    return codes


def write(file: Path, present: np.ndarray, codes: np.ndarray) -> None:
    """Write all blocks, the last ones first."""
    file.parent.mkdir(parents=True, exist_ok=True)
    shard = NewShard(file, present, SIZE)
    blocks = [tuple(at) for at in np.argwhere(present)[::-1].tolist()]
    ends = [
        shard.write(
            (row, col), np.ascontiguousarray(codes[row * 16 : row * 16 + 16, col * 16 : col * 16 + 16])
        )
        for row, col in blocks
    ]
    assert ends == [False] * (len(blocks) - 1) + [True]


def some_blocks(seed: int) -> np.ndarray:
    present = np.random.default_rng(seed).random((BLOCKS_PER_SHARD, BLOCKS_PER_SHARD)) < 0.6
    present[1, 2] = True
    return present


@pytest.mark.parametrize("present", [np.ones((4, 4), bool), *map(some_blocks, range(3))])
def test_zarr_reads_what_is_written(tmp_path: Path, present: np.ndarray) -> None:
    array, codes = make_array(tmp_path), codes_of(present)
    write(tmp_path / "codes" / "c" / "0" / "0" / "0", present, codes)
    np.testing.assert_array_equal(array[:], codes)
    assert is_plain(array)


spans = st.tuples(st.integers(0, SHARD - 1), st.integers(1, SHARD)).map(
    lambda both: slice(both[0], min(SHARD, both[0] + both[1]))
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=spans, cols=spans, seed=st.integers(0, 3))
def test_any_part_of_what_zarr_wrote_is_read(tmp_path: Path, rows: slice, cols: slice, seed: int) -> None:
    codes = codes_of(some_blocks(seed))
    make_array(tmp_path)[:] = codes
    found = np.full((rows.stop - rows.start, cols.stop - cols.start, SIZE), np.nan, np.float16)
    read_shard(tmp_path / "codes" / "c" / "0" / "0" / "0", rows, cols, found)
    np.testing.assert_array_equal(found, codes[rows, cols])


@pytest.mark.parametrize("place", [0, 700, -300, -200, -100, -3])
def test_a_flipped_bit_is_noticed(tmp_path: Path, place: int) -> None:
    file, present = tmp_path / "shard", np.ones((4, 4), bool)
    write(file, present, codes_of(present))
    content = bytearray(file.read_bytes())
    content[place] ^= 4
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"checksum|block of|cut off"):
        read_shard(file, slice(0, SHARD), slice(0, SHARD), np.empty((SHARD, SHARD, SIZE), np.float16))


@pytest.mark.parametrize("left", [0, 100, 5000, -1])
def test_a_file_that_is_cut_off_is_noticed(tmp_path: Path, left: int) -> None:
    file, present = tmp_path / "shard", np.ones((4, 4), bool)
    write(file, present, codes_of(present))
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(ValueError, match=r"checksum|block of|cut off|too few"):
        read_shard(file, slice(0, SHARD), slice(0, SHARD), np.empty((SHARD, SHARD, SIZE), np.float16))


def test_a_block_that_was_not_announced_is_refused(tmp_path: Path) -> None:
    present = np.zeros((4, 4), bool)
    present[0, 0] = True
    with pytest.raises(ValueError, match="no place"):
        NewShard(tmp_path / "shard", present, SIZE).write((1, 0), np.zeros((256, SIZE), np.float16))


def test_other_shards_are_told_apart(tmp_path: Path) -> None:
    assert not is_plain(make_array(tmp_path, ZstdCodec(level=-1, checksum=True)))
    assert not is_plain(make_array(tmp_path, None))
    assert not is_plain(zarr.create_array(tmp_path / "codes", shape=(4, 4), dtype="f2", overwrite=True))
