"""A layer of very many outlines: pictures of class numbers under a table of colours, and what lies where."""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from psygnal import Signal

from napari_nic.annotations import RGB
from napari_nic.outlines import OutlineIndex, OutlinePyramid
from napari_nic.outlines.values import RGBA, color_table
from napari_nic.plugin.layers import METADATA_KEY, LayerData, LayerTag, frame, pixel_of
from napari_nic.plugin.legend import UM
from napari_nic.plugin.outline_tiles import OutlineLevel, TileDrawing, levels_of
from napari_nic.plugin.worker import Runner
from napari_nic.slides import Slide

if TYPE_CHECKING:
    from napari.layers import Labels
    from napari.utils.colormaps import DirectLabelColormap

OWN = "\0"
"""After a class, and before the colour of an outline that has one of its own: a label no class can have."""

_CHOOSING = ("pan_zoom", "select", "direct")
"""Modes of napari's shapes in which nothing is drawn."""

EVERYWHERE = (-np.inf, -np.inf, np.inf, np.inf)

REACH_PX = 3
"""So far beside a line the pointer may be, in pixels of the level that is shown."""


class OutlineView:
    """Very many outlines of a slide, shown by one layer of labels.

    Nothing but tiles that are looked at is ever drawn; what changes costs the tiles that it touches, and a
    colour costs none.

    Parameters
    ----------
    index : OutlineIndex
        To be changed by this view alone.
    colors : mapping of str to (r, g, b) or None
        Of the labels; None hides a class.
    tag : LayerTag
        Of the layer; names it, and the slide that it lies on.
    pyramid : OutlinePyramid, optional
        Of the index and in the size of the slide, where there is one already.

    Attributes
    ----------
    name_of : callable
        ``name_of(id)`` gives the name of an outline, for what lies under the pointer.
    picked : Signal
        ``(id or None, whether Shift or Control was held)``: a click on the layer, not a drag.
    """

    picked = Signal(object, bool)

    def __init__(
        self,
        index: OutlineIndex,
        colors: Mapping[str, RGB | None],
        tag: LayerTag,
        *,
        pyramid: OutlinePyramid | None = None,
    ) -> None:
        self._tag = tag
        self._colors = dict(colors)
        self._layer: Labels | None = None
        self._drawing: TileDrawing | None = None
        self._runner: Runner | None = None
        self._is_late = False
        self.name_of: Callable[[Hashable], str] = lambda _: ""
        self._set_pyramid(pyramid or self._pyramid_of(index))

    @property
    def slide(self) -> Slide | None:
        """What the outlines lie on."""
        return self._tag.slide

    # -- the layer ---------------------------------------------------------------------------------------

    def layer_data(self) -> LayerData:
        """Return the layer as napari's readers give it."""
        options = {
            "name": self._tag.name,
            "multiscale": True,
            "metadata": {METADATA_KEY: self._tag},
            "blending": "translucent_no_depth",
            "opacity": 1.0,
            "colormap": self._colormap(),
            **frame(pixel_of(self.slide)),
        }
        return self.levels, options, "labels"

    def whole_levels(self) -> list[Any]:
        """Return levels of which every part is drawn before it is given: for pictures that are kept."""
        return levels_of(self.pyramid)

    def bind(self, layer: Labels, runner: Runner | None = None) -> None:
        """Follow the layer that was made of this: tell what lies under the pointer, and what is clicked.

        Parameters
        ----------
        layer : napari Labels
        runner : Runner, optional
            Draws tiles beside the window; without it they are drawn when napari asks for them.
        """
        is_drawing = runner is not None and runner is self._runner and self._layer is None
        if not is_drawing:
            self.release()
        self._layer, self._runner = layer, runner
        layer.get_status = partial(_status, layer.get_status, self)
        layer.mouse_drag_callbacks.append(self.on_press)
        if not is_drawing:
            self._draw_beside()
        elif self._is_late:
            self._refresh()

    def draw_by(self, runner: Runner) -> None:
        """Draw tiles beside the window from now on, also those that napari asks for as it makes the layer."""
        if runner is not self._runner:  # else what is being drawn goes on
            self._runner = runner
            self._draw_beside()

    def release(self) -> None:
        """Let the layer go; what is drawn beside the window ends."""
        layer, self._layer, self._runner = self._layer, None, None
        self._draw_beside()
        if layer is not None:
            layer.__dict__.pop("get_status", None)
            if self.on_press in layer.mouse_drag_callbacks:
                layer.mouse_drag_callbacks.remove(self.on_press)

    @property
    def busy(self) -> bool:
        """Whether tiles that are looked at are still being drawn."""
        return self._drawing is not None and self._drawing.busy

    # -- what is shown -----------------------------------------------------------------------------------

    def replace(self, changes: Mapping[Hashable, tuple[Any, str] | None]) -> None:
        """Change outlines, add those of new ids, and remove those that become None.

        Parameters
        ----------
        changes : mapping of id to (geometry, label) or None
            Geometries in level-0 pixels, (x, y).
        """
        if self.pyramid.replace(changes):
            self._set_levels()
        self._refresh()

    def reset(self, index: OutlineIndex) -> None:
        """Show other outlines in the place of all that were shown."""
        self._set_pyramid(self._pyramid_of(index))
        self._refresh()

    def turn_to(self, pyramid: OutlinePyramid) -> None:
        """Show what was drawn elsewhere, in the same size, in the place of all that was shown."""
        pyramid.index.hide(self._hidden())
        self.index = pyramid.index
        if self.pyramid.turn_to(pyramid):
            self._set_levels()
        self._refresh()

    def hide(self, ids: Iterable[Hashable]) -> None:
        """Neither draw nor find these: while they are edited elsewhere."""
        self.pyramid.set_shown(ids, False)
        self._refresh()

    def show(self, ids: Iterable[Hashable]) -> None:
        """Draw and find these again."""
        self.pyramid.set_shown(ids, True)
        self._refresh()

    def set_colors(self, colors: Mapping[str, RGB | None]) -> None:
        """Give classes other colours; None hides one. For a colour nothing is drawn anew.

        What a class that is hidden covered, or one that is shown again covers, is drawn a moment later.

        Parameters
        ----------
        colors : mapping of str to (r, g, b) or None
            Those of classes that are not in it stay.
        """
        known = self._colors | dict(colors)
        if known != self._colors:
            self._colors = known
            if self._layer is not None:
                self._layer.colormap = self._colormap()
            if self.pyramid.hide(self._hidden()):
                self._draw_whole()

    def shown_colors(self) -> dict[str, RGB]:
        """Return the colours of the classes that are shown; not those of single outlines."""
        used = {self.index.labels[number] for number in set(self.index.found(*EVERYWHERE).classes.tolist())}
        colors = {label: self._colors.get(label) for label in self.index.labels if label in used}
        return {label: color for label, color in colors.items() if color is not None and OWN not in label}

    # -- what lies where ---------------------------------------------------------------------------------

    def at(self, world: Sequence[float]) -> Hashable | None:
        """Id of what a point of napari's world shows, None beside all."""
        if self._layer is None:
            return None
        y, x = (float(value) + 0.5 for value in self._layer.world_to_data(world)[-2:])
        return self.index.at(x, y, REACH_PX * 2.0**self._layer.data_level)

    def inside(self, corners: np.ndarray) -> list[Hashable]:
        """Ids of what lies within a box of napari's world, given by two of its corners, (2, 2) as (y, x)."""
        if self._layer is None:
            return []
        placed = np.array([self._layer.world_to_data(corner)[-2:] for corner in corners]) + 0.5
        (top, left), (bottom, right) = placed.min(axis=0), placed.max(axis=0)
        return self.index.inside(float(left), float(top), float(right), float(bottom))

    def describe(self, identity: Hashable) -> str:
        """Say class, name and size of an outline."""
        geometry = self.index.geometry(identity)
        label = self.index.label(identity).partition(OWN)[0]
        words = [label, self.name_of(identity), self._size_of(geometry)]
        return ", ".join(word for word in words if word)

    def _size_of(self, geometry: Any) -> str:
        pixel = pixel_of(self.slide)
        unit = "px" if self.slide is None or self.slide.pixel_size is None else UM
        area = float(shapely.area(geometry)) * pixel.x * pixel.y
        if area:
            return f"{area:,.0f} {unit}\u00b2" if area >= 10 else f"{area:.2g} {unit}\u00b2"
        length = shapely.length(shapely.transform(geometry, lambda xy: xy * (pixel.x, pixel.y)))
        return f"{float(length):,.0f} {unit}" if length else ""

    # -- inner -------------------------------------------------------------------------------------------

    def _colormap(self) -> DirectLabelColormap:
        from napari.utils.colormaps import DirectLabelColormap

        table: dict[int | None, RGBA] = {None: (0.0, 0.0, 0.0, 0.0)}
        return DirectLabelColormap(color_dict=table | color_table(self.index.labels, self._colors))

    def _hidden(self) -> list[str]:
        return [label for label, color in self._colors.items() if color is None]

    def _draw_whole(self) -> None:
        """Draw the last level anew, which napari holds itself, and what is looked at."""
        if self._drawing is None:
            self.pyramid.draw(self.pyramid.whole)
        else:
            self._drawing.want([self.pyramid.whole])
        self._refresh()

    def _pyramid_of(self, index: OutlineIndex) -> OutlinePyramid:
        index.hide(self._hidden())
        slide = self.slide
        return OutlinePyramid(index, None if slide is None else slide.levels[0].shape)

    def _set_pyramid(self, pyramid: OutlinePyramid) -> None:
        self.index, self.pyramid = pyramid.index, pyramid
        self._set_levels()

    def _set_levels(self) -> None:
        self.levels = levels_of(self.pyramid)
        self._draw_beside()
        if self._layer is not None:
            self._layer.data = self.levels

    def _draw_beside(self) -> None:
        """Let tiles be drawn by jobs if there is a runner."""
        if self._drawing is not None:
            self._drawing.close()
        runner = self._runner
        self._drawing = None if runner is None else TileDrawing(self.pyramid, runner, self._refresh)
        for level in self.levels:
            if isinstance(level, OutlineLevel):
                level.want = None if self._drawing is None else self._drawing.want

    def _refresh(self) -> None:
        self._is_late = self._layer is None
        if self._layer is None:
            return
        if len(self.index.labels) * 4 + 2 != len(self._layer.colormap.color_dict):
            self._layer.colormap = self._colormap()  # there are new classes
        self._layer.refresh(extent=False, thumbnail=False)

    def on_press(self, layer: Any, event: Any) -> Generator[None, None, None]:
        """Tell a click, once the button is up and the pointer was not dragged.

        Also of a layer of shapes that were lifted from this one, where it is none of them that is clicked.
        """
        if event.button != 1 or (layer is not self._layer and not _is_beside(layer, event)):
            return
        start = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.array(event.pos) - start).max() <= REACH_PX:
            held = {"Shift", "Control"} & {str(getattr(key, "name", key)) for key in event.modifiers}
            self.picked.emit(self.at(event.position), bool(held))


def _is_beside(layer: Any, event: Any) -> bool:
    """Whether a click on a layer of shapes, which are not being drawn, is on none of them."""
    if str(layer.mode) not in _CHOOSING:
        return False
    hit = layer.get_value(
        event.position,
        view_direction=event.view_direction,
        dims_displayed=event.dims_displayed,
        world=True,
    )
    return hit is None or hit[0] is None


def _status(
    usual: Callable[..., dict[str, str]], view: OutlineView, position: Any = None, **options: Any
) -> dict[str, str]:
    """What napari writes below the canvas: class, name and size, and no number of a pixel."""
    status = usual(position, **options)
    identity = None if position is None else view.at(position)
    text = "" if identity is None else view.describe(identity)
    return status | {"value": text, "coordinates": ": ".join(filter(None, (status["coords"], text)))}
