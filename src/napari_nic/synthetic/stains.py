"""From amounts of dye to colours: the law of Lambert and Beer with two dyes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

HAEMATOXYLIN = (0.57, 0.73, 0.28)
EOSIN = (0.16, 0.84, 0.36)
"""Optical density of each dye in red, green, blue: between the reference stains of Ruifrok & Johnston 2001
(Anal Quant Cytol Histol) and Macenko et al. 2009 (ISBI), as scanned slides are.
"""

GLASS = (243.0, 243.0, 243.0)
"""Colour of empty glass, as scanners' white balance leaves it."""

STAIN_STREAM = 7
"""Keeps the random numbers of the stain apart from those of the tissue."""


@dataclass(frozen=True)
class Stain:
    """The stain of one slide.

    Attributes
    ----------
    haematoxylin, eosin : (float, float, float)
        Optical density (base 10) in red, green, blue of one unit of the dye.
    glass : (float, float, float)
        RGB of empty glass.
    """

    haematoxylin: tuple[float, float, float] = HAEMATOXYLIN
    eosin: tuple[float, float, float] = EOSIN
    glass: tuple[float, float, float] = GLASS

    @classmethod
    def drawn(cls, seed: int, variation: float) -> Stain:
        """Draw a laboratory's stain.

        Parameters
        ----------
        seed : int
        variation : float
            Scales the deviations: at 1 the strength of each dye varies by about 16 %, its hue by 8 %.
        """
        rng = np.random.default_rng((STAIN_STREAM, seed))
        strength = np.exp(variation * rng.normal(0, 0.16, 2))
        hue = 1 + variation * rng.normal(0, 0.08, (2, 3))
        white = rng.normal(0, 2.5) + rng.normal(0, 0.7, 3)  # brightness, and a little tint
        glass = np.clip(np.array(GLASS) + variation * white, 232, 250)
        dyes = np.array([HAEMATOXYLIN, EOSIN]) * hue
        dyes *= strength[:, None]
        return cls(_triple(dyes[0]), _triple(dyes[1]), _triple(glass))

    def to_rgb(self, dyes: np.ndarray, light: np.ndarray | float = 1.0) -> np.ndarray:
        """Colour that a microscope camera sees.

        Parameters
        ----------
        dyes : ndarray of float32, (rows, cols, 2)
            Amounts of haematoxylin and eosin.
        light : ndarray of float32, (rows, cols) or float
            Relative brightness of the lamp.

        Returns
        -------
        ndarray of float32, (rows, cols, 3)
            RGB, 0 to 255.
        """
        mixing = -np.log(10) * np.array([self.haematoxylin, self.eosin]).T
        transmitted = cv2.exp(cv2.transform(dyes, mixing.astype(np.float32)))
        light = light[..., None] if isinstance(light, np.ndarray) else light
        transmitted *= np.array(self.glass, np.float32) * light
        return transmitted


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
