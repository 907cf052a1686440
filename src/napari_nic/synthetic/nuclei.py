"""Nuclei: a bank of ready-made sprites that are stamped into the haematoxylin plane."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

ORIENTATIONS = 24
VARIANTS = 14
BANK_STREAM = 11


@dataclass(frozen=True)
class NucleusKind:
    """How nuclei of one cell type look.

    Attributes
    ----------
    length_um, width_um : (float, float)
        Mean and standard deviation of the axes.
    irregular : float
        Relative deviation of the outline from an ellipse.
    density : (float, float)
        Range of the dye's amount.
    clumps : float
        Contrast of the chromatin.
    nucleoli : int
        Largest number of nucleoli.
    """

    length_um: tuple[float, float]
    width_um: tuple[float, float]
    irregular: float
    density: tuple[float, float]
    clumps: float
    nucleoli: int


KINDS = {
    "fibroblast": NucleusKind((14.0, 3.0), (3.2, 0.6), 0.05, (0.50, 0.80), 0.15, 0),
    "lymphocyte": NucleusKind((6.4, 0.5), (5.9, 0.5), 0.03, (0.62, 0.85), 0.25, 0),
    "epithelial": NucleusKind((9.0, 0.9), (6.0, 0.6), 0.03, (0.42, 0.62), 0.25, 1),
    "tumour": NucleusKind((11.5, 2.4), (8.0, 1.5), 0.07, (0.36, 0.80), 0.30, 3),
}
"""Sizes as in textbooks of histology: a lymphocyte's nucleus is about a red cell's width, 7 um."""


@lru_cache(maxsize=8)
def sprite_bank(kind: str, pixels_per_um: float) -> tuple[tuple[np.ndarray, ...], ...]:
    """Return sprites of one kind: ``bank[orientation][variant]`` float32 (side, side), side odd.

    Orientation i is an angle of ``i * pi / ORIENTATIONS`` from the x axis towards the y axis.
    """
    number = sorted(KINDS).index(kind)
    bank = []
    for orientation in range(ORIENTATIONS):
        angle = orientation * np.pi / ORIENTATIONS
        # The same stream at every orientation: a variant is one nucleus, turned.
        rng = np.random.default_rng((BANK_STREAM, number))
        sprites = tuple(_sprite(KINDS[kind], angle, pixels_per_um, rng) for _ in range(VARIANTS))
        bank.append(sprites)
    return tuple(bank)


def _sprite(kind: NucleusKind, angle: float, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Draw one nucleus; `scale` is pixels per micrometre."""
    half_long = max(2.0, rng.normal(*kind.length_um)) * scale / 2
    half_short = min(half_long, max(1.2, rng.normal(*kind.width_um)) * scale / 2)
    waves = rng.normal(0, kind.irregular, 4), rng.uniform(0, 2 * np.pi, 4)
    density, spots = rng.uniform(*kind.density), rng.integers(0, kind.nucleoli + 1)
    spot_places = rng.uniform(-0.45, 0.45, (kind.nucleoli, 2))
    chromatin_seed = rng.integers(2**32)

    reach = int(np.ceil(half_long * 1.35 + 1))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float64)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    theta = np.arctan2(across / half_short, along / half_long)
    outline = 1 + sum(
        a / (k + 1) * np.cos((k + 2) * theta + p) for k, (a, p) in enumerate(zip(*waves, strict=True))
    )
    depth = (outline - np.hypot(along / half_long, across / half_short)) * half_short
    body = 1 / (1 + np.exp(-2.6 * depth))

    noise = np.random.default_rng(chromatin_seed).standard_normal(y.shape)
    chromatin = cv2.GaussianBlur(noise, (0, 0), max(0.5, 0.55 * scale / 2 + 0.4))
    chromatin /= chromatin.std()
    rim = np.exp(-((depth - 0.5 * scale) ** 2) / (0.45 * scale) ** 2)
    amount = density * (1 + kind.clumps * chromatin * 0.6 + 0.22 * rim * (kind.clumps > 0.2))
    for u, v in spot_places[:spots]:
        distance = np.hypot(along - u * half_long, across - v * half_short)
        amount += 0.40 * np.exp(-((distance / (0.8 * scale)) ** 2))
    return np.ascontiguousarray(body * np.clip(amount, 0.2, 1.3), dtype=np.float32)


def stamp(plane: np.ndarray, sprites: list[np.ndarray], centers: np.ndarray) -> None:
    """Lay sprites into a plane, the denser value winning where nuclei overlap.

    Parameters
    ----------
    plane : ndarray of float32, (rows, cols)
        Changed in place.
    sprites : list of ndarray, (side, side)
    centers : ndarray of int, (n, 2)
        (row, col) of each sprite's centre; parts outside the plane are cut off.
    """
    rows, cols = plane.shape
    for sprite, (row, col) in zip(sprites, centers.tolist(), strict=True):
        reach = sprite.shape[0] // 2
        top, left = row - reach, col - reach
        bottom, right = row + reach + 1, col + reach + 1
        if top >= 0 and left >= 0 and bottom <= rows and right <= cols:
            view = plane[top:bottom, left:right]
            np.maximum(view, sprite, out=view)
        elif bottom > 0 and right > 0 and top < rows and left < cols:
            view = plane[max(top, 0) : bottom, max(left, 0) : right]
            part = sprite[max(-top, 0) :, max(-left, 0) :][: view.shape[0], : view.shape[1]]
            np.maximum(view, part, out=view)
