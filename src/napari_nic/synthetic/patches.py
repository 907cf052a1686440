"""Patches of synthetic tissue, for training and trying encoders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import RegionPx
from napari_nic.synthetic.histology import Scene
from napari_nic.synthetic.spec import Lesion, SyntheticSlideSpec

SCENE_SIDES = 8
"""Side of a scene that patches are cut from, in patches."""

SMALLEST_SCENE = 1024
PATCHES_PER_SCENE = 48
"""Patches that share one scene, and so one stain and one tissue."""

SCENE_COVERAGE = 0.72
"""Leaves some glass, so that borders of the tissue are among the patches."""

SCENE_LESION = 0.35


@dataclass(frozen=True, eq=False)
class PatchSet:
    """Patches and what is known about them.

    Attributes
    ----------
    images : ndarray of uint8, (n, size, size, 3)
        RGB.
    lesion : ndarray of float32, (n,)
        Share of each patch that lies in a lesion.
    scene : ndarray of int, (n,)
        Patches of the same number come from the same scene: split by it, never within it.
    """

    images: np.ndarray
    lesion: np.ndarray
    scene: np.ndarray

    @property
    def labels(self) -> np.ndarray:
        """1 where at least half of the patch is lesion, else 0: ndarray of int64, (n,)."""
        return (self.lesion >= 0.5).astype(np.int64)


def synthetic_patches(n: int, size: int = 128, seed: int = 0, *, mpp: float = 0.5) -> np.ndarray:
    """Return patches of synthetic tissue: ndarray of uint8, (n, size, size, 3).

    See :func:`synthetic_patch_set`.
    """
    return synthetic_patch_set(n, size, seed, mpp=mpp).images


def synthetic_patch_set(n: int, size: int = 128, seed: int = 0, *, mpp: float = 0.5) -> PatchSet:
    """Cut patches at random from many scenes, each with its own stain.

    Parameters
    ----------
    n : int
        Number of patches.
    size : int
        Side in pixels at `mpp`.
    seed : int
        Equal seeds give equal patches; the first ones stay the same when `n` grows.
    mpp : float
        Micrometres per pixel.

    Raises
    ------
    InvalidParameterError
        If `n` is negative or `size` is not positive.
    """
    if n < 0 or size < 1:
        raise InvalidParameterError("no such patches", expected="n >= 0, size >= 1", found=f"{n}, {size}")
    patches = np.empty((n, size, size, 3), np.uint8)
    lesion = np.zeros(n, np.float32)
    for start in range(0, n, PATCHES_PER_SCENE):
        stop = min(n, start + PATCHES_PER_SCENE)
        rng = np.random.default_rng((seed, start // PATCHES_PER_SCENE))
        scene = _draw_scene(size, mpp, rng)
        _cut_patches(scene, rng, patches[start:stop], lesion[start:stop])
    return PatchSet(patches, lesion, np.arange(n) // PATCHES_PER_SCENE)


def _draw_scene(size: int, mpp: float, rng: np.random.Generator) -> Scene:
    side = max(SMALLEST_SCENE, SCENE_SIDES * size)
    spec = SyntheticSlideSpec(
        side,
        side,
        mpp=mpp,
        seed=int(rng.integers(2**31)),
        lesions=(Lesion(SCENE_LESION),),
        coverage=SCENE_COVERAGE,
        fat=float(rng.uniform(0, 0.3)),
        lymphoid=float(rng.uniform(0, 0.12)),
        gland_spacing_um=float(rng.uniform(110, 220)),
    )
    return Scene(spec)


def _cut_patches(scene: Scene, rng: np.random.Generator, patches: np.ndarray, lesion: np.ndarray) -> None:
    """Fill arrays with patches whose centre lies in tissue, and with the lesion's share of each."""
    size, side = patches.shape[1], scene.spec.height
    image = scene.read(RegionPx(0, 0, side, side))
    area = shapely.union_all(scene.lesion_polygons())
    shapely.prepare(area)
    for index in range(len(patches)):
        y, x = _tissue_corner(scene, size, rng)
        patches[index] = image[y : y + size, x : x + size]
        lesion[index] = area.intersection(shapely.box(x, y, x + size, y + size)).area / size**2


def _tissue_corner(scene: Scene, size: int, rng: np.random.Generator) -> tuple[int, int]:
    """Draw the corner of a patch whose centre lies in tissue."""
    limit = scene.spec.height - size + 1
    while True:
        y, x = (int(value) for value in rng.integers(0, limit, 2))
        if scene.is_tissue(y + size / 2, x + size / 2):
            return y, x
