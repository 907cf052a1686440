"""Overviews of synthetic slides whose tissue is known, with what misleads programs that look for it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.synthetic.glass_faults import (
    add_bubbles,
    add_dust,
    add_glass_edge,
    add_ink,
    add_lines,
    add_uneven_light,
)
from napari_nic.synthetic.histology import Scene
from napari_nic.synthetic.spec import SyntheticSlideSpec
from napari_nic.synthetic.stains import EOSIN, HAEMATOXYLIN, Stain

VARIANTS = ("plain", "pale fat", "dust", "pen", "uneven glass", "dark", "bright", "mixed")
"""What is difficult of an overview; ``mixed`` has any of the others."""

OVERVIEW_STREAM = 71
"""Keeps the random numbers of what lies on the glass apart from those of the tissue."""

DAB = (0.30, 0.47, 0.62)
COUNTERSTAIN = (0.33, 0.27, 0.13)
TRICHROME = ((0.75, 0.45, 0.15), (0.15, 0.75, 0.62))
SILVER = ((0.55, 0.60, 0.62), (0.45, 0.42, 0.32))
"""Optical densities in red, green, blue of other stains: immunohistochemistry, trichrome and silver."""


@dataclass(frozen=True)
class OverviewSpec:
    """An overview; equal specs give equal pixels.

    Attributes
    ----------
    seed : int
        Decides tissue, stain and faults.
    variant : str
        One of :data:`VARIANTS`.
    side : int
        Of the square, px.
    mpp : float
        um/px.
    """

    seed: int
    variant: str = "mixed"
    side: int = 768
    mpp: float = 4.0

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise InvalidParameterError(
                "no such variant of an overview", expected=", ".join(VARIANTS), found=self.variant
            )


@dataclass(frozen=True, eq=False)
class PaintedOverview:
    """A painted overview.

    Attributes
    ----------
    image : ndarray of uint8, (rows, cols, 3)
        RGB.
    tissue : ndarray of bool, (rows, cols)
        Where tissue was painted: fat and lumens too.
    hidden : ndarray of bool, (rows, cols)
        Where ink lies on it.
    mpp : float
        um/px.
    """

    image: np.ndarray
    tissue: np.ndarray
    hidden: np.ndarray
    mpp: float


def paint_overview(spec: OverviewSpec) -> PaintedOverview:
    """Paint an overview."""
    rng = np.random.default_rng((OVERVIEW_STREAM, spec.seed, VARIANTS.index(spec.variant)))
    has = _drawn_faults(spec.variant, rng)
    scene = Scene(_slide(spec, has, rng), _stain(has, rng))
    image = scene.read(scene.region).astype(np.float32)
    tissue = scene.tissue_mask(scene.region)
    if "pale fat" in has:
        _bleach(image, scene.fat_mask(scene.region), scene.stain.glass, rng.uniform(0.1, 0.6))
    hidden = _add_faults(image, has, spec.mpp, rng)
    _expose(image, has, rng)
    if rng.random() < 0.5:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.2))
    image += rng.normal(0, rng.uniform(0, 1.5), image.shape).astype(np.float32)
    return PaintedOverview(np.clip(image, 0, 255).astype(np.uint8), tissue, hidden & tissue, spec.mpp)


def _drawn_faults(variant: str, rng: np.random.Generator) -> set[str]:
    if variant != "mixed":
        return {variant}
    odds = {"pale fat": 0.4, "dust": 0.6, "pen": 0.25, "uneven glass": 0.5, "dark": 0.2, "bright": 0.2}
    found = {name for name, share in odds.items() if rng.random() < share}
    return found - {"dark"} if "bright" in found else found


def _slide(spec: OverviewSpec, has: set[str], rng: np.random.Generator) -> SyntheticSlideSpec:
    fat = rng.uniform(0.3, 0.65) if "pale fat" in has else rng.uniform(0, 0.25)
    return SyntheticSlideSpec(
        spec.side,
        spec.side,
        mpp=spec.mpp,
        seed=int(rng.integers(2**31)),
        pieces=int(rng.integers(1, 5)),
        coverage=float(rng.uniform(0.12, 0.6)),
        fat=float(fat),
        lymphoid=float(rng.uniform(0, 0.2)),
        gland_spacing_um=float(rng.choice([0.0, 190.0, 300.0])),
    )


def _stain(has: set[str], rng: np.random.Generator) -> Stain:
    """Haematoxylin and eosin mostly, of any strength; other stains now and then."""
    others = ((COUNTERSTAIN, DAB), TRICHROME, SILVER, (COUNTERSTAIN, COUNTERSTAIN))
    dyes = (HAEMATOXYLIN, EOSIN) if rng.random() < 0.75 else others[rng.integers(len(others))]
    strength = np.exp(rng.normal(0, 0.3, 2))
    if "bright" in has:
        strength *= 0.6
    hue = 1 + rng.normal(0, 0.1, (2, 3))
    density = np.clip(np.array(dyes) * hue * strength[:, None], 0.01, 2)
    glass = np.clip(rng.normal(241, 5) + rng.normal(0, 1.5, 3), 225, 254)
    one, other, light = (tuple(float(value) for value in row) for row in (*density, glass))
    return Stain(_triple(one), _triple(other), _triple(light))


def _triple(values: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue


def _bleach(image: np.ndarray, fat: np.ndarray, glass: tuple[float, float, float], share: float) -> None:
    """Leave of the walls of fat cells a share of their density."""
    light = np.array(glass, np.float32)
    density = np.log(np.clip(image[fat] / light, 1 / 255, None))
    image[fat] = light * np.exp(density * np.float32(share))


def _add_faults(image: np.ndarray, has: set[str], mpp: float, rng: np.random.Generator) -> np.ndarray:
    """Lay on it what there is beside tissue; return where ink is."""
    hidden = np.zeros(image.shape[:2], bool)
    if "dust" in has:
        add_dust(image, mpp, rng)
    if "uneven glass" in has:
        for fault in (add_bubbles, add_glass_edge, add_lines):
            if rng.random() < 0.5:
                fault(image, mpp, rng)
        add_uneven_light(image, mpp, rng)
    if "pen" in has:
        hidden = add_ink(image, mpp, rng)
    return hidden


def _expose(image: np.ndarray, has: set[str], rng: np.random.Generator) -> None:
    """Scan it too darkly or too brightly; what is too bright is cut off."""
    gain = 1.0
    if "dark" in has:
        gain = rng.uniform(0.5, 0.8)
    elif "bright" in has:
        gain = rng.uniform(1.03, 1.12)
    image *= np.float32(gain)
    image += np.float32(rng.normal(0, 1))
