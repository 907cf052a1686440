import numpy as np
import pytest
import torch

from napari_nic.encoders.prepared import FoldedNet
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.encoders.torch_encoder import TorchEncoder

SPEC = EncoderSpec("random", 24, 128, 0.5, 64, "nic-64")


@pytest.fixture
def patches(make_tissue):
    image = make_tissue(512, 512)
    return np.stack([image[y : y + 64, x : x + 64] for y in range(0, 448, 64) for x in range(0, 448, 64)])


def test_convolutions_hold_numbers_of_bfloat16(random_network):
    folded = FoldedNet(random_network)
    folded.round_to_bfloat16()
    for conv in folded.convolutions():
        for values in (conv.weight, conv.bias):
            assert torch.equal(values, values.bfloat16().float())


def test_the_errors_of_a_kernel_cancel(random_network):
    folded, exact = FoldedNet(random_network), FoldedNet(random_network)
    first = exact.convolutions()[0]
    folded.round_to_bfloat16()
    scale = (folded.convolutions()[0].bias / first.bias)[:, None, None, None]
    plain = (first.weight.bfloat16().float() - first.weight).sum((2, 3)).abs().mean()
    handed_on = (folded.convolutions()[0].weight - first.weight * scale).sum((2, 3)).abs().mean()
    assert handed_on < 0.2 * plain


def test_codes_are_nearer_to_float32_than_with_plain_rounding(random_network, patches):
    reference = TorchEncoder(SPEC, random_network).encode(patches)
    error = TorchEncoder(SPEC, random_network, precision="bfloat16").encode(patches) - reference
    centred = torch.from_numpy(patches).permute(0, 3, 1, 2).to(torch.bfloat16) - 128
    with torch.inference_mode():
        plain = FoldedNet(random_network).to(torch.bfloat16)(centred).float().numpy() - reference
    assert np.sqrt((error**2).mean()) < 0.5 * np.sqrt((plain**2).mean())
