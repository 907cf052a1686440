"""Encoders made by code: random weights, in our networks and in others', saved as users' encoders are."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from napari_nic.encoders import list_encoders, load_encoder
from napari_nic.encoders.external import (
    ProjectionRequest,
    Settings,
    TimmWeights,
    import_model_file,
    import_timm,
)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Keep the user's own encoders out of the tests, and the tests' out of the user's."""
    monkeypatch.setenv("NAPARI_NIC_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def random_network():
    """A network whose batch normalisations are not the identity, in evaluation mode."""
    import torch

    from napari_nic.encoders.nets import NicEncoderNet

    torch.manual_seed(0)
    net = NicEncoderNet(24)
    for norm in net.norms:
        norm.running_mean.normal_(0, 0.2)
        norm.running_var.uniform_(0.3, 2)
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.normal_(norm.bias, 0, 0.2)
    return net.eval()


@pytest.fixture
def saved_encoder(random_network, home):
    """Name of a user's encoder with random weights."""
    from napari_nic.encoders.spec import EncoderSpec
    from napari_nic.training.publish import save_encoder

    spec = EncoderSpec("random", 24, 128, 0.5, 64, "nic-64")
    save_encoder(random_network, spec, home / "encoders" / "random", card="For tests.\n", training={})
    return "random"


def _small_network():
    """Three convolutions for 32 px, with maps (B, 20, 1, 1) as output, that tell patches apart."""
    import torch

    torch.manual_seed(1)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 20, 3, stride=2),
        torch.nn.Tanh(),
        torch.nn.AdaptiveAvgPool2d(1),
    ).eval()


def _write_model(net, path, *, batch=None, side=32):
    """Write a network as the suffix says; `batch` fixes the batch size, None leaves it free."""
    import torch

    example = torch.zeros(batch or 2, 3, side, side)
    free = {0: "batch"} if batch is None else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # makers are asked to leave these formats; we read what they made
        if path.suffix == ".pt":
            torch.jit.save(torch.jit.trace(net, example), path)
        elif path.suffix == ".pt2":
            dynamic = ({0: torch.export.Dim("batch")},) if free else None
            torch.export.save(torch.export.export(net, (example,), dynamic_shapes=dynamic), path)
        else:
            torch.onnx.export(
                net, (example,), path, dynamo=False, input_names=["pixels"], output_names=["codes"],
                dynamic_axes={"pixels": free} if free else None,
            )  # fmt: skip
    return path


@pytest.fixture(scope="session")
def small_network():
    return _small_network()


@pytest.fixture(scope="session")
def write_model():
    """``write_model(net, path, batch=None, side=32)`` -> path: TorchScript, torch.export or ONNX."""
    return _write_model


def _own(folder, name):
    import torch

    from napari_nic.encoders.nets import NicEncoderNet
    from napari_nic.encoders.spec import EncoderSpec
    from napari_nic.training.publish import save_encoder

    torch.manual_seed(0)
    spec = EncoderSpec(name, 24, 128, 0.5, 64, "nic-64", licence="MIT")
    save_encoder(NicEncoderNet(24), spec, folder / "encoders" / name, card="For tests.\n", training={})


def _timm(model, **settings):
    def make(folder, name):
        facts = Settings(licence="MIT", **settings)
        import_timm(model, weights=TimmWeights(random_seed=0), name=name, settings=facts, home=folder)

    return make


def _file(suffix, *, batch=None, projection=None):
    def make(folder, name):
        path = _write_model(_small_network(), folder / f"{name}{suffix}", batch=batch)
        facts = Settings(mpp=0.5, input_size=32, licence="MIT")
        import_model_file(path, name=name, settings=facts, projection=projection, home=folder, trust=True)

    return make


def _noise(spec):
    shape = (64, spec.input_size, spec.input_size, 3)
    return np.random.default_rng(5).integers(0, 256, shape, np.uint8)


GALLERY = {
    "own": _own,
    "timm-maps": _timm("test_resnet", input_size=64),
    "timm-tokens": _timm("test_vit", pooling="cls+mean", input_size=64),
    "torchscript": _file(".pt"),
    "torch-export": _file(".pt2"),
    "torch-export-of-4": _file(".pt2", batch=4),
    "onnx": _file(".onnx"),
    "onnx-of-4": _file(".onnx", batch=4),
    "pca": _file(".onnx", projection=ProjectionRequest("pca", 5, _noise)),
    "random-projection": _file(".pt", projection=ProjectionRequest("random", 5)),
}
"""Encoders that the contract is tested on, besides those of the package: ``make(home, name)``."""

TWO_PRECISIONS = {"own", "timm-maps", "timm-tokens"}


def pytest_generate_tests(metafunc):
    """Run a test that asks for `name` over all encoders, and one for `encoder` in all their precisions."""
    shipped = [spec.name for spec in list_encoders()]
    names = [*shipped, *GALLERY]
    if "encoder" in metafunc.fixturenames:
        cases = [(name, precision) for name in names for precision in precisions(name)]
        ids = ["-".join(case) for case in cases]
        metafunc.parametrize("encoder", cases, ids=ids, indirect=True)
    elif "any_encoder" in metafunc.fixturenames:
        metafunc.parametrize("any_encoder", names, indirect=True)


def precisions(name):
    """List the precisions that an encoder of these tests knows."""
    both = name in TWO_PRECISIONS or (name not in GALLERY and name != "mean-rgb")
    return ["float32", "bfloat16"] if both else ["float32"]


@pytest.fixture(scope="session")
def gallery(tmp_path_factory):
    """``gallery(name)`` -> folder of an encoder of :data:`GALLERY`, made once; other names stay names."""
    home = tmp_path_factory.mktemp("gallery")

    def get(name):
        folder = home / "encoders" / name
        if name not in GALLERY:
            return name
        if not folder.exists():
            GALLERY[name](home, name)
        return folder

    return get


@pytest.fixture
def any_encoder(request, gallery):
    """Name or folder of every encoder in turn."""
    return gallery(request.param)


@pytest.fixture
def encoder(request, gallery):
    """Every encoder in every precision in turn, on the CPU."""
    name, precision = request.param
    return load_encoder(gallery(name), device="cpu", precision=precision)
