"""Cohorts of toy stores with a planted signal."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from napari_nic.embeddings import BLOCK, CompressedSlide, StoreHeader
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid
from napari_nic.slide_models import TrainingSettings

CODE_SIZE, SIDE = 4, 12
QUICK = TrainingSettings(epochs=8, steps=8, batch_size=12, seed=1)

ENCODER: dict[str, Any] = {
    "name": "toy",
    "architecture": "toy-net",
    "code_size": CODE_SIZE,
    "patch_size": 8,
    "mpp": 0.5,
    "input_size": 8,
    "weights_sha256": "0" * 64,
}


def make_store(path: Path, codes: np.ndarray, mask: np.ndarray, **encoder: Any) -> Path:
    """A finished store of the codes; its slide is called like the file."""
    rows, cols = mask.shape
    shape = (rows * 8, cols * 8)
    header = StoreHeader(
        slide_name=path.name.removesuffix(".nic.zarr"),
        slide_fingerprint="sha256:aaaa",
        slide_shape=shape,
        reader="test",
        color={"profile": None, "applied": False},
        grid=PatchGrid.plan([LevelGeometry(*shape)], PixelSize(0.5, 0.5, "test"), patch_size=8),
        encoder=ENCODER | {"code_size": codes.shape[-1]} | encoder,
        precision="float32",
        batch_size=16,
        tissue={"method": "test"},
        software="test",
        created="2025-01-01T00:00:00+00:00",
    )
    with CompressedSlide.create(path, header, mask) as store:
        for row, col in np.argwhere(~store.done):
            rows_, cols_ = slice(row * BLOCK, (row + 1) * BLOCK), slice(col * BLOCK, (col + 1) * BLOCK)
            store.write_block(int(row), int(col), codes[rows_, cols_])
        store.finish()
    return path


class Made(NamedTuple):
    """A table and its stores."""

    table: Path
    stores: Path
    shares: np.ndarray


def make_cohort(folder: Path, count: int, *, seed: int = 0, **columns: Any) -> Made:
    """Stores of noise in which a share of the cells is shifted; two slides a case.

    ``columns`` are functions of (index, share) that fill further columns of the table.
    """
    rng = np.random.default_rng(seed)
    shares = rng.permutation(np.linspace(0, 1, count))
    stores, table = folder / "stores", folder / "cohort.csv"
    rows = []
    for index, share in enumerate(shares):
        codes = rng.normal(0, 1, (SIDE, SIDE + index % 3, CODE_SIZE))
        mask = np.ones(codes.shape[:2], bool)
        mask[0] = False
        codes[rng.random(mask.shape) < share, :2] += 2
        codes[~mask] = 0
        make_store(stores / f"s{index:03d}.nic.zarr", codes.astype(np.float16), mask)
        row = {"slide": f"s{index:03d}.svs", "case": f"case {index // 2}"}
        rows.append(row | {name: fill(index, share) for name, fill in columns.items()})
    with table.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return Made(table, stores, shares)


class Toys:
    """The makers above, for tests (test folders are no packages)."""

    cohort = staticmethod(make_cohort)
    store = staticmethod(make_store)
    settings = QUICK
    code_size = CODE_SIZE


@pytest.fixture(scope="session")
def toys() -> type[Toys]:
    return Toys


@pytest.fixture(scope="session")
def two_classes(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """40 slides of 20 cases; the class follows the share of shifted cells."""
    return make_cohort(
        tmp_path_factory.mktemp("classes"),
        40,
        label=lambda _, share: "tumour" if share > 0.5 else "normal",
        size=lambda _, share: round(share, 3),
    )


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Networks this small are faster on one thread, and many on a machine that has other work to do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
