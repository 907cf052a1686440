"""Testing a slide-level CNN on pictures; only imported when one is tested."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from napari_nic.device import choose_device
from napari_nic.jobs import CancellationToken
from napari_nic.slide_models import ModelBundle
from napari_nic_experiments.digits.codes import CodeSource

SIZE_EDGES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Long side of the tilted rectangle as a share of the picture's side."""

_BATCH_CELLS = 400 * 400 * 4


def predict_images(
    bundle: ModelBundle,
    source: CodeSource,
    indices: Sequence[int],
    *,
    device: str = "auto",
    token: CancellationToken | None = None,
) -> np.ndarray:
    """Predict classes of whole pictures, unturned: ndarray of int64, (n,)."""
    token = token or CancellationToken()
    place = torch.device(choose_device(device))
    net = bundle.network().folded().to(place).to(memory_format=torch.channels_last)
    size = max(1, _BATCH_CELLS // source.mask.size)
    found = []
    with torch.inference_mode():
        for start in range(0, len(indices), size):
            token.checkpoint()
            values = [
                bundle.standardiser.apply(source.codes(index), source.mask)
                for index in indices[start : start + size]
            ]
            batch = torch.from_numpy(np.stack(values)).permute(0, 3, 1, 2).to(place)
            found.append(net(batch).argmax(1).cpu().numpy())
    return np.concatenate(found)


def accuracy(right: np.ndarray) -> dict[str, Any]:
    """Return the share of right answers (n,) bool, its standard error and n."""
    share = float(right.mean()) if len(right) else float("nan")
    error = float(np.sqrt(share * (1 - share) / len(right))) if len(right) else float("nan")
    return {"accuracy": share, "standard_error": error, "images": len(right)}


def by_size(right: np.ndarray, sizes: np.ndarray) -> list[dict[str, Any]]:
    """Return the accuracy for each range of sizes that has pictures.

    Parameters
    ----------
    right : ndarray of bool, (n,)
    sizes : ndarray of float, (n,)
        Long side of the tilted rectangle as a share of the picture's side.
    """
    numbers = np.clip(np.searchsorted(SIZE_EDGES, sizes, side="right") - 1, 0, len(SIZE_EDGES) - 2)
    return [
        {"low": SIZE_EDGES[k], "high": SIZE_EDGES[k + 1], **accuracy(right[numbers == k])}
        for k in np.unique(numbers).tolist()
    ]
