"""The slides that models predicted best and worst, pictured with what the models looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from napari_nic.cohorts.cohort import Cohort
from napari_nic.cohorts.plan import BUNDLE_KEY, Plan, sees_vectors
from napari_nic.cohorts.predictions import ScoredSlide
from napari_nic.cohorts.report import Shown
from napari_nic.cohorts.results import POSITIVE, Table, averaged, wrongness
from napari_nic.cohorts.thumbnails import Seen, Thumbnail, make_thumbnails
from napari_nic.cohorts.training import run_folder
from napari_nic.explain import NO_PLACES
from napari_nic.jobs import CancellationToken

SHOWN_SLIDES = 4
"""Most wrong, and as many most right."""


def show_extremes(
    plan: Plan, out: Path, rows: Sequence[ScoredSlide], *, device: str, token: CancellationToken
) -> tuple[list[Shown], list[Shown]]:
    """Picture the slides that were predicted best and worst.

    Parameters
    ----------
    plan : Plan
    out : Path
        Folder of the models.
    rows : sequence of ScoredSlide
        Of all models.
    device : str
    token : CancellationToken

    Returns
    -------
    best, worst : list of Shown
        The extremes first.

    Raises
    ------
    CancelledError
    """
    table = Table.of(averaged(rows))
    wrong = wrongness(plan.cohort.task, table)
    order = [index for index in np.argsort(wrong, kind="stable").tolist() if not np.isnan(wrong[index])]
    count = min(SHOWN_SLIDES, len(order) // 2)
    chosen = [table.rows[index] for index in (*order[:count], *reversed(order[len(order) - count :]))]
    bundles = _bundles(plan, out, rows)
    seen = [_seen(plan.cohort, row, bundles) for row in chosen]
    if sees_vectors(plan.settings):
        thumbnails = [Thumbnail(problem=NO_PLACES)] * len(seen)
    else:
        thumbnails = make_thumbnails(seen, device=device, token=token)
    shown = [
        Shown(row, _about(plan.cohort, row), picture) for row, picture in zip(chosen, thumbnails, strict=True)
    ]
    return shown[:count], shown[count:]


def saliency_note(cohort: Cohort) -> str:
    """Say how the pictures were made and what their colours mean."""
    names = cohort.class_names
    target = names[-1] if len(names) <= POSITIVE + 1 else "the true class"
    kind = {"classification": target, "regression": f"a higher {target}", "survival": "a higher risk"}
    return (
        "Left the slide, or its codes as principal components; right the saliency (Grad-CAM at the first "
        f"layer) of one of the models that did not see it. Red speaks for {kind[cohort.task]}, blue against "
        "it. Slides of one model share the limits of the colours. No map is a probability."
    )


def _bundles(plan: Plan, out: Path, rows: Sequence[ScoredSlide]) -> dict[str, Path]:
    """Folder of a model that predicted each slide: the first fold and seed that did."""
    given = plan.settings.get(BUNDLE_KEY)
    return {
        row.slide: Path(given) if given else run_folder(out, row.fold, row.seed) for row in reversed(rows)
    }


def _seen(cohort: Cohort, row: ScoredSlide, bundles: Mapping[str, Path]) -> Seen:
    slide = next(slide for slide in cohort.slides if slide.name == row.slide)
    several = len(cohort.class_names) > POSITIVE + 1
    target = int(slide.label) if several else len(cohort.class_names) - 1
    return Seen(slide.name, slide.store, slide.picture, bundles[slide.name], target)


def _about(cohort: Cohort, row: ScoredSlide) -> str:
    names = cohort.class_names
    if cohort.task == "classification":
        found = int(np.argmax(row.scores))
        return f"{names[int(row.label)]}, scored {names[found]} {row.scores[found]:.2f}"
    if cohort.task == "regression":
        return f"{names[0]} {row.label:.3g}, scored {row.scores[0]:.3g}"
    return f"{'event' if row.event else 'no event'} until {row.label:.3g}, risk {row.scores[0]:.3g}"
