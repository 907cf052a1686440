"""Checks that every encoder makes of its input and its codes."""

from __future__ import annotations

import numpy as np

from napari_nic.encoders.spec import EncoderSpec
from napari_nic.errors import InvalidParameterError, WeightsError


def check_batch(batch: np.ndarray, spec: EncoderSpec) -> None:
    """Raise InvalidParameterError unless `batch` is (B, input_size, input_size, 3) uint8."""
    expected = (spec.input_size, spec.input_size, 3)
    if batch.ndim != 4 or batch.shape[1:] != expected or batch.dtype != np.uint8:
        raise InvalidParameterError(
            f"encoder {spec.name!r} cannot encode this batch",
            expected=f"uint8 (B, {expected[0]}, {expected[1]}, 3)",
            found=f"{batch.dtype} {batch.shape}",
        )


def check_codes(codes: np.ndarray, spec: EncoderSpec) -> np.ndarray:
    """Return codes, or raise WeightsError where they hold NaN or infinity: they would look like a result."""
    if not np.isfinite(codes).all():
        raise WeightsError(
            f"encoder {spec.name!r} gives codes that are no numbers",
            expected="finite numbers",
            found=f"NaN or infinity in {int((~np.isfinite(codes)).any(1).sum())} of {len(codes)} patches",
            hint="its weights are damaged, or do not suit this precision: try --precision float32",
        )
    return codes
