"""Single rows of a layer of annotations: added, changed and taken away without touching others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_nic.annotations import UNCLASSIFIED, Annotation
from napari_nic.plugin.annotation_layers import COLUMNS, ROW, is_point
from napari_nic.plugin.drawn_shapes import drawn_as
from napari_nic.plugin.slide_frames import SlideFrame

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_nic.slides import Slide

ONE_BY_ONE = 200
"""So many shapes are changed one by one; for more the layer is built anew at once."""


@dataclass(frozen=True, eq=False)
class Piece:
    """What one row of a layer shows.

    Attributes
    ----------
    vertices : ndarray, (n, 2)
        Level-0 pixels (y, x); of a point (1, 2).
    drawn_as : str
        napari's type of the shape; empty for a point.
    """

    vertices: np.ndarray
    drawn_as: str = ""


def pieces_of(annotation: Annotation, slide: Slide | None) -> list[Piece]:
    """Return what stands for an annotation in a layer; nothing if napari cannot draw it."""
    if is_point(annotation):
        points = getattr(annotation.geometry, "geoms", [annotation.geometry])
        return [Piece(np.array([(point.y, point.x)])) for point in points]
    return [Piece(vertices, kind) for vertices, kind in drawn_as(annotation, slide)]


def shown_of(pieces: Sequence[Piece]) -> list[np.ndarray]:
    """Return the vertices as a tag notes them: of a point (2,)."""
    return [piece.vertices if piece.drawn_as else piece.vertices[0] for piece in pieces]


def texts_of(annotation: Annotation, number: int) -> dict[str, str]:
    """Return what stands in the table of features for an annotation."""
    texts = {column: str(getattr(annotation, column)) for column in COLUMNS}
    if annotation.label == UNCLASSIFIED:
        texts["label"] = ""
    return texts | {ROW: str(number)}


def rows_by_number(layer: Layer) -> dict[int, list[int]]:
    """Return which rows of a layer show which annotation of its tag."""
    rows: dict[int, list[int]] = defaultdict(list)
    if ROW in getattr(layer, "features", ()):
        for row, value in enumerate(layer.features[ROW]):
            text = str(value)
            if text.isdigit():
                rows[int(text)].append(row)
    return rows


def is_drawing(layer: Layer) -> bool:
    """Whether a shape of the layer is being drawn just now: it is none yet."""
    return bool(getattr(layer, "_is_creating", False))  # there is no public way to ask


def set_cells(layer: Layer, rows: Sequence[int], values: Mapping[str, str | Sequence[str]]) -> None:
    """Write one text, or one a row, into some columns of a layer's table of features."""
    table = layer.features.copy()
    for column, value in values.items():
        table[column] = table[column].astype(object) if column in table else ""
        table.iloc[list(rows), table.columns.get_loc(column)] = (
            value if isinstance(value, str) else list(value)
        )
    layer.features = table


def add_rows(layer: Layer, pieces: Sequence[Piece], frame: SlideFrame) -> list[int]:
    """Add shapes or points behind the others, and return their rows; what is selected stays so."""
    if not pieces:
        return []
    before, chosen = len(layer.data), set(layer.selected_data)
    places = [frame.from_px(piece.vertices, layer) for piece in pieces]
    if hasattr(layer, "shape_type"):
        width = float(np.median(layer.edge_width)) if before else layer.current_edge_width
        layer.add(places, shape_type=[piece.drawn_as for piece in pieces], edge_width=width)
    else:
        layer.add(np.concatenate(places))
    if set(layer.selected_data) != chosen:
        layer.selected_data = chosen
    return list(range(before, len(layer.data)))


def change_rows(layer: Layer, pieces: Mapping[int, Piece], frame: SlideFrame) -> None:
    """Give rows of a layer other vertices."""
    if not pieces:
        return
    places = {row: frame.from_px(piece.vertices, layer) for row, piece in pieces.items()}
    if not hasattr(layer, "shape_type"):
        data = np.array(layer.data)
        for row, place in places.items():
            data[row] = place[0]
        layer.data = data
    elif len(pieces) > ONE_BY_ONE:
        shapes = list(zip(layer.data, layer.shape_type, strict=True))
        for row, piece in pieces.items():
            shapes[row] = (places[row], piece.drawn_as)
        layer.data = shapes
    else:
        _edit_shapes(layer, places, {row: piece.drawn_as for row, piece in pieces.items()})


def _edit_shapes(layer: Any, places: Mapping[int, np.ndarray], drawn_as: Mapping[int, str]) -> None:
    view = layer._data_view  # as napari's own mouse does it: the public way builds all shapes anew
    with view.batched_updates():
        for row, place in places.items():
            same = layer.shape_type[row] == drawn_as[row]
            view.edit(row, place, new_type=None if same else drawn_as[row])
    layer._update_dims()
    rows = tuple(places)
    layer.events.data(value=layer.data, action="changed", data_indices=rows, vertex_indices=((),))
    layer.refresh()


def remove_rows(layer: Layer, rows: Sequence[int]) -> None:
    """Take rows out of a layer."""
    if rows:
        layer.remove(sorted(rows))
