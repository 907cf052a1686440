"""Camelyon16: metastases in lymph nodes of the breast, as its makers publish it.

::

    training/normal/normal_001.tif ...      training/tumor/tumor_001.tif ...
    training/lesion_annotations/tumor_001.xml ...                 (ASAP; unpacked)
    testing/images/test_001.tif ...         testing/reference.csv
    testing/lesion_annotations/test_001.xml ...

``reference.csv`` has no line of names: slide, Normal or Tumor, and more columns, one of which says Macro or
Micro. Groups ``_0`` and ``_1`` of the annotations are tumour, ``_2`` is what lies in a tumour and is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import shapely

from napari_nic.annotations import AnnotationSet, read_annotations
from napari_nic.errors import InvalidParameterError
from napari_nic.slides import open_slide
from napari_nic_experiments.recipes.model import (
    RecipeCohort,
    RecipeSlide,
    list_slides,
    read_rows,
    require_slides,
)

NAME = "camelyon16"
CLASSES = ("normal", "tumor")
EXCLUDED = frozenset({"_2", "Exclusion"})
"""Groups of annotations that cut something out of a tumour."""

CATEGORIES = ("macro", "micro", "itc")
REFERENCE = "reference.csv"
SET_ASIDE = 60
"""Training slides on which the paper trained its encoders; 340 of 400 were left."""

NOTES = (
    "The paper set 60 training slides aside for its encoders and does not name them; here a seed chooses.",
    "test_049 and test_114 are published with remarks on their annotations; both are kept.",
)


def read_camelyon16(folder: Path | str, opening: Mapping[str, Any] | None = None) -> RecipeCohort:
    """Read slides, labels and lesion sizes.

    Parameters
    ----------
    folder : Path or str
        That holds ``training`` and ``testing``.
    opening : mapping, optional
        How slides are opened: arguments of :func:`~napari_nic.slides.open_slide`.

    Raises
    ------
    InvalidParameterError
        If the layout is another, a test slide has no label, or a label is neither Normal nor Tumor.
    AnnotationError
        If an annotation is damaged.
    """
    folder = Path(folder)
    slides = []
    for label in CLASSES:
        for file in list_slides(folder / "training" / label, f"{label}_*"):
            size = lesion_radius(file, folder / "training" / "lesion_annotations", opening)
            slides.append(RecipeSlide(file, label, "train", size))
    testing = folder / "testing"
    tests = list_slides(testing / "images", "test_*")
    known = _reference(testing / REFERENCE) if tests else {}
    for file in tests:
        label, category = known.get(file.stem.lower(), ("", ""))
        if not label:
            raise InvalidParameterError(
                "a test slide has no label", path=testing / REFERENCE, expected=file.stem, found="no such row"
            )
        size = lesion_radius(file, testing / "lesion_annotations", opening)
        slides.append(RecipeSlide(file, label, "test", size, category))
    require_slides(slides, folder, "training/normal/normal_001.tif and so on")
    return RecipeCohort(NAME, "classification", CLASSES, tuple(slides), notes=NOTES)


def lesion_radius(slide: Path, annotations: Path, opening: Mapping[str, Any] | None = None) -> float | None:
    """Radius in um of a circle as large as all annotated tumour of a slide; None without an annotation.

    Parameters
    ----------
    slide : Path
        Says the size of a pixel.
    annotations : Path
        Folder of ASAP files called like slides.
    opening : mapping, optional
        Arguments of :func:`~napari_nic.slides.open_slide`.
    """
    file = annotations / f"{slide.stem}.xml"
    if not file.is_file():
        return None
    area_px = tumour_area(read_annotations(file))
    with open_slide(slide, **(opening or {})) as opened:
        pixel = opened.require_pixel_size()
    return math.sqrt(area_px * pixel.y * pixel.x / math.pi)


def tumour_area(annotations: AnnotationSet) -> float:
    """Area of the tumour in square pixels of level 0: groups united, exclusions cut out."""
    excluded = [label for label in annotations.labels() if label in EXCLUDED]
    tumour = [label for label in annotations.labels() if label not in EXCLUDED]
    area = shapely.union_all(annotations.polygons(tumour))
    return float(area.difference(shapely.union_all(annotations.polygons(excluded))).area)


def _reference(file: Path) -> Mapping[str, tuple[str, str]]:
    """Label and category of each test slide, by its name in lower case."""
    found = {}
    for row in read_rows(file, columns=2):
        name, label = Path(row[0]).stem.lower(), row[1].lower()
        if not name.startswith("test_"):  # a line of names
            continue
        if label not in CLASSES:
            raise InvalidParameterError(
                "a label of the data set is unknown", path=file, expected="Normal or Tumor", found=row[1]
            )
        rest = {entry.lower() for entry in row[2:]}
        found[name] = label, next((kind for kind in CATEGORIES if kind in rest), "")
    return found
