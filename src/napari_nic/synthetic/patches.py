"""Patches of synthetic tissue, to train and to probe encoders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import RegionPx
from napari_nic.synthetic.histology import TILE, Scene
from napari_nic.synthetic.layout import FIELD_UM
from napari_nic.synthetic.spec import Lesion, SyntheticSlideSpec

PER_SCENE = 48
"""Patches cut from one piece of tissue, so that many stains and textures come together."""

SCENE_SIDE = 2 * TILE
LEAST_SHARE = 0.5
"""A patch is lesion when at least this share of it is; healthy ones hold none at all."""

LEAST_TISSUE = 0.3
BORDER_CHANCE = 0.3
"""How often a scene has glass around its tissue."""

PATCH_STREAM = 13
MAX_TRIES = 60


class Patches(NamedTuple):
    """Patches and what they show.

    Attributes
    ----------
    images : ndarray of uint8, (n, size, size, 3)
        RGB at 0.5 um/px.
    labels : ndarray of int64, (n,)
        0 healthy, 1 lesion.
    """

    images: np.ndarray
    labels: np.ndarray


def synthetic_patches(n: int, size: int = 128, seed: int = 0, *, mpp: float = 0.5) -> Patches:
    """Cut patches from many small pieces of synthetic tissue of different stains.

    Parameters
    ----------
    n : int
        Number of patches; half of them lesion, in random order.
    size : int
        Side in pixels.
    seed : int
        Equal seeds give equal patches.
    mpp : float
        Micrometres per pixel.

    Returns
    -------
    Patches
        Unpacks into ``images, labels``.

    Raises
    ------
    InvalidParameterError
        If `n` or `size` is not positive.
    """
    if n < 1 or size < 1:
        raise InvalidParameterError("number and side of patches must be positive", found=f"{n}, {size}")
    images = np.empty((n, size, size, 3), np.uint8)
    labels = np.empty(n, np.int64)
    for start, count, index in _batches(n):
        rng = np.random.default_rng((PATCH_STREAM, seed, index))
        scene = _scene(size, mpp, rng)
        _cut(scene, size, images[start : start + count], labels[start : start + count], rng)
    return Patches(images, labels)


def _batches(n: int) -> Iterator[tuple[int, int, int]]:
    for index, start in enumerate(range(0, n, PER_SCENE)):
        yield start, min(PER_SCENE, n - start), index


def _scene(size: int, mpp: float, rng: np.random.Generator) -> Scene:
    side = max(SCENE_SIDE, 3 * size)
    spec = SyntheticSlideSpec(
        height=side,
        width=side,
        mpp=mpp,
        seed=int(rng.integers(2**31)),
        lesions=(Lesion(float(rng.uniform(0.35, 0.5))),),
        coverage=0.66 if rng.random() < BORDER_CHANCE else 1.0,
        fat=float(rng.uniform(0.05, 0.25)),
        lymphoid=float(rng.uniform(0.02, 0.12)),
        gland_spacing_um=float(rng.uniform(150, 300)),
    )
    return Scene(spec)


def _cut(scene: Scene, size: int, images: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> None:
    """Fill `images` and `labels` from one scene, which is painted once."""
    spec = scene.spec
    picture = scene.read(RegionPx(0, 0, spec.height, spec.width))
    lesion, tissue = scene.layout.lesion_depth > 0, scene.layout.tissue > 0
    scale = FIELD_UM * spec.pixels_per_um
    for index in range(len(images)):
        wanted = bool(rng.integers(2))
        for _ in range(MAX_TRIES):
            y, x = rng.integers(0, [spec.height - size + 1, spec.width - size + 1]).tolist()
            window = (
                slice(int(y / scale), int((y + size) / scale) + 1),
                slice(int(x / scale), int((x + size) / scale) + 1),
            )
            share = float(lesion[window].mean())
            fits = share >= LEAST_SHARE if wanted else share == 0
            if fits and tissue[window].mean() >= LEAST_TISSUE:
                break
        images[index] = picture[y : y + size, x : x + size]
        labels[index] = share >= LEAST_SHARE
