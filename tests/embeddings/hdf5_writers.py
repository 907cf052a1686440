"""Files as CLAM, TRIDENT, STAMP, AtlasPatch and Prov-GigaPath write them, with each one's own quirks.

Places are (x, y) of top left corners in level-0 pixels; features tell the patches apart: 8 numbers, the first
is the number of the patch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SIZE = 8
Places = np.ndarray


def grid(rows: int, cols: int, step: int, x: int = 0, y: int = 0) -> Places:
    """Places of a grid, column by column, as most programs write them."""
    return np.array([(x + c * step, y + r * step) for c in range(cols) for r in range(rows)], np.int64)


def islands(step: int = 256) -> Places:
    """Places in three pieces of tissue, each with a grid of its own from its outline's corner."""
    return np.concatenate(
        [
            grid(6, 5, step, 97, 211),
            grid(4, 7, step, 97 + 9 * step + 31, 50),
            grid(5, 5, step, 300, 211 + 9 * step + 70),
        ]
    )


def codes(count: int, dtype: Any = np.float32) -> np.ndarray:
    """Features (N, 8) of patches by their number."""
    return np.arange(count, dtype=dtype)[:, None] + np.arange(SIZE, dtype=dtype) / 8


def _file(path: Path) -> h5py.File:
    path.parent.mkdir(parents=True, exist_ok=True)
    return h5py.File(path, "w")


def _rows(file: h5py.File, name: str, values: np.ndarray, rows: int) -> h5py.Dataset:
    """Make a dataset as programs do that append to it batch by batch."""
    chunks, most = (rows, *values.shape[1:]), (None, *values.shape[1:])
    return file.create_dataset(name, data=values, chunks=chunks, maxshape=most)


# -- CLAM ------------------------------------------------------------------------------------------------


def clam_features(
    path: Path, places: Places, features: np.ndarray | None = None, dtype: Any = np.int32
) -> Path:
    """``h5_files/{slide}.h5``: no attribute at all; int32 since 2024, int64 before."""
    with _file(path) as file:
        _rows(file, "features", codes(len(places)) if features is None else features, 32)
        _rows(file, "coords", places.astype(dtype), 32)
    return path


def clam_patches(
    path: Path,
    places: Places,
    *,
    size: int = 256,
    level: int = 0,
    downsample: float = 1.0,
    level_dim: tuple[int, int] = (6000, 5000),
    **others: Any,
) -> Path:
    """``patches/{slide}.h5``; `level_dim` is (width, height) of the patches' level."""
    with _file(path) as file:
        _rows(file, "coords", places.astype(np.int64), 1).attrs.update(
            {
                "patch_size": size,
                "patch_level": level,
                "downsample": np.array([downsample, downsample]),
                "downsampled_level_dim": np.array(level_dim),
                "level_dim": np.array(level_dim),
                "name": path.stem,
                "save_path": "../RESULTS/patches",
                **others,
            }
        )
    return path


def clam_pictures(
    path: Path, places: Places, *, size: int = 4, downsample: float = 4.0, custom: int = 1
) -> Path:
    """``patches/{slide}.h5`` of old: pictures, and places in pixels of what the level is made to."""
    unit, level_dim = downsample * custom, np.array([6000, 5000]) // int(downsample)
    with _file(path) as file:
        pictures = file.create_dataset("imgs", (len(places), size, size, 3), np.uint8)
        pictures.attrs.update(
            {
                "patch_level": int(downsample > 1),
                "wsi_name": path.stem,
                "downsample": np.array([downsample, downsample]),
                "level_dim": level_dim,
                "downsampled_level_dim": level_dim // custom,
            }
        )
        _rows(file, "coords", (places // unit).astype(np.int32), 1)
    return path


def clam_block_map(path: Path, places: Places) -> Path:
    """``{slide}_blockmap.h5``, what heat maps are painted from."""
    with _file(path) as file:
        file["attention_scores"] = np.zeros((len(places), 1), np.float32)
        file["coords"] = places
    return path


def tensor(path: Path, features: Any) -> Path:
    """A ``.pt`` file: of CLAM, if it holds a tensor."""
    import torch

    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(features, path)
    return path


# -- TRIDENT ---------------------------------------------------------------------------------------------


def trident_attributes(version: tuple[int, ...] = (0, 3, 1), **changes: Any) -> dict[str, Any]:
    """What a version says of places of 256 px at 20x on a slide at 40x."""
    real = float if version >= (0, 2, 4) else int
    attributes = {
        "patch_size": 256,
        "patch_size_level0": real(512),
        "level0_magnification": 40,
        "target_magnification": real(20),
        "overlap": 0,
        "name": "t",
        "savetodir": "./job/20x_256px_0px_overlap",
    }
    if version >= (0, 2, 2):
        attributes |= {"level0_width": 9000, "level0_height": 8000}
    return attributes | changes


def trident(
    path: Path,
    places: Places,
    features: np.ndarray | None = None,
    *,
    version: tuple[int, ...] = (0, 3, 1),
    encoder: str | None = "uni_v1",
    **changes: Any,
) -> Path:
    """``features_{encoder}/{slide}.h5``, the attributes of the places copied from the file of patches."""
    features = codes(len(places)) if features is None else features
    with _file(path) as file:
        dataset = _rows(file, "features", features, 1)
        dataset.attrs.update({"name": "t", "savetodir": "./job"})
        if version >= (0, 2, 2) and encoder is not None:
            dataset.attrs["encoder"] = encoder
        _rows(file, "coords", places, 1).attrs.update(trident_attributes(version, **changes))
    return path


def trident_overlapping(rows: int, cols: int, patch: int, overlap: int, *, old: bool) -> Places:
    """Places with an overlap; `old` is before 0.2.3, where the first step was a whole patch."""

    def at(index: int) -> int:
        return index * patch - (max(0, index - 1) if old else index) * overlap

    return np.array([(at(c), at(r)) for c in range(cols) for r in range(rows)], np.int64)


# -- STAMP -----------------------------------------------------------------------------------------------


def stamp_geometry(mpp: float, tile_um: float = 256.0) -> tuple[int, int]:
    """(pixels of a tile, tiles of a side of a supertile)."""
    return math.ceil(tile_um / mpp), max(1, int(1024 * mpp // tile_um))


def stamp(
    path: Path,
    cells: np.ndarray,
    mpp: float,
    *,
    version: str = "2.5.0",
    tile_um: float = 256.0,
    tile_px: int = 224,
) -> tuple[Path, Places]:
    """A file of version 2: micrometres, supertiles in the order in which threads finished.

    `cells` is (N, 2) of (column, row). Returns the true places of the rows too.
    """
    side, count = stamp_geometry(mpp, tile_um)
    order = np.random.default_rng(0).permutation(len(cells))
    supertile, within = np.divmod(cells[order], count)
    um = supertile * count * side * mpp + within * tile_um
    with _file(path) as file:
        file["coords"] = um.astype(np.float32)
        file["feats"] = codes(len(cells), np.float16)[order]
        file.attrs.update(_stamp_attributes(version, tile_um, tile_px))
    return path, cells[order] * side


def _stamp_attributes(version: str, tile_um: float, tile_px: int) -> dict[str, Any]:
    attributes: dict[str, Any] = {"stamp_version": version, "extractor": "tiny16", "unit": "um"}
    if version.startswith("2.0"):
        return attributes | {"tile_size": tile_um, "extractor": "tiny16-d249c29a"}
    attributes |= {"tile_size_um": tile_um, "tile_size_px": tile_px}
    if version >= "2.2":
        attributes |= {"code_hash": "49b04e14"}
    return attributes | ({"feat_type": "tile"} if version >= "2.3" else {})


def stamp_1(
    path: Path, cells: np.ndarray, *, augmented: int = 0, info: Mapping[str, Any] | None = None
) -> Path:
    """A file of version 1: pixels of a picture at 256/224 um/px; each tile `augmented` times more."""
    numbers = np.repeat(np.arange(len(cells)), augmented + 1)
    is_augmented = np.arange(len(numbers)) % (augmented + 1) > 0
    features = codes(len(cells), np.float16)[numbers]
    features[is_augmented] += 500
    with _file(path) as file:
        file["coords"] = cells[numbers] * 224
        file["feats"] = features
        file["augmented"] = is_augmented
        file.attrs["extractor"] = "STAMP-extract-1.1.1_xiyuewang-ctranspath-7c998680"
    described = (
        {"extractor": "x", "normalized": True, "microns": 256, "patch_size": 224} if info is None else info
    )
    if described:
        (path.parent / "info.json").write_text(json.dumps(dict(described)))
    return path


def stamp_whole(path: Path, kind: str, shape: tuple[int, ...]) -> Path:
    """A file of one vector of a slide or patient."""
    with _file(path) as file:
        file["feats"] = np.ones(shape, np.float32)
        file.attrs.update({"version": "2.5.0", "encoder": "titan", "precision": "torch.float32"})
        file.attrs.update({"stamp_version": "2.5.0", "code_hash": "49b04e14", "feat_type": kind})
    return path


# -- AtlasPatch, Prov-GigaPath ---------------------------------------------------------------------------


def atlaspatch(path: Path, places: Places, features: Mapping[str, np.ndarray], *, side: int = 512) -> Path:
    """``patches/{slide}.h5``: five columns, a dataset for each encoder, attributes on the file."""
    columns = np.array([(x, y, side // 2, side // 2, 1) for x, y in places], np.int32).reshape(-1, 5)
    with _file(path) as file:
        file["coords"] = columns
        file["passports"] = np.array([f"{path.stem}__x{x}_y{y}" for x, y in places], "S160")
        group = file.create_group("features")
        for encoder, rows in features.items():
            group[encoder] = rows
        file.attrs.update(
            {"patch_size": 256, "patch_size_level0": side, "overlap": 0, "num_patches": len(places)}
        )
        file.attrs.update({"level0_magnification": 40, "target_magnification": 20})
        file.attrs.update({"level0_width": 9000, "level0_height": 8000, "wsi_path": "/data/slide.svs"})
    return path


def gigapath(path: Path, places: Places) -> Path:
    """Features of a batch of one slide, and places without attributes."""
    with _file(path) as file:
        file["features"] = codes(len(places))[None]
        file["coords"] = places
    return path
