"""Slides composed of windows of real tissue, with a graft of tumour or, as a decoy, of normal tissue."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np

from napari_nic.errors import OutOfBoundsError
from napari_nic.geometry import RegionPx
from napari_nic.synthetic.cohorts.stock import Picture, TissueStock, draw_pictures
from napari_nic.synthetic.layout import Layout, interpolate_field, lesion_polygons, plan_layout
from napari_nic.synthetic.noise import smoothstep
from napari_nic.synthetic.spec import SyntheticSlideSpec
from napari_nic.synthetic.stains import EOSIN, HAEMATOXYLIN, Stain

if TYPE_CHECKING:
    import shapely

FEATHER_PX = 12
"""Neighbouring windows overlap by this and blend, so that no edge tells where one ends."""

GROUND_PICTURES, GRAFT_PICTURES = 6, 3
"""Pictures of one slide's tissue, and of its graft: a slide is more like itself than like others."""

BORDER_UM = 1.5
"""Half the width in which tissue ends on glass, and a graft in its surroundings."""

NEIGHBOURS = 3
"""So many windows in a row, and in a column, come from one picture."""

TRANSFORMS = 8
GROUND, GRAFT = 0, 1
_CHOICE_STREAM, _WINDOW_STREAM, _PICTURE_STREAM = 91, 92, 93
_LARGEST_LATTICE = 2**20
"""Keeps the numbers of windows left of and above the slide positive."""


@dataclass(frozen=True)
class Composition:
    """What a composed slide is made from, besides the stock.

    Attributes
    ----------
    spec : SyntheticSlideSpec
        Size, resolution, shape of the tissue and of the graft (its lesions), and the change of stain; what
        it says of fat, glands and lymphocytes does not apply.
    source : str
        Folder of the stock.
    has_lesion : bool
        Whether the graft is tumour. Otherwise it is normal tissue of other pictures, so that grafting alone
        does not give the label away.
    """

    spec: SyntheticSlideSpec
    source: str
    has_lesion: bool


class Mosaic:
    """A composed slide that is painted on demand; safe to use from several threads.

    Parameters
    ----------
    composition : Composition
    stock : TissueStock
        Of the part that the slide belongs to.

    Attributes
    ----------
    layout : Layout
    """

    def __init__(self, composition: Composition, stock: TissueStock) -> None:
        self._composition, spec = composition, composition.spec
        self.layout: Layout = plan_layout(spec)
        rng = np.random.default_rng((_CHOICE_STREAM, spec.seed))
        normal = stock.pictures_of(composition.source, tumour=False)
        ground = draw_pictures(normal, GROUND_PICTURES, tumour=False, rng=rng)
        grafts = stock.pictures_of(composition.source, tumour=True) if composition.has_lesion else normal
        graft = draw_pictures(grafts, GRAFT_PICTURES, tumour=composition.has_lesion, rng=rng)
        self._canvases = (
            _Canvas(ground, stock.window, (spec.seed, GROUND), tumour=False),
            _Canvas(graft, stock.window, (spec.seed, GRAFT), tumour=composition.has_lesion),
        )
        stain = Stain.drawn(spec.seed, spec.stain_variation)
        self._stain = _stain_change(stain)
        self._glass = np.array(stain.glass, np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, cols) of level 0."""
        return self._composition.spec.height, self._composition.spec.width

    @property
    def mpp(self) -> float:
        """Micrometres per pixel of level 0."""
        return self._composition.spec.mpp

    def lesion_polygons(self) -> list[shapely.Polygon]:
        """Outline the tumour: (x, y) in level-0 pixels, largest first; none where the graft is normal."""
        if not self._composition.has_lesion:
            return []
        return lesion_polygons(self.layout, self._composition.spec.pixels_per_um)

    def read(self, region: RegionPx) -> np.ndarray:
        """Paint a rectangle of level-0 pixels: (height, width, 3) uint8 RGB, the same however it is cut.

        Raises
        ------
        OutOfBoundsError
            If the rectangle passes the slide's edge.
        """
        if region.intersect(RegionPx(0, 0, *self.shape)) != region:
            raise OutOfBoundsError(
                "the region passes the slide's edge", expected=f"{self.shape}", found=f"{region}"
            )
        out = np.broadcast_to(self._glass, (region.height, region.width, 3)).astype(np.float32)
        tissue = self._inside(self.layout.tissue, region)
        if tissue.any():
            lesion = self._inside(self.layout.lesion_depth, region)
            color = self._canvases[GROUND].read(region)
            if lesion.any():
                color += lesion * (self._canvases[GRAFT].read(region) - color)
            out += tissue * (_restained(color, self._stain) - out)
        return np.rint(out).astype(np.uint8)

    def _inside(self, depth: np.ndarray, region: RegionPx) -> np.ndarray:
        """1 inside, 0 outside, float32 (height, width, 1)."""
        field = interpolate_field(depth, region, self._composition.spec.pixels_per_um)
        return smoothstep(field, -BORDER_UM, BORDER_UM)[..., None]


class _Canvas:
    """An endless plane of windows of one kind, on a lattice."""

    def __init__(
        self, pictures: tuple[Picture, ...], window: int, stream: tuple[int, int], *, tumour: bool
    ) -> None:
        self._pictures, self._window, self._stream = pictures, window, stream
        self._corners = [picture.corners(tumour=tumour) for picture in pictures]
        counts = np.array([len(corners) for corners in self._corners], float)
        self._shares = counts / counts.sum()
        self._stride = window - FEATHER_PX
        # Up and down again; where two windows overlap their weights sum to one.
        ramp = np.minimum((np.arange(window) + 0.5) / FEATHER_PX, 1).astype(np.float32)
        profile = np.minimum(ramp, ramp[::-1])
        self._weights = (profile[:, None] * profile)[..., None]
        self._offset = np.random.default_rng((_WINDOW_STREAM, *stream)).integers(0, self._stride, 2)
        self._drawn = lru_cache(maxsize=None)(self._draw)

    def read(self, region: RegionPx) -> np.ndarray:
        """Paint a rectangle: float32 (height, width, 3)."""
        out = np.zeros((region.height, region.width, 3), np.float32)
        for row in self._touching(region.y, region.bottom, 0):
            for col in self._touching(region.x, region.right, 1):
                place = RegionPx(self._start(row, 0), self._start(col, 1), self._window, self._window)
                common = region.intersect(place)
                source = RegionPx(common.y - place.y, common.x - place.x, common.height, common.width)
                target = RegionPx(common.y - region.y, common.x - region.x, common.height, common.width)
                out[target.slices] += self._weights[source.slices] * self._drawn(row, col)[source.slices]
        return out

    def _start(self, index: int, axis: int) -> int:
        return int(index * self._stride - self._offset[axis])

    def _touching(self, first: int, end: int, axis: int) -> range:
        """Numbers of the windows that reach into pixels first to end."""
        shifted = first + int(self._offset[axis]) - self._window
        return range(shifted // self._stride + 1, -(-(end + int(self._offset[axis])) // self._stride))

    def _draw(self, row: int, col: int) -> np.ndarray:
        """Return the window (side, side, 3) uint8 at a place of the lattice, a view of its picture."""
        place = (row + _LARGEST_LATTICE, col + _LARGEST_LATTICE)
        rng = np.random.default_rng((_WINDOW_STREAM, *self._stream, *place))
        number = self._picture_at(place[0] // NEIGHBOURS, place[1] // NEIGHBOURS)
        y, x = self._corners[number][rng.integers(len(self._corners[number]))]
        window = self._pictures[number].image[y : y + self._window, x : x + self._window]
        transform = int(rng.integers(TRANSFORMS))
        rotated = np.rot90(window, transform % 4)
        return rotated[:, ::-1] if transform >= TRANSFORMS // 2 else rotated

    def _picture_at(self, row: int, col: int) -> int:
        """Number of the picture that neighbouring windows come from."""
        rng = np.random.default_rng((_PICTURE_STREAM, *self._stream, row, col))
        return int(rng.choice(len(self._pictures), p=self._shares))


def _stain_change(stain: Stain) -> np.ndarray:
    """Matrix (3, 3) that takes the optical density of the reference stain to that of another one."""
    reference = _basis(np.array([HAEMATOXYLIN, EOSIN]))
    changed = _basis(np.array([stain.haematoxylin, stain.eosin]))
    return (np.linalg.inv(reference) @ changed).astype(np.float32)


def _basis(dyes: np.ndarray) -> np.ndarray:
    """Both dyes and what is neither, which keeps its length: rows of a (3, 3) matrix."""
    rest = np.cross(dyes[0], dyes[1])
    return np.vstack([dyes, rest / np.linalg.norm(rest)])


def _restained(color: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Change the stain of pixels (h, w, 3) float32, 0 to 255, by the law of Lambert and Beer."""
    density = cv2.log((color + 1) / 256)
    return np.asarray(np.clip(256 * cv2.exp(cv2.transform(density, change.T)) - 1, 0, 255))
