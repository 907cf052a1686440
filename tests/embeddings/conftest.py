"""Small stores made by code."""

from __future__ import annotations

import importlib.util
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from napari_nic.embeddings import BLOCK, CompressedSlide, ImportHints, StoreHeader, import_store
from napari_nic.embeddings.interchange import CodeTable
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid
from napari_nic.jobs import CancellationToken
from napari_nic.telling import telling

ROWS, COLS, CODE_SIZE = 90, 75, 5
"""Two shards each way, the last ones cut off, and a last block that is cut off too."""

ENCODER: dict[str, Any] = {
    "name": "toy",
    "architecture": "toy-net",
    "code_size": CODE_SIZE,
    "patch_size": 8,
    "mpp": 0.5,
    "input_size": 8,
    "weights_sha256": "0" * 64,
    "training": {"data": "none"},
}


@dataclass(frozen=True)
class FakeSlide:
    """What a store looks at."""

    name: str = "slide"
    fingerprint: str = "sha256:aaaa"


@dataclass(frozen=True)
class FakeSpec:
    """An encoder's specification."""

    name: str = "toy"
    weights_sha256: str = "0" * 64

    def identity(self) -> dict[str, Any]:
        """What determines the codes."""
        keys = ("architecture", "code_size", "patch_size", "mpp", "input_size")
        return {key: ENCODER[key] for key in keys} | {"weights_sha256": self.weights_sha256}


def make_header(rows: int = ROWS, cols: int = COLS, **changes: Any) -> StoreHeader:
    """Header of a store of rows x cols cells of 8 px at 0.5 um/px."""
    shape = (rows * 8 + 3, cols * 8 + 5)
    grid = PatchGrid.plan([LevelGeometry(*shape)], PixelSize(0.5, 0.5, "test"), patch_size=8)
    fields: dict[str, Any] = {
        "slide_name": "slide",
        "slide_fingerprint": "sha256:aaaa",
        "slide_shape": shape,
        "reader": "test",
        "color": {"profile": None, "applied": False},
        "grid": grid,
        "encoder": ENCODER,
        "precision": "float32",
        "batch_size": 16,
        "tissue": {"method": "test", "min_fraction": 0.25},
        "software": "napari-nic test",
        "created": "2025-01-01T00:00:00+00:00",
    }
    return StoreHeader(**(fields | changes))


def make_coverage(rows: int = ROWS, cols: int = COLS) -> np.ndarray:
    """Tissue with an empty corner, so that some blocks have nothing to do."""
    y, x = np.mgrid[:rows, :cols]
    return (y + x > 40) & ((y * 7 + x * 3) % 11 != 0)


def make_codes(coverage: np.ndarray, code_size: int = CODE_SIZE, seed: int = 0) -> np.ndarray:
    """float16 codes, 0 without coverage."""
    codes = np.random.default_rng(seed).normal(0, 1, (*coverage.shape, code_size)).astype(np.float16)
    codes[~coverage] = 0
    return codes


def block_part(codes: np.ndarray, row: int, col: int) -> np.ndarray:
    """The codes of one block."""
    return codes[row * BLOCK : (row + 1) * BLOCK, col * BLOCK : (col + 1) * BLOCK]


def fill(store: CompressedSlide, codes: np.ndarray, blocks: list[tuple[int, int]] | None = None) -> None:
    """Write blocks, by default all that are not done."""
    pending = [(int(row), int(col)) for row, col in np.argwhere(~store.done)]
    for row, col in pending if blocks is None else blocks:
        store.write_block(row, col, block_part(codes, row, col))


@pytest.fixture
def coverage() -> np.ndarray:
    return make_coverage()


@pytest.fixture
def codes(coverage: np.ndarray) -> np.ndarray:
    return make_codes(coverage)


@pytest.fixture
def store(tmp_path: Path, coverage: np.ndarray) -> CompressedSlide:
    """An empty store, open for writing."""
    return CompressedSlide.create(tmp_path / "slide.nic.zarr", make_header(), coverage)


@pytest.fixture
def full_store(store: CompressedSlide, codes: np.ndarray) -> CompressedSlide:
    """A finished store."""
    fill(store, codes)
    store.finish()
    return store


class Toy:
    """The makers above, for tests (test folders are no packages)."""

    header = staticmethod(make_header)
    coverage = staticmethod(make_coverage)
    codes = staticmethod(make_codes)
    part = staticmethod(block_part)
    fill = staticmethod(fill)
    slide = FakeSlide
    spec = FakeSpec


@pytest.fixture(scope="session")
def toy() -> type[Toy]:
    return Toy


# -- files of other programs -----------------------------------------------------------------------------


@pytest.fixture(scope="session")
def hdf5_writers() -> ModuleType:
    """The module beside this one (test folders are no packages)."""
    path = Path(__file__).with_name("hdf5_writers.py")
    spec = importlib.util.spec_from_file_location("hdf5_writers", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Imported:
    """A store that was made of a file of another program.

    Attributes
    ----------
    store : CompressedSlide
    codes : dict
        (x, y) of each patch -> its code as a tuple.
    told : tuple of str
    """

    store: CompressedSlide
    codes: dict[tuple[int, int], tuple[float, ...]]
    told: tuple[str, ...]


Importing = Callable[..., Imported]


@pytest.fixture
def imported(tmp_path: Path) -> Importing:
    """``imported(file, mpp=0.25, **hints)``: import a file; its pixel size is `mpp` unless that is None."""
    folder = tmp_path / "imported"

    def run(file: Path, mpp: float | None = 0.25, **hints: Any) -> Imported:
        told: list[Any] = []
        target = folder / f"{len(list(folder.glob('*')))}.nic.zarr"
        pixel = None if mpp is None else PixelSize(mpp, mpp, "given")
        with telling(told.append):
            store = import_store(file, target, hints=ImportHints(pixel_size=pixel, **hints))
        table = CodeTable.of(store)
        codes = table.features(CancellationToken()).tolist()
        places = [tuple(place) for place in table.coords_xy.tolist()]
        texts = tuple(text for event in told for text in event.texts)
        return Imported(store, dict(zip(places, map(tuple, codes), strict=True)), texts)

    return run


@pytest.fixture(scope="session")
def expected() -> Callable[[np.ndarray, np.ndarray], dict[tuple[int, ...], tuple[float, ...]]]:
    """``expected(places, codes)``: what :class:`Imported` should hold; codes rounded to float16."""

    def run(places: np.ndarray, codes: np.ndarray) -> dict[tuple[int, ...], tuple[float, ...]]:
        rounded = np.asarray(codes).astype(np.float16).tolist()
        return {tuple(place): tuple(code) for place, code in zip(places.tolist(), rounded, strict=True)}

    return run


@pytest.fixture(scope="session")
def feature_slides(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The slides that the files of other programs were written for, by their names without suffix."""
    tool = data_dir.parent / "tools" / "make_feature_slides.py"
    small = data_dir / "slides" / "CMU-1-Small-Region.svs"
    if not tool.is_file() or not small.is_file():
        pytest.skip(f"no {tool.name} in {tool.parent}, or no {small.name}")
    maker, folder = runpy.run_path(str(tool)), tmp_path_factory.mktemp("feature-slides")
    picture = maker["paint"]()
    for name, mpp in maker["SLIDES"].items():
        maker["save"](picture, folder / name, mpp)
    return {small.stem: small} | {name.removesuffix(".tif"): folder / name for name in maker["SLIDES"]}


@pytest.fixture(scope="session")
def spatial_writers() -> SimpleNamespace:
    """What the module beside this one holds (test folders are no packages)."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("spatial_writers.py"))))
