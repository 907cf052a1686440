"""Pictures of what codes still know: held-out patches above their reconstructions, and generated patches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from napari_nic.disk import write_bytes
from napari_nic.training.objectives.base import Objective

RECONSTRUCTIONS_FILE, GENERATED_FILE = "reconstructions.png", "generated.png"
COLUMNS = 12
ENLARGE = 2
"""Patches are small; each pixel is shown as a square of this side."""


def write_pictures(objective: Objective, batch: Any, folder: Path) -> None:
    """Write the pictures that an objective can make; most can make none.

    Parameters
    ----------
    objective : Objective
        In evaluation mode.
    batch : ndarray of uint8, (n, s, s, 3), or what the objective draws
        Patches to reconstruct; other batches are passed over.
    folder : Path
    """
    if isinstance(batch, np.ndarray):
        shown = _centre(batch[:COLUMNS], objective.input_size)
        painted = reconstruct(objective, shown)
        if painted is not None:
            _write(folder / RECONSTRUCTIONS_FILE, [shown, painted])
    with torch.inference_mode():
        generated = objective.generate(2 * COLUMNS)
    if generated is not None:
        rows = _to_pixels(generated)
        _write(folder / GENERATED_FILE, [rows[:COLUMNS], rows[COLUMNS:]])


def reconstruct(objective: Objective, patches: np.ndarray) -> np.ndarray | None:
    """Return the reconstructions of (n, s, s, 3) uint8 patches in the same form, or None."""
    device = objective.encoder.code.weight.device
    with torch.inference_mode():
        x = torch.from_numpy(patches).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        painted = objective.reconstruct(x)
    return None if painted is None else _to_pixels(painted)


def _to_pixels(x: torch.Tensor) -> np.ndarray:
    pixels: np.ndarray = (
        ((x.float() + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
    )
    return pixels


def _centre(patches: np.ndarray, size: int) -> np.ndarray:
    start = (patches.shape[1] - size) // 2
    return np.ascontiguousarray(patches[:, start : start + size, start : start + size])


def _write(file: Path, rows: list[np.ndarray]) -> None:
    picture = np.concatenate([np.concatenate(list(row), axis=1) for row in rows if len(row)], axis=0)
    picture = picture.repeat(ENLARGE, 0).repeat(ENLARGE, 1)
    _, content = cv2.imencode(file.suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    write_bytes(file, content.tobytes())
