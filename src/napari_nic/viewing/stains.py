"""One stain of several in a picture: colour deconvolution for looking at, not for measuring.

Method of Ruifrok and Johnston (Quantification of histochemical staining by color deconvolution, Anal Quant
Cytol Histol 23:291, 2001): light is weakened by each stain by itself, so optical densities add up, and a
3 x 3 matrix takes them apart. A picture of one stain is what the tissue would look like with that one alone.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from napari_nic.errors import InvalidParameterError
from napari_nic.slides import RgbArray

Vector = tuple[float, float, float]

_STEPS = 8192
"""Amounts are looked up in a table of so many steps up to the largest that a pixel can have."""

_LEAST_ANGLE = math.radians(3)
"""Stains nearer to each other than this cannot be told apart: noise would be what is seen."""


@dataclass(frozen=True)
class StainSet:
    """The stains of a slide.

    Attributes
    ----------
    name : str
    stains : tuple of (str, (float, float, float))
        Two or three, each with its optical density in red, green and blue; of any length, not negative.
        With two, what is left is taken to be at right angles to both.

    Raises
    ------
    InvalidParameterError
        If vectors are missing, negative, or so alike that they cannot be told apart.
    """

    name: str
    stains: tuple[tuple[str, Vector], ...]

    def __post_init__(self) -> None:
        if len(self.stains) not in (2, 3):
            raise InvalidParameterError("a set has two or three stains", found=f"{len(self.stains)}")
        for name, vector in self.stains:
            if not (all(math.isfinite(v) and v >= 0 for v in vector) and any(vector)):
                raise InvalidParameterError(
                    f"the vector of {name} is none of a stain",
                    expected="three numbers that are not negative, and not all 0",
                    found=" ".join(f"{v:g}" for v in vector),
                )
        if _flatness(self._unit_vectors()) < math.sin(_LEAST_ANGLE):
            raise InvalidParameterError(
                "these stains are too much alike to be told apart",
                found="; ".join(" ".join(f"{v:g}" for v in vector) for _, vector in self.stains),
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the stains, in their order."""
        return tuple(name for name, _ in self.stains)

    def matrix(self) -> npt.NDArray[np.float64]:
        """Return (3, 3) with a unit vector of optical density for each stain in its rows."""
        return self._unit_vectors()

    def _unit_vectors(self) -> npt.NDArray[np.float64]:
        rows = np.array([vector for _, vector in self.stains], np.float64)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        if len(rows) == 2:
            rest = np.cross(rows[0], rows[1])
            length = np.linalg.norm(rest)
            rows = np.vstack([rows, rest / length if length > 0 else rest])
        return rows


def _flatness(rows: npt.NDArray[np.float64]) -> float:
    """Sine of the least angle between a stain and the plane or line of the others."""
    volume = abs(np.linalg.det(rows))
    areas = [np.linalg.norm(np.cross(rows[i - 1], rows[i - 2])) for i in range(3)]
    return min(float(volume / area) if area > 0 else 0.0 for area in areas)


HEMATOXYLIN: Vector = (0.65, 0.70, 0.29)
EOSIN: Vector = (0.07, 0.99, 0.11)
DAB: Vector = (0.27, 0.57, 0.78)
"""Vectors of Ruifrok and Johnston, as scikit-image has them (``skimage.color.rgb_from_hed``)."""

STAIN_SETS = (
    StainSet("H&E", (("Hematoxylin", HEMATOXYLIN), ("Eosin", EOSIN))),
    StainSet("H-DAB", (("Hematoxylin", HEMATOXYLIN), ("DAB", DAB))),
    StainSet("H&E and DAB", (("Hematoxylin", HEMATOXYLIN), ("Eosin", EOSIN), ("DAB", DAB))),
)

OWN = "Own"
"""Name of a set that the user gave vectors of."""


def parse_stains(text: str) -> StainSet:
    """Read vectors that a user typed: ``"0.65 0.70 0.29; 0.07 0.99 0.11"``, two or three of them.

    Raises
    ------
    InvalidParameterError
        If they are not numbers, or no stains.
    """
    vectors: list[Vector] = []
    for part in filter(str.strip, text.split(";")):
        try:
            numbers = [float(number) for number in re.split(r"[\s,]+", part.strip())]
            red, green, blue = numbers
        except ValueError:
            raise InvalidParameterError(
                "not a vector of a stain",
                expected="three numbers: optical density in red, green and blue",
                found=part.strip()[:60],
            ) from None
        vectors.append((red, green, blue))
    return StainSet(OWN, tuple((f"Stain {number}", vector) for number, vector in enumerate(vectors, 1)))


def format_stains(stains: StainSet) -> str:
    """Write vectors as :func:`parse_stains` reads them."""
    return "; ".join(" ".join(f"{v:g}" for v in vector) for _, vector in stains.stains)


def stain_picture(picture: RgbArray, stains: StainSet, index: int) -> RgbArray:
    """Show one stain of a picture in its colour, on white.

    Parameters
    ----------
    picture : ndarray of uint8, (rows, cols, 3)
        Stained tissue on white light: RGB of transmitted light.
    stains : StainSet
    index : int
        Of the stain in the set.

    Returns
    -------
    ndarray of uint8, (rows, cols, 3)
        ``255 exp(-max(c, 0) v)`` for the amount ``c`` of the stain and its vector ``v``; rounded.

    Raises
    ------
    InvalidParameterError
        If the set has no such stain.
    """
    if not 0 <= index < len(stains.stains):
        raise InvalidParameterError(
            f"{stains.name} has no stain {index}", found=f"{len(stains.stains)} stains"
        )
    rows = stains.matrix()
    weights = np.linalg.inv(rows)[:, index]
    scale = (_STEPS - 1) / (_DENSITIES.max() * np.maximum(weights, 0).sum())
    # The density of a value times the weight of its channel comes from one table for each channel.
    tables = (_DENSITIES[:, None] * weights * scale).astype(np.float32)
    amount = np.take(tables[:, 0], picture[..., 0])
    amount += np.take(tables[:, 1], picture[..., 1])
    amount += np.take(tables[:, 2], picture[..., 2])
    steps = np.clip(np.rint(amount, out=amount), 0, _STEPS - 1, out=amount).astype(np.uint16)
    colors = 255 * np.exp(-np.arange(_STEPS)[:, None] / scale * rows[index])
    return np.take(np.rint(colors).astype(np.uint8), steps, axis=0)


_DENSITIES = -np.log(np.maximum(np.arange(256), 1) / 255)
"""Optical density of each value of a channel; 0 counts as 1."""


@dataclass(frozen=True)
class Tone:
    """Brightness, contrast and gamma.

    Attributes
    ----------
    brightness : float
        Added to values of 0 to 1; -1 to 1.
    contrast : float
        -1 (grey) over 0 (as it is) to 1 (black and white): the slope around the middle is that of the angle
        ``(contrast + 1) 45`` degrees.
    gamma : float
        Above 1 the dark parts become lighter: ``out = in ** (1 / gamma)``; 0.1 to 10.

    Raises
    ------
    InvalidParameterError
        If one is out of its range.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    gamma: float = 1.0

    def __post_init__(self) -> None:
        fits = -1 <= self.brightness <= 1 and -1 <= self.contrast <= 1 and 0.1 <= self.gamma <= 10
        if not fits:
            raise InvalidParameterError(
                "brightness, contrast or gamma out of range",
                expected="brightness and contrast -1 to 1, gamma 0.1 to 10",
                found=f"{self.brightness:g}, {self.contrast:g}, {self.gamma:g}",
            )

    def table(self) -> npt.NDArray[np.uint8]:
        """Return what each of the 256 values becomes."""
        values = np.arange(256) / 255
        slope = math.tan((min(self.contrast, 0.99) + 1) * math.pi / 4)
        values = np.clip((values - 0.5) * slope + 0.5 + self.brightness, 0, 1) ** (1 / self.gamma)
        return np.rint(255 * values).astype(np.uint8)


@dataclass(frozen=True)
class Display:
    """How a slide is shown: which stain, and in which tone. Changes pixels of the screen, never those read.

    Attributes
    ----------
    tone : Tone
    stains : StainSet or None
        None shows all, as scanned.
    stain : int
        Which one of the set.
    """

    tone: Tone = Tone()
    stains: StainSet | None = None
    stain: int = 0

    @property
    def is_plain(self) -> bool:
        """Whether everything is shown as it is."""
        return self.stains is None and self.tone == Tone()

    def apply(self, picture: RgbArray) -> RgbArray:
        """Return a picture as it is shown, (rows, cols, 3) uint8; the stain is taken out first."""
        if self.stains is not None:
            picture = stain_picture(picture, self.stains, self.stain)
        if self.tone != Tone():
            picture = cv2.LUT(np.ascontiguousarray(picture), self.tone.table()).astype(np.uint8, copy=False)
        return picture
