"""Patch sources made by code: tissue-like tiles with two classes that can be told apart."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from napari_nic.patches import Tile, TileSet
from napari_nic.training.options import TrainOptions


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Keep the user's own encoders out of the tests, and the tests' out of the user's."""
    monkeypatch.setenv("NAPARI_NIC_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def quick_networks(one_thread):
    """All of these run small networks."""


def _writer(write):
    """Return a function that writes a small network for 32 px, that tells patches apart, to a path."""

    def make(path):
        import torch

        torch.manual_seed(1)
        layers = [torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.ReLU(), torch.nn.Conv2d(8, 20, 3, stride=2)]
        net = torch.nn.Sequential(*layers, torch.nn.Tanh(), torch.nn.AdaptiveAvgPool2d(1)).eval()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # makers are asked to leave these formats; we read what they made
            write(net, torch.zeros(2, 3, 32, 32), path)
        return path

    return make


def _write_onnx(net, example, path):
    import torch

    axes = {"pixels": {0: "batch"}}
    names = {"input_names": ["pixels"], "output_names": ["codes"]}
    torch.onnx.export(net, (example,), path, dynamo=False, dynamic_axes=axes, **names)


def _write_torchscript(net, example, path):
    import torch

    torch.jit.save(torch.jit.trace(net, example), path)


@pytest.fixture
def onnx_network():
    return _writer(_write_onnx)


@pytest.fixture
def torchscript_network():
    return _writer(_write_torchscript)


@pytest.fixture(scope="session")
def two_tissues(make_tissue):
    """Six tiles of 200 px, three pink and three with their colours swapped to green."""
    tiles = []
    for index in range(6):
        image = make_tissue(700, 800, seed=index)[250:450, 300:500]
        name = "green" if index % 2 else "pink"
        tiles.append(Tile(image[..., [1, 0, 2]] if index % 2 else image, f"slide{index}", class_name=name))
    return tuple(tiles)


@pytest.fixture
def source(two_tissues):
    """A labelled source of 80 px patches for the 64 px network."""
    return TileSet(two_tissues, 80, mpp=1.0)


@pytest.fixture
def quick():
    """Return a function that makes options for a run of seconds."""

    def make(**changed):
        settled = {"code_size": 12, "steps": 8, "batch_size": 8, "validate_every": 4, "checkpoint_every": 4}
        return TrainOptions(**(settled | {"validation_patches": 32} | changed))

    return make


@pytest.fixture
def same_weights():
    """Return a function that tells whether two objectives have equal weights."""

    def equal(one, other):
        first, second = one.state_dict(), other.state_dict()
        return first.keys() == second.keys() and all(np.array_equal(first[k], second[k]) for k in first)

    return equal
