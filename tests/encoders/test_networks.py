import numpy as np
import pytest
import torch

from napari_nic.encoders.nets import Nic128EncoderNet, NicEncoderNet
from napari_nic.encoders.networks import NETWORKS, get_architecture
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.encoders.torch_encoder import TorchEncoder
from napari_nic.errors import WeightsError


def lively(net):
    """Give every batch normalisation statistics that are not the identity."""
    torch.manual_seed(3)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
    return net.eval()


@pytest.fixture(params=sorted(NETWORKS))
def case(request, make_tissue):
    """(spec, lively network, patches) of every architecture."""
    torch.manual_seed(0)
    architecture = get_architecture(request.param)
    spec = EncoderSpec(
        "random", 24, architecture.patch_size, architecture.mpp, architecture.input_size, request.param
    )
    side, image = architecture.input_size, make_tissue(512, 512)
    places = [(y, x) for y in range(0, 512 - side, 60) for x in range(0, 512 - side, 60)]
    return (
        spec,
        lively(architecture.build(24)),
        np.stack([image[y : y + side, x : x + side] for y, x in places]),
    )


def eager(net, patches):
    with torch.inference_mode():
        return net(torch.from_numpy(patches).permute(0, 3, 1, 2).float() / 127.5 - 1).numpy()


def test_the_prepared_network_is_the_same_function(case):
    spec, net, patches = case
    reference = eager(net, patches)
    codes = TorchEncoder(spec, net).encode(patches)
    assert np.abs(codes - reference).max() < 1e-3 * reference.std(0).min()


def test_preparing_leaves_the_original_alone(case):
    spec, net, patches = case
    before = eager(net, patches)
    TorchEncoder(spec, net, precision="bfloat16")
    assert np.array_equal(eager(net, patches), before)


def test_bfloat16_is_near_to_float32(case):
    spec, net, patches = case
    reference = TorchEncoder(spec, net).encode(patches)
    error = TorchEncoder(spec, net, precision="bfloat16").encode(patches) - reference
    # Random weights hardly tell patches apart, so the codes' own size is the measure here.
    assert np.sqrt((error**2).mean()) < 1e-2 * np.sqrt((reference**2).mean())


def test_the_published_network_has_the_published_number_of_weights():
    assert sum(p.numel() for p in NicEncoderNet().parameters()) + 8 * 128 == 595_968


def test_the_appendix_network_is_the_appendix():
    net = Nic128EncoderNet()
    assert [tuple(conv.weight.shape[:2]) for conv in net.convs] == [
        (32, 3),
        (64, 32),
        (128, 64),
        (256, 128),
        (512, 256),
    ]
    assert net.features(torch.zeros(2, 3, 128, 128)).shape == (2, 512)
    assert net.dense.in_features == 8192


def test_an_unknown_architecture_is_named():
    with pytest.raises(WeightsError, match="nic-512"):
        get_architecture("nic-512")
