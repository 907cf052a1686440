"""Bags of features as slideflow keeps them: ``{slide}.pt``, ``{slide}.index.npz`` and ``bags_config.json``.

The index holds the **centres** of the tiles, (x, y) in level-0 pixels; how large a tile is there follows from
its micrometres (or its magnification) in the configuration, and the slide's pixel size.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.descriptions import is_finite, is_whole, read_json
from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.coordinates import corners_yx
from napari_nic.embeddings.interchange.numpy_files import open_archive
from napari_nic.embeddings.interchange.partners import partner_of, stem_of
from napari_nic.embeddings.interchange.placing import commonest_distance
from napari_nic.embeddings.interchange.registry import Importer
from napari_nic.embeddings.interchange.table import (
    HEADER_ATTRIBUTE,
    UM_PER_PX_AT_1X,
    ForeignCodes,
    ImportHints,
    header_from_text,
    needs_slide,
    side_px,
)
from napari_nic.embeddings.interchange.tensors import open_tensor
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken
from napari_nic.names import TENSOR_SUFFIXES, has_suffix

INDEX = "{stem}.index.npz"
CONFIG = "bags_config.json"

_MOST_PARTS = 4
"""Most tiles that may begin within one: with more, a stride does not tell the side."""

_NEAR = 0.12
"""A level counts as a magnification if it is that near: slideflow takes one within 2x of 20x."""


def recognises(path: Path) -> bool:
    """Whether it is a bag with its index beside it."""
    return has_suffix(path, *TENSOR_SUFFIXES) and path.with_name(INDEX.format(stem=stem_of(path))).is_file()


@contextmanager
def read(path: Path, hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read a bag; its index and configuration lie beside it or where `hints` says."""
    index, config_file = _partners(path, hints)
    token.checkpoint()
    with open_archive(index) as archive:
        names = archive.names - {HEADER_ATTRIBUTE}
        centres = corners_yx(
            archive.read("arr_0" if "arr_0" in names else min(names, default="arr_0")), index
        )
        header = header_from_text(archive.text(HEADER_ATTRIBUTE), index)
    config = _config(config_file)
    side, mpp = _side(config, centres, config_file, path, header=header, hints=hints)
    yield ForeignCodes(
        features=open_tensor(path),
        corners=centres - side // 2,  # slideflow adds half a side and cuts off the half pixel
        patch=side,
        patch_size=config["tile_px"],
        mpp=mpp,
        encoder_name=_encoder(config),
        slide_name=stem_of(path),
        header=header,
    )


def files(path: Path, hints: ImportHints) -> tuple[Path, ...]:
    """Bag, index and configuration."""
    return path, *_partners(path, hints)


def _partners(path: Path, hints: ImportHints) -> tuple[Path, Path]:
    index = partner_of(path, hints, INDEX)
    if index is None:
        raise StoreError(
            "a bag of slideflow without the places of its tiles",
            path=path,
            expected=f"{INDEX.format(stem=stem_of(path))} beside it",
            hint="copy it there, or name it (import --coords)",
        )
    for folder in (path.parent, index.parent):
        if (folder / CONFIG).is_file():
            return index, folder / CONFIG
    raise StoreError(
        "a bag of slideflow without its configuration, which says how large the tiles are",
        path=path,
        expected=f"{CONFIG} beside it",
    )


def _config(file: Path) -> Mapping[str, Any]:
    config = read_json(file, StoreError, what="slideflow's configuration")
    if not isinstance(config, dict) or not is_whole(config.get("tile_px"), 10**5):
        raise StoreError(
            "slideflow's configuration does not say how large the tiles are", path=file, expected="tile_px"
        )
    return config


def _side(
    config: Mapping[str, Any],
    centres: np.ndarray,
    config_file: Path,
    path: Path,
    *,
    header: StoreHeader | None,
    hints: ImportHints,
) -> tuple[int, float]:
    """Side of a tile in level-0 pixels, and the resolution that was asked for."""
    if header is not None:  # the configuration is that of a folder, and its um are not this slide's to the px
        return side_px(header.grid), header.grid.mpp
    pixel = hints.pixel_size
    if pixel is None:
        raise needs_slide(path, "its places are centres of tiles whose side is stated in micrometres")
    size, pixels = config.get("tile_um"), config["tile_px"]
    if isinstance(size, int | float) and is_finite(size) and size > 0:
        return int(size / pixel.mean), size / pixels
    power = re.fullmatch(r"(\d+(?:\.\d+)?)x", str(size).strip().lower())
    if power is None or float(power[1]) <= 0:
        raise StoreError(
            "slideflow's configuration does not say how large the tiles are",
            path=config_file,
            expected='tile_um, a number or text like "20x"',
            found=repr(size)[:80],
        )
    mpp = UM_PER_PX_AT_1X / float(power[1])
    return _of_a_level(centres, pixels * mpp / pixel.mean, path), mpp


def _of_a_level(centres: np.ndarray, nominal: float, path: Path) -> int:
    """Side of tiles cut from the level nearest to a magnification: a small multiple of their distance."""
    distance = commonest_distance(centres)
    if not len(centres):
        return round(nominal)
    parts = round(nominal / min(distance)) if distance else 0
    if distance is None or not 1 <= parts <= _MOST_PARTS or abs(parts * min(distance) / nominal - 1) > _NEAR:
        raise StoreError(
            "the side of the tiles is stated as a magnification only, and their places do not tell it",
            path=path,
            expected=f"tiles of about {nominal:g} px side by side",
            found="no two neighbours" if distance is None else f"tiles every {min(distance)} px",
        )
    return parts * min(distance)


def _encoder(config: Mapping[str, Any]) -> str:
    extractor = config.get("extractor")
    name = extractor.get("class") if isinstance(extractor, dict) else None
    return str(name).rpartition(".")[2][:200] if name else "unknown (slideflow bag)"


IMPORTER = Importer("slideflow bag (.pt)", recognises, read, files)
