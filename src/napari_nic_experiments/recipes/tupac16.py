"""TUPAC16: how fast tumours of the breast grow, as its makers publish it.

::

    training_image_data/TUPAC-TR-001.svs ...        training_ground_truth.csv
    testing_image_data/TUPAC-TE-001.svs ...

``training_ground_truth.csv`` has no line of names; row i belongs to TUPAC-TR-i: the score by mitoses (1 to
3), and the score by expression of genes, which is predicted. The truth of the test slides is not public.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_nic.errors import InvalidParameterError
from napari_nic_experiments.recipes.model import (
    RecipeCohort,
    RecipeSlide,
    list_slides,
    read_rows,
    require_slides,
)

NAME = "tupac16"
TRAINING, TESTING, TRUTH = "training_image_data", "testing_image_data", "training_ground_truth.csv"
SET_ASIDE = 40
"""Training slides on which the paper trained its encoders; 452 of 492 were left."""

NOTES = (
    "The paper set 40 training slides aside for its encoders and does not name them; here a seed chooses.",
    "The truth of the test slides is not public: submission.csv is what its organisers would score.",
)
_NUMBER = re.compile(r"TUPAC-TR-(\d+)", re.IGNORECASE)


def read_tupac16(
    folder: Path | str,
    opening: Mapping[str, Any] | None = None,  # noqa: ARG001 - as of all data sets; no slide is opened
) -> RecipeCohort:
    """Read slides and scores.

    Parameters
    ----------
    folder : Path or str
        That holds ``training_image_data`` and ``training_ground_truth.csv``.
    opening : mapping, optional
        How slides are opened.

    Raises
    ------
    InvalidParameterError
        If the layout is another, a slide has no row, or a score is no number.
    """
    folder = Path(folder)
    rows = read_rows(folder / TRUTH, columns=2)
    slides = [
        RecipeSlide(
            file, _score(file, rows, folder / TRUTH), "train", category=f"mitoses {_row(file, rows)[0]}"
        )
        for file in list_slides(folder / TRAINING, "TUPAC-TR-*")
    ]
    require_slides(slides, folder / TRAINING, "TUPAC-TR-001.svs and so on")
    testing = folder / TESTING
    tests = list_slides(testing, "TUPAC-TE-*") if testing.is_dir() else []
    unlabelled = tuple(RecipeSlide(file, "", "test") for file in tests)
    return RecipeCohort(NAME, "regression", (), tuple(slides), unlabelled, NOTES)


def _row(file: Path, rows: list[list[str]]) -> list[str]:
    match = _NUMBER.search(file.stem)
    number = int(match.group(1)) if match else 0
    if not 1 <= number <= len(rows):
        raise InvalidParameterError(
            "a slide has no row in the truth",
            path=file,
            expected=f"a number of 1 to {len(rows)} in its name",
            found=file.stem,
        )
    return rows[number - 1]


def _mitoses(file: Path, rows: list[list[str]]) -> str:
    return f"mitoses {_row(file, rows)[0]}"


def _score(file: Path, rows: list[list[str]], truth: Path) -> str:
    text = _row(file, rows)[1]
    try:
        float(text)
    except ValueError:
        raise InvalidParameterError(
            "a score is no number", path=truth, expected=f"a number for {file.stem}", found=repr(text)
        ) from None
    return text
