"""What wsidata (LazySlide) says of a slide and its tiles: ``slide_properties`` and ``tile_spec``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.errors import StoreError
from napari_nic.geometry import MPP_MAX, MPP_MIN, PixelSize

PROPERTIES, SPEC = "slide_properties", "tile_spec"
_MOST = 10**9


@dataclass(frozen=True)
class SlideProperties:
    """The slide as its reader found it; None where it is not stated.

    Attributes
    ----------
    shape : (int, int), optional
        (height, width) of level 0.
    pixel_size : PixelSize, optional
    """

    shape: tuple[int, int] | None = None
    pixel_size: PixelSize | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any], path: Path) -> SlideProperties:
        """Read ``slide_properties``.

        Raises
        ------
        StoreError
            If a value cannot be what it is called.
        """
        shape, mpp = data.get("shape"), _number(data, "mpp", path)
        if mpp is not None and not MPP_MIN <= mpp <= MPP_MAX:
            raise _wrong("mpp", mpp, path)
        pixel = None if mpp is None else PixelSize(mpp, mpp, "wsidata's slide_properties")
        if shape is None:
            return cls(None, pixel)
        sides = np.ravel(shape).tolist()
        if len(sides) != 2 or not all(_is_count(side) for side in sides):
            raise _wrong("shape", shape, path)
        return cls((int(sides[0]), int(sides[1])), pixel)


@dataclass(frozen=True)
class TileSpec:
    """How tiles were cut; None where it is not stated.

    Attributes
    ----------
    patch_size : int, optional
        In pixels that the encoder saw.
    mpp : float, optional
        That was asked for.
    side_px, stride_px : float, optional
        In level-0 pixels.
    """

    patch_size: int | None = None
    mpp: float | None = None
    side_px: float | None = None
    stride_px: float | None = None

    @classmethod
    def of(cls, data: Mapping[str, Any], path: Path) -> TileSpec:
        """Read the entry of ``tile_spec`` for one set of tiles, of any version of wsidata.

        Raises
        ------
        StoreError
            If a value cannot be what it is called, or tiles are no squares.
        """
        width, height = (_number(data, name, path) for name in ("width", "height"))
        if width != height:
            raise StoreError("tiles that are no squares", path=path, found=f"{width:g} x {height:g} px")
        scale = _number(data, "base_downsample", path)
        side, stride = (_number(data, name, path) for name in ("raw_width", "raw_stride_width"))
        step = _number(data, "stride_width", path)
        return cls(
            patch_size=None if width is None else round(width),
            mpp=_number(data, "mpp", path),
            side_px=int(width * scale) if width and scale else side,
            stride_px=int(step * scale) if step and scale else stride,
        )


def entry(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a mapping by its name, which may be written as JSON; empty where there is none."""
    found = values.get(name)
    if isinstance(found, str):
        try:
            found = json.loads(found)
        except (ValueError, RecursionError):
            return {}
    return found if isinstance(found, Mapping) else {}


def spec_of(values: Mapping[str, Any], tiles: str | None) -> Mapping[str, Any] | None:
    """Return the description of a set of tiles, or the only one; None where there is none."""
    found = entry(values, SPEC)
    if "width" in found:
        return found
    named = entry(found, tiles) if tiles else next(iter(found.values()), None) if len(found) == 1 else None
    return named if isinstance(named, Mapping) and named else None


def _number(data: Mapping[str, Any], name: str, path: Path) -> float | None:
    value = data.get(name)
    if value is None or value == "":
        return None
    try:
        number = float(np.asarray(value).item())
    except (ValueError, TypeError):
        raise _wrong(name, value, path) from None
    if np.isnan(number):  # AnnData writes None as NaN
        return None
    if not 0 < number < _MOST:
        raise _wrong(name, value, path)
    return number


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and 1 <= value < _MOST and value == int(value)


def _wrong(name: str, value: Any, path: Path) -> StoreError:
    return StoreError(f"wsidata's {name} cannot be", path=path, found=repr(value)[:80])
