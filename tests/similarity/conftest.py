"""Small stores made by code, with codes that are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_nic.embeddings import BLOCK, UNKNOWN_SLIDE, CompressedSlide, StoreHeader
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid

CODE_SIZE, PATCH = 6, 8
ENCODER: dict[str, Any] = {
    "name": "toy",
    "architecture": "toy-net",
    "code_size": CODE_SIZE,
    "patch_size": PATCH,
    "mpp": 0.5,
    "input_size": PATCH,
    "weights_sha256": "0" * 64,
}

MakeStore = Callable[..., CompressedSlide]


def make_header(name: str, rows: int, cols: int, encoder: dict[str, Any]) -> StoreHeader:
    """Header of a store of rows x cols cells of 8 px, 4 um wide."""
    shape = (rows * PATCH, cols * PATCH)
    grid = PatchGrid.plan([LevelGeometry(*shape)], PixelSize(0.5, 0.5, "test"), patch_size=PATCH)
    return StoreHeader(
        slide_name=name,
        slide_fingerprint=f"sha256:{name}",
        slide_shape=shape,
        reader="test",
        color={"profile": None, "applied": False},
        grid=grid,
        encoder=encoder,
        precision="float32",
        batch_size=16,
        tissue={"method": "test"},
        software="napari-nic test",
        created="2025-01-01T00:00:00+00:00",
    )


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    """``make_store("a", rows=20, cols=30, seed=0, codes=..., coverage=..., **encoder)`` -> complete."""

    def make(
        name: str,
        rows: int = 20,
        cols: int = 30,
        seed: int = 0,
        codes: np.ndarray | None = None,
        coverage: np.ndarray | None = None,
        folder: str = "stores",
        is_known: bool = True,
        **encoder: Any,
    ) -> CompressedSlide:
        rng = np.random.default_rng(seed)
        if codes is None:
            codes = rng.normal(0.3, 1, (rows, cols, CODE_SIZE))
        rows, cols = codes.shape[:2]
        if coverage is None:
            coverage = rng.random((rows, cols)) < 0.7
        header = make_header(name, rows, cols, ENCODER | encoder)
        if not is_known:  # features of another program, imported without their slide
            origin = {"files": {f"{name}.h5": f"sum of {name}"}}
            header = replace(header, slide_fingerprint=UNKNOWN_SLIDE, origin=origin)
        place = tmp_path / folder / f"{name}.nic.zarr"
        with CompressedSlide.create(place, header, coverage) as store:
            for row, col in np.argwhere(store.pending()).tolist():
                part = slice(row * BLOCK, (row + 1) * BLOCK), slice(col * BLOCK, (col + 1) * BLOCK)
                store.write_block(row, col, codes[part].astype(np.float16))
        return CompressedSlide.open(place)

    return make
