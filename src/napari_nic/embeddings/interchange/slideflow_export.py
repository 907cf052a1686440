"""Exports as slideflow keeps bags: ``{slide}.pt``, ``{slide}.index.npz`` and ``bags_config.json``.

The bag is a tensor (N, D) float32; the index holds the **centres** of its tiles, (N, 2) int64 (x, y) in
level-0 pixels, and our header, which slideflow leaves alone. The configuration is of all bags of a folder: a
bag of another encoder does not go into it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.descriptions import read_json
from napari_nic.disk import replacing, write_text
from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.exporter import Exporter
from napari_nic.embeddings.interchange.naming import named_header
from napari_nic.embeddings.interchange.table import HEADER_ATTRIBUTE, CodeTable, header_to_text, side_px
from napari_nic.embeddings.interchange.tensor_writing import new_tensor
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken
from napari_nic.names import exists, safe_name

CONFIG = "bags_config.json"
_SAME_UM = 0.05
"""Tiles of slides whose pixels differ a little, and of one request."""


def write(store: CompressedSlide, path: Path, token: CancellationToken) -> None:
    """Write bag and index, and the folder's configuration if it has none.

    Raises
    ------
    StoreError
        If the folder holds bags of another encoder.
    """
    table, header = CodeTable.of(store), named_header(store)
    (index_path,), (config_path,) = companions(path), shared(path)
    config = _config(header)
    is_new = not _is_there(config_path, config)
    with new_tensor(path, token, columns=store.code_size) as add, replacing(index_path) as new_index:
        for _, codes in table.slabs(token):
            add(codes.astype(np.float32))
        with new_index.open("wb") as file:
            centres = table.coords_xy + side_px(header.grid) // 2
            header_text = np.array(header_to_text(header))
            np.savez(file, arr_0=centres, **{HEADER_ATTRIBUTE: header_text}, allow_pickle=False)
        if is_new:
            write_text(config_path, json.dumps(config))


def _config(header: StoreHeader) -> dict[str, Any]:
    grid = header.grid
    asked, mpp = header.encoder.get("mpp"), grid.mpp
    # As it was asked for, which is the same for all slides: their own pixels make it a little different.
    if isinstance(asked, int | float) and abs(asked / mpp - 1) <= _SAME_UM:
        mpp = float(asked)
    tile_um = round(grid.patch_size * mpp, 3)
    return {
        "extractor": {"class": header.encoder_name, "kwargs": {"tile_px": grid.patch_size}},
        "normalizer": None,
        "num_features": header.code_size,
        "tile_px": grid.patch_size,
        "tile_um": int(tile_um) if tile_um == int(tile_um) else tile_um,
    }


def _is_there(path: Path, config: dict[str, Any]) -> bool:
    """Whether the folder is configured already, for the same bags."""
    if not exists(path):
        return False
    found = read_json(path, StoreError, what="the configuration of the bags")
    extractor = found.get("extractor")
    name = extractor.get("class") if isinstance(extractor, dict) else extractor
    numbers = (name, found.get("num_features"), found.get("tile_px"))
    wanted = (config["extractor"]["class"], config["num_features"], config["tile_px"])
    um = found.get("tile_um")
    is_same_um = isinstance(um, int | float) and abs(um / config["tile_um"] - 1) <= _SAME_UM
    if numbers != wanted or not is_same_um:
        raise StoreError(
            "the folder holds bags of other tiles",
            path=path,
            expected=f"{wanted[0]}, {wanted[1]} numbers, {wanted[2]} px and {config['tile_um']:g} um",
            found=f"{str(name)[:80]}, {numbers[1]} numbers, {numbers[2]} px and {um} um",
            hint="choose another folder (--out)",
        )
    return True


def companions(path: Path) -> tuple[Path, ...]:
    """(index,) that belongs to a bag."""
    return (path.with_name(f"{path.name.removesuffix(path.suffix)}.index.npz"),)


def shared(path: Path) -> tuple[Path, ...]:
    """(configuration,) of all bags of the folder."""
    return (path.with_name(CONFIG),)


def default_name(header: StoreHeader) -> Path:
    """``{encoder}/{slide}.pt``."""
    return Path(safe_name(header.encoder_name), f"{safe_name(header.slide_name)}.pt")


EXPORTER = Exporter("slideflow bag (.pt)", ".pt", default_name, write, companions, shared)
