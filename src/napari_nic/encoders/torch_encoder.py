"""Encoding with a PyTorch network, prepared for speed on a CPU and on a GPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from napari_nic.encoders.batches import fitting_batches
from napari_nic.encoders.checks import check_batch, check_codes
from napari_nic.encoders.external.states import read_state
from napari_nic.encoders.nets import EncoderNet
from napari_nic.encoders.networks import build_network, get_architecture
from napari_nic.encoders.prepared import PreparedNet
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.errors import WeightsError

CPU_BATCH = 64
"""Activations of a larger batch fall out of a core's cache."""

GPU_BATCH = 2048

_SIGN_BIT = np.uint8(0x80)


class TorchEncoder:
    """A NIC network on a device; see :class:`~napari_nic.encoders.Encoder` for the interface.

    Notes
    -----
    Pixels reach the network as ``uint8 - 128``: flipping the sign bit and reading the bytes as int8 does
    that without arithmetic, and the difference to [-1, 1] is folded into the first layer. The array keeps
    its (row, column, channel) order, which is what ``channels_last`` means, so nothing is copied.
    """

    def __init__(
        self, spec: EncoderSpec, net: EncoderNet, *, device: str = "cpu", precision: str = "float32"
    ) -> None:
        self.spec = spec
        self.device = device
        self.precision = precision
        self.batch_size = CPU_BATCH if device == "cpu" else GPU_BATCH
        self._dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16}[precision]
        prepared = get_architecture(spec.architecture).prepare(net.eval())
        folded = prepared.requires_grad_(requires_grad=False).eval()
        if self._dtype == torch.bfloat16:
            folded.round_to_bfloat16()
            # The code itself is summed and kept in float32: it costs little, and halves the largest error.
            folded.narrow()
        folded.to(device=device).to(memory_format=torch.channels_last)
        self._net = folded

    @property
    def network(self) -> PreparedNet:
        """The network as it runs: folded, in its precision, on its device; not to be changed."""
        return self._net

    def prepare_thread(self) -> None:
        """Use one kernel thread in the calling thread: parallel workers share the cores by themselves."""
        if self.device == "cpu":
            torch.set_num_threads(1)

    def encode(self, batch: np.ndarray) -> np.ndarray:
        """Encode patches; a GPU that runs out of memory gets smaller batches from then on.

        Raises
        ------
        InvalidParameterError
            If the batch has another shape or dtype.
        DeviceError
            If not even one patch fits into the device's memory.
        WeightsError
            If a code is no finite number.
        """
        check_batch(batch, self.spec)
        if self.device == "cpu":
            return check_codes(self._forward(batch), self.spec)
        codes = list(fitting_batches(self, batch, self._forward))
        empty = np.empty((0, self.spec.code_size), np.float32)
        return check_codes(np.concatenate(codes), self.spec) if codes else empty

    def _forward(self, batch: np.ndarray) -> np.ndarray:
        centred = (np.ascontiguousarray(batch) ^ _SIGN_BIT).view(np.int8)
        with torch.inference_mode():
            pixels = torch.from_numpy(centred)
            if self.device.startswith("cuda"):
                pixels = pixels.pin_memory().to(self.device, non_blocking=True)
            elif self.device != "cpu":
                pixels = pixels.to(self.device)
            codes = self._net(pixels.permute(0, 3, 1, 2).to(self._dtype))
            result: np.ndarray = codes.float().cpu().numpy()
        return result


def load_torch_encoder(spec: EncoderSpec, weights: Path, *, device: str, precision: str) -> TorchEncoder:
    """Build the spec's network, load its weights and put it on a device.

    Raises
    ------
    WeightsError
        If the file does not hold the weights of this architecture.
    """
    return TorchEncoder(spec, load_trained_network(spec, weights), device=device, precision=precision)


def load_trained_network(spec: EncoderSpec, weights: Path) -> EncoderNet:
    """Build the spec's network and load its weights: the plain module, for (B, 3, s, s) in [-1, 1].

    Raises
    ------
    WeightsError
        If the file does not hold the weights of this architecture.
    """
    net = build_network(spec)
    state = read_state(weights)
    expected = {name: tuple(value.shape) for name, value in net.state_dict().items() if value.ndim}
    found = {name: tuple(value.shape) for name, value in state.items() if value.ndim}
    if expected != found:
        wrong = sorted(set(expected.items()) ^ set(found.items()))
        raise WeightsError(
            f"the weights do not fit architecture {spec.architecture!r}",
            path=weights,
            expected=f"{len(expected)} arrays of that network",
            found=f"first difference at {wrong[0][0]} {wrong[0][1]}",
        )
    net.load_state_dict(state, strict=False)
    return net.eval()


def untrained_encoder(
    architecture: str, code_size: int, *, device: str, precision: str, seed: int = 0
) -> TorchEncoder:
    """Return an encoder of one of our architectures with random weights: as fast as a trained one.

    Raises
    ------
    WeightsError
        If the architecture is unknown.
    """
    chosen = get_architecture(architecture)
    spec = EncoderSpec(
        name=f"untrained {architecture}",
        code_size=code_size,
        patch_size=chosen.patch_size,
        mpp=chosen.mpp,
        input_size=chosen.input_size,
        architecture=architecture,
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        net = chosen.build(code_size)
    return TorchEncoder(spec, net, device=device, precision=precision)
