"""Running the network on standardised codes; only imported when a model is used."""

from __future__ import annotations

import numpy as np
import torch

from napari_nic.encoders.device import choose_device
from napari_nic.slide_models.bundle import ModelBundle
from napari_nic.slide_models.canvas import Canvas
from napari_nic.slide_models.gridnet import GridNet
from napari_nic.slide_models.inputs import TURNS, turned
from napari_nic.slide_models.striped import features_in_strips

_BATCH_CELLS = 400 * 400
"""Cells in one batch of crops: beyond this, larger batches are not faster and need memory."""


class Judge:
    """A bundle's network on a device.

    Parameters
    ----------
    bundle : ModelBundle
    device : str
        ``"auto"``, ``"cpu"``, ``"cuda"``, ``"mps"``.
    """

    def __init__(self, bundle: ModelBundle, *, device: str = "auto") -> None:
        self.card = bundle.card
        self.device = torch.device(choose_device(device))
        net = bundle.network().folded()
        self.net: GridNet = net.to(self.device).to(memory_format=torch.channels_last)

    def tensor(self, windows: np.ndarray) -> torch.Tensor:
        """Bring windows (B, rows, cols, C) to the device as (B, C, rows, cols), without moving them about."""
        return torch.from_numpy(np.ascontiguousarray(windows)).permute(0, 3, 1, 2).to(self.device)

    def crop_outputs(self, window: np.ndarray) -> np.ndarray:
        """Judge a square crop (R, R, C) in its eight positions: ndarray of float32, (8, outputs)."""
        size = max(1, min(TURNS, _BATCH_CELLS // (window.shape[0] * window.shape[1])))
        batch = np.empty(
            (size, *window.shape), window.dtype
        )  # for all turns: new memory costs as much as a turn
        outputs = []
        with torch.inference_mode():
            for start in range(0, TURNS, size):
                turns = range(start, min(TURNS, start + size))
                for place, turn in enumerate(turns):
                    batch[place] = turned(window, turn)
                outputs.append(self.net(self.tensor(batch[: len(turns)])).cpu().numpy())
        return np.concatenate(outputs)

    def location_outputs(self, canvas: Canvas) -> np.ndarray:
        """Apply the head at every location of the last feature map.

        Parameters
        ----------
        canvas : Canvas
            A slide with a frame; it is computed in strips.

        Returns
        -------
        ndarray of float32, (h, w, outputs)
        """
        with torch.inference_mode():
            outputs = self.net.at_locations(features_in_strips(self.net, canvas))
        result: np.ndarray = outputs[0].cpu().numpy()
        return result
