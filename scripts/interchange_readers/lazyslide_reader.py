"""Read an export by LazySlide: its own table, and one that was added to a folder that it wrote.

python lazyslide_reader.py CASE prepare|read
"""

from __future__ import annotations

import importlib.metadata
import sys
from pathlib import Path

import lazyslide
import numpy as np
from truth import Truth
from wsidata import open_wsi

KEY = "nic-default"


def prepare(slide: Path, _truth: Truth) -> None:
    """Write a folder with tissue and tiles of LazySlide's own."""
    store = slide.parent / "lazyslide.zarr"
    wsi = open_wsi(str(slide), store=str(store))
    lazyslide.pp.find_tissues(wsi)
    lazyslide.pp.tile_tissues(wsi, 64, stride_px=64)
    wsi.write(str(store), overwrite=True)
    print(f"{len(wsi['tissues'])} tissues, {len(wsi['tiles'])} tiles")


def read(slide: Path, truth: Truth) -> None:
    """Read both folders, and let LazySlide pool the codes of a slide."""
    exported = next((slide.parent / "wsidata").glob("*.zarr"))
    for store, tiles in ((exported, "tiles"), (slide.parent / "lazyslide.zarr", "nic_tiles")):
        wsi = open_wsi(str(slide), store=str(store))
        spec = wsi.tile_spec(tiles)
        assert (spec.base_width, spec.base_stride_width) == (truth.side, truth.step), spec
        table = wsi.fetch.features_anndata(KEY, tile_key=tiles)
        truth.compare(table.obsm["spatial"], table.X)
        picture = next(iter(wsi.iter.tile_images(tiles))).image
        assert picture.shape[:2] == (spec.height, spec.width), picture.shape
        lazyslide.tl.feature_aggregation(wsi, feature_key=KEY, tile_key=tiles, encoder="mean")
        pooled = np.ravel(wsi.tables[f"{KEY}_{tiles}"].varm["agg_slide"])
        np.testing.assert_allclose(pooled, truth.codes.mean(axis=0), rtol=1e-3, atol=1e-4)
    assert {"tissues", "tiles", "nic_tiles"} <= set(wsi.shapes)
    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("lazyslide", "wsidata"))
    print(f"{versions}: {len(truth)} tiles at their places, also in a folder of its own; pooled")


case = Path(sys.argv[1])
{"prepare": prepare, "read": read}[sys.argv[2]](next(case.glob("*.tif")), Truth(case))
