"""Where the nuclei of a slide lie: drawn once for the whole slide, looked up by region."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_nic.geometry import RegionPx
from napari_nic.synthetic.glands import gland_nuclei
from napari_nic.synthetic.layout import FIELD_UM, Gland, Layout, is_fat
from napari_nic.synthetic.noise import smoothstep
from napari_nic.synthetic.nuclei import KINDS, ORIENTATIONS, VARIANTS, sprite_bank
from napari_nic.synthetic.spec import SyntheticSlideSpec
from napari_nic.synthetic.textures import SIDE, Textures

CELL_STREAM = 3
KIND_NAMES = tuple(KINDS)
REACH_UM = 16.0
"""No sprite reaches farther from its centre."""

BUCKET = 512
"""Cells are looked up by squares of this many pixels."""

FIBROBLAST_SPACING_UM = 20.0
LYMPHOCYTE_SPACING_UM = 8.5
TUMOUR_SPACING_UM = 11.5
JITTER = 0.46
"""Largest displacement from the lattice, in units of the spacing."""

WALL = 0.5
"""Nuclei lie in the walls of fat cells, where their texture is above this."""

SCATTERED_LYMPHOCYTES = 0.012
"""Share of the lattice of lymphocytes that is taken in plain stroma."""


@dataclass(frozen=True, eq=False)
class Nuclei:
    """Nuclei, one per row.

    Attributes
    ----------
    y_um, x_um, angle : ndarray of float32, (n,)
        Centre, and the direction of the long axis against x in radians.
    kind : ndarray of int8, (n,)
        Index into ``KIND_NAMES``.
    """

    y_um: np.ndarray
    x_um: np.ndarray
    angle: np.ndarray
    kind: np.ndarray

    def take(self, chosen: np.ndarray) -> Nuclei:
        """Return those of a boolean or index array."""
        return Nuclei(self.y_um[chosen], self.x_um[chosen], self.angle[chosen], self.kind[chosen])


class CellField:
    """All nuclei of a slide.

    Parameters
    ----------
    layout : Layout
    spec : SyntheticSlideSpec
    textures : Textures
    offset : ndarray of int, (2,)
        Shift of the textures on this slide: tumour cells keep to the nests of the texture.
    """

    def __init__(
        self, layout: Layout, spec: SyntheticSlideSpec, textures: Textures, offset: np.ndarray
    ) -> None:
        self._scale = spec.pixels_per_um
        rng = np.random.default_rng((CELL_STREAM, spec.seed))
        parts = [
            _fibroblasts(layout, rng),
            _lymphocytes(layout, rng),
            _tumour(layout, textures, offset, self._scale, rng),
            *(_in_gland(gland) for gland in layout.glands),
        ]
        cells = _outside_fat_and_glass(_joined(parts), layout, textures, offset, self._scale)
        self._variant = rng.integers(0, VARIANTS, len(cells.kind))
        self._sort_into_buckets(cells)

    def _sort_into_buckets(self, cells: Nuclei) -> None:
        row, col = (
            np.floor(value * self._scale / BUCKET).astype(np.int64) for value in (cells.y_um, cells.x_um)
        )
        self._across = int(col.max(initial=0)) + 1
        bucket = row * self._across + col
        order = np.argsort(bucket, kind="stable")
        self.nuclei, self._variant = cells.take(order), self._variant[order]
        self._starts = np.searchsorted(bucket[order], np.arange(int(bucket.max(initial=0)) + 2))

    def within(self, region: RegionPx) -> tuple[list[np.ndarray], np.ndarray]:
        """Sprites that may touch a region, and their centres (row, col) in pixels of that region."""
        reach = REACH_UM * self._scale
        chosen = self._indices(region, reach)
        cells = self.nuclei.take(chosen)
        centers = np.stack([cells.y_um, cells.x_um], -1) * self._scale - (region.y, region.x)
        limits = region.height + reach, region.width + reach
        near = np.flatnonzero(((centers > -reach) & (centers < limits)).all(axis=1))
        cells, centers, variants = cells.take(near), centers[near], self._variant[chosen[near]]
        turns = np.round(cells.angle * ORIENTATIONS / np.pi).astype(int) % ORIENTATIONS
        banks = [sprite_bank(name, self._scale) for name in KIND_NAMES]
        sprites = [
            banks[kind][turn][variant]
            for kind, turn, variant in zip(cells.kind, turns, variants, strict=True)
        ]
        return sprites, np.floor(centers).astype(int)

    def _indices(self, region: RegionPx, reach: float) -> np.ndarray:
        first_col = max(0, int((region.x - reach) // BUCKET))
        last_col = min(self._across - 1, int((region.right + reach) // BUCKET))
        first_row = max(0, int((region.y - reach) // BUCKET))
        rows = range(first_row, int((region.bottom + reach) // BUCKET) + 1)
        parts = []
        for row in rows:
            start, stop = row * self._across + first_col, row * self._across + last_col + 1
            stop = min(stop, len(self._starts) - 1)
            if last_col >= first_col and start < stop:
                parts.append(np.arange(self._starts[start], self._starts[stop]))
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _lattice(layout: Layout, spacing: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points about `spacing` apart all over the slide, (y, x) in micrometres."""
    height, width = (size * FIELD_UM for size in layout.tissue.shape)
    rows, cols = np.mgrid[: int(height / spacing), : int(width / spacing)].astype(np.float32)
    jitter = rng.uniform(-JITTER, JITTER, (2, *rows.shape)).astype(np.float32)
    cols = cols + 0.5 * (rows % 2)
    y, x = (rows + 0.5 + jitter[0]) * spacing, (cols + 0.25 + jitter[1]) * spacing
    inside = (x >= 0) & (x < width)
    return y[inside], x[inside]


def _at(field: np.ndarray, y_um: np.ndarray, x_um: np.ndarray) -> np.ndarray:
    """Value of a field of the plan at points (nearest element)."""
    rows = np.clip((y_um / FIELD_UM).astype(int), 0, field.shape[0] - 1)
    cols = np.clip((x_um / FIELD_UM).astype(int), 0, field.shape[1] - 1)
    return field[rows, cols]


def _nuclei(kind: str, y: np.ndarray, x: np.ndarray, angle: np.ndarray) -> Nuclei:
    number = np.full(len(y), KIND_NAMES.index(kind), np.int8)
    return Nuclei(y.astype(np.float32), x.astype(np.float32), angle.astype(np.float32), number)


def _fibroblasts(layout: Layout, rng: np.random.Generator) -> Nuclei:
    """Spindle cells along the fibres; few within nests of tumour."""
    y, x = _lattice(layout, FIBROBLAST_SPACING_UM, rng)
    keep = rng.random(len(y)) < 0.62 - 0.5 * smoothstep(_at(layout.lesion_depth, y, x), -10, 10)
    keep &= ~_covered_by_gland(layout, y, x)
    y, x = y[keep], x[keep]
    angle = _at(layout.fibre_angle, y, x) + rng.normal(0, 0.16, len(y))
    return _nuclei("fibroblast", y, x, angle)


def _lymphocytes(layout: Layout, rng: np.random.Generator) -> Nuclei:
    """Crowds of lymphocytes, some scattered, more of them in a seam around a lesion."""
    y, x = _lattice(layout, LYMPHOCYTE_SPACING_UM, rng)
    depth = _at(layout.lesion_depth, y, x)
    seam = np.exp(-(((depth + 12) / 18) ** 2))
    crowd = smoothstep(_at(layout.lymphoid, y, x), -0.12, 0.25) * (depth < 0)
    keep = rng.random(len(y)) < SCATTERED_LYMPHOCYTES + 0.06 * seam + 0.85 * crowd
    keep &= ~_covered_by_gland(layout, y, x)
    y, x = y[keep], x[keep]
    return _nuclei("lymphocyte", y, x, rng.uniform(0, np.pi, len(y)))


def _tumour(
    layout: Layout, textures: Textures, offset: np.ndarray, scale: float, rng: np.random.Generator
) -> Nuclei:
    """Crowded, large, irregular nuclei in nests."""
    y, x = _lattice(layout, TUMOUR_SPACING_UM, rng)
    depth = _at(layout.lesion_depth, y, x)
    keep = (depth > -4) & (rng.random(len(y)) < 0.9)
    y, x = y[keep], x[keep]
    rows = ((y * scale).astype(int) + offset[0]) % SIDE
    cols = ((x * scale).astype(int) + offset[1]) % SIDE
    in_nest = textures.nests[rows, cols] < 0.35
    y, x = y[in_nest], x[in_nest]
    return _nuclei("tumour", y, x, rng.uniform(0, np.pi, len(y)))


def _in_gland(gland: Gland) -> Nuclei:
    y, x, angle = gland_nuclei(gland)
    return _nuclei("epithelial", y, x, angle)


def _covered_by_gland(layout: Layout, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Points within the outer ellipse of a gland, about; looked up on the plan's raster."""
    covered = np.zeros(layout.tissue.shape, bool)
    for gland in layout.glands:
        reach = int(max(gland.radii_um) / FIELD_UM) + 2
        row, col = int(gland.y_um / FIELD_UM), int(gland.x_um / FIELD_UM)
        rows = slice(max(0, row - reach), row + reach + 1)
        cols = slice(max(0, col - reach), col + reach + 1)
        part = covered[rows, cols]
        at_y, at_x = np.mgrid[: part.shape[0], : part.shape[1]].astype(np.float32)
        at_y, at_x = (at_y + rows.start + 0.5) * FIELD_UM, (at_x + cols.start + 0.5) * FIELD_UM
        part |= gland.depth_um(at_y, at_x) > -2
    return _at(covered, y, x)


def _outside_fat_and_glass(
    cells: Nuclei, layout: Layout, textures: Textures, offset: np.ndarray, scale: float
) -> Nuclei:
    """Drop what lies on glass or in the inside of fat cells."""
    keep = _at(layout.tissue, cells.y_um, cells.x_um) > 3
    y_px, x_px = np.floor(cells.y_um * scale), np.floor(cells.x_um * scale)
    rows, cols = (y_px.astype(int) + offset[0]) % SIDE, (x_px.astype(int) + offset[1]) % SIDE
    # From the pixel's centre, exactly as the painter does it: both must agree on every cell.
    shift = textures.to_fat_cell[rows, cols]
    fat = is_fat(layout, (y_px + 0.5 + shift[:, 0]) / scale, (x_px + 0.5 + shift[:, 1]) / scale)
    return cells.take(keep & ~(fat & (textures.membranes[rows, cols] < WALL)))


def _joined(parts: list[Nuclei]) -> Nuclei:
    names = "y_um", "x_um", "angle", "kind"
    return Nuclei(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
