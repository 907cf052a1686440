"""slideflow's bags: corners from centres, and a tile's side from micrometres or a magnification."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_nic.embeddings import ImportHints, import_store
from napari_nic.embeddings.interchange import CodeTable, recognised_format
from napari_nic.errors import StoreError
from napari_nic.geometry import PixelSize

MPP = 0.2431
HINTS = ImportHints(pixel_size=PixelSize(MPP, MPP, "given"))


def write_bag(
    folder: Path, *, side: int, stride: int, count: int = 20, **config: Any
) -> tuple[Path, np.ndarray]:
    """A bag of tiles column by column; slideflow cuts off the half pixel of a centre."""
    folder.mkdir(exist_ok=True)
    xy = np.array([(stride * (k // 4 + 1), stride * (k % 4)) for k in range(count)])
    features = np.arange(count, dtype=np.float32)[:, None].repeat(8, axis=1)
    torch.save(torch.from_numpy(features), folder / "S.1.pt")
    np.savez(folder / "S.1.index.npz", (xy + side / 2).astype(np.int64))
    said = {
        "tile_px": 224,
        "tile_um": 256,
        "extractor": {"class": "slideflow.model.extractors.uni.UNIFeatures"},
    }
    (folder / "bags_config.json").write_text(json.dumps(said | config))
    return folder / "S.1.pt", xy


def check(file: Path, target: Path, xy: np.ndarray, **said: Any) -> Any:
    store = import_store(file, target, hints=ImportHints(pixel_size=HINTS.pixel_size, **said))
    table = CodeTable.of(store)
    numbers = store.read()[tuple(table.cells.T)][:, 0].astype(int)
    assert sorted(numbers) == list(range(len(xy)))
    assert (table.coords_xy == xy[numbers]).all()
    return store


@pytest.mark.parametrize(("um", "division"), [(256, 1), (256, 2), (302, 1), (128.0, 4)])
def test_corners_come_from_centres_and_micrometres(tmp_path, um, division):
    side = int(um / MPP)
    file, xy = write_bag(tmp_path / "bags", side=side, stride=side // division, tile_um=um)
    assert recognised_format(file) == "slideflow"
    store = check(file, tmp_path / "a.nic.zarr", xy)
    assert (store.grid.patch_px, store.grid.stride_px, store.grid.patch_size) == (side, side // division, 224)
    assert store.header.encoder["mpp"] == um / 224
    assert (store.header.encoder_name, store.header.slide_name) == ("UNIFeatures", "S.1")
    assert len(store.header.origin["files"]) == 3
    with pytest.raises(StoreError, match=r"(?s)pixel size of the slide.*--slides"):
        import_store(file, tmp_path / "b.nic.zarr")


@pytest.mark.parametrize(("division", "side"), [(1, 448), (2, 448), (1, 456)])
def test_a_magnification_is_that_of_a_level(tmp_path, division, side):
    """At 0.2431 um/px, 20x would be 461 px; slideflow reads the level of downsample 2: 448 px."""
    file, xy = write_bag(tmp_path / "bags", side=side, stride=side // division, tile_um="20x")
    store = check(file, tmp_path / "a.nic.zarr", xy)
    assert (store.grid.patch_px, store.header.encoder["mpp"]) == (side, 0.5)


def test_a_magnification_that_the_places_contradict_is_refused(tmp_path):
    file, _ = write_bag(tmp_path / "bags", side=300, stride=300, tile_um="20x")
    with pytest.raises(StoreError, match=r"(?s)magnification only.*about 460.*every 300 px"):
        import_store(file, tmp_path / "a.nic.zarr", hints=HINTS)
    file, _ = write_bag(tmp_path / "bags", side=448, stride=448, count=1, tile_um="20x")
    with pytest.raises(StoreError, match=r"(?s)magnification only.*no two neighbours"):
        import_store(file, tmp_path / "a.nic.zarr", hints=HINTS)


@pytest.mark.parametrize(
    "config", [{"tile_um": None}, {"tile_um": "large"}, {"tile_um": -1}, {"tile_px": "many"}]
)
def test_configurations_that_do_not_say_are_one_sentence(tmp_path, config):
    file, _ = write_bag(tmp_path / "bags", side=1053, stride=1053, **config)
    with pytest.raises(StoreError, match="does not say how large the tiles are"):
        import_store(file, tmp_path / "a.nic.zarr", hints=HINTS)


def test_what_is_missing_is_named(tmp_path):
    file, xy = write_bag(tmp_path / "bags", side=1053, stride=1053)
    config, index = file.with_name("bags_config.json"), file.with_name("S.1.index.npz")
    text = config.read_text()
    config.unlink()
    with pytest.raises(StoreError, match=r"(?s)without its configuration.*bags_config.json"):
        import_store(file, tmp_path / "a.nic.zarr", hints=HINTS)
    config.write_text(text)
    (tmp_path / "places").mkdir()
    index.rename(tmp_path / "places" / index.name)
    with pytest.raises(StoreError, match=r"(?s)without the places.*index.npz.*--coords"):
        import_store(file, tmp_path / "a.nic.zarr", hints=HINTS, format="slideflow")
    hints = ImportHints(pixel_size=HINTS.pixel_size, coords=tmp_path / "places")
    store = import_store(file, tmp_path / "a.nic.zarr", hints=hints, format="slideflow")
    assert store.encoded().sum() == len(xy)
    with pytest.raises(StoreError, match=r"(?s)bag's tiles \(slideflow\), without features.*S.1.pt"):
        import_store(tmp_path / "places" / index.name, tmp_path / "b.nic.zarr")


def test_shuffled_tiles_give_the_same_store(tmp_path):
    file, xy = write_bag(tmp_path / "bags", side=1053, stride=1053)
    first = import_store(file, tmp_path / "a.nic.zarr", hints=HINTS).read()
    order = np.random.default_rng(0).permutation(len(xy))
    torch.save(torch.load(file, weights_only=True)[torch.from_numpy(order)].clone(), file)
    np.savez(file.with_name("S.1.index.npz"), (xy + 1053 / 2).astype(np.int64)[order])
    assert (import_store(file, tmp_path / "b.nic.zarr", hints=HINTS).read() == first).all()
