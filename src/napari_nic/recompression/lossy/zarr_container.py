"""OME-Zarr 0.5: a folder of chunks, each of which is one encoded tile under the codecs of imagecodecs.

Arrays are (c, y, x); a chunk is turned to (y, x, c), and is one picture then. What is not stored is white, by
the arrays' fill value. OME-Zarr has no place for a colour profile, nor for a label or macro: they stand under
``napari_nic_slide`` in the attributes of the group, and as arrays below ``associated``.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import imagecodecs

from napari_nic.names import CONTAINER_SUFFIXES
from napari_nic.recompression.lossy.containers import ResultPlan
from napari_nic.recompression.lossy.descriptions import plain_description
from napari_nic.recompression.lossy.journal import Placed
from napari_nic.recompression.lossy.records import Record
from napari_nic.slides import Level
from napari_nic.slides.readers.learned_tiles import NETWORK_FILE

OURS = "napari_nic_slide"
ASSOCIATED = "associated"
_WHITE = 255


class OmeZarr:
    """A folder that is being written."""

    suffixes = CONTAINER_SUFFIXES["ome-zarr"]
    fills_with_white = True

    def __init__(self, path: Path, plan: ResultPlan) -> None:
        self.path, self.plan = path, plan

    def begin(self, found: Sequence[Placed]) -> list[Placed]:
        """Make the folder; return those tiles of an earlier run that are whole."""
        self.path.mkdir(exist_ok=True)
        kept = [placed for placed in found if not placed.length or self._crc(placed) == placed.crc]
        known = {self._chunk(placed.level, placed.index) for placed in kept if placed.length}
        for file in [file for file in self.path.rglob("*") if file.is_file() and file not in known]:
            file.unlink()
        return kept

    def put(self, level: int, index: int, data: bytes) -> tuple[int, int]:
        """Store a chunk; return no place, and its length."""
        chunk = self._chunk(level, index)
        chunk.parent.mkdir(parents=True, exist_ok=True)
        chunk.write_bytes(data)
        return 0, len(data)

    def read(self, placed: Placed) -> bytes:
        """Return the bytes of a chunk; none of one that is not there."""
        chunk = self._chunk(placed.level, placed.index)
        return chunk.read_bytes() if chunk.is_file() else b""

    def sync(self) -> None:
        """Do nothing: each chunk was handed to the system when it was put."""

    def extent(self) -> tuple[int, int]:
        """Return zeros: tiles lie in files of their own."""
        return 0, 0

    def finish(self, placed: Sequence[Placed], record: Record) -> None:  # noqa: ARG002 - chunks are named
        """Write the metadata, and the pictures beside the slide."""
        facts = self.plan.facts
        for number, level in enumerate(self.plan.levels):
            self._write(f"{number}", _array((level.height, level.width), level.tile, self._codec()))
        for name, pixels in facts.associated.items():
            shape = pixels.shape[0], pixels.shape[1]
            self._write(f"{ASSOCIATED}/{name}", _array(shape, shape, {"name": "imagecodecs_webp"}))
            self._write_picture(name, pixels)
        if facts.associated:
            self._write(ASSOCIATED, _group({}))
        network = self.plan.codec.network
        if network is not None:
            (self.path / NETWORK_FILE).write_bytes(network.to_bytes())
        self._write("", _group({"ome": self._multiscale(), OURS: self._ours(record)}))

    def _codec(self) -> dict[str, Any]:
        """Return the codec of tiles as an array names it."""
        codec = self.plan.codec
        named = {} if codec.network is None else {"configuration": {"network": codec.network.id}}
        return {"name": codec.zarr_name, **named}

    def close(self) -> None:
        """Do nothing: no file is open."""

    def _write_picture(self, name: str, pixels: Any) -> None:
        chunk = self.path / ASSOCIATED / name / "c" / "0" / "0" / "0"
        chunk.parent.mkdir(parents=True, exist_ok=True)
        chunk.write_bytes(imagecodecs.webp_encode(pixels, lossless=True))

    def _ours(self, record: Record) -> dict[str, Any]:
        """Return what OME-Zarr has no place for."""
        facts = self.plan.facts
        found: dict[str, Any] = {
            "record": asdict(record),
            "description": plain_description(facts),
            "associated": sorted(facts.associated),
        }
        if facts.objective_power is not None:
            found["objective_power"] = facts.objective_power
        if facts.icc_profile:
            found["icc_profile"] = base64.b64encode(facts.icc_profile).decode("ascii")
        return found

    def _multiscale(self) -> dict[str, Any]:
        """Return the metadata of OME."""
        facts = self.plan.facts
        unit = {} if facts.pixel_size is None else {"unit": "micrometer"}
        axes = [{"name": "c", "type": "channel"}, *({"name": name, "type": "space"} | unit for name in "yx")]
        datasets = [
            {
                "path": str(number),
                "coordinateTransformations": [{"type": "scale", "scale": self._scale(level)}],
            }
            for number, level in enumerate(self.plan.levels)
        ]
        channels = [
            {
                "label": name,
                "color": color,
                "active": True,
                "window": {"min": 0, "max": 255, "start": 0, "end": 255},
            }
            for name, color in (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))
        ]
        multiscale = {
            "name": facts.name or "slide",
            "axes": axes,
            "datasets": datasets,
            "type": "area average",
        }
        return {"version": "0.5", "multiscales": [multiscale], "omero": {"channels": channels}}

    def _scale(self, level: Level) -> list[float]:
        pixel, full = self.plan.facts.pixel_size, self.plan.levels[0]
        y, x = (1.0, 1.0) if pixel is None else (pixel.y, pixel.x)
        return [1.0, y * full.height / level.height, x * full.width / level.width]

    def _chunk(self, level: int, index: int) -> Path:
        row, col = divmod(index, self.plan.levels[level].tile_grid[1])
        return self.path / str(level) / "c" / "0" / str(row) / str(col)

    def _crc(self, placed: Placed) -> int:
        return zlib.crc32(self.read(placed))

    def _write(self, name: str, metadata: Mapping[str, Any]) -> None:
        folder = self.path / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "zarr.json").write_text(json.dumps(metadata, indent=1), "utf-8")


def _group(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}


def _array(shape: tuple[int, int], tile: tuple[int, int], codec: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of an array (3, rows, cols) of pictures."""
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [3, *shape],
        "data_type": "uint8",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [3, *tile]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": _WHITE,
        "codecs": [{"name": "transpose", "configuration": {"order": [1, 2, 0]}}, codec],
        "attributes": {},
        "dimension_names": ["c", "y", "x"],
    }
