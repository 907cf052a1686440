"""The plan of a synthetic slide at low resolution: where tissue, lesion, fat, lymphocytes and glands lie."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from skimage.measure import find_contours, label

from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import RegionPx
from napari_nic.synthetic.noise import open_noise
from napari_nic.synthetic.spec import Lesion, SyntheticSlideSpec

FIELD_UM = 8.0
"""Side of one element of the plan."""

LAYOUT_STREAM = 1
"""Keeps the random numbers of the plan apart from those of stain and cells."""

OUTLINE_TOLERANCE_UM = 2.0
"""Corners of an outline that deviate by less are left out."""

SMALLEST_OUTLINE_UM2 = 60.0**2
"""Crumbs of a lesion that are smaller, at the tissue's border, are not outlined."""


@dataclass(frozen=True)
class Gland:
    """A gland: an epithelium around a lumen.

    Attributes
    ----------
    y_um, x_um : float
        Centre.
    radii_um : (float, float)
        Half axes of the outer border.
    angle : float
        Of the first axis against x, radians.
    seed : int
        Decides its outline and cells.
    """

    y_um: float
    x_um: float
    radii_um: tuple[float, float]
    angle: float
    seed: int

    def border_um(self, theta: np.ndarray, part: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """(y, x) of the border at parameter angles, or of the border shrunk to a part of its size."""
        radius = part * self._waves(theta)
        along, across = radius * self.radii_um[0] * np.cos(theta), radius * self.radii_um[1] * np.sin(theta)
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return self.y_um + along * sin + across * cos, self.x_um + along * cos - across * sin

    def depth_um(self, y_um: np.ndarray, x_um: np.ndarray) -> np.ndarray:
        """Distance to the border, about; positive inside. Float32 for float32 points."""
        cos, sin = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        y, x = y_um - np.float32(self.y_um), x_um - np.float32(self.x_um)
        along = (x * cos + y * sin) / np.float32(self.radii_um[0])
        across = (y * cos - x * sin) / np.float32(self.radii_um[1])
        radius = np.hypot(along, across)
        return (self._waves(np.arctan2(across, along)) - radius) * np.float32(min(self.radii_um))

    def _waves(self, theta: np.ndarray) -> np.ndarray:
        """Relative radius of the irregular border."""
        rng = np.random.default_rng(self.seed)
        heights, phases = rng.normal(0, 0.07, 4), rng.uniform(0, 2 * np.pi, 4)
        radius = np.ones_like(theta)
        for wave, (height, phase) in enumerate(zip(heights, phases, strict=True), start=2):
            radius += np.float32(height) * np.cos(wave * theta + np.float32(phase))
        return radius


@dataclass(frozen=True, eq=False)
class Layout:
    """The plan; all fields are (rows, cols) float32 with elements of ``FIELD_UM``, corner-based.

    Attributes
    ----------
    tissue, lesion : ndarray
        Signed distance to the border in micrometres, positive inside; that of the lesion is about so. Only
        where both are positive there is lesion.
    fat, lymphoid : ndarray
        Positive inside.
    warp_along, warp_across : ndarray
        Displacement of the fibres in micrometres.
    fibre_angle : ndarray
        Direction of the fibres against x, radians.
    thickness : ndarray
        Relative amount of both dyes.
    glands : tuple of Gland
    turn : float
        Direction of undisturbed fibres, radians.
    """

    tissue: np.ndarray
    lesion: np.ndarray
    fat: np.ndarray
    lymphoid: np.ndarray
    warp_along: np.ndarray
    warp_across: np.ndarray
    fibre_angle: np.ndarray
    thickness: np.ndarray
    glands: tuple[Gland, ...]
    turn: float

    @property
    def lesion_depth(self) -> np.ndarray:
        """Signed distance to the outline of the lesion as it is seen: within the tissue."""
        return np.minimum(self.tissue, self.lesion)


def plan_layout(spec: SyntheticSlideSpec) -> Layout:
    """Draw the plan of a slide."""
    rng = np.random.default_rng((LAYOUT_STREAM, spec.seed))
    step = FIELD_UM * spec.pixels_per_um
    shape = int(np.ceil(spec.height / step)) + 1, int(np.ceil(spec.width / step)) + 1
    turn = float(rng.uniform(0, np.pi))
    tissue = _tissue(shape, spec, rng)
    fat, lymphoid = _share_field(shape, 160, spec.fat, rng), _share_field(shape, 70, spec.lymphoid, rng)
    lesion = _lesions(tissue, spec.lesions, step, rng)
    along = 45 * open_noise(shape, 170 / FIELD_UM, rng)
    across = 60 * open_noise(shape, 120 / FIELD_UM, rng) + 7 * open_noise(shape, 26 / FIELD_UM, rng)
    return Layout(
        tissue=tissue,
        lesion=lesion,
        fat=fat,
        lymphoid=lymphoid,
        warp_along=along,
        warp_across=across,
        fibre_angle=_fibre_angle(across, turn),
        thickness=1 + 0.10 * open_noise(shape, 220 / FIELD_UM, rng),
        glands=_glands(tissue, lesion, fat, spec.gland_spacing_um, rng),
        turn=turn,
    )


def lesion_polygons(layout: Layout, pixels_per_um: float) -> list[shapely.Polygon]:
    """Outlines of the lesions as they are seen: cut off where the tissue ends, with holes where it has any.

    Returns
    -------
    list of shapely.Polygon
        (x, y) in level-0 pixels, corner-based, valid, largest first.
    """
    scale = FIELD_UM * pixels_per_um
    # A negative rim, so that no outline is left open at the slide's edge.
    padded = np.pad(layout.lesion_depth, 1, constant_values=-1.0)
    rings = []
    for contour in find_contours(padded, 0.0):
        # Values belong to element centres, and the padding moved them by one.
        corners = (contour[:, ::-1] - 1 + 0.5) * scale
        rings.append(shapely.make_valid(shapely.Polygon(corners)))
    if not rings:
        return []
    # Rings never cross, so the even-odd rule makes rings within rings to holes.
    area = rings[0]
    for ring in rings[1:]:
        area = area.symmetric_difference(ring)
    area = area.simplify(OUTLINE_TOLERANCE_UM * pixels_per_um)
    smallest = SMALLEST_OUTLINE_UM2 * pixels_per_um**2
    parts = [part for part in shapely.get_parts(area) if part.area >= smallest]
    return sorted(parts, key=lambda part: -part.area)


def is_fat(layout: Layout, y_um: np.ndarray, x_um: np.ndarray) -> np.ndarray:
    """Whether fat cells lie at the given centres: bool, of the shape of `y_um` and `x_um` together."""
    rows = np.clip((y_um / FIELD_UM).astype(np.int32), 0, layout.fat.shape[0] - 1)
    cols = np.clip((x_um / FIELD_UM).astype(np.int32), 0, layout.fat.shape[1] - 1)
    return np.asarray((layout.fat[rows, cols] > 0) & (layout.lesion[rows, cols] < 0))


def interpolate_field(field: np.ndarray, region: RegionPx, pixels_per_um: float) -> np.ndarray:
    """Interpolate a field of the plan at every pixel centre of a region; beyond its ends it stays the same.

    Parameters
    ----------
    field : ndarray of float32
        Elements of ``FIELD_UM``.
    region : RegionPx
        Of level 0.
    pixels_per_um : float
        Level-0 pixels per micrometre.

    Returns
    -------
    ndarray of float32, (height, width)
    """
    step = FIELD_UM * pixels_per_um
    matrix = np.array(
        [
            [1 / step, 0, (region.x + 0.5) / step - 0.5],
            [0, 1 / step, (region.y + 0.5) / step - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (region.width, region.height)
    return cv2.warpAffine(field, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _tissue(shape: tuple[int, int], spec: SyntheticSlideSpec, rng: np.random.Generator) -> np.ndarray:
    """Signed distance to the tissue's border: ellipses side by side, made ragged."""
    if spec.coverage == 1:
        return np.full(shape, 1e4, np.float32)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32) + 0.5
    y, x = y / shape[0], x / shape[1]
    wide = shape[1] >= shape[0]
    along, across = (x, y) if wide else (y, x)
    depth = np.full(shape, -np.inf, np.float32)
    # An ellipse that fills `coverage` of its share of the slide, not wider than its share.
    half_along = 0.44 / spec.pieces * rng.uniform(0.86, 1.0, spec.pieces)
    half_across = np.minimum(0.44, spec.coverage / spec.pieces / (np.pi * half_along))
    size_um = np.array([max(shape), min(shape)]) * FIELD_UM
    for index in range(spec.pieces):
        middle = (index + 0.5) / spec.pieces + rng.normal(0, 0.01), 0.5 + rng.normal(0, 0.01)
        radius = np.hypot((along - middle[0]) / half_along[index], (across - middle[1]) / half_across[index])
        shorter_um = min(half_along[index] * size_um[0], half_across[index] * size_um[1])
        depth = np.maximum(depth, (1 - radius) * shorter_um)
    reach = float(min(size_um)) / spec.pieces
    depth += 0.045 * reach * open_noise(shape, 0.07 * reach / FIELD_UM, rng)
    depth += 14 * open_noise(shape, 40 / FIELD_UM, rng) + 5 * open_noise(shape, 12 / FIELD_UM, rng)
    return depth.astype(np.float32)


def _share_field(
    shape: tuple[int, int], grain_um: float, share: float, rng: np.random.Generator
) -> np.ndarray:
    """Noise that is positive in a given share of the area; patches of about two grains."""
    noise = open_noise(shape, grain_um / FIELD_UM, rng)
    if share == 0:
        return np.full(shape, -10, np.float32)
    return noise - np.float32(np.quantile(noise, 1 - share))


def _lesions(
    tissue: np.ndarray, lesions: tuple[Lesion, ...], step: float, rng: np.random.Generator
) -> np.ndarray:
    """Signed distance to the lesions: discs made irregular, each grown until it has its share."""
    depth = np.full(tissue.shape, -1e4, np.float32)
    y, x = (np.mgrid[: tissue.shape[0], : tissue.shape[1]].astype(np.float32) + 0.5) * FIELD_UM
    inside = tissue > 0
    if lesions and not inside.any():
        raise InvalidParameterError(
            "the slide has no tissue that could hold a lesion", hint="make it larger (--sides)"
        )
    for lesion in lesions:
        radius = float(np.sqrt(lesion.share * inside.sum() / np.pi)) * FIELD_UM
        center = _lesion_center(lesion, tissue, radius, step, rng)
        bumps = 0.28 * radius * open_noise(tissue.shape, max(1.5, 0.45 * radius / FIELD_UM), rng)
        bumps += 6 * open_noise(tissue.shape, 24 / FIELD_UM, rng)
        grown = bumps - np.hypot(y - center[0], x - center[1])
        own = _grow(grown, inside, lesion.share)
        depth = np.maximum(depth, own)
    return depth


def _lesion_center(
    lesion: Lesion, tissue: np.ndarray, radius: float, step: float, rng: np.random.Generator
) -> tuple[float, float]:
    """(y, x) in micrometres: as asked for, or drawn from where the tissue is deep enough."""
    if lesion.center_px is not None:
        return lesion.center_px[0] / step * FIELD_UM, lesion.center_px[1] / step * FIELD_UM
    candidates = np.argwhere(tissue > min(radius, 0.6 * float(tissue.max())))
    row, col = candidates[rng.integers(len(candidates))]
    return (float(row) + 0.5) * FIELD_UM, (float(col) + 0.5) * FIELD_UM


def _grow(depth: np.ndarray, inside: np.ndarray, share: float) -> np.ndarray:
    """Shift `depth` so that it is positive in a share of the tissue, and fill its holes."""
    depth = depth - np.float32(np.quantile(depth[inside], 1 - share))
    outside = label(depth <= 0, connectivity=1)
    border = np.unique(np.concatenate([outside[0], outside[-1], outside[:, 0], outside[:, -1]]))
    depth[(outside > 0) & ~np.isin(outside, border)] = FIELD_UM
    return depth


def _fibre_angle(across: np.ndarray, turn: float) -> np.ndarray:
    """Direction along which the coordinate across the fibres stays the same."""
    dy, dx = np.gradient(across, FIELD_UM)
    # across = -sin(turn) x + cos(turn) y + warp; its level lines run at right angles to its gradient.
    gradient_y, gradient_x = np.cos(turn) + dy, -np.sin(turn) + dx
    return np.arctan2(-gradient_x, gradient_y).astype(np.float32)


def _glands(
    tissue: np.ndarray, lesion: np.ndarray, fat: np.ndarray, spacing: float, rng: np.random.Generator
) -> tuple[Gland, ...]:
    """Glands on a jittered lattice, in part of the normal tissue only."""
    if spacing == 0:
        return ()
    zones = open_noise(tissue.shape, 300 / FIELD_UM, rng)
    height, width = np.array(tissue.shape) * FIELD_UM
    glands = []
    for row in range(int(height / spacing) + 1):
        for col in range(int(width / spacing) + 1):
            shift, shape, seed = rng.uniform(-0.3, 0.3, 2), rng.random(3), int(rng.integers(2**31))
            y, x = (row + 0.5 + shift[0]) * spacing, (col + 0.5 + shift[1]) * spacing
            outer = 34 + 40 * shape[0] ** 1.5
            at = min(int(y / FIELD_UM), tissue.shape[0] - 1), min(int(x / FIELD_UM), tissue.shape[1] - 1)
            room = tissue[at] > outer + 15 and lesion[at] < -outer - 10 and fat[at] < -0.1
            if room and zones[at] > -0.5:
                radii = outer, outer * (0.55 + 0.4 * shape[1])
                glands.append(Gland(y, x, radii, float(shape[2] * np.pi), seed))
    return tuple(glands)
