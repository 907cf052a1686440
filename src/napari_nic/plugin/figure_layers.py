"""napari layers -> parts and legends of a figure: as they are shown, from their data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from napari_nic.plugin.annotation_layers import annotation_tag
from napari_nic.plugin.layer_looks import shown_classes
from napari_nic.plugin.layers import tag_of
from napari_nic.plugin.legend import BAR_STEPS, format_value
from napari_nic.plugin.slide_frames import SlideFrame
from napari_nic.viewing import LegendEntry, Part, RasterPart, Shape, ShapesPart

if TYPE_CHECKING:
    from napari.layers import Layer

CIRCLE = np.linspace(0, 2 * np.pi, 33)[:-1]
LINES = ("line", "path")
BLENDINGS = {
    "translucent": "translucent",
    "translucent_no_depth": "translucent",
    "additive": "additive",
    "opaque": "opaque",
}
"""What of napari's blending a figure knows; a layer blended otherwise is named as left out."""

FloatArray = npt.NDArray[np.float32]


@dataclass
class FigureLayers:
    """What becomes of layers.

    Attributes
    ----------
    parts : list of Part
        From below to above.
    legends : list of LegendEntry
    left_out : list of str
        Names of visible layers that are not in the figure.
    """

    parts: list[Part] = field(default_factory=list)
    legends: list[LegendEntry] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def figure_layers(
    layers: Sequence[Layer], frame: SlideFrame, *, without: tuple[Layer, int] | None = None
) -> FigureLayers:
    """Take what is visible, from below to above.

    Parameters
    ----------
    layers : sequence of Layer
    frame : SlideFrame
        Of the slide that is shown.
    without : (Layer, int), optional
        One shape that is left out: the rectangle that says what the figure shows.
    """
    made = FigureLayers()
    for layer in layers:
        if not layer.visible or layer.opacity == 0:
            continue
        make = _MAKERS.get(type(layer).__name__)
        if make is None or layer.ndim != 2 or str(layer.blending) not in BLENDINGS:
            made.left_out.append(layer.name)
            continue
        if without is not None and layer is without[0]:
            make = partial(_shapes_part, without=without[1])
        part = make(layer, frame)
        if part is not None:
            made.parts.append(part)
            made.legends += _legends(layer)
    return made


def _image_part(layer: Any, frame: SlideFrame) -> Part:
    if layer.rgb:
        to_rgba: Any = _rgb
    else:
        low, high = layer.contrast_limits
        to_rgba = partial(_colored, layer.colormap, float(low), float(high), float(layer.gamma))
    levels = list(layer.data) if layer.multiscale else [layer.data]
    return _raster(layer, frame, levels, to_rgba, smooth=layer.rgb)


def _labels_part(layer: Any, frame: SlideFrame) -> Part:
    tag = annotation_tag(layer)
    if tag is not None and tag.view is not None:
        levels = tag.view.whole_levels()  # those of the layer show what is not drawn yet by something coarser
    else:
        levels = list(layer.data) if layer.multiscale else [layer.data]
    return _raster(layer, frame, levels, layer.colormap.map, smooth=False)


def _raster(layer: Any, frame: SlideFrame, levels: list[Any], to_rgba: Any, *, smooth: bool) -> Part:
    return RasterPart(
        levels,
        frame.to_px_matrix(layer),
        to_rgba,
        opacity=float(layer.opacity),
        blending=BLENDINGS[str(layer.blending)],  # type: ignore[arg-type]  # its values are those
        smooth=smooth,
    )


def _rgb(values: npt.NDArray[Any]) -> FloatArray:
    scale = 1.0 if np.issubdtype(values.dtype, np.floating) else 1 / np.iinfo(values.dtype).max
    colors = values.astype(np.float32) * np.float32(scale)
    if colors.shape[-1] == 4:
        return colors
    return np.concatenate([colors, np.ones((*colors.shape[:-1], 1), np.float32)], axis=-1)


def _colored(colormap: Any, low: float, high: float, gamma: float, values: npt.NDArray[Any]) -> FloatArray:
    numbers = values.astype(np.float32)
    nothing = ~np.isfinite(numbers)
    span = (high - low) or 1.0
    shares = np.clip(np.where(nothing, 0, (numbers - low) / span), 0, 1) ** gamma
    rgba = np.asarray(colormap.map(shares.ravel()), np.float32).reshape(*shares.shape, 4).copy()
    rgba[nothing] = 0
    return rgba


def _shapes_part(layer: Any, frame: SlideFrame, *, without: int | None = None) -> Part | None:
    matrix = frame.to_px_matrix(layer)
    factor = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
    shapes = []
    rows = zip(
        layer.data, layer.shape_type, layer.edge_color, layer.face_color, layer.edge_width, strict=True
    )
    for number, (vertices, kind, edge, face, width) in enumerate(rows):
        if number != without:
            points = frame.to_px(_ellipse(vertices) if kind == "ellipse" else vertices, layer)
            shapes.append(
                Shape(points, kind not in LINES, np.asarray(edge), np.asarray(face), float(width) * factor)
            )
    return ShapesPart(shapes, float(layer.opacity)) if shapes else None


def _ellipse(corners: np.ndarray) -> np.ndarray:
    """Return points around the ellipse in a parallelogram, which is how napari keeps one."""
    middle = corners.mean(axis=0)
    one, other = (corners[1] - corners[0]) / 2, (corners[3] - corners[0]) / 2
    around = middle + np.cos(CIRCLE)[:, None] * one + np.sin(CIRCLE)[:, None] * other
    return np.asarray(around)


def _points_part(layer: Any, frame: SlideFrame) -> Part | None:
    circle = np.stack([np.sin(CIRCLE), np.cos(CIRCLE)], axis=1) / 2
    shapes = []
    sizes = np.broadcast_to(layer.size, (len(layer.data),))
    for place, size, face, border in zip(
        layer.data, sizes, layer.face_color, layer.border_color, strict=True
    ):
        points = frame.to_px(place + circle * size, layer)
        shapes.append(Shape(points, True, np.asarray(border), np.asarray(face), 1.0))
    return ShapesPart(shapes, float(layer.opacity)) if shapes else None


_MAKERS: dict[str, Any] = {
    "Image": _image_part,
    "Labels": _labels_part,
    "Shapes": _shapes_part,
    "Points": _points_part,
}


def _legends(layer: Any) -> list[LegendEntry]:
    """Say what the colours of a layer mean, as far as it is known."""
    annotations, tag = annotation_tag(layer), tag_of(layer)
    if annotations is not None:
        swatches = tuple(shown_classes(layer).items())
        return [LegendEntry(layer.name, swatches)] if swatches else []
    legend = None if tag is None else tag.legend
    if legend is not None and legend.swatches:
        return [LegendEntry(legend.title, legend.swatches)]
    if type(layer).__name__ != "Image" or layer.rgb:
        return [] if legend is None else [LegendEntry(legend.title)]
    bar = layer.colormap.map(np.linspace(0, 1, BAR_STEPS) ** float(layer.gamma))[:, :3]
    low, high = (format_value(float(value)) for value in layer.contrast_limits)
    unit = legend.bar.unit if legend is not None and legend.bar is not None else ""
    title = layer.name if legend is None else legend.title
    return [LegendEntry(title, bar=np.rint(bar * 255).astype(np.uint8), ends=(low, f"{high} {unit}".strip()))]
