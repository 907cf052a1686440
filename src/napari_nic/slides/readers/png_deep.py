"""All bytes of PNG samples of 16 bits; Pillow keeps the high ones only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt

from napari_nic.errors import DamagedSlideError
from napari_nic.slides.readers.picture_files import PngFacts

_COPY_AGAIN = "the file is damaged: copy it again from where it came"


def decode_deep(path: Path, facts: PngFacts) -> npt.NDArray[Any]:
    """Return all bytes of 16-bit samples, of which Pillow keeps the high ones only."""
    data = path.read_bytes()
    try:
        samples = _decode_interlaced(data, facts) if facts.is_interlaced else imagecodecs.png_decode(data)
    except (imagecodecs.PngError, cv2.error, ValueError) as error:
        raise DamagedSlideError(
            "the picture cannot be decoded",
            path=path,
            found=str(error),
            hint=_COPY_AGAIN,
        ) from error
    return samples if samples.ndim == 3 else samples[..., None]


def _decode_interlaced(data: bytes, facts: PngFacts) -> npt.NDArray[Any]:
    """Decode with OpenCV: imagecodecs lets libpng complain of such files on the terminal."""
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if samples is None or samples.dtype != np.uint16 or samples.shape[:2] != (facts.height, facts.width):
        raise ValueError("no picture of the size and depth that its header states")
    if samples.ndim == 2:
        return samples
    order = {0: [0], 4: [0, 3]}.get(facts.color, [2, 1, 0, 3])  # blue comes first
    return samples[..., order[: samples.shape[2]]]


def colors_of(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Leave alpha out, (rows, cols, channels) in and out."""
    return samples[..., : samples.shape[-1] - (samples.shape[-1] in (2, 4))]
