"""Checks that every encoder makes of its input."""

from __future__ import annotations

import numpy as np

from napari_nic.encoders.spec import EncoderSpec
from napari_nic.errors import InvalidParameterError


def check_batch(batch: np.ndarray, spec: EncoderSpec) -> None:
    """Raise InvalidParameterError unless `batch` is (B, input_size, input_size, 3) uint8."""
    expected = (spec.input_size, spec.input_size, 3)
    if batch.ndim != 4 or batch.shape[1:] != expected or batch.dtype != np.uint8:
        raise InvalidParameterError(
            f"encoder {spec.name!r} cannot encode this batch",
            expected=f"uint8 (B, {expected[0]}, {expected[1]}, 3)",
            found=f"{batch.dtype} {batch.shape}",
        )
