"""Encoders made by code: random weights in the published network, saved as users' encoders are."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Keep the user's own encoders out of the tests, and the tests' out of the user's."""
    monkeypatch.setenv("NAPARI_NIC_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def random_network():
    """A network whose batch normalisations are not the identity, in evaluation mode."""
    import torch

    from napari_nic.encoders.networks import NicEncoderNet

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
