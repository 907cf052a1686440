"""One slide made by code for every registered reader."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zarr
from PIL import Image


def write_ome_zarr(
    path: Path, image: np.ndarray, *, version: str = "0.5", chunk: int = 200, unit: str | None = "micrometer"
) -> Path:
    """Write an OME-Zarr of two levels at 0.5 um/px with axes c, y, x."""
    zarr_format = 3 if version == "0.5" else 2
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    datasets = []
    for index, factor in enumerate((1, 2)):
        height, width = (side // factor * factor for side in image.shape[:2])
        blocks = image[:height, :width].reshape(height // factor, factor, width // factor, factor, 3)
        level = np.rint(blocks.mean((1, 3))).astype(np.uint8)
        group.create_array(str(index), data=np.moveaxis(level, -1, 0), chunks=(3, chunk, chunk))
        scale = [1, 0.5 * factor, 0.5 * factor]
        datasets.append(
            {"path": str(index), "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        )
    space = {"type": "space"} | ({} if unit is None else {"unit": unit})
    axes = [{"name": "c", "type": "channel"}, {"name": "y"} | space, {"name": "x"} | space]
    multiscales = [{"name": "made", "axes": axes, "datasets": datasets}]
    if version == "0.5":
        group.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    else:
        group.attrs["multiscales"] = [multiscales[0] | {"version": version}]
    return path


@pytest.fixture(scope="session")
def make_ome_zarr() -> Callable[..., Path]:
    """``make_ome_zarr(path, image, version="0.5", chunk=200, unit="micrometer")`` -> path."""
    return write_ome_zarr


@pytest.fixture(scope="session")
def small_image(make_tissue: Callable[..., np.ndarray]) -> np.ndarray:
    """A picture of odd size, (701, 903, 3)."""
    return make_tissue(701, 903, seed=3)


@pytest.fixture(scope="session")
def reader_files(
    tmp_path_factory: pytest.TempPathFactory,
    small_image: np.ndarray,
    make_tiff: Callable[..., Path],
) -> dict[str, Path]:
    """A lossless slide of `small_image` for each reader, by the reader's name."""
    folder = tmp_path_factory.mktemp("readers")
    tiff = make_tiff(folder / "tiled.tif", small_image, tile=208, compression="zlib")
    Image.fromarray(small_image).save(folder / "plain.png", dpi=(50_800, 50_800))
    return {
        "tiff": tiff,
        "openslide": tiff,
        "omezarr": write_ome_zarr(folder / "folder.ome.zarr", small_image),
        "plain": folder / "plain.png",
    }
