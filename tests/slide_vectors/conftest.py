"""Small slide encoders made by code in all three kinds of files, and small stores."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_nic.embeddings import BLOCK, CompressedSlide, StoreHeader
from napari_nic.encoders.external import trust
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid

C, D, ROWS, COLS, SIDE, MPP = 6, 5, 7, 9, 16, 0.5


class Pooled(torch.nn.Module):
    """Codes (1, N, C) to a vector (1, D): a dense layer, averaged over patches."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.dense = torch.nn.Linear(C, D)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.dense(features).mean(dim=1)


class Placed(Pooled):
    """The same, each patch weighted by the column and row of its cell."""

    def forward(self, features: torch.Tensor, coords: torch.Tensor, patch_size: torch.Tensor) -> torch.Tensor:
        cells = coords.float() / patch_size.float()
        weights = 1 + cells[..., :1] + 10 * cells[..., 1:]
        return (self.dense(features) * weights).mean(dim=1)


def expected_of(net: Pooled, codes: np.ndarray, cells: np.ndarray | None = None) -> np.ndarray:
    """What the networks above compute, in NumPy: codes (N, C), cells (N, 2) of (column, row)."""
    weight, bias = (value.detach().numpy().astype(float) for value in (net.dense.weight, net.dense.bias))
    values = codes.astype(float) @ weight.T + bias
    factors = 1 if cells is None else 1 + cells[:, :1] + 10 * cells[:, 1:]
    return (values * factors).mean(axis=0)


def write_network(net: torch.nn.Module, path: Path, *, width: int = C) -> Path:
    """Write a network as the suffix says; any number of patches."""
    count = 3
    examples: list[torch.Tensor] = [torch.zeros(1, count, width)]
    names = ["features"]
    if isinstance(net, Placed):
        examples += [torch.zeros(1, count, 2, dtype=torch.int64), torch.tensor(1)]
        names += ["coords", "patch_size"]
    net = net.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # makers are asked to leave these formats; we read what they made
        if path.suffix == ".pt":
            torch.jit.save(torch.jit.script(net), path)
        elif path.suffix == ".pt2":
            patches = torch.export.Dim("patches", min=1, max=100_000)
            shapes = tuple({1: patches} if tensor.ndim == 3 else None for tensor in examples)
            torch.export.save(torch.export.export(net, tuple(examples), dynamic_shapes=shapes), path)
        else:
            torch.onnx.export(
                net, tuple(examples), path, dynamo=False, input_names=names, output_names=["vector"],
                dynamic_axes={name: {1: "patches"} for name in names[:2]},
            )  # fmt: skip
    return path


def write_script(net: torch.nn.Module, path: Path) -> Path:
    """Write any network as TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(net.eval()), path)
    return path


def make_store(path: Path, *, seed: int = 0, empty: bool = False, **encoder: Any) -> CompressedSlide:
    """A store of random codes whose first row and column are background, or all of it."""
    shape = (ROWS * SIDE, COLS * SIDE)
    mask = np.zeros((ROWS, COLS), bool)
    mask[1:, 1:] = not empty
    rng = np.random.default_rng(seed)
    codes = rng.normal(0, 1, (ROWS, COLS, C)).astype(np.float16)
    codes[~mask] = 0
    described = {
        "name": "toy", "architecture": "toy-net", "code_size": C, "patch_size": SIDE, "mpp": MPP,
        "input_size": SIDE, "weights_sha256": "0" * 64, "options": {},
    }  # fmt: skip
    header = StoreHeader(
        slide_name=path.name.removesuffix(".nic.zarr"),
        slide_fingerprint=f"sha256:{seed:04}",
        slide_shape=shape,
        reader="test",
        color={"profile": None, "applied": False},
        grid=PatchGrid.plan([LevelGeometry(*shape)], PixelSize(MPP, MPP, "test"), patch_size=SIDE),
        encoder=described | encoder,
        precision="float32",
        batch_size=16,
        tissue={"method": "test"},
        software="test",
        created="2025-01-01T00:00:00+00:00",
    )
    with CompressedSlide.create(path, header, mask) as store:
        for row, col in np.argwhere(~store.done):
            area = (slice(row * BLOCK, (row + 1) * BLOCK), slice(col * BLOCK, (col + 1) * BLOCK))
            store.write_block(int(row), int(col), codes[area])
        store.finish()
    return CompressedSlide.open(path)


class Toys:
    """The makers above, for tests (test folders are no packages)."""

    pooled, placed = Pooled, Placed
    write = staticmethod(write_network)
    script = staticmethod(write_script)
    expected = staticmethod(expected_of)
    store = staticmethod(make_store)
    code_size, numbers, side, mpp = C, D, SIDE, MPP


@pytest.fixture(scope="session")
def toys() -> type[Toys]:
    return Toys


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep what the user trusts out of the tests, and the tests' out of the user's."""
    monkeypatch.setenv("NAPARI_NIC_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(trust, "_given", set())
    return tmp_path / "home"


@pytest.fixture
def store(tmp_path: Path) -> CompressedSlide:
    return make_store(tmp_path / "slide.nic.zarr")
