"""What a recipe reads from a public data set: slides with labels, and who belongs to which official part."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_nic.disk import replacing
from napari_nic.errors import InvalidParameterError
from napari_nic.slide_models import Task

TABLE_FILE, ASIDE_FILE = "cohort.csv", "set-aside.csv"
COLUMNS = ("slide", "case", "label", "size", "official", "category")
SLIDE_SUFFIXES = (".tif", ".tiff", ".svs")

_STREAM = 101
_SHOWN = 5


@dataclass(frozen=True)
class RecipeSlide:
    """A slide of a public data set.

    Attributes
    ----------
    path : Path
    label : str
        Class or value; empty where it is not public.
    official : {"train", "test"}
        Part that the data set's makers put it into.
    size : float or None
        Of its lesion: radius in um of a circle of the same area, as in Fig. 8 of Tellez et al. 2019.
    category : str
        What else is known: ``macro``, ``micro``; for subsets.
    """

    path: Path
    label: str
    official: str
    size: float | None = None
    category: str = ""

    @property
    def name(self) -> str:
        """Its file's name without the suffix."""
        return self.path.stem

    def row(self) -> tuple[str, ...]:
        """Return its row of a cohort's table."""
        size = "" if self.size is None else f"{self.size:.4f}"
        return str(self.path.resolve()), self.name, self.label, size, self.official, self.category


@dataclass(frozen=True)
class RecipeCohort:
    """A public data set as a cohort.

    Attributes
    ----------
    name : str
    task : {"classification", "regression"}
    classes : tuple of str
        In order; empty for values.
    slides : tuple of RecipeSlide
        With labels: the cross-validation is on these.
    unlabelled : tuple of RecipeSlide
        Test slides whose truth is not public.
    notes : tuple of str
        What a reader of the results must know.
    """

    name: str
    task: Task
    classes: tuple[str, ...]
    slides: tuple[RecipeSlide, ...]
    unlabelled: tuple[RecipeSlide, ...] = ()
    notes: tuple[str, ...] = ()


def list_slides(folder: Path, pattern: str) -> list[Path]:
    """List slides of a folder by a pattern of their names, sorted.

    Raises
    ------
    InvalidParameterError
        If the folder is not there.
    """
    if not folder.is_dir():
        raise InvalidParameterError(
            "the data set is not laid out as its makers publish it",
            path=folder,
            expected="a folder",
            found="nothing",
            hint="name the folder that holds the parts of the data set, as it was downloaded",
        )
    return sorted(file for file in folder.glob(pattern) if file.suffix.lower() in SLIDE_SUFFIXES)


def require_slides(slides: Sequence[RecipeSlide], folder: Path, expected: str) -> None:
    """Raise :class:`InvalidParameterError` if there is no slide at all."""
    if not slides:
        raise InvalidParameterError(
            "the data set has no slides", path=folder, expected=expected, found="none"
        )


def read_rows(file: Path, *, columns: int) -> list[list[str]]:
    """Read a file of labels without a line of names; a line of names is left out.

    Parameters
    ----------
    file : Path
    columns : int
        At least.

    Raises
    ------
    InvalidParameterError
        If it cannot be read, or a row has fewer columns.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidParameterError(
            "the labels of the data set cannot be read", path=file, expected="a CSV file", found=str(error)
        ) from error
    rows = [[entry.strip() for entry in row] for row in csv.reader(text.splitlines()) if row]
    short = [number for number, row in enumerate(rows, start=1) if len(row) < columns]
    if short or not rows:
        raise InvalidParameterError(
            "the labels of the data set have another form",
            path=file,
            expected=f"{columns} columns in each row",
            found=f"fewer in rows {', '.join(map(str, short[:_SHOWN]))}" if short else "no row",
        )
    return rows


def set_aside(
    slides: Sequence[RecipeSlide], count: int, seed: int
) -> tuple[list[RecipeSlide], list[RecipeSlide]]:
    """Set slides of the official training part aside, on which encoders may be trained.

    Parameters
    ----------
    slides : sequence of RecipeSlide
    count : int
    seed : int
        The paper does not say which slides it took.

    Returns
    -------
    kept, aside : list of RecipeSlide

    Raises
    ------
    InvalidParameterError
        If there are not as many training slides.
    """
    training = [slide for slide in slides if slide.official == "train"]
    if count >= max(1, len(training)):
        raise InvalidParameterError(
            "too many slides are to be set aside", expected=f"below {len(training)}", found=str(count)
        )
    order = np.random.default_rng((_STREAM, seed)).permutation(len(training))[:count]
    names = {training[index].name for index in order}
    kept = [slide for slide in slides if slide.name not in names]
    return kept, [slide for slide in slides if slide.name in names]


def write_table(file: Path, slides: Sequence[RecipeSlide]) -> None:
    """Write a table that :func:`napari_nic.cohorts.read_cohort` reads.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    with replacing(file) as temporary, temporary.open("w", newline="", encoding="utf-8") as lines:
        csv.writer(lines).writerows([COLUMNS, *(slide.row() for slide in slides)])
