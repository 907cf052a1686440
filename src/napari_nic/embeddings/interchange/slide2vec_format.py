"""Features as slide2vec keeps them, with the places that hs2p wrote.

``tile_embeddings/{slide}.pt`` or ``.npz`` with ``{slide}.meta.json``, and ``tiles/{slide}.coordinates.npz``
(x, y, tile_index) with ``{slide}.coordinates.meta.json``; a class of tissue has a folder of its own in both.
Of a slide without tiles only the descriptions are written.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.embeddings.interchange.coordinates import matched
from napari_nic.embeddings.interchange.numpy_files import open_archive
from napari_nic.embeddings.interchange.partners import partner_of
from napari_nic.embeddings.interchange.registry import Importer
from napari_nic.embeddings.interchange.slide2vec_meta import (
    Embedding,
    Tiling,
    read_embedding,
    read_tiling,
)
from napari_nic.embeddings.interchange.table import ForeignCodes, ImportHints, Rows
from napari_nic.embeddings.interchange.tensors import open_tensor
from napari_nic.errors import StoreError
from napari_nic.geometry import PixelSize
from napari_nic.jobs import CancellationToken
from napari_nic.names import TENSOR_SUFFIXES, has_suffix, without_suffix

META = ".meta.json"
_PAYLOADS = (*TENSOR_SUFFIXES, ".npz")
_PLACES = ".coordinates.npz"
_MOST_SIBLINGS = 64


@dataclass(frozen=True)
class _Parts:
    """Files of one slide; what it lacks is None."""

    meta: Path
    payload: Path | None
    places: Path | None
    tiling: Path | None
    sibling: Path | None = None

    @property
    def all(self) -> tuple[Path, ...]:
        """Those that are there."""
        parts = (self.payload, self.meta, self.places, self.tiling, self.sibling)
        return tuple(part for part in parts if part is not None)


def recognises(path: Path) -> bool:
    """Whether it is a file of features with slide2vec's description beside it, or that description."""
    if has_suffix(path, f".coordinates{META}", _PLACES):
        return False
    if has_suffix(path, META):
        return path.is_file()
    return has_suffix(path, *_PAYLOADS) and _meta_of(path).is_file()


@contextmanager
def read(path: Path, hints: ImportHints, token: CancellationToken) -> Iterator[ForeignCodes]:
    """Read features of tiles; of slides, patients and regions are refused by name."""
    parts = _parts(path, hints)
    embedding = read_embedding(parts.meta)
    tiling = read_tiling(parts.tiling) if parts.tiling else Tiling()
    tiling.check_belongs_to(embedding, parts.meta)
    token.checkpoint()
    if parts.payload is None:
        yield _found(_no_rows(embedding, parts, hints), np.zeros((0, 2)), embedding, tiling)
        return
    with open_archive(parts.places or _missing_places(parts)) as places:
        xy = np.stack([places.read("x"), places.read("y")], axis=1)
        numbers = places.read("tile_index") if "tile_index" in places.names else None
    with _open_features(parts.payload) as (rows, order):
        corners = _in_order(xy[:, ::-1].astype(np.float64), numbers, order, parts.payload)
        yield _found(rows, corners, embedding, tiling)


def files(path: Path, hints: ImportHints) -> tuple[Path, ...]:
    """Features, places and their descriptions."""
    return _parts(path, hints).all


def _found(rows: Rows, corners: np.ndarray, embedding: Embedding, tiling: Tiling) -> ForeignCodes:
    spacing = tiling.spacing
    return ForeignCodes(
        features=rows,
        corners=corners,
        patch=embedding.tile_px or tiling.tile_px,
        stride=tiling.step_px,
        patch_size=embedding.patch_size,
        mpp=embedding.mpp,
        pixel_size=PixelSize(spacing, spacing, "slide2vec's description") if spacing else None,
        encoder_name=embedding.encoder,
        slide_name=embedding.slide,
        slide_shape=tiling.shape,
    )


def _meta_of(path: Path) -> Path:
    return path.with_name(without_suffix(path.name, _PAYLOADS) + META)


def _parts(path: Path, hints: ImportHints) -> _Parts:
    """Find the files of a slide from any of features and description."""
    meta = path if has_suffix(path, META) else _meta_of(path)
    stem = without_suffix(meta.name, (META,))
    payload = path if path != meta else _first(meta.with_name(stem + suffix) for suffix in _PAYLOADS)
    named = meta.with_name(f"{stem}.pt")
    folder = meta.parent.name
    where = "../tiles" if folder == "tile_embeddings" else f"../../tiles/{_plain(folder)}"
    patterns = (f"{where}/{{stem}}{_PLACES}", f"{{stem}}{_PLACES}")
    described = (f"{where}/{{stem}}.coordinates{META}", f"{{stem}}.coordinates{META}")
    if payload is None:  # of a slide without tiles the places may be missing
        return _Parts(meta, None, None, partner_of(named, ImportHints(), *described), _sibling(meta))
    places = partner_of(payload, hints, *patterns)
    tiling = places.with_name(without_suffix(places.name, (".npz",)) + META) if places else None
    return _Parts(meta, payload, places, tiling if tiling and tiling.is_file() else None)


def _plain(name: str) -> str:
    return name.replace("{", "{{").replace("}", "}}")


def _first(paths: Iterator[Path]) -> Path | None:
    return next((path for path in paths if path.is_file()), None)


def _sibling(meta: Path) -> Path | None:
    """Find another slide's description beside: it says how long a code is, an empty one's does not."""
    encoder = read_embedding(meta).encoder
    for other in sorted(meta.parent.glob(f"*{META}"))[:_MOST_SIBLINGS]:
        found = read_embedding(other)
        if found.code_size and found.encoder == encoder:
            return other
    return None


def _no_rows(embedding: Embedding, parts: _Parts, hints: ImportHints) -> Rows:
    """Return features (0, C) of a slide without tiles."""
    if embedding.count:
        raise StoreError(
            "the description of features that are not there",
            path=parts.meta,
            expected=f"features of {embedding.count} tiles beside it",
            found="neither .pt nor .npz",
        )
    known = embedding.code_size or (hints.encoder or {}).get("code_size")
    if known is None and parts.sibling is not None:
        known = read_embedding(parts.sibling).code_size
    if known is None:
        raise StoreError(
            "a slide without tiles, whose description does not say how long its codes would be",
            path=parts.meta,
            hint="import it beside the other slides of the same run",
        )
    return np.zeros((0, int(known)), np.float16)


def _missing_places(parts: _Parts) -> Path:
    stem = without_suffix(parts.meta.name, (META,))
    raise StoreError(
        "features of slide2vec without the places of their tiles",
        path=parts.payload,
        expected=f"tiles/{stem}{_PLACES} beside the folder {parts.meta.parent.name}",
        hint="name the file or its folder (import --coords)",
    )


@contextmanager
def _open_features(path: Path) -> Iterator[tuple[Rows, np.ndarray | None]]:
    """Open features (N, D), and the numbers of their tiles where they are in the file."""
    if not has_suffix(path, ".npz"):
        yield open_tensor(path), None
        return
    with open_archive(path) as archive:
        rows: Any = archive.rows("features")
        if len(rows.shape) != 2:
            raise StoreError("the features are no table", path=path, found=f"shape {rows.shape}")
        yield rows, archive.read("tile_index") if "tile_index" in archive.names else None


def _in_order(
    corners: np.ndarray, numbers: np.ndarray | None, order: np.ndarray | None, path: Path
) -> np.ndarray:
    """Corners in the order of the features, by the tiles' numbers where both files have them."""
    if numbers is None or order is None:
        return corners
    return np.asarray(corners[matched(numbers, order, path)])


IMPORTER = Importer("slide2vec features (.pt, .npz)", recognises, read, files)
