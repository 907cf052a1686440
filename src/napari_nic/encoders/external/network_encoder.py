"""Encoding with a network that others made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from napari_nic.encoders.batches import fitting_batches
from napari_nic.encoders.checks import check_batch, check_codes
from napari_nic.encoders.external.pooling import pool
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.errors import NicError, WeightsError

CPU_BATCH = 16
GPU_BATCH = 256
"""Patches a batch; the networks that others publish see 224 px and more, so memory bounds it."""

WHITE = 255.0

RUN_ERRORS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError)
"""What a network that does not fit its input raises."""

Run: TypeAlias = Callable[[torch.Tensor], Any]
"""From normalised pixels (B, 3, s, s), float32 on the device, to whatever the network gives."""


def does_not_run(spec: EncoderSpec, error: Exception) -> WeightsError:
    """Return the error of a network that fails on its patches."""
    text = str(error).strip()
    return WeightsError(
        f"the network of encoder {spec.name!r} does not run on {spec.input_size} px patches",
        found=text.splitlines()[-1] if text else type(error).__name__,
        hint="state the size that it was made for (--input-size)",
    )


@dataclass(frozen=True)
class Network:
    """A network that is ready to run.

    Attributes
    ----------
    run : callable
        Safe to call from several threads.
    device : str
    precision : str
        What it really computes in.
    least_batch, most_batch : int
        Batch sizes that it takes; a file that was exported for one size has both equal.
    """

    run: Run
    device: str
    precision: str = "float32"
    least_batch: int = 1
    most_batch: int = GPU_BATCH


class NetworkEncoder:
    """Normalise, run, pool; see :class:`~napari_nic.encoders.Encoder` for the interface.

    Parameters
    ----------
    spec : EncoderSpec
        Its options hold ``mean``, ``std``, ``pooling`` and ``prefix_tokens``.
    network : Network
    """

    def __init__(self, spec: EncoderSpec, network: Network) -> None:
        self.spec = spec
        self.device = network.device
        self.precision = network.precision
        usual = CPU_BATCH if self.device == "cpu" else GPU_BATCH
        self.batch_size = min(max(usual, network.least_batch), network.most_batch)
        self._network = network
        mean, std = (torch.tensor(spec.options[name], dtype=torch.float64) for name in ("mean", "std"))
        self._scale = (1 / (WHITE * std)).float().to(self.device)[:, None, None]
        self._shift = (-mean / std).float().to(self.device)[:, None, None]

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
            If the network gives something else than its spec says, or no finite numbers, or does not run.
        """
        check_batch(batch, self.spec)
        least = self._network.least_batch
        codes = list(fitting_batches(self, batch, self._checked_forward, least=least))
        return np.concatenate(codes) if codes else np.empty((0, self.spec.code_size), np.float32)

    def _checked_forward(self, batch: np.ndarray) -> np.ndarray:
        try:
            codes = self.forward(batch)
        except torch.cuda.OutOfMemoryError:
            raise
        except RUN_ERRORS as error:
            if isinstance(error, NicError):
                raise
            raise does_not_run(self.spec, error) from error
        expected = (len(batch), self.spec.code_size)
        if codes.shape != expected:
            raise WeightsError(
                f"the network of encoder {self.spec.name!r} gives other codes than its description says",
                expected=f"{expected}",
                found=f"{codes.shape}",
            )
        return check_codes(codes, self.spec)

    def forward(self, batch: np.ndarray) -> np.ndarray:
        """Run one batch, at most as large as the network takes; (B, C) float32 of whatever C it has."""
        count, missing = len(batch), self._network.least_batch - len(batch)
        if missing > 0:
            batch = np.concatenate([batch, np.zeros((missing, *batch.shape[1:]), np.uint8)])
        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(batch)).to(self.device)
            # (row, column, channel) order is what channels_last means: nothing is copied.
            normal = pixels.permute(0, 3, 1, 2).float() * self._scale + self._shift
            options = self.spec.options
            codes = pool(
                self._network.run(normal), options["pooling"], prefix_tokens=options["prefix_tokens"]
            )
            result: np.ndarray = codes.float().cpu().numpy()
        return result[:count]
