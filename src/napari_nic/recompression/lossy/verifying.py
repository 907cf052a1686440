"""Whether a finished result shows what it should: opened by our own reader before it gets its name."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from napari_nic.errors import NicError, StoreError
from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.recompression.lossy.containers import ResultPlan
from napari_nic.recompression.lossy.journal import Placed
from napari_nic.slides import RgbArray, Slide, open_slide
from napari_nic.telling import telling

_NEARLY = 4
"""Grey levels by which a tile of one colour may be off."""

_ROUNDING = 1

SAMPLE = 16
"""Tiles of each level that are decoded through the reader; all of them where the slide is replaced."""


def check_shown(
    made: Path,
    out: Path,
    plan: ResultPlan,
    placed: Sequence[Placed],
    *,
    is_deep: bool,
    token: CancellationToken | None = None,
) -> Iterator[Progress]:
    """Open a result and compare it with what was meant.

    Parameters
    ----------
    made, out : Path
        Where it is, and what it will be called.
    plan : ResultPlan
    placed : sequence of Placed
        All tiles.
    is_deep : bool
        Whether every tile is decoded.
    token : CancellationToken, optional

    Raises
    ------
    StoreError
        If it is not the same.
    """
    try:
        with telling(None), open_slide(made, color="raw") as slide:
            _check_facts(slide, plan, out)
            chosen = list(_chosen(placed, is_deep=is_deep))
            for done, one in enumerate(checked(chosen, token)):
                _check_tile(slide, plan, one, made, out)
                yield Progress(done + 1, len(chosen), "opening it", "tiles")
    except StoreError:
        raise
    except NicError as error:
        raise _wrong(out, error.problem) from error


def _chosen(placed: Sequence[Placed], *, is_deep: bool) -> Iterator[Placed]:
    """Yield all tiles, or of each level some, the same ones every time."""
    for _, tiles in groupby(placed, key=lambda one: one.level):
        level = list(tiles)
        if is_deep or len(level) <= SAMPLE:
            yield from level
        else:
            yield level[0]
            yield from random.Random(len(level)).sample(level[1:-1], SAMPLE - 2)  # noqa: S311 -- no secret
            yield level[-1]


def _check_facts(slide: Slide, plan: ResultPlan, out: Path) -> None:
    shapes = [level.shape for level in slide.levels]
    if shapes != [level.shape for level in plan.levels]:
        raise _wrong(out, f"levels of {shapes}")
    if slide.icc_profile != plan.facts.icc_profile:
        raise _wrong(out, "another colour profile")
    if set(slide.associated_images) != set(plan.facts.associated):
        raise _wrong(out, f"pictures beside it: {', '.join(slide.associated_images) or 'none'}")
    meant, found = plan.facts.pixel_size, slide.pixel_size
    if meant is None or found is None:
        if meant is not None:
            raise _wrong(out, "no pixel size")
    elif not np.allclose((meant.y, meant.x), (found.y, found.x), rtol=1e-3):
        raise _wrong(out, f"a pixel size of {found.x:g} um")


def _check_tile(slide: Slide, plan: ResultPlan, one: Placed, made: Path, out: Path) -> None:
    """Compare a tile through the reader with what the codec made of its bytes."""
    level = plan.levels[one.level]
    row, col = divmod(one.index, level.tile_grid[1])
    pixels = slide.read_region(one.level, level.tile_region(row, col))
    if one.kind in ("glass", "missing"):
        color = (255, 255, 255) if one.kind == "glass" else plan.facts.background
        is_right = bool(np.abs(pixels.astype(np.int16) - color).max() <= _NEARLY)
    else:
        is_right = zlib.crc32(pixels.tobytes()) == one.shown or _is_rounded(plan, one, pixels, made)
    if not is_right:
        raise _wrong(out, f"another picture at level {one.level}, row {row}, column {col}")


def _is_rounded(plan: ResultPlan, one: Placed, pixels: RgbArray, made: Path) -> bool:
    """Whether a tile that a network decodes differs by no more than rounding: floats are not the same on all
    machines, and a run may go on upon another one."""
    if plan.codec.network is None:
        return False
    meant = plan.codec.decode(_stored(plan, one, made))[: pixels.shape[0], : pixels.shape[1]]
    return bool(np.abs(pixels.astype(np.int16) - meant).max() <= _ROUNDING)


def _stored(plan: ResultPlan, one: Placed, made: Path) -> bytes:
    """Return the bytes of a tile of a result that was closed."""
    if made.is_dir():
        row, col = divmod(one.index, plan.levels[one.level].tile_grid[1])
        return (made / str(one.level) / "c" / "0" / str(row) / str(col)).read_bytes()
    with made.open("rb") as stream:
        stream.seek(one.offset)
        return stream.read(one.length)


def _wrong(out: Path, found: str) -> StoreError:
    return StoreError("the result is not shown as it was meant; it was not kept", path=out, found=found)
