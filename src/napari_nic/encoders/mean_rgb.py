"""The lower bound of Tellez et al. 2019: a patch's mean colour."""

from __future__ import annotations

import numpy as np

from napari_nic.encoders.checks import check_batch
from napari_nic.encoders.spec import EncoderSpec

MEAN_RGB = EncoderSpec(
    name="mean-rgb",
    code_size=3,
    patch_size=128,
    mpp=0.5,
    input_size=64,
    architecture="mean-rgb",
    licence="MIT",
    summary="Mean red, green and blue of the patch, scaled to [-1, 1]. No weights; a baseline.",
    citation="Tellez et al. 2019, section 3.1",
)


class MeanRgbEncoder:
    """Average the patch over space, scaled to [-1, 1]."""

    device = "cpu"
    precision = "float32"

    def __init__(self, spec: EncoderSpec = MEAN_RGB, *, batch_size: int = 64) -> None:
        self.spec = spec
        self.batch_size = batch_size

    def prepare_thread(self) -> None:
        """Nothing to prepare."""

    def encode(self, batch: np.ndarray) -> np.ndarray:
        """Return (B, 3) float32 in [-1, 1]; see :meth:`Encoder.encode`."""
        check_batch(batch, self.spec)
        # Whole numbers are summed exactly, so the code does not depend on the order of summation.
        total = batch.sum(axis=(1, 2), dtype=np.uint64).astype(np.float64)
        return (total / (batch.shape[1] * batch.shape[2] * 127.5) - 1).astype(np.float32)
