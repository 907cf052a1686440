"""Files that LazySlide, slide2vec, TIAToolbox and slideflow's bags really are: each patch where it was cut.

The source files are read here by other means than the importers'.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import zarr

from napari_nic.embeddings import CompressedSlide, ImportHints, import_store
from napari_nic.embeddings.interchange import CodeTable, recognised_format
from napari_nic.errors import StoreError, StoreMismatchError
from napari_nic.slides import open_slide

TCGA = "TCGA-ZZ-0001-01Z-00-DX1.1A2B3C4D-0000-4111-8222-1234567890AB"
SMALL, THREE = "CMU-1-Small-Region", "three_islands_050"

pytestmark = pytest.mark.data


class Source(NamedTuple):
    """Rows of a source file: features, and corners (x, y) in level-0 pixels."""

    features: np.ndarray
    corners: np.ndarray


def lazyslide(path: Path) -> Source:
    parquet = pytest.importorskip("pyarrow.parquet")
    tiles = parquet.read_table(path / "shapes" / "tiles" / "shapes.parquet").to_pydict()
    corner = {}
    for number, wkb in zip(tiles["tile_id"], tiles["geometry"], strict=True):
        ring = np.frombuffer(wkb[13:], "<f8").reshape(-1, 2)  # byte order, type, rings, points
        corner[number] = ring.min(axis=0)
    table = zarr.open_group(path / "tables" / "tiny16_tiles", mode="r")
    return Source(table["X"][:], np.array([corner[number] for number in table["obs/tile_id"][:].tolist()]))


def slide2vec(path: Path) -> Source:
    places = np.load(path.parents[1] / "tiles" / f"{path.name.removesuffix('.pt')}.coordinates.npz")
    return Source(
        torch.load(path, weights_only=True).numpy(), np.stack([places["x"], places["y"]], 1).astype(float)
    )


def tiatoolbox(path: Path) -> Source:
    group = zarr.open_group(path, mode="r")
    mpp = 0.499 if SMALL in path.name else 0.2431
    return Source(group["features"][:], group["coordinates"][:, :2] * 0.5 / mpp)


def slideflow(path: Path) -> Source:
    index = np.load(path.with_name(f"{TCGA}.index.npz"))["arr_0"]
    return Source(torch.load(path, weights_only=True).numpy(), index - 526.0)  # half of int(256 / 0.2431)


S2V = "slide2vec_7.1.4_hs2p_6.1.0/tile_embeddings"
FILES: list[tuple[str, str, str, Callable[[Path], Source], dict[str, Any]]] = [
    ("wsidata", f"lazyslide_0.13.0/{SMALL}.zarr", SMALL, lazyslide, {}),
    ("slide2vec", f"{S2V}/{TCGA}.pt", TCGA, slide2vec, {}),
    ("slide2vec", f"{S2V}/{THREE}.pt", THREE, slide2vec, {}),
    ("tiatoolbox", f"tiatoolbox_2.1.3/{SMALL}.zarr", SMALL, tiatoolbox, {"mpp": 0.5}),
    ("tiatoolbox", f"tiatoolbox_2.1.3/{TCGA}.zarr", TCGA, tiatoolbox, {"mpp": 0.5}),
    ("slideflow", f"by_spec_slideflow_3.0_bag/{TCGA}.pt", TCGA, slideflow, {}),
]


def imported(file: Path, slide: Path, target: Path, **said: Any) -> tuple[CompressedSlide, tuple[int, int]]:
    with open_slide(slide) as opened:
        hints = ImportHints.of_slide(opened, **said)
    return import_store(file, target, hints=hints), hints.slide_shape or (0, 0)


@pytest.mark.parametrize(("format_", "name", "slide", "source", "said"), FILES)
def test_each_patch_lies_where_it_was_cut(
    data_dir, feature_slides, tmp_path, format_, name, slide, source, said
):
    file = data_dir / "features" / name
    assert recognised_format(file) == format_
    store, shape = imported(file, feature_slides[slide], tmp_path / "s.nic.zarr", **said)
    wanted = source(file)
    table = CodeTable.of(store)
    assert len(table) == len(wanted.features)
    step = store.grid.stride_px * np.array(store.grid.downsample)
    assert np.abs(store.offsets(table.cells) / step).max() <= 0.5
    assert store.header.slide_shape == shape
    codes = store.read()[tuple(table.cells.T)]
    apart = np.abs(table.corners_px[:, None, ::-1] - wanted.corners[None]).max(axis=2)
    at = apart.argmin(axis=0)
    assert (np.sort(at) == np.arange(len(at))).all()
    assert apart[at, np.arange(len(at))].max() <= 0.51
    assert (codes[at] == wanted.features.astype(np.float16)).all()


@pytest.mark.parametrize(
    ("name", "slide", "said"), [(file[1], file[2], file[4]) for file in FILES if file != FILES[3]]
)
def test_another_slide_is_refused(data_dir, feature_slides, tmp_path, name, slide, said):
    """Those that state size or pixels of their slide say so; others are off the smaller slide's picture."""
    other = SMALL if slide != SMALL else THREE
    with pytest.raises((StoreMismatchError, StoreError), match=r"another slide|outside of the slide|agree"):
        imported(data_dir / "features" / name, feature_slides[other], tmp_path / "s.nic.zarr", **said)
    assert not any(tmp_path.iterdir())


def test_what_is_needed_is_asked_for(data_dir, tmp_path):
    features = data_dir / "features"
    with pytest.raises(StoreError, match=r"(?s)pixel size of the slide is needed.*--slides"):
        import_store(features / FILES[5][1], tmp_path / "a.nic.zarr")
    with pytest.raises(StoreError, match=r"(?s)at which resolution.*um/px"):
        import_store(features / FILES[4][1], tmp_path / "b.nic.zarr")
    with pytest.raises(StoreError, match=r"(?s)pixel size of the slide is needed.*another resolution"):
        import_store(features / FILES[4][1], tmp_path / "c.nic.zarr", hints=ImportHints(mpp=0.5))
    with pytest.raises(StoreError, match=r"(?s)tiles \(hs2p\), without features.*tile_embeddings"):
        import_store(features / S2V / ".." / "tiles" / f"{THREE}.coordinates.npz", tmp_path / "d.nic.zarr")


def test_what_states_all_needs_no_slide(data_dir, tmp_path):
    store = import_store(data_dir / "features" / FILES[0][1], tmp_path / "a.nic.zarr")
    assert (store.header.slide_shape, store.grid.pixel_size.mean) == ((2967, 2220), 0.499)
    assert store.header.slide_name == SMALL
    store = import_store(data_dir / "features" / FILES[1][1], tmp_path / "b.nic.zarr")
    assert (store.header.slide_shape, store.grid.pixel_size.mean) == ((7000, 9000), 0.2431)
    assert store.header.slide_name == TCGA
