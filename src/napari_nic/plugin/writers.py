"""The writer of napari's manifest: shapes and points -> an annotation file."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from napari_nic.annotations import write_annotations
from napari_nic.plugin.annotation_layers import annotations_of
from napari_nic.plugin.layers import LayerData


def write_annotation_layers(path: str, layers: list[LayerData]) -> list[str]:
    """Save shapes and points as annotations; the format follows from the suffix.

    Parameters
    ----------
    path : str
        ``.geojson`` (QuPath) or ``.xml`` (ASAP).
    layers : list of layer data

    Returns
    -------
    list of str
        What was written.
    """
    write_annotations(annotations_of(_as_layer(*layer) for layer in layers), path)
    return [path]


def _as_layer(data: Any, attributes: dict[str, Any], kind: str) -> Any:
    """Give layer data the attributes of a layer that reading annotations back needs."""
    fields = {
        "data": data,
        "name": attributes.get("name", ""),
        "metadata": attributes.get("metadata", {}),
        "features": attributes["features"],
    }
    if kind == "shapes":
        fields["shape_type"] = attributes["shape_type"]
    return SimpleNamespace(**fields)
