"""What slide2vec and hs2p say of features and tiles in the descriptions beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_nic.descriptions import is_finite, is_text, is_whole, read_json
from napari_nic.embeddings.interchange.table import no_patches_but_a_slide
from napari_nic.errors import StoreError, StoreMismatchError

_TILES = "tile_embeddings"
_OTHERS = {
    "hierarchical_embeddings": "features of regions (R, T, D), each of several tiles",
    "dense_embeddings": "maps of features of regions",
    "dense_image_embeddings": "maps of features of pictures",
    "image_embeddings": "the features of one picture",
}
_ONE_VECTOR = ("slide_embeddings", "patient_embeddings")
_MOST = 10**9


@dataclass(frozen=True)
class Embedding:
    """Description of a slide's features.

    Attributes
    ----------
    slide, encoder : str
    count : int
        Tiles.
    code_size : int, optional
        Numbers of a tile; not stated for a slide without tiles.
    tile_px : int, optional
        Side of a tile in level-0 pixels.
    patch_size : int, optional
        In pixels that the encoder saw.
    mpp : float, optional
        That was asked for.
    annotation : str, optional
        Class of tissue.
    """

    slide: str | None
    encoder: str
    count: int
    code_size: int | None
    tile_px: int | None
    patch_size: int | None
    mpp: float | None
    annotation: str | None


@dataclass(frozen=True)
class Tiling:
    """Description of a slide's tiles; all is None where there is none.

    Attributes
    ----------
    slide, annotation : str, optional
    shape : (int, int), optional
        (height, width) of level 0.
    spacing : float, optional
        um/px of level 0.
    tile_px, step_px : int, optional
        Side and distance of tiles in level-0 pixels.
    """

    slide: str | None = None
    annotation: str | None = None
    shape: tuple[int, int] | None = None
    spacing: float | None = None
    tile_px: int | None = None
    step_px: int | None = None

    def check_belongs_to(self, embedding: Embedding, path: Path) -> None:
        """Raise :class:`StoreMismatchError` if the tiles are of another slide, class or size."""
        pairs = (
            ("slide", self.slide, embedding.slide),
            ("class of tissue", self.annotation, embedding.annotation),
            ("side of the tiles", self.tile_px, embedding.tile_px),
        )
        for what, tiles, features in pairs:
            if None not in (tiles, features) and tiles != features:
                raise StoreMismatchError(
                    f"features and places are not of one {what}",
                    path=path,
                    expected=str(features)[:200],
                    found=f"{str(tiles)[:200]} in the tiles' description",
                )


def read_embedding(path: Path) -> Embedding:
    """Read ``{slide}.meta.json``.

    Raises
    ------
    StoreError
        If it describes anything but features of a slide's tiles: which is named.
    """
    data = _object(read_json(path, StoreError, what="slide2vec's description"), path)
    kind = data.get("artifact_type")
    if kind in _ONE_VECTOR:
        raise no_patches_but_a_slide(path, (_whole(data, "feature_dim", path) or 0,))
    if kind != _TILES:
        raise StoreError(
            f"{_OTHERS.get(str(kind), 'no features of tiles')}, written by slide2vec",
            path=path,
            expected=f"artifact_type {_TILES}",
            found=str(kind)[:80],
            hint="import the files in the folder tile_embeddings of that program",
        )
    return Embedding(
        slide=_text(data, "sample_id"),
        encoder=_text(data, "encoder_name") or "unknown (slide2vec)",
        count=_whole(data, "num_tiles", path, least=0) or 0,
        code_size=_whole(data, "feature_dim", path),
        tile_px=_whole(data, "tile_size_lv0", path),
        patch_size=_whole(data, "requested_tile_size_px", path),
        mpp=_number(data, "requested_spacing_um", path),
        annotation=_text(data, "annotation"),
    )


def read_tiling(path: Path) -> Tiling:
    """Read ``{slide}.coordinates.meta.json``.

    Raises
    ------
    StoreError
        If it cannot be read, or says that the places are no level-0 pixels.
    """
    data = _object(read_json(path, StoreError, what="hs2p's description"), path)
    artifact, slide, tiling = (_object(data.get(name, {}), path) for name in ("artifact", "slide", "tiling"))
    space = artifact.get("coordinate_space", "level0_px")
    if space != "level0_px":
        raise StoreError("places in an unknown unit", path=path, expected="level0_px", found=str(space)[:80])
    return Tiling(
        slide=_text(_object(data.get("provenance", {}), path), "sample_id"),
        annotation=_text(artifact, "annotation"),
        shape=_shape(slide.get("dimensions"), path),
        spacing=_number(slide, "base_spacing_um", path),
        tile_px=_whole(tiling, "tile_size_lv0", path),
        step_px=_whole(tiling, "step_px_lv0", path),
    )


def _shape(dimensions: Any, path: Path) -> tuple[int, int] | None:
    """(height, width) of what the file states as (width, height)."""
    if dimensions is None:
        return None
    if not (
        isinstance(dimensions, list) and len(dimensions) == 2 and all(is_whole(n, _MOST) for n in dimensions)
    ):
        raise _wrong("dimensions", "a width and a height", dimensions, path)
    width, height = dimensions
    return height, width


def _object(data: Any, path: Path) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise StoreError("not a description by slide2vec", path=path, found=repr(data)[:80])
    return data


def _whole(data: Mapping[str, Any], name: str, path: Path, least: int = 1) -> int | None:
    value = data.get(name)
    if value is not None and not is_whole(value, _MOST, least):
        raise _wrong(name, "a whole number", value, path)
    return value


def _number(data: Mapping[str, Any], name: str, path: Path) -> float | None:
    value = data.get(name)
    if value is not None and not (is_finite(value) and value > 0):
        raise _wrong(name, "a number above 0", value, path)
    return None if value is None else float(value)


def _text(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    return value if is_text(value) and value else None


def _wrong(name: str, expected: str, value: Any, path: Path) -> StoreError:
    return StoreError(f"{name} is not {expected}", path=path, found=repr(value)[:80])
