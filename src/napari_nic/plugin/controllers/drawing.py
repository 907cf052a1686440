"""Class and colour of shapes stay together, whoever draws, copies, selects or paints them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from psygnal import Signal

from napari_nic.annotations import RGB, UNCLASSIFIED, UNCLASSIFIED_COLOR, label_colors
from napari_nic.plugin.annotation_layers import COLUMNS, FACE_ALPHA, ROW, annotation_tag
from napari_nic.plugin.layer_looks import Look
from napari_nic.plugin.layer_rows import set_cells

if TYPE_CHECKING:
    from napari.layers import Layer

_LABEL = "label"


def _plain_look(_layer: Layer) -> Look:
    return Look()


class Drawing:
    """Gives new shapes the current class, and every shape the colour of its class.

    Colours in napari are set shape by shape, and a new shape takes that of the shape that was chosen last,
    whatever its class: so they are set anew after every change.
    """

    changed = Signal()

    def __init__(self) -> None:
        self.current = UNCLASSIFIED
        self._colors: dict[str, RGB] = {}
        self._followed: dict[Layer, list[tuple[Any, Any]]] = {}
        self._is_busy = False
        self.look: Callable[[Layer], Look] = _plain_look

    def close(self) -> None:
        """Let all layers go."""
        for layer in list(self._followed):
            self.release(layer)

    def colors_of(self, labels: Sequence[str], given: Mapping[str, RGB] | None = None) -> dict[str, RGB]:
        """Return the colours of labels; a label keeps its colour, and no two share one."""
        taken = set(self._colors.values()) | {UNCLASSIFIED_COLOR}
        for label, color in (given or {}).items():
            if label not in self._colors and label in labels and color not in taken:
                self._colors[label] = color
                taken.add(color)
        self._colors = label_colors([*self._colors, *labels], self._colors)
        return {label: self._colors[label] for label in labels}

    def follow(self, layer: Layer) -> None:
        """Keep the colours of a layer of shapes or points from now on; other layers are left alone."""
        if not _has_classes(layer) or layer in self._followed:
            return
        tag = annotation_tag(layer)
        if tag is not None:
            self.colors_of(tag.annotations.labels(), tag.annotations.colors)
        hooks = [
            (layer.events.features, partial(self._on_features, layer)),
            (layer.events.data, partial(self._on_features, layer)),
            (layer.events.face_color, partial(self._on_painted, layer)),
            (layer.selected_data.events.items_changed, partial(self._on_selected, layer)),
        ]
        if hasattr(layer, "shape_type"):
            hooks.append((layer.events.edge_color, partial(self._on_painted, layer)))
        for event, hook in hooks:
            event.connect(hook)
        self._followed[layer] = hooks
        self.refresh(layer)
        self._arm(layer)

    def release(self, layer: Layer) -> None:
        """Stop keeping a layer's colours."""
        for event, hook in self._followed.pop(layer, []):
            event.disconnect(hook)

    def set_class(self, label: str, layers: Sequence[Layer]) -> int:
        """Draw in this class from now on, and give it to the selected shapes of `layers`; return how many."""
        self.current = label.strip() or UNCLASSIFIED
        for layer in self._followed:
            self._arm(layer)
        number = 0
        for layer in layers:
            chosen = sorted(layer.selected_data) if layer in self._followed else []
            if chosen:
                with self.quiet():
                    set_cells(layer, chosen, {_LABEL: self._word})
                self.refresh(layer)
                number += len(chosen)
        self.changed.emit()
        return number

    @property
    def _word(self) -> str:
        """What stands in the table of features for the current class."""
        return "" if self.current == UNCLASSIFIED else self.current

    def _arm(self, layer: Layer) -> None:
        """Let the next shape that is drawn have the current class and its colour."""
        color = np.array([*self._color(self.look(layer), self.current), 255]) / 255
        with self.quiet(), layer.block_update_properties():
            defaults = layer.feature_defaults.copy()
            for column in (*COLUMNS, ROW):
                defaults[column] = [self._word if column == _LABEL else ""]
            layer.feature_defaults = defaults
            if hasattr(layer, "shape_type"):
                layer.current_edge_color = color
                color = np.array([*color[:3], FACE_ALPHA])
            else:
                layer.current_border_color = color
            layer.current_face_color = color

    def color_in(self, layer: Layer) -> RGB:
        """Return the colour of what is drawn next in a layer."""
        return self._color(self.look(layer), self.current)

    def _color(self, look: Look, label: str) -> RGB:
        if label != UNCLASSIFIED and label in look.colors:
            return look.colors[label]
        return self.colors_of([label])[label]

    def refresh(self, layer: Layer) -> None:
        """Give every shape of a layer its colour."""
        if layer not in self._followed:
            return
        labels = [
            value if isinstance(value, str) and value else UNCLASSIFIED for value in layer.features[_LABEL]
        ]
        if not labels:
            return
        look = self.look(layer)
        colors = {label: self._color(look, label) for label in dict.fromkeys(labels)}
        edge = np.array([[*colors[label], 255] for label in labels]) / 255
        for row, color in look.own.items():
            edge[row, :3] = np.array(color) / 255
        seen = np.array([label not in look.hidden for label in labels]) & (not look.all_hidden)
        edge[~seen, 3] = 0
        with self.quiet():
            if not hasattr(layer, "shape_type"):
                _paint(layer, "face_color", edge)
                _paint(layer, "border_color", edge)
                _show(layer, seen)
                return
            _paint(layer, "edge_color", edge)
            edge[seen, 3] = FACE_ALPHA
            _paint(layer, "face_color", edge)

    def _on_features(self, layer: Layer, _event: Any = None) -> None:
        if self._is_busy or _LABEL not in layer.features or len(layer.features) != len(layer.data):
            return
        with self.quiet():
            _part_copies(layer)
        self.refresh(layer)
        self.changed.emit()

    def _on_painted(self, layer: Layer, _event: Any = None) -> None:
        if not self._is_busy and len(layer.features) == len(layer.data):
            self.refresh(layer)

    def _on_selected(self, layer: Layer, *_event: Any) -> None:
        # Choosing a shape made its colour the current one; with none chosen the next one is drawn.
        if not self._is_busy and not layer.selected_data:
            self._arm(layer)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Let changes until the end be our own doing: nothing is recoloured for them."""
        before, self._is_busy = self._is_busy, True
        try:
            yield
        finally:
            self._is_busy = before


def _has_classes(layer: Layer) -> bool:
    return hasattr(layer, "selected_data") and _LABEL in getattr(layer, "features", ())


def _paint(layer: Layer, name: str, colors: np.ndarray) -> None:
    shown = np.asarray(getattr(layer, name))
    if shown.shape != colors.shape or not np.allclose(shown, colors, atol=1e-3):
        setattr(layer, name, colors)


def _show(layer: Layer, seen: np.ndarray) -> None:
    """Show some of the points."""
    if not np.array_equal(np.asarray(layer.shown), seen):
        layer.shown = seen


def _part_copies(layer: Layer) -> None:
    """Take identity from shapes that were copied: two shapes of one id would be one for other programs."""
    tag = annotation_tag(layer)
    if ROW not in layer.features:
        return
    seen: Counter[str] = Counter()
    copies = []
    for index, value in enumerate(layer.features[ROW]):
        text = str(value)
        if not text.isdigit():
            continue
        pieces = 1 if tag is None else max(1, len(tag.shown.get(int(text), ())))
        if seen[text] >= pieces:
            copies.append(index)
        seen[text] += 1
    if copies:
        set_cells(layer, copies, {ROW: "", "id": ""})
