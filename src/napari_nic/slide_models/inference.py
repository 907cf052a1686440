"""Running the network on standardised codes; only imported when a model is used."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_nic import old_names
from napari_nic.device import choose_device
from napari_nic.jobs import CancellationToken
from napari_nic.slide_models.bundle import ModelBundle
from napari_nic.slide_models.canvas import Canvas
from napari_nic.slide_models.gridnet import GridNet
from napari_nic.slide_models.inputs import N_DIHEDRAL
from napari_nic.slide_models.striped import features_in_strips

_BATCH_CELLS = 400 * 400
"""Cells in one batch of crops: beyond this, larger batches are not faster and need memory."""


class Predictor:
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

    def outputs(self, windows: np.ndarray) -> np.ndarray:
        """Predict windows (B, rows, cols, C): ndarray of float32, (B, outputs)."""
        with torch.inference_mode():
            found: np.ndarray = self.net(self.tensor(windows)).cpu().numpy()
        return found

    def dihedral_outputs(self, view: Callable[[int], np.ndarray]) -> np.ndarray:
        """Predict a crop in its eight positions.

        Parameters
        ----------
        view : callable
            Gives the crop after a dihedral transform, 0 to 7: float32 (R, R, C). Called once for each, when
            it is needed.

        Returns
        -------
        ndarray of float32, (8, outputs)
        """
        side = self.card.crop_size
        size = max(1, min(N_DIHEDRAL, _BATCH_CELLS // side**2))
        # One batch for all transforms: new memory costs as much as one of them.
        batch = np.empty((size, side, side, self.card.network.code_size), np.float32)
        outputs = []
        with torch.inference_mode():
            for start in range(0, N_DIHEDRAL, size):
                transformed = range(start, min(N_DIHEDRAL, start + size))
                for place, transform in enumerate(transformed):
                    batch[place] = view(transform)
                outputs.append(self.net(self.tensor(batch[: len(transformed)])).cpu().numpy())
        return np.concatenate(outputs)

    def whole_outputs(self, canvas: Canvas, token: CancellationToken | None = None) -> np.ndarray:
        """Predict a slide of any size at once: from the mean of its last feature map.

        Parameters
        ----------
        canvas : Canvas
            A slide with a frame; it is computed in strips.
        token : CancellationToken, optional
            Asked at each strip.

        Returns
        -------
        ndarray of float32, (outputs,)
            Before sigmoid or softmax.
        """
        return self._in_strips(self.net.pooled, canvas, token)

    def location_outputs(self, canvas: Canvas, token: CancellationToken | None = None) -> np.ndarray:
        """Apply the head at every location of the last feature map.

        Parameters
        ----------
        canvas : Canvas
            A slide with a frame; it is computed in strips.
        token : CancellationToken, optional
            Asked at each strip.

        Returns
        -------
        ndarray of float32, (h, w, outputs)
        """
        return self._in_strips(self.net.at_locations, canvas, token)

    def _in_strips(
        self, head: Callable[[torch.Tensor], torch.Tensor], canvas: Canvas, token: CancellationToken | None
    ) -> np.ndarray:
        with torch.inference_mode():
            outputs = head(features_in_strips(self.net, canvas, token=token))
        result: np.ndarray = outputs[0].cpu().numpy()
        return result


if not TYPE_CHECKING:
    __getattr__ = old_names.members_of(__name__)
