"""A cohort: slides, the cases they come from, and what is known of each slide as a whole."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from napari_nic.slide_models import Task


@dataclass(frozen=True)
class CohortSlide:
    """A slide of a cohort.

    Attributes
    ----------
    name : str
    store : Path
        Its ``.nic.zarr``, or another program's file of its codes that is to be imported.
    case : str
    label : float
        Class number, value, or time.
    event : bool
        Whether the event was observed; for survival only.
    split : str
        ``"train"``, ``"validation"``, ``"test"``, or empty.
    size : float
        Of the lesion; nan where it is not known.
    picture : Path or None
        The slide itself, where it is known.
    mpp : float or None
        Micrometres per pixel of level 0 as the table says, for files of other programs that do not.
    """

    name: str
    store: Path
    case: str
    label: float
    event: bool = True
    split: str = ""
    size: float = math.nan
    picture: Path | None = None
    mpp: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form; read back by :meth:`from_dict`."""
        entries = {f.name: getattr(self, f.name) for f in fields(self)}
        size = None if math.isnan(self.size) else self.size
        picture = None if self.picture is None else str(self.picture)
        return entries | {"store": str(self.store), "size": size, "picture": picture}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> CohortSlide:
        """Inverse of :meth:`to_dict`."""
        size = math.nan if data["size"] is None else float(data["size"])
        picture = None if data["picture"] is None else Path(data["picture"])
        return cls(**(dict(data) | {"store": Path(data["store"]), "size": size, "picture": picture}))


@dataclass(frozen=True)
class Absent:
    """What a cohort's tables name and the cohort lacks, beside slides without a label.

    Attributes
    ----------
    missing : tuple of str
        Slides of which no codes were found.
    unsplit : tuple of str
        Slides that are not in the splits that were asked for.
    without_patient : tuple of str
        Slides whose patient the clinical table does not have.
    without_slide : tuple of str
        Patients of the clinical table that have no slide.
    """

    missing: tuple[str, ...] = ()
    unsplit: tuple[str, ...] = ()
    without_patient: tuple[str, ...] = ()
    without_slide: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, list[str]]:
        """JSON form; read back by :meth:`from_dict`."""
        return {name: list(names) for name, names in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Absent:
        """Inverse of :meth:`to_dict`."""
        return cls(**{name: tuple(str(each) for each in names) for name, names in data.items()})


@dataclass(frozen=True)
class Understood:
    """How a cohort's tables were read.

    Attributes
    ----------
    columns : mapping of str to str
        Kind (see :class:`~napari_nic.cohorts.columns.Columns`) -> name of the column.
    notes : tuple of str
        Choices that were made, and what else should be known.
    words : tuple of str
        Words in the column of labels that were taken for no label; told to whoever listens, too.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cohort:
    """Slides with labels of one kind.

    Attributes
    ----------
    task : {"classification", "regression", "survival"}
    class_names : tuple of str
        Classes in the order of their numbers, or the name of the value or risk.
    slides : tuple of CohortSlide
    left_out : tuple of str
        Slides of the table whose label is not known; lines that name no slide, as ``"line 7"``.
    absent : Absent
        What else of the tables is not in the cohort.
    understood : Understood
        How the tables were read; not kept with results.
    """

    task: Task
    class_names: tuple[str, ...]
    slides: tuple[CohortSlide, ...]
    left_out: tuple[str, ...] = ()
    absent: Absent = Absent()
    understood: Understood = field(default=Understood(), compare=False)

    def with_stores(self, stores: Mapping[str, Path]) -> Cohort:
        """Replace the stores of some slides, by their names."""
        slides = tuple(replace(slide, store=stores.get(slide.name, slide.store)) for slide in self.slides)
        return replace(self, slides=slides)
