"""Slides of three tissues whose codes are drawn from Gaussians, and strokes on them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from napari_nic.embeddings import ResidentCodes, StoreHeader
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid
from napari_nic.probe import LearningSlide, Stroke

ROWS, COLS, CODE_SIZE = 40, 60, 12
COLORS = {"gland": (213, 94, 0), "glass": (0, 114, 178), "stroma": (230, 159, 0)}
LABELS = tuple(COLORS)


def make_encoder(**changes: Any) -> dict[str, Any]:
    """Description of a toy encoder."""
    return {
        "name": "toy",
        "architecture": "toy-net",
        "code_size": CODE_SIZE,
        "patch_size": 16,
        "mpp": 0.5,
        "input_size": 16,
        "weights_sha256": "0" * 64,
    } | changes


def make_header(name: str = "slide", *, stride: int = 16, **encoder: Any) -> StoreHeader:
    """Header of a slide of 40 x 60 cells of 16 px at 0.5 um/px."""
    shape = (ROWS * 16 + 3, COLS * 16 + 5)
    return StoreHeader(
        slide_name=name,
        slide_fingerprint=f"sha256:{name}",
        slide_shape=shape,
        reader="test",
        color={"profile": None, "applied": False},
        grid=PatchGrid.plan(
            [LevelGeometry(*shape)], PixelSize(0.5, 0.5, "test"), patch_size=16, stride=stride
        ),
        encoder=make_encoder(**encoder),
        precision="float32",
        batch_size=16,
        tissue={"method": "test", "min_fraction": 0.25},
        software="napari-nic test",
        created="2026-01-01T00:00:00+00:00",
    )


def tissue(shape: tuple[int, int] = (ROWS, COLS)) -> np.ndarray:
    """Numbers of the classes: three upright bands."""
    return np.broadcast_to(np.arange(shape[1]) * 3 // shape[1], shape)


def make_resident(
    name: str = "slide", seed: int = 0, *, spread: float = 1.0, **encoder: Any
) -> ResidentCodes:
    """Codes of three bands of tissue; the first row is not encoded."""
    header, rng = make_header(name, **encoder), np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(0, 1, (3, CODE_SIZE)) + 5
    codes = (centres[tissue()] + rng.normal(0, spread, (ROWS, COLS, CODE_SIZE))).astype(np.float16)
    encoded = np.ones((ROWS, COLS), bool)
    encoded[0] = False
    return ResidentCodes.of_array(header, codes[encoded].astype(np.float32), encoded)


def make_strokes(resident: ResidentCodes, count: int = 9, seed: int = 0) -> list[Stroke]:
    """Upright strokes through the three bands in turn, of different lengths."""
    rng, strokes = np.random.default_rng(seed), []
    places = rng.permutation(COLS // 3)[: -(-count // 3)]
    for number in range(count):
        band = number % 3
        col = band * (COLS // 3) + int(places[number // 3])
        top = int(rng.integers(1, 20))
        rows = np.arange(top, top + int(rng.integers(2, 20)), dtype=np.int32)
        cells = np.stack([rows, np.full_like(rows, col)], axis=1)
        codes = resident.codes[resident.index[cells[:, 0], cells[:, 1]]]
        strokes.append(Stroke(LABELS[band], cells, codes))
    return strokes


class Made:
    """The makers above, for tests (test folders are no packages)."""

    header = staticmethod(make_header)
    resident = staticmethod(make_resident)
    strokes = staticmethod(make_strokes)
    tissue = staticmethod(tissue)
    colors = COLORS
    labels = LABELS


@pytest.fixture(scope="session")
def made() -> type[Made]:
    return Made


@pytest.fixture(scope="session")
def resident() -> ResidentCodes:
    return make_resident()


@pytest.fixture(scope="session")
def slide(resident: ResidentCodes) -> LearningSlide:
    return LearningSlide.of(resident)


@pytest.fixture
def strokes(resident: ResidentCodes) -> list[Stroke]:
    return make_strokes(resident)
