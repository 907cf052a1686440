"""A cohort as people look through it: each slide with its label, what a model said, and which one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from napari_nic.cohorts.cohort import Cohort, CohortSlide
from napari_nic.cohorts.columns import KINDS, Columns, find_columns
from napari_nic.cohorts.entries import Entry
from napari_nic.cohorts.locating import Locator, find_picture
from napari_nic.cohorts.plan import BUNDLE_KEY, PLAN_FILE, Plan
from napari_nic.cohorts.predictions import PREDICTIONS_FILE, ScoredSlide, read_scores
from napari_nic.cohorts.previews import Preview, absent_facts, of_listing
from napari_nic.cohorts.results import averaged
from napari_nic.cohorts.table_files import read_table
from napari_nic.cohorts.training import run_folder
from napari_nic.errors import InvalidParameterError
from napari_nic.names import STORE_SUFFIX, has_suffix, slide_stem

RUNS = "fold*-seed*"
"""Names of the folders that :func:`~napari_nic.cohorts.training.run_folder` gives."""


@dataclass(frozen=True)
class ListedSlide:
    """A slide of a cohort, as a line of a list.

    Attributes
    ----------
    name, case : str
    label : str
        Class, value, or time with what happened; empty where it is not known.
    part : str
        Number of the fold whose test part it is in, or ``"train"``, ``"validation"`` or ``"test"``.
    prediction : str
        Score by models that did not learn from the slide: ``"lesion 0.93"``; empty where there is none.
    spread : str
        Standard deviation of the score over crops and dihedral transforms.
    rank : float
        Sorts predictions: score of the last of two classes, value, or risk; nan without a prediction.
    is_wrong : bool
        Whether the best class is not the label's.
    picture, store : Path or None
        The slide and its compressed form, as far as they are known; neither need be there any more.
    bundle : Path or None
        Folder of a model that did not learn from the slide.
    """

    name: str
    case: str
    label: str
    part: str
    prediction: str = ""
    spread: str = ""
    rank: float = math.nan
    is_wrong: bool = False
    picture: Path | None = None
    store: Path | None = None
    bundle: Path | None = None


@dataclass(frozen=True)
class Listing:
    """A cohort as a list.

    Attributes
    ----------
    source : Path
        The table, or the folder of the models.
    slides : tuple of ListedSlide
        In the order of the table.
    has_models : bool
        Whether models were trained on it, or evaluated on it.
    preview : Preview
        What was understood of the table; of a folder of models what its cohort holds and lacks.
    """

    source: Path
    slides: tuple[ListedSlide, ...]
    has_models: bool
    preview: Preview = field(default=Preview({}))

    @property
    def predicted(self) -> tuple[ListedSlide, ...]:
        """The slides that have a prediction."""
        return tuple(slide for slide in self.slides if slide.prediction)


def read_listing(path: Path | str, columns: Columns | None = None) -> Listing:
    """List a cohort by its table, or with predictions by the folder that training or evaluation left.

    Parameters
    ----------
    path : Path or str
        Table of a cohort (CSV, .xlsx); folder of ``models train`` or ``models evaluate``, or a file in it.
    columns : Columns, optional
        Names of the table's columns.

    Raises
    ------
    InvalidParameterError
        If it is neither, or the table has no slides.
    BundleError
        If the plan in the folder is damaged.
    StoreError
        If scores in the folder are damaged.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    known = path.is_dir() or (folder / PLAN_FILE).is_file()
    plan = Plan.load(folder) if known else None
    if plan is not None:
        return _of_plan(plan, folder)
    if known:
        raise InvalidParameterError(
            "this folder holds no trained models",
            path=path,
            expected=f"{PLAN_FILE}, as models train writes it",
            hint="choose the folder that was given to models train as --out, or the table of a cohort",
        )
    return _of_table(path, columns or Columns())


def _of_table(path: Path, columns: Columns) -> Listing:
    table = read_table(path)
    found, notes = find_columns(table, KINDS, columns)
    if not {"time", "event"} <= set(found):  # a status alone may be of anything
        found = {kind: name for kind, name in found.items() if kind not in ("time", "event")}
    rows = [row for row in table.rows if not row.is_empty]
    if not rows or "slide" not in found:
        raise InvalidParameterError(
            "this table lists no slides",
            path=path,
            expected="a column of slides (slide, slide_id, filename...), and one row for each slide",
            found=", ".join(table.header) if rows else "no row",
        )
    entries = [Entry({kind: row[name] for kind, name in found.items()}, row.line, row) for row in rows]
    locator = Locator(path.parent, None)
    slides = tuple(_of_row(entry, path.parent, locator) for entry in entries)
    preview = of_listing(found, entries, slides, (*table.notes, *notes))
    return Listing(path, slides, has_models=False, preview=preview)


def _of_row(row: Entry, folder: Path, locator: Locator) -> ListedSlide:
    value = row["slide"]
    name, given = slide_stem(value), folder / value
    picture, store = find_picture(given) or given, None
    try:
        found = locator.locate(value)
    except InvalidParameterError:
        pass  # not compressed yet, or not there: told when the slide is asked for
    else:
        name, picture, store = found.name, found.picture or picture, found.store
    label = row["label"]
    if row["time"] and not label:
        label = f"{row['time']}, event {row['event']}"
    return ListedSlide(
        name=name,
        case=row["case"] or name,
        label=label,
        part=row["split"],
        picture=None if picture == store else picture,
        store=store,
    )


def _of_plan(plan: Plan, folder: Path) -> Listing:
    rows = _scores(folder)
    scored = {row.slide: row for row in averaged(rows)}
    bundles = {row.slide: _bundle(plan, folder, row) for row in reversed(rows)}
    parts = _parts(plan)
    slides = tuple(
        _of_slide(slide, plan.cohort, parts.get(index, ""), scored.get(slide.name), bundles.get(slide.name))
        for index, slide in enumerate(plan.cohort.slides)
    )
    absent = absent_facts(plan.cohort.left_out, plan.cohort.absent)
    return Listing(folder, slides, has_models=True, preview=Preview(absent))


def _scores(folder: Path) -> list[ScoredSlide]:
    """Read all scores, or those of the runs that are finished."""
    whole = folder / PREDICTIONS_FILE
    if whole.is_file():
        return read_scores(whole)
    return [row for file in sorted(folder.glob(f"{RUNS}/{PREDICTIONS_FILE}")) for row in read_scores(file)]


def _bundle(plan: Plan, folder: Path, row: ScoredSlide) -> Path:
    given = plan.settings.get(BUNDLE_KEY)
    return Path(given) if given else run_folder(folder, row.fold, row.seed)


def _parts(plan: Plan) -> dict[int, str]:
    """Say of each slide in which fold it tests; what it else is for, by the first fold."""
    parts: dict[int, str] = {}
    tested = [set(fold.test) for fold in plan.folds]
    rotates = len(tested) > 1 and not set.intersection(*tested)
    for fold in reversed(plan.folds):
        parts |= dict.fromkeys(fold.train, "train") | dict.fromkeys(fold.validation, "validation")
    for fold in reversed(plan.folds):
        parts |= dict.fromkeys(fold.test, str(fold.number) if rotates else "test")
    return parts


def _of_slide(
    slide: CohortSlide, cohort: Cohort, part: str, row: ScoredSlide | None, bundle: Path | None
) -> ListedSlide:
    best = None if row is None else int(np.argmax(row.scores))
    return ListedSlide(
        name=slide.name,
        case=slide.case,
        label=_label(slide, cohort),
        part=part,
        prediction="" if row is None else _prediction(cohort, row.scores),
        spread="" if row is None else _spread(cohort, row),
        rank=math.nan if row is None else _rank(cohort, row.scores),
        is_wrong=cohort.task == "classification" and best is not None and best != int(slide.label),
        picture=slide.picture,
        store=slide.store if has_suffix(slide.store, STORE_SUFFIX) else None,
        bundle=bundle,
    )


def _label(slide: CohortSlide, cohort: Cohort) -> str:
    if cohort.task == "classification":
        return cohort.class_names[int(slide.label)]
    if cohort.task == "survival":
        return f"{slide.label:.4g}, {'event' if slide.event else 'no event'}"
    return f"{slide.label:.4g}"


def _prediction(cohort: Cohort, scores: Sequence[float]) -> str:
    """Say the best class with its score, or the values or the risk."""
    if cohort.task == "classification":
        best = int(np.argmax(scores))
        return f"{cohort.class_names[best]} {scores[best]:.2f}"
    named = zip(cohort.class_names, scores, strict=True)
    return ", ".join(f"{name} {score:.3g}" for name, score in named)


def _spread(cohort: Cohort, row: ScoredSlide) -> str:
    if cohort.task == "classification":
        return f"{row.spread[int(np.argmax(row.scores))]:.2f}"
    return ", ".join(f"{spread:.2g}" for spread in row.spread)


def _rank(cohort: Cohort, scores: Sequence[float]) -> float:
    if cohort.task != "classification":
        return scores[0]
    best = int(np.argmax(scores))
    return scores[-1] if len(scores) == 2 else best + scores[best]
