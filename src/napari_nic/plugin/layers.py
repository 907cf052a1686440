"""Values of the core -> napari layer data; pure functions.

Frame
-----
napari puts the *centre* of element 0 at the layer's translation, so a slide shown with ``scale=mpp`` has its
top left corner at ``-mpp / 2``. Every layer made here is placed in that frame by
:meth:`~napari_nic.geometry.Placement.centred_on`; :func:`to_slide_um` leads back from napari's world to
micrometres from the slide's corner. A slide of unknown pixel size is shown in pixels (1 unit each).
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from napari_nic.colors import GREEN
from napari_nic.errors import NicError, RemoteError
from napari_nic.geometry import LevelGeometry, PixelSize, Placement, RegionPx
from napari_nic.slides import Slide
from napari_nic.tissue import TissueMask

if TYPE_CHECKING:
    import dask.array as da
    from napari.layers import Layer

    from napari_nic.explain import Overlay
    from napari_nic.plugin.controllers.displaying import Shown
    from napari_nic.plugin.legend import Legend

LayerData = tuple[Any, dict[str, Any], str]
"""(data, keyword arguments of the layer, layer type), as napari's readers give it."""

METADATA_KEY = "napari_nic"

UNKNOWN_PIXEL = PixelSize(1.0, 1.0, "unknown")
"""Stands for a pixel size that nobody knows: the layer is shown in pixels."""

TISSUE_COLOR = (*(part / 255 for part in GREEN), 1.0)
"""Told from pink and purple stains by colour-blind eyes too."""

MAX_COMMON_FACTOR = 4096
"""Past this common multiple of the downsamples padding would cost more than it mends."""


@dataclass(eq=False)
class LayerTag:
    """What the plugin knows of a layer of its own; lies in the layer's metadata.

    Attributes
    ----------
    kind : str
        What the layer shows.
    slide : Slide, optional
        The slide that it shows or lies on.
    name : str
        For an overlay its kind, for annotations their file.
    asked : bool
        Whether the user was asked for the slide's um/px already.
    twin : Slide, optional
        For a slide, the same one as the layer shows it: what cannot be read is hatched.
    legend : Legend, optional
        For an overlay, what its colours mean.
    look : Shown, optional
        For a slide that is shown in another tone, or one stain of it: what its levels go through.
    """

    kind: Literal["slide", "overlay", "annotations", "tissue", "drawing", "painting"]
    slide: Slide | None = None
    name: str = ""
    asked: bool = False
    twin: Slide | None = None
    legend: Legend | None = None
    look: Shown | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # napari copies metadata when a layer is duplicated; an open file cannot be copied.
        return self


def tag_of(layer: Layer) -> LayerTag | None:
    """Return the tag of a layer of ours, None for any other."""
    tag = layer.metadata.get(METADATA_KEY)
    return tag if isinstance(tag, LayerTag) else None


def pixel_of(slide: Slide | None) -> PixelSize:
    """Size of a level-0 pixel as it is shown."""
    return UNKNOWN_PIXEL if slide is None or slide.pixel_size is None else slide.pixel_size


def frame(pixel: PixelSize, placement: Placement | None = None) -> dict[str, Any]:
    """Keyword arguments that put a raster on a slide: scale, translate and units.

    Parameters
    ----------
    pixel : PixelSize
        Size of the slide's level-0 pixel, see :func:`pixel_of`.
    placement : Placement, optional
        In micrometres, as the core gives it; the slide's level 0 by default.
    """
    if placement is None:
        scale, translate = (pixel.y, pixel.x), (0.0, 0.0)
    else:
        scale, translate = placement.centred_on(pixel)
    unit = "pixel" if pixel is UNKNOWN_PIXEL else "um"
    return {"scale": scale, "translate": translate, "units": (unit, unit)}


def annotation_frame(slide: Slide | None) -> dict[str, Any]:
    """Like :func:`frame`, for vertices: their numbers are level-0 pixels, corner-based."""
    pixel = pixel_of(slide)
    place = frame(pixel)
    return place | {"translate": (-pixel.y / 2, -pixel.x / 2)}


def to_slide_um(world: Sequence[float], slide: Slide) -> tuple[float, float]:
    """Map napari's world (y, x) to micrometres from the slide's top left corner."""
    pixel = pixel_of(slide)
    return world[-2] + pixel.y / 2, world[-1] + pixel.x / 2


def slide_layer(slide: Slide) -> LayerData:
    """Show a slide as a multiscale RGB image; what cannot be read is hatched, and told once."""
    shown = slide.with_hatching(DamageTeller(slide.name))
    levels = align_levels(shown.pyramid(), shown.pyramid_levels, slide.background)
    options = {
        "name": slide.name,
        "rgb": True,
        "multiscale": True,
        # The slide keeps what it decoded, within bounds, and lets it go at its end. napari's cache would keep
        # it once more: up to a quarter of the machine's memory, for as long as the program runs.
        "cache": False,
        "metadata": {METADATA_KEY: LayerTag("slide", slide, slide.name, twin=shown)},
        **frame(pixel_of(slide)),
    }
    return levels, options, "image"


def align_levels(
    levels: Sequence[da.Array], geometries: Sequence[LevelGeometry], background: tuple[int, int, int]
) -> list[da.Array]:
    """Pad the levels with background until napari derives their true downsamples from their shapes.

    napari takes the downsample of a level for the ratio of its shape to level 0's. A writer that halves and
    rounds makes that ratio wrong: a level of factor 64 with 937 of 937.5 pixels would be stretched by half
    of its own pixels, so that at low zoom the slide lies up to 33 level-0 pixels off its overlays at the
    far edge. Padding level 0 to a whole multiple of all (whole) downsamples, and every level to its share
    of that, makes the ratios exact. At most one pixel of the coarsest level is added at the bottom and
    right, in the slide's background colour. Downsamples that are no whole numbers are ratios already.
    """
    whole = [
        _padded_side(geometries[0].shape[axis], [(g.downsample_y, g.downsample_x)[axis] for g in geometries])
        for axis in (0, 1)
    ]
    padded = []
    for level, geometry in zip(levels, geometries, strict=True):
        shape = (round(whole[0] / geometry.downsample_y), round(whole[1] / geometry.downsample_x))
        padded.append(_pad(level, shape, background))
    return padded


def _padded_side(side: int, downsamples: Sequence[float]) -> int:
    factors = [int(factor) for factor in downsamples if float(factor).is_integer()]
    common = math.lcm(*factors)
    if len(factors) < len(downsamples) or common > MAX_COMMON_FACTOR:
        return side
    return -(-side // common) * common


def _pad(level: da.Array, shape: tuple[int, int], background: tuple[int, int, int]) -> da.Array:
    import dask.array as da

    color = np.asarray(background, np.uint8)
    for axis in (0, 1):
        missing = shape[axis] - level.shape[axis]
        if missing > 0:
            rim = list(level.shape)
            rim[axis] = missing
            chunks = [*level.chunks]
            chunks[axis] = (missing,)
            level = da.concatenate([level, da.broadcast_to(color, rim, chunks=tuple(chunks))], axis=axis)
    return level


def overlay_layer(
    overlay: Overlay, slide: Slide | None, *, title: str, pixel: PixelSize | None = None
) -> LayerData:
    """Show an overlay of cells; cells outside its mask are transparent.

    Pictures become RGBA images, values scalar images that keep their values, limits and colour map.

    Parameters
    ----------
    overlay : Overlay
    slide : Slide or None
        What it lies on, if that is open.
    title : str
        Of the layer.
    pixel : PixelSize, optional
        Of the slide, for a slide that is not open.
    """
    from napari_nic.plugin.legend import legend_of  # here: it loads what opening a slide does without

    options: dict[str, Any] = {
        "name": title,
        "metadata": {METADATA_KEY: LayerTag("overlay", slide, overlay.kind, legend=legend_of(overlay))},
        "blending": "translucent_no_depth",
        **frame(pixel or pixel_of(slide), overlay.placement),
    }
    if overlay.data.ndim == 3:
        return to_rgba(overlay.data, overlay.mask), options | {"rgb": True}, "image"
    values = np.where(overlay.mask, overlay.data, np.float32(np.nan)).astype(np.float32)
    if overlay.is_classes:
        return values, options | _class_colors(overlay), "image"
    options |= {"colormap": overlay.colormap}
    if overlay.limits is not None:
        options |= {"contrast_limits": overlay.limits}
    return values, options, "image"


def _class_colors(overlay: Overlay) -> dict[str, Any]:
    """Colour map with one step for each class: such a layer and one of scores can become each other."""
    from napari.utils.colormaps import Colormap

    count = len(overlay.legend)
    colors = [(*(part / 255 for part in color), 1.0) for _, color in overlay.legend]
    steps = Colormap(colors, controls=np.linspace(0, 1, count + 1), interpolation="zero", name="classes")
    return {"colormap": steps, "contrast_limits": (-0.5, count - 0.5)}


def to_rgba(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return (rows, cols, 4) uint8 of an RGB or RGBA picture, transparent outside `mask`."""
    rgba = np.zeros((*picture.shape[:2], 4), np.uint8)
    rgba[..., :3] = picture[..., :3]
    rgba[..., 3] = 255
    rgba[~mask] = 0
    return rgba


def tissue_layer(tissue: TissueMask, slide: Slide) -> LayerData:
    """Show a tissue mask as labels that can be painted: 1 is tissue."""
    options = {
        "name": f"Tissue ({slide.name})",
        "opacity": 0.4,
        "metadata": {METADATA_KEY: LayerTag("tissue", slide, tissue.method)},
        "colormap": {0: (0, 0, 0, 0), 1: TISSUE_COLOR, None: TISSUE_COLOR},
        **frame(pixel_of(slide), tissue.placement),
    }
    return tissue.mask.astype(np.uint8), options, "labels"


def tissue_of(layer: Layer, slide: Slide) -> TissueMask:
    """Read back a painted tissue layer; any label but 0 is tissue.

    The place is taken from the layer, so that a layer that was moved or copied keeps its meaning.
    """
    pixel = pixel_of(slide)
    step = (float(layer.scale[-2]), float(layer.scale[-1]))
    corner = (
        float(layer.translate[-2]) - (step[0] - pixel.y) / 2,
        float(layer.translate[-1]) - (step[1] - pixel.x) / 2,
    )
    return TissueMask.from_array(np.asarray(layer.data) > 0, Placement(corner, step), method="edited")


def visible_region(corners: np.ndarray, factors: np.ndarray, slide: Slide) -> RegionPx:
    """Level-0 pixels of the slide that are on the screen.

    Parameters
    ----------
    corners : ndarray, (2, 2)
        napari's ``corner_pixels``: first and last (y, x) pixel of the shown level.
    factors : ndarray, (2,)
        Level-0 pixels per pixel of that level.
    """
    top, left = (int(v) for v in np.floor(corners[0] * factors))
    bottom, right = (int(v) for v in np.ceil((corners[1] + 1) * factors))
    shown = RegionPx(top, left, max(0, bottom - top), max(0, right - left))
    return shown.intersect(slide.levels[0].region)


class DamageTeller:
    """Called for each tile that cannot be read, from any thread; the first one is told to the user.

    Parameters
    ----------
    name : str
        Of the slide.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._told = False

    def __call__(self, error: NicError) -> None:
        """Take note of a tile."""
        with self._lock:
            told, self._told = self._told, True
        if told:
            return
        from napari.utils.notifications import show_warning

        why = "The file may be damaged, or not be copied completely."
        if isinstance(error, RemoteError):
            why = "They are asked for again when you look there again."
        show_warning(f"Parts of {self._name} cannot be read and are shown hatched ({error.problem}). {why}")
