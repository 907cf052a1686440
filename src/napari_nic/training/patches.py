"""Training patches drawn at random from folders of tiles, from arrays and from slides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.grid import MPP_TOLERANCE

TILE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")


@dataclass(frozen=True)
class TileFolder:
    """A folder of tiles of one resolution.

    Attributes
    ----------
    path : Path
        Searched recursively; folders called ``masks`` are left out.
    mpp : float
        Of the tiles, um/px.
    """

    path: Path
    mpp: float


@dataclass(frozen=True)
class LoadedTiles:
    """Tiles at one resolution, and the files that could not be used.

    Attributes
    ----------
    images : tuple of ndarray of uint8, (h, w, 3)
    skipped : tuple of (Path, str)
        File and reason.
    """

    images: tuple[np.ndarray, ...]
    skipped: tuple[tuple[Path, str], ...]


def load_tiles(folders: Iterable[TileFolder], *, mpp: float, least_side: int) -> LoadedTiles:
    """Read tiles and bring them to one resolution by area averaging.

    Parameters
    ----------
    folders : iterable of TileFolder
    mpp : float
        Resolution wanted, um/px.
    least_side : int
        Tiles that are smaller than this after resampling are skipped.

    Raises
    ------
    InvalidParameterError
        If no tile at all can be used.
    """
    images: list[np.ndarray] = []
    skipped: list[tuple[Path, str]] = []
    for folder in folders:
        for file in _tile_files(folder.path):
            image = cv2.imread(str(file), cv2.IMREAD_COLOR)
            if image is None:
                skipped.append((file, "not a readable picture"))
                continue
            image = _resample(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), folder.mpp / mpp)
            if min(image.shape[:2]) < least_side:
                skipped.append((file, f"only {image.shape[1]} x {image.shape[0]} px at {mpp:g} um/px"))
                continue
            images.append(image)
    if not images:
        raise InvalidParameterError(
            "no tile can be used for training",
            expected=f"pictures of at least {least_side} px at {mpp:g} um/px",
            found="; ".join(f"{file}: {why}" for file, why in skipped[:5]) or "no picture files",
        )
    return LoadedTiles(tuple(images), tuple(skipped))


def _tile_files(folder: Path) -> list[Path]:
    files = (file for file in folder.rglob("*") if file.suffix.lower() in TILE_SUFFIXES)
    return sorted(file for file in files if "masks" not in file.relative_to(folder).parts)


def _resample(image: np.ndarray, factor: float) -> np.ndarray:
    if abs(factor - 1) <= MPP_TOLERANCE:
        return image
    size = (max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor)))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return cv2.resize(image, size, interpolation=method)


class PatchSampler:
    """Draw square patches at random positions; images weigh by the square root of their area.

    Parameters
    ----------
    images : sequence of ndarray of uint8, (h, w, 3)
        Each at least `size` on a side.
    size : int
        Side of a patch.
    seed : int
    least_tissue : float
        Patches with a smaller share of pixels darker than glass are drawn again (a few times).
    """

    GLASS = 225
    TRIES = 8

    def __init__(
        self, images: Sequence[np.ndarray], size: int, *, seed: int = 0, least_tissue: float = 0.2
    ) -> None:
        self._images = images
        self._size = size
        self._least_tissue = least_tissue
        self._rng = np.random.default_rng(seed)
        weights = np.sqrt([image.shape[0] * image.shape[1] for image in images])
        self._weights = weights / weights.sum()

    def draw(self, count: int) -> np.ndarray:
        """Return (count, size, size, 3) uint8."""
        chosen = self._rng.choice(len(self._images), count, p=self._weights)
        return np.stack([self._patch(self._images[index]) for index in chosen])

    def _patch(self, image: np.ndarray) -> np.ndarray:
        patch = image[: self._size, : self._size]
        for _ in range(self.TRIES):
            y = self._rng.integers(0, image.shape[0] - self._size + 1)
            x = self._rng.integers(0, image.shape[1] - self._size + 1)
            patch = image[y : y + self._size, x : x + self._size]
            if (patch[::4, ::4].min(2) < self.GLASS).mean() >= self._least_tissue:
                break
        return patch
