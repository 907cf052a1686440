"""A slide through the network: windows that lie over each other, read one after the other, and blended.

::

    windows of a row --network--> share of tissue * weight --added--> rows in memory --those done--> mask

A window's weight falls towards its edges, where the network sees half of what it needs.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch

from napari_nic.device import choose_device, choose_precision
from napari_nic.errors import DamagedSlideError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.slides import RgbArray, Slide
from napari_nic.tissue.unet.net import TissueUnet, load_net
from napari_nic.tissue.unet.spec import UnetSpec
from napari_nic.tissue.unet.store import find_unet, read_unet
from napari_nic.tissue.unet.windows import WINDOW, Grid, starts, weights

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]

THRESHOLD = 0.5
"""Least share of tissue, as the network sees it."""


@dataclass(frozen=True, eq=False)
class Predictor:
    """A network on a device.

    Attributes
    ----------
    spec : UnetSpec
    net : TissueUnet
    device, precision : str
    """

    spec: UnetSpec
    net: TissueUnet
    device: str = "cpu"
    precision: str = "float32"

    @classmethod
    def load(cls, name: str, *, device: str = "auto") -> Predictor:
        """Load a network by name or folder.

        Raises
        ------
        UnknownNameError, WeightsError, DeviceError
        """
        folder = find_unet(name)
        spec = read_unet(folder)
        chosen = choose_device(device)
        return cls(spec, load_net(folder, spec, chosen), chosen, choose_precision("auto", chosen))

    def share(self, picture: RgbArray) -> FloatArray:
        """Return how sure the network is of tissue, (rows, cols) float32 in [0, 1].

        Parameters
        ----------
        picture : ndarray of uint8, (rows, cols, 3)
            RGB at about the network's resolution, of any size: what lacks to a multiple of
            :attr:`UnetSpec.factor` is mirrored.
        """
        rows, cols = picture.shape[:2]
        pad = [(0, -side % self.spec.factor) for side in (rows, cols)]
        padded = np.pad(picture, [*pad, (0, 0)], mode="symmetric")
        x = torch.from_numpy(padded).to(self.device).permute(2, 0, 1)[None].float() / 127.5 - 1
        x = x.to(memory_format=torch.channels_last)
        kind = self.device.partition(":")[0]
        is_half = self.precision == "bfloat16"
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=is_half):
            logits = self.net(x)
        share: FloatArray = torch.sigmoid(logits.float())[0, :rows, :cols].cpu().numpy()
        return share


def iter_find(
    slide: Slide, predictor: Predictor, *, token: CancellationToken | None = None
) -> Generator[Progress, None, tuple[BoolArray, Grid, int]]:
    """Find tissue on a whole slide; memory holds a few windows and the mask.

    Parameters
    ----------
    slide : Slide
        Its pixel size must be known.
    predictor : Predictor
    token : CancellationToken, optional
        Asked at each window.

    Yields
    ------
    Progress

    Returns
    -------
    mask : ndarray of bool, (rows, cols)
    grid : Grid
        Where it lies.
    damaged : int
        Windows that cannot be read; nobody knows what is there, and they are taken for tissue.

    Raises
    ------
    MissingPixelSizeError
        If the slide's pixel size is not known.
    DamagedSlideError
        If no window can be read.
    CancelledError
        If `token` was cancelled.
    """
    token = token or CancellationToken()
    grid = Grid.near(slide, predictor.spec.mpp)
    looking = _Looking(grid, predictor)
    tops, lefts = (starts(side, WINDOW) for side in grid.shape)
    mask = np.empty(grid.shape, np.bool_)
    for number, top in enumerate(tops):
        for done, left in enumerate(lefts, start=number * len(lefts)):
            token.checkpoint()
            yield Progress(done, len(tops) * len(lefts), "looking for tissue", "windows")
            looking.look(RegionPx(top, left, WINDOW, WINDOW).intersect(RegionPx(0, 0, *grid.shape)))
        following = tops[number + 1] if number + 1 < len(tops) else grid.shape[0]
        mask[top:following] = looking.taken(following - top)
    if len(looking.failures) == len(tops) * len(lefts):
        raise looking.failures[0]
    return mask, grid, len(looking.failures)


@dataclass
class _Looking:
    """Rows of the mask that windows are being added to."""

    grid: Grid
    predictor: Predictor
    failures: list[DamagedSlideError] = field(default_factory=list)

    def __post_init__(self) -> None:
        rows = min(WINDOW, self.grid.shape[0])
        self._sums = np.zeros((rows, self.grid.shape[1]), np.float32)
        self._weights = np.zeros_like(self._sums)

    def look(self, window: RegionPx) -> None:
        """Add a window of the row that is worked on."""
        rows, cols = (weights(side, WINDOW) for side in (window.height, window.width))
        weight = rows[:, None] * cols
        part = slice(0, window.height), slice(window.x, window.right)
        self._sums[part] += weight * self._share(window)
        self._weights[part] += weight

    def _share(self, window: RegionPx) -> FloatArray | float:
        try:
            picture = self.grid.read(window)
        except DamagedSlideError as error:
            self.failures.append(error)
            return 1.0
        if (picture == picture[0, 0]).all():  # nothing was scanned
            return 0.0
        share = self.predictor.share(picture)
        share[(picture == 0).all(2) | (picture == 255).all(2)] = 0
        return share

    def taken(self, rows: int) -> BoolArray:
        """Return the uppermost rows, which no further window reaches, and go on below them."""
        done: BoolArray = self._sums[:rows] > THRESHOLD * self._weights[:rows]
        for values in (self._sums, self._weights):
            values[: len(values) - rows] = values[rows:].copy()
            values[len(values) - rows :] = 0
        return done
