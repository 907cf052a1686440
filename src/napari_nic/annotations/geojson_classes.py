"""What a feature of GeoJSON is called: its class in all the ways programs write it, and its colour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_nic.annotations.building import BadShapeError, Drawn
from napari_nic.annotations.colors import UNCLASSIFIED
from napari_nic.annotations.details import color_in
from napari_nic.annotations.geojson_plain import PlainFeatures
from napari_nic.annotations.json_files import plain_text
from napari_nic.colors import RGB
from napari_nic.wording import counted, was_were

NAMES_SEPARATOR = ": "
"""How QuPath writes a class with sub-classes."""

OTHER_CLASS_KEYS = ("class", "group", "label", "category", "class_name", "name")
"""Where other programs (Digital Slide Archive, dlup) put the class, by rank."""

OBJECT_TYPES = {
    "PathAnnotationObject": "annotation",
    "PathDetectionObject": "detection",
    "PathCellObject": "cell",
    "PathTileObject": "tile",
    "PathRootObject": "root",
    "TMACoreObject": "tma_core",
}
"""What QuPath 0.2 wrote as the id of every object: its type, and no id."""

QUPATH_KEYS = ("objectType", "object_type", "classification", "isLocked", "measurements", "colorRGB")
"""A feature that has one of them is QuPath's, and has its class there or none."""


@dataclass
class FeatureFile:
    """What is collected of one file."""

    path: Path
    drawn: list[Drawn] = field(default_factory=list)
    class_colors: dict[str, RGB] = field(default_factory=dict)
    shape_colors: dict[str, RGB] = field(default_factory=dict)
    other_keys: Counter[str] = field(default_factory=Counter)
    nested: list[tuple[str, str, Any]] = field(default_factory=list)
    n_features: int = 0
    n_without_place: int = 0
    n_replaced: int = 0

    def __post_init__(self) -> None:
        self.plain = PlainFeatures(lambda properties: note_class(properties, self)[0], OBJECT_TYPES)

    @property
    def colors(self) -> dict[str, RGB]:
        """Colours of the classes so far; those of single shapes where a class has none."""
        return self.shape_colors | self.class_colors

    def text(self, value: Any) -> str:
        """Text of a name or id; halves of characters (lone surrogates) are replaced."""
        text = plain_text(value)
        self.n_replaced += isinstance(value, str) and text != value
        return text

    def notes(self) -> list[str]:
        """What is to be told of the file beside its shapes."""
        notes = []
        if self.n_without_place:
            number = self.n_without_place
            notes.append(f"{counted(number, 'feature')} without a geometry {was_were(number)} left out")
        if self.n_replaced:
            notes.append(f"halves of characters were replaced in {counted(self.n_replaced, 'name')}")
        for key, number in self.other_keys.items():
            notes.append(f"the class of {counted(number, 'shape')} was taken from {key!r}")
        return notes


def note_class(properties: Mapping[str, Any], file: FeatureFile) -> tuple[str, str]:
    """Return the label and the name of a feature, and note its colour."""
    label, color = _class_of(properties, file)
    name = file.text(properties.get("name"))
    if label is None:
        label, name = _other_class_of(properties, name, file)
    if color is not None:
        file.class_colors.setdefault(label, color)
    own = color_in(properties)
    if own is not None and label != UNCLASSIFIED:
        file.shape_colors.setdefault(label, own)
    return label, name


def _class_of(properties: Mapping[str, Any], file: FeatureFile) -> tuple[str | None, RGB | None]:
    """Return QuPath's class and its colour; None where another program may have put the class elsewhere."""
    value = properties.get("classification")
    if value is None or value == "":
        is_qupath = any(key in properties for key in QUPATH_KEYS)
        return UNCLASSIFIED if is_qupath else None, None
    if isinstance(value, str):
        return file.text(value), None
    if not isinstance(value, dict):
        raise BadShapeError(f"a classification that is a {type(value).__name__}")
    names, name = value.get("names"), value.get("name")
    if isinstance(names, list) and names:
        parts = [file.text(part) for part in names]
    else:
        parts = [] if name is None or name == "" else [file.text(name)]
    if not all(parts):
        raise BadShapeError("a classification whose name is no text")
    return NAMES_SEPARATOR.join(parts) or UNCLASSIFIED, color_in(value)


def _other_class_of(properties: Mapping[str, Any], name: str, file: FeatureFile) -> tuple[str, str]:
    """Look for the class where other programs put it; return it and what is left as the name.

    Digital Slide Archive groups shapes by class, and labels single ones.
    """
    found = {key: text for key in OTHER_CLASS_KEYS if (text := _word(properties.get(key), file))}
    if not found:
        return UNCLASSIFIED, name
    key = next(iter(found))
    file.other_keys[key] += 1
    if key == "name":
        return found[key], ""
    return found[key], name or (found.get("label", "") if key == "group" else "")


def _word(value: Any, file: FeatureFile) -> str:
    if isinstance(value, dict):
        value = value.get("value", value.get("name"))
    return file.text(value) if isinstance(value, str) else ""
