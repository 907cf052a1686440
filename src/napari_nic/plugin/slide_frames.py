"""From the numbers of a layer to pixels of a slide: layer -> napari's world -> slide.

A layer of shapes may have any scale, translation, rotation, shear and unit: napari's "new shapes layer" takes
those of the layer that is chosen, an overlay of 128 px cells for instance, and users move and turn layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.errors import AnnotationError
from napari_nic.geometry import PixelSize
from napari_nic.plugin.layers import UNKNOWN_PIXEL, LayerTag, annotation_frame, frame, pixel_of
from napari_nic.slides import Slide

if TYPE_CHECKING:
    from napari.layers import Layer

MICROMETRE = "micrometer"


class SlideFrame:
    """Where a slide lies in napari's world.

    Parameters
    ----------
    slide : Slide or None
        None stands for no slide: the world's unit is then a pixel.
    layer : Layer, optional
        The layer that shows the slide, which the user may have moved; by default it lies where it was put.
    """

    def __init__(self, slide: Slide | None, layer: Layer | None = None) -> None:
        self.slide = slide
        self._pixel = pixel_of(slide)
        self._layer = layer

    def to_px(self, points: np.ndarray, layer: Layer) -> np.ndarray:
        """Map vertices of a layer to level-0 pixels of the slide.

        Parameters
        ----------
        points : ndarray, (n, layer.ndim)
            Data coordinates of `layer`.

        Returns
        -------
        ndarray of float64, (n, 2)
            (y, x), corner-based.

        Raises
        ------
        AnnotationError
            If the layer is measured in a length and the slide, whose pixel size is not known, is not.
        """
        world = _apply(_matrix(layer), np.asarray(points, np.float64))[:, -2:]
        world = world * self._units(layer)
        if self._layer is None:
            pixel = np.array([self._pixel.y, self._pixel.x])
            return np.asarray((world + pixel / 2) / pixel)
        centred = _apply(np.linalg.inv(_matrix(self._layer)[-3:, -3:]), world)
        return centred + 0.5

    def to_px_matrix(self, layer: Layer) -> np.ndarray:
        """Return (3, 3) that maps (y, x, 1) of a layer of two dimensions as :meth:`to_px` does."""
        origin, down, right = self.to_px(np.array([[0, 0], [1, 0], [0, 1]]), layer)
        return np.array([[*(down - origin), 0], [*(right - origin), 0], [*origin, 1]]).T

    def from_px(self, points: np.ndarray, layer: Layer) -> np.ndarray:
        """Map level-0 pixels (n, 2) of the slide to vertices of a layer of two dimensions: leads back.

        Raises
        ------
        AnnotationError
            As :meth:`to_px`.
        """
        matrix = self.to_px_matrix(layer)
        if np.array_equal(matrix, np.eye(3)):
            return np.asarray(points, np.float64)
        return _apply(np.linalg.inv(matrix), np.asarray(points, np.float64))

    def _units(self, layer: Layer) -> np.ndarray:
        """Length of the layer's world unit in the slide's, for y and x."""
        return np.array([self._unit(str(unit)) for unit in layer.units[-2:]])

    def _unit(self, unit: str) -> float:
        if unit in ("pixel", "dimensionless"):
            return 1.0  # napari shows such layers by their bare numbers
        if self._pixel is UNKNOWN_PIXEL:
            raise AnnotationError(
                "shapes measured in a length belong to a slide whose pixel size is known",
                found=f"shapes in {unit}",
                hint="open their slide first, and say how large its pixels are",
            )
        return _in_micrometres(unit)


def _in_micrometres(unit: str) -> float:
    import pint

    return float(pint.get_application_registry().Quantity(1, unit).to(MICROMETRE).magnitude)


def _matrix(layer: Layer) -> np.ndarray:
    """Homogeneous matrix (ndim + 1, ndim + 1) of what napari does to a layer's data."""
    count = layer.ndim
    origin = np.array(layer.data_to_world([0.0] * count))
    steps = [np.array(layer.data_to_world(row)) - origin for row in np.eye(count)]
    matrix = np.eye(count + 1)
    matrix[:count, :count] = np.stack(steps, axis=1)
    matrix[:count, count] = origin
    return matrix


def _apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.asarray(points @ matrix[:-1, :-1].T + matrix[:-1, -1])


def carrier(attributes: dict[str, Any]) -> Layer:
    """Make an empty layer that lies where layer data of these attributes do, to ask where vertices are."""
    from napari.layers import Points

    names = ("scale", "translate", "rotate", "shear", "affine", "units")
    given = {name: attributes[name] for name in names if attributes.get(name) is not None}
    return Points(ndim=len(given["scale"]) if "scale" in given else 2, **given)


def rescale(layer: Layer, before: PixelSize, after: PixelSize) -> None:
    """Keep a layer on the pixels that it lies on when the slide's pixel size becomes another one."""
    ratio = np.array([after.y / before.y, after.x / before.x])
    shift = ratio * (before.y / 2, before.x / 2) - (after.y / 2, after.x / 2)
    matrix = np.eye(3)
    matrix[:2, :2] = np.diag(ratio)
    matrix[:2, 2] = shift
    layer.affine = matrix @ np.asarray(layer.affine.affine_matrix)


def change_slide(layer: Layer, tag: LayerTag, slide: Slide) -> None:
    """Give a layer of a slide the slide's new pixel size; only pixel-frame layers can exist before it."""
    before, tag.slide = tag.slide, slide
    if getattr(tag, "keeps_place", False):
        rescale(layer, pixel_of(before), pixel_of(slide))
        return
    is_vertices = tag.kind == "annotations" and hasattr(layer, "selected_data")
    place = annotation_frame(slide) if is_vertices else frame(pixel_of(slide))
    if tag.kind in ("slide", "annotations"):
        layer.scale = place["scale"]
        layer.translate = place["translate"]
        layer.units = place["units"]
