"""Places of CLAM's patches: beside the features, or in the file of patches that they were extracted at.

CLAM's files of features hold positions and nothing else. The side of the patches, their level and the size
of the slide are in ``patches/{slide}.h5`` of its results, which lies in another folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.embeddings.interchange.hdf5 import (
    checked_matrix,
    existing_file,
    read_corners,
    read_count,
    read_number,
    read_text,
)
from napari_nic.embeddings.interchange.hdf5_contents import dataset_of, without_features
from napari_nic.embeddings.interchange.partners import partner_of
from napari_nic.embeddings.interchange.table import ImportHints
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken

if TYPE_CHECKING:
    import h5py

PATCHES = ("../../patches/{stem}.h5", "../patches/{stem}.h5", "{stem}_patches.h5")


@dataclass(frozen=True)
class Cut:
    """How patches were cut.

    Attributes
    ----------
    unit_px : (float, float)
        (y, x) level-0 pixels that the unit of their positions measures.
    patch : float, optional
        Their side in the unit.
    patch_size : int, optional
        Their side in pixels that the encoder saw.
    slide_name : str, optional
    slide_shape : (int, int), optional
        (height, width) of level 0, where they were cut from it.
    """

    unit_px: tuple[float, float] = (1.0, 1.0)
    patch: float | None = None
    patch_size: int | None = None
    slide_name: str | None = None
    slide_shape: tuple[int, int] | None = None


def patches_of(path: Path, hints: ImportHints) -> Path | None:
    """Find the file of patches that goes with a file of features; None where there is none."""
    return partner_of(path, hints, *PATCHES)


def read_patches(path: Path, token: CancellationToken) -> tuple[np.ndarray, Cut]:
    """Read a file of patches.

    Parameters
    ----------
    path : Path
        ``patches/{slide}.h5`` of any version of CLAM.
    token : CancellationToken

    Returns
    -------
    corners : ndarray of float64 or int32, (N, 2)
        (y, x) in the order of the file.
    cut : Cut

    Raises
    ------
    StoreError
        If the file holds no places of patches.
    """
    with existing_file(path) as file:
        if "coords" not in file:
            raise without_features(file, path)
        coords = checked_matrix(file, "coords", path)
        if coords.shape[1] != 2:
            raise StoreError("dataset 'coords' has not two columns", path=path, found=f"shape {coords.shape}")
        pictures = dataset_of(file, "imgs")
        if pictures is not None and pictures.ndim == 4:
            cut = _cut_of_pictures(pictures, path)
        else:
            cut = cut_of(dict(file["coords"].attrs), path)
        return read_corners(coords, token), cut


def cut_of(attributes: Mapping[str, Any], path: Path) -> Cut:
    """Read how patches were cut from the attributes of their coordinates, which are in level-0 pixels."""
    name = read_text(attributes, "name")
    if "patch_size" not in attributes:
        return Cut(slide_name=name)
    patch_size = read_count(attributes, "patch_size", path)
    custom = read_number(attributes, "custom_downsample", path, 1.0)  # of a patch, before it is encoded
    level = read_number(attributes, "patch_level", path, 0.0)
    side: float | None = None
    if "patch_size_level0" in attributes:
        side = read_number(attributes, "patch_size_level0", path)
    elif "downsample" in attributes:
        side = patch_size * custom * int(_pair(attributes, "downsample", path)[0])
    elif "patch_level" in attributes and level == 0:
        side = patch_size * custom
    is_whole = level == 0 and custom == 1
    return Cut(
        patch=side,
        patch_size=patch_size,
        slide_name=name,
        slide_shape=_shape(attributes, path) if is_whole else None,
    )


def _cut_of_pictures(pictures: h5py.Dataset, path: Path) -> Cut:
    """Read how the patches of an old file were cut: it keeps their pictures, and places on their level."""
    attributes = dict(pictures.attrs)
    down_x, down_y = _pair(attributes, "downsample", path) if "downsample" in attributes else (1.0, 1.0)
    custom = 1.0
    if {"level_dim", "downsampled_level_dim"} <= attributes.keys():
        whole, less = _pair(attributes, "level_dim", path), _pair(attributes, "downsampled_level_dim", path)
        custom = float(max(1, round(whole[0] / max(1.0, less[0]))))
    side = int(pictures.shape[1])
    is_whole = read_number(attributes, "patch_level", path, -1.0) == 0
    return Cut(
        unit_px=(max(1.0, down_y) * custom, max(1.0, down_x) * custom),
        patch=side,
        patch_size=side,
        slide_name=read_text(attributes, "wsi_name"),
        slide_shape=_shape(attributes, path) if is_whole else None,
    )


def _shape(attributes: Mapping[str, Any], path: Path) -> tuple[int, int] | None:
    """(height, width) of the level, whose pixels are written as (width, height)."""
    if "level_dim" not in attributes:
        return None
    width, height = (
        read_count({"level_dim": side}, "level_dim", path) for side in _pair(attributes, "level_dim", path)
    )
    return height, width


def _pair(attributes: Mapping[str, Any], name: str, path: Path) -> tuple[float, float]:
    """Get an attribute of (x, y), or of one number for both."""
    values = np.ravel(attributes[name])
    if len(values) not in (1, 2):
        raise StoreError(
            f"attribute {name!r} is no pair of numbers", path=path, found=f"{len(values)} values"
        )
    found = [read_number({name: value}, name, path) for value in values]
    return found[0], found[-1]


def check_same_places(corners: np.ndarray, patches: np.ndarray, path: Path, partner: Path) -> None:
    """Make sure that features were extracted at the patches of a file.

    Parameters
    ----------
    corners, patches : ndarray of numbers, (N, 2), (M, 2)
        Of the features, and of the file of patches.
    path, partner : Path

    Raises
    ------
    StoreError
        If patches have no features, or the places differ.
    """
    if len(corners) < len(patches):
        raise StoreError(
            "the features are fewer than the patches: their extraction was interrupted",
            path=path,
            expected=f"{len(patches):,} features, one for each patch of {partner}",
            found=f"{len(corners):,}",
            hint="extract the features of this slide again",
        )
    if len(corners) == len(patches) and np.array_equal(_sorted(corners), _sorted(patches)):
        return
    raise StoreError(
        "features and file of patches are of two runs: their places differ",
        path=path,
        expected=f"the {len(patches):,} places of {partner}",
        found=f"{len(corners):,} places, not all the same",
        hint="name the file of patches that they were extracted at (import --coords)",
    )


def _sorted(corners: np.ndarray) -> np.ndarray:
    return np.asarray(corners[np.lexsort((corners[:, 1], corners[:, 0]))])
