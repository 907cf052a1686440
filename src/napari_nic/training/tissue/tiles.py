"""Pictures with masks of tissue, and the crops that training draws of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.training.tissue.augment import augment

UNKNOWN = 2
"""In a crop's mask: not judged."""


@dataclass(frozen=True, eq=False)
class MaskedPicture:
    """A picture and where its tissue is.

    Attributes
    ----------
    image : ndarray of uint8, (rows, cols, 3)
        RGB.
    mask : ndarray of uint8, (rows, cols)
        0 on glass, 1 on tissue, 2 where nobody knows.
    mpp : float
        um/px.
    group : str
        Slide or patient: pictures of one are never in training and validation both.
    """

    image: np.ndarray
    mask: np.ndarray
    mpp: float
    group: str

    def __post_init__(self) -> None:
        if self.image.shape[:2] != self.mask.shape or self.image.shape[2:] != (3,):
            raise InvalidParameterError(
                "a picture and its mask are not of one size",
                expected=f"{self.image.shape[0]} x {self.image.shape[1]}",
                found=" x ".join(str(side) for side in self.mask.shape),
            )


@dataclass(frozen=True, eq=False)
class MaskedBatch:
    """Crops drawn together.

    Attributes
    ----------
    images : ndarray of uint8, (n, s, s, 3)
    masks : ndarray of uint8, (n, s, s)
        As of :class:`MaskedPicture`.
    """

    images: np.ndarray
    masks: np.ndarray


class TissueTiles:
    """Crops of pictures, as many of each magnification as of any other, in expectation.

    Parameters
    ----------
    pictures : sequence of MaskedPicture
    size : int
        Side of a crop, px; what a smaller picture lacks is mirrored.
    augmented : bool
    """

    class_names = ("glass", "tissue")

    def __init__(self, pictures: Sequence[MaskedPicture], size: int, *, augmented: bool) -> None:
        if not pictures:
            raise InvalidParameterError("no pictures with masks of tissue to draw from")
        self.size, self.augmented = size, augmented
        by_mpp: dict[float, list[MaskedPicture]] = {}
        for picture in pictures:
            by_mpp.setdefault(round(picture.mpp, 3), []).append(picture)
        self._by_mpp = [by_mpp[mpp] for mpp in sorted(by_mpp)]

    @property
    def magnifications(self) -> tuple[float, ...]:
        """The resolutions there are, um/px."""
        return tuple(pictures[0].mpp for pictures in self._by_mpp)

    def draw(self, count: int, rng: np.random.Generator) -> MaskedBatch:
        """Draw crops."""
        crops = [self._crop(rng) for _ in range(count)]
        return MaskedBatch(np.stack([image for image, _ in crops]), np.stack([mask for _, mask in crops]))

    def _crop(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        pictures = self._by_mpp[rng.integers(len(self._by_mpp))]
        picture = pictures[rng.integers(len(pictures))]
        pad = [(0, max(0, self.size - side)) for side in picture.mask.shape]
        image, mask = picture.image, picture.mask
        if any(after for _, after in pad):
            image, mask = np.pad(image, [*pad, (0, 0)], mode="symmetric"), np.pad(mask, pad, mode="symmetric")
        top, left = (int(rng.integers(side - self.size + 1)) for side in mask.shape)
        part = slice(top, top + self.size), slice(left, left + self.size)
        image, mask = image[part], mask[part]
        if self.augmented:
            return augment(image, mask, rng)
        return np.ascontiguousarray(image), np.ascontiguousarray(mask)


def split_pictures(
    pictures: Sequence[MaskedPicture], *, held_out: float, seed: int
) -> tuple[list[MaskedPicture], list[MaskedPicture]]:
    """Hold whole groups out: about a share of them, at least one where there are two or more."""
    groups = sorted({picture.group for picture in pictures})
    order = np.random.default_rng(seed).permutation(len(groups))
    count = min(len(groups) - 1, max(1, round(held_out * len(groups)))) if held_out else 0
    away = {groups[index] for index in order[:count]}
    kept = [picture for picture in pictures if picture.group not in away]
    return kept, [picture for picture in pictures if picture.group in away]
