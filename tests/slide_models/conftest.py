"""Toy slides with a planted lesion, and models on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from napari_nic.embeddings import BLOCK, CompressedSlide, StoreHeader
from napari_nic.geometry import LevelGeometry, PixelSize, Placement
from napari_nic.grid import PatchGrid
from napari_nic.slide_models import LabelledSlide, ModelBundle, ModelCard, SlideNetConfig, Standardiser
from napari_nic.slide_models.architectures import build_network

CODE_SIZE = 6
ENCODER: dict[str, Any] = {
    "name": "toy",
    "architecture": "toy-net",
    "code_size": CODE_SIZE,
    "patch_size": 8,
    "mpp": 0.5,
    "input_size": 8,
    "weights_sha256": "0" * 64,
}


class Planted(NamedTuple):
    """A labelled slide and where its lesion lies."""

    slide: LabelledSlide
    lesion: np.ndarray


def plant(count: int, *, seed: int, side: int = 24, code_size: int = CODE_SIZE) -> list[Planted]:
    """Slides of noise within a rim of glass; every second one has a square lesion of shifted channels."""
    rng = np.random.default_rng(seed)
    made = []
    for index in range(count):
        codes = rng.normal(0, 1, (side, side, code_size))
        mask = np.zeros((side, side), bool)
        mask[1:-1, 1:-1] = True
        lesion = np.zeros_like(mask)
        if index % 2:
            size = int(rng.integers(6, 10))
            top, left = (int(v) for v in rng.integers(1, side - 1 - size, 2))
            lesion[top : top + size, left : left + size] = True
            codes[lesion, :3] += 1.5
        codes[~mask] = 0
        slide = LabelledSlide(f"slide {index}", codes.astype(np.float16), mask, index % 2)
        made.append(Planted(slide, lesion))
    return made


def make_card(network: SlideNetConfig | None = None, **changes: Any) -> ModelCard:
    """Card of a lesion model on the toy encoder."""
    network = network or SlideNetConfig.compact(CODE_SIZE, 1, 24, width=16)
    encoder = ENCODER | {"code_size": network.code_size}
    fields: dict[str, Any] = {
        "name": "toy-lesion",
        "task": "classification",
        "class_names": ("normal", "lesion"),
        "encoder": encoder,
        "network": network,
    }
    return ModelCard(**(fields | changes))


def untrained(card: ModelCard, seed: int = 0) -> ModelBundle:
    """A bundle of random weights and scaling, so that every part of them matters."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, value in build_network(card.network).state_dict().items():
        array = value.numpy()
        if array.dtype == np.float32:
            scale = 1 / np.sqrt(max(1, array[0].size))
            array = rng.normal(0, scale, array.shape).astype(np.float32)
            array = np.abs(array) + 0.5 if name.endswith(("running_var", "norm.weight")) else array
        weights[name] = array
    size = card.network.code_size
    scaling = Standardiser(
        rng.normal(0, 0.1, size).astype(np.float32), rng.uniform(0.5, 2, size).astype(np.float32)
    )
    return ModelBundle(card, weights, scaling)


def make_store(path: Path, codes: np.ndarray, mask: np.ndarray, **encoder: Any) -> CompressedSlide:
    """A finished store of the codes."""
    rows, cols = mask.shape
    shape = (rows * 8, cols * 8)
    header = StoreHeader(
        slide_name="slide",
        slide_fingerprint="sha256:aaaa",
        slide_shape=shape,
        reader="test",
        color={"profile": None, "applied": False},
        grid=PatchGrid.plan([LevelGeometry(*shape)], PixelSize(0.5, 0.5, "test"), patch_size=8),
        encoder=ENCODER | encoder,
        precision="float32",
        batch_size=16,
        tissue={"method": "test"},
        software="test",
        created="2025-01-01T00:00:00+00:00",
    )
    store = CompressedSlide.create(path, header, mask)
    for row, col in np.argwhere(~store.done):
        rows_, cols_ = slice(row * BLOCK, (row + 1) * BLOCK), slice(col * BLOCK, (col + 1) * BLOCK)
        store.write_block(int(row), int(col), codes[rows_, cols_])
    store.finish()
    return store


class Toys:
    """The makers above, for tests (test folders are no packages)."""

    plant = staticmethod(plant)
    card = staticmethod(make_card)
    untrained = staticmethod(untrained)
    store = staticmethod(make_store)
    placement = Placement((0.0, 0.0), (4.0, 4.0))
    code_size = CODE_SIZE


@pytest.fixture(scope="session")
def toys() -> type[Toys]:
    return Toys


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Networks this small are faster on one thread, and many on a machine that has other work to do."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
