"""The grid of patches laid over a slide: cell <-> pixel of a level <-> micrometre.

A grid is planned once per slide and encoder and stored with the embeddings. It is whole-numbered in the
pixels of the level that is read, so that cutting a patch never interpolates a position: the patch side and
the stride, given in pixels at the target resolution, are rounded to whole pixels of that level, and the
resolution that results is recorded as :attr:`PatchGrid.mpp`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import LevelGeometry, PixelSize, Placement, RegionPx

MPP_TOLERANCE = 0.05
"""A level within 5 % of the target resolution is read as it is, without resampling."""


@dataclass(frozen=True)
class PatchGrid:
    """Cells of `stride_px` x `stride_px` level pixels, each the anchor of one square patch.

    Attributes
    ----------
    rows, cols : int
        Number of cells; floor(level size / stride), at least 1.
    level : int
        Pyramid level that is read.
    patch_px, stride_px : int
        Patch side and stride in pixels **of that level**, before resampling.
    patch_size : int
        Patch side P in pixels at the encoder's resolution.
    downsample : (float, float)
        (y, x) level-0 pixels per pixel of `level`.
    pixel_size : PixelSize
        Size of a level-0 pixel.
    origin_px : (int, int)
        (y, x) of the corner of patch (0, 0) in pixels of that level. A grid that we plan starts at the
        slide's corner; one that another program cut may start anywhere, also a little outside.

    Notes
    -----
    Patch (r, c) covers level pixels [y0 + r * stride_px, y0 + r * stride_px + patch_px) x the same in
    columns; where it passes the slide's edge it is filled with the slide's background. With P = S = 128 at
    0.5 um/px this is the grid of Tellez et al. 2019, section 3.

    The pixels of another program's grid need not be those of a level: it may count in pixels of a resolution
    that the slide does not hold. Then `level` is 0, and `downsample` alone says what they measure.
    """

    rows: int
    cols: int
    level: int
    patch_px: int
    stride_px: int
    patch_size: int
    downsample: tuple[float, float]
    pixel_size: PixelSize
    origin_px: tuple[int, int] = (0, 0)

    @classmethod
    def plan(
        cls,
        levels: Sequence[LevelGeometry],
        pixel_size: PixelSize,
        *,
        patch_size: int = 128,
        stride: int | None = None,
        mpp: float = 0.5,
        tolerance: float = MPP_TOLERANCE,
    ) -> PatchGrid:
        """Choose the cheapest sufficient level and lay the grid over it.

        Parameters
        ----------
        levels : sequence of LevelGeometry
            The slide's pyramid, finest first.
        pixel_size : PixelSize
            Size of a level-0 pixel.
        patch_size, stride : int
            Patch side P and stride S in pixels at `mpp`; S defaults to P.
        mpp : float
            Target resolution in um/px.
        tolerance : float
            Relative deviation up to which a level is read without resampling.

        Raises
        ------
        InvalidParameterError
            If a size is not positive, the slide is coarser than `mpp` by more than a factor of 2 (patches
            would be made of invented pixels), or its pixels are not square (tissue would be squeezed).
        """
        stride = patch_size if stride is None else stride
        if patch_size < 1 or stride < 1 or not mpp > 0:
            raise InvalidParameterError(
                "patch size, stride and mpp must be positive", found=f"{patch_size}, {stride}, {mpp}"
            )
        _check_square(pixel_size)
        level = _cheapest_level(levels, pixel_size, mpp * (1 + tolerance))
        geometry = levels[level]
        level_mpp = pixel_size.mean * math.sqrt(geometry.downsample_y * geometry.downsample_x)
        factor = mpp / level_mpp
        if factor < 0.5:
            raise InvalidParameterError(
                "the slide is too coarse for this encoder",
                expected=f"at most {2 * mpp:g} um/px",
                found=f"{level_mpp:g} um/px at its finest level",
                hint="check the slide's um/px (--mpp), or use an encoder of a lower magnification",
            )
        if abs(factor - 1) <= tolerance:
            factor = 1.0
        patch_px, stride_px = max(1, round(patch_size * factor)), max(1, round(stride * factor))
        return cls(
            rows=max(1, geometry.height // stride_px),
            cols=max(1, geometry.width // stride_px),
            level=level,
            patch_px=patch_px,
            stride_px=stride_px,
            patch_size=patch_size,
            downsample=(geometry.downsample_y, geometry.downsample_x),
            pixel_size=pixel_size,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) of cells."""
        return self.rows, self.cols

    @property
    def level_mpp(self) -> float:
        """Resolution of the level that is read, um/px."""
        return self.pixel_size.mean * math.sqrt(self.downsample[0] * self.downsample[1])

    @property
    def mpp(self) -> float:
        """Resolution that the patches really have at `patch_size`, um/px."""
        return self.level_mpp * self.patch_px / self.patch_size

    @property
    def stride_um(self) -> tuple[float, float]:
        """(y, x) distance between neighbouring cells in micrometres."""
        return (
            self.stride_px * self.downsample[0] * self.pixel_size.y,
            self.stride_px * self.downsample[1] * self.pixel_size.x,
        )

    @property
    def placement(self) -> Placement:
        """Where the raster of cells lies: each cell is centred on its patch, also when patches overlap."""
        inset = (self.patch_px - self.stride_px) / 2
        return Placement(
            origin_um=(
                (self.origin_px[0] + inset) * self.downsample[0] * self.pixel_size.y,
                (self.origin_px[1] + inset) * self.downsample[1] * self.pixel_size.x,
            ),
            step_um=self.stride_um,
        )

    def patch_region(self, row: int, col: int) -> RegionPx:
        """Pixels of :attr:`level` that patch (row, col) covers; may pass the level's edge."""
        return RegionPx(*self._corner(row, col), self.patch_px, self.patch_px)

    def patch_corner_px(self, row: int, col: int) -> tuple[float, float]:
        """(y, x) of the top left corner of patch (row, col) in level-0 pixels."""
        y, x = self._corner(row, col)
        return y * self.downsample[0], x * self.downsample[1]

    def cells_region(self, rows: slice, cols: slice) -> RegionPx:
        """Pixels of :attr:`level` that the patches of a block of cells cover together."""
        y, x = self._corner(rows.start, cols.start)
        if rows.stop <= rows.start or cols.stop <= cols.start:
            return RegionPx(y, x, 0, 0)
        height = (rows.stop - rows.start - 1) * self.stride_px + self.patch_px
        width = (cols.stop - cols.start - 1) * self.stride_px + self.patch_px
        return RegionPx(y, x, height, width)

    def cell_at(self, y_px: float, x_px: float) -> tuple[int, int] | None:
        """Cell whose square of the raster holds a level-0 point; None outside the grid."""
        row, col = self.placement.index_at(y_px * self.pixel_size.y, x_px * self.pixel_size.x)
        if 0 <= row < self.rows and 0 <= col < self.cols:
            return math.floor(row), math.floor(col)
        return None

    def cells_within(self, region: RegionPx) -> tuple[slice, slice]:
        """(rows, cols) slices of the cells that touch a rectangle of level-0 pixels, clipped to the grid."""
        top, left = self.placement.index_at(region.y * self.pixel_size.y, region.x * self.pixel_size.x)
        bottom, right = self.placement.index_at(
            region.bottom * self.pixel_size.y, region.right * self.pixel_size.x
        )
        return _clip(top, bottom, self.rows), _clip(left, right, self.cols)

    def _corner(self, row: int, col: int) -> tuple[int, int]:
        return self.origin_px[0] + row * self.stride_px, self.origin_px[1] + col * self.stride_px

    def to_dict(self) -> dict[str, Any]:
        """JSON form; read back by :meth:`from_dict`."""
        entries = asdict(self) | {"downsample": list(self.downsample), "origin_px": list(self.origin_px)}
        if self.origin_px == (0, 0):
            del entries["origin_px"]  # so that earlier versions read the grids that they know
        return entries

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PatchGrid:
        """Inverse of :meth:`to_dict`.

        Raises
        ------
        KeyError, TypeError, ValueError
            If an entry is missing, or no number that a grid can have.
        """
        fields = dict(data)
        fields["downsample"] = tuple(fields["downsample"])
        _check_numbers(fields)
        fields["pixel_size"] = PixelSize(**fields["pixel_size"])
        y, x = fields.get("origin_px", (0, 0))
        fields["origin_px"] = (int(y), int(x))
        return cls(**fields)


def _check_numbers(fields: Mapping[str, Any]) -> None:
    """Refuse what a damaged file states: nothing could be computed from it."""
    for name in ("rows", "cols", "level", "patch_px", "stride_px", "patch_size"):
        value = fields[name]
        if not isinstance(value, int) or not int(name != "level") <= value <= _MOST:
            raise ValueError(f"{name} is {value!r}"[:80])
    down = fields["downsample"]
    if len(down) != 2 or not all(isinstance(value, int | float) and 0 < value <= _MOST for value in down):
        raise ValueError(f"downsample is {down!r}"[:80])


_MOST = 2**31


def _check_square(pixel_size: PixelSize) -> None:
    """Refuse what an encoder would see squeezed: a patch is as many pixels high as wide."""
    if abs(pixel_size.y / pixel_size.x - 1) > MPP_TOLERANCE:
        raise InvalidParameterError(
            "the slide's pixels are not square: an encoder would see its tissue squeezed",
            expected="as many um across as down",
            found=f"{pixel_size.x:g} um across, {pixel_size.y:g} um down ({pixel_size.source})",
            hint="resample the slide to square pixels; if the file is wrong, state the size with --mpp",
        )


def _cheapest_level(levels: Sequence[LevelGeometry], pixel_size: PixelSize, mpp_limit: float) -> int:
    """Return the coarsest level that is still at least as fine as `mpp_limit`; level 0 if none is."""
    chosen = 0
    for index, level in enumerate(levels):
        if pixel_size.mean * math.sqrt(level.downsample_y * level.downsample_x) <= mpp_limit:
            chosen = index
    return chosen


def _clip(start: float, stop: float, size: int) -> slice:
    first = min(max(0, math.floor(start)), size)
    return slice(first, max(first, min(size, math.ceil(stop))))
