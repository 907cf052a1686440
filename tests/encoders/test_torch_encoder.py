import numpy as np
import pytest
import torch

from napari_nic import device
from napari_nic.device import choose_device, choose_precision
from napari_nic.encoders.prepared import FoldedNet
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.encoders.torch_encoder import TorchEncoder
from napari_nic.errors import DeviceError, InvalidParameterError

SPEC = EncoderSpec("random", 24, 128, 0.5, 64, "nic-64")


@pytest.fixture
def patches(make_tissue):
    image = make_tissue(512, 512)
    return np.stack([image[y : y + 64, x : x + 64] for y in range(0, 448, 64) for x in range(0, 448, 64)])


def eager(net, patches):
    with torch.inference_mode():
        return net(torch.from_numpy(patches).permute(0, 3, 1, 2).float() / 127.5 - 1).numpy()


def test_the_folded_network_is_the_same_function(random_network, patches):
    reference = eager(random_network, patches)
    codes = TorchEncoder(SPEC, random_network).encode(patches)
    assert np.abs(codes - reference).max() < 1e-3 * reference.std(0).min()


def test_folding_leaves_the_original_alone(random_network, patches):
    before = eager(random_network, patches)
    FoldedNet(random_network)
    assert np.array_equal(eager(random_network, patches), before)


class FailingNet(torch.nn.Module):
    """Runs out of memory for more than `limit` patches."""

    def __init__(self, limit):
        super().__init__()
        self.limit, self.sizes = limit, []

    def forward(self, x):
        if len(x) > self.limit:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        self.sizes.append(len(x))
        return x.float().mean((2, 3)).repeat(1, 8)


@pytest.fixture
def device_encoder(random_network):
    """An encoder that believes to be on a device, so that its handling of memory can be tested anywhere."""
    encoder = TorchEncoder(SPEC, random_network)
    encoder.device, encoder.batch_size = "meta-device", 32
    encoder._forward = lambda batch: encoder._net(torch.from_numpy(batch).permute(0, 3, 1, 2)).numpy()
    return encoder


def test_out_of_memory_halves_the_batch_and_goes_on(device_encoder, patches):
    device_encoder._net = FailingNet(limit=10)
    codes = device_encoder.encode(patches)
    assert len(codes) == len(patches)
    assert device_encoder.batch_size == 8
    np.testing.assert_allclose(codes[:, :3], patches.mean((1, 2)), rtol=1e-5)


def test_out_of_memory_for_one_patch_is_an_error(device_encoder, patches):
    device_encoder._net = FailingNet(limit=0)
    with pytest.raises(DeviceError, match="single patch"):
        device_encoder.encode(patches)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_an_error():
    with pytest.raises(DeviceError, match="--device cpu"):
        choose_device("cuda")
    assert choose_device("auto") in ("cpu", "mps")


def test_unknown_devices_and_precisions_are_refused():
    with pytest.raises(DeviceError):
        choose_device("abacus")
    with pytest.raises(InvalidParameterError):
        choose_precision("float8", "cpu")


@pytest.mark.parametrize(
    ("has_it", "gain", "chosen"),
    [(True, 1.9, "bfloat16"), (True, 0.6, "float32"), (True, 1.05, "float32"), (False, 1.9, "float32")],
)
def test_a_processor_computes_in_bfloat16_where_it_is_faster(monkeypatch, has_it, gain, chosen):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has_it)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    monkeypatch.setattr(device, "_bfloat16_gain", lambda: gain)
    assert choose_precision("auto", "cpu") == chosen
    assert choose_precision("bfloat16", "cpu") == "bfloat16"


def test_the_processor_is_tried_once_and_threads_stay_as_they_were():
    threads = torch.get_num_threads()
    gain = device._bfloat16_gain()
    assert 0 < gain < 100
    assert device._bfloat16_gain() == gain
    assert torch.get_num_threads() == threads
