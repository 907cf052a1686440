"""Results as JSON and as tables."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

import napari_nic
from napari_nic.evaluation.classifiers import DESCRIPTIONS
from napari_nic.evaluation.cutting import LabelledPatches
from napari_nic.evaluation.evaluate import FOLDS
from napari_nic.evaluation.run import EvaluationPlan, Outcome
from napari_nic.evaluation.scores import Scores

PACKAGES = ("numpy", "opencv-python-headless", "scikit-learn", "torch")
METRICS = ("balanced_accuracy", "accuracy")
LEVELS = ("patch", "tile")
MISSING = "-"


def make_report(plan: EvaluationPlan, outcomes: Sequence[Outcome], command: str) -> dict[str, Any]:
    """Return everything that was measured, and how, as JSON values.

    Parameters
    ----------
    plan : EvaluationPlan
    outcomes : sequence of Outcome
    command : str
        The command line that made them.
    """
    return {
        "command": command,
        "software": software(),
        "protocol": {
            "seeds": plan.seeds,
            "split": f"by group, {FOLDS} folds or as many as the rarest class has groups",
            "patches_per_tile": plan.patches_per_tile,
            "classifiers": {name: DESCRIPTIONS[name] for name in plan.classifiers},
        },
        "encoders": {outcome.encoder.name: outcome.encoder.identity() for outcome in outcomes},
        "sets": {labelled.name: _describe_set(labelled.name, plan, outcomes) for labelled in plan.sets},
        "results": [_describe(outcome) for outcome in outcomes],
    }


def software() -> dict[str, str]:
    """Return the versions of what computed the results."""
    found = {"napari-nic": napari_nic.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _describe_set(name: str, plan: EvaluationPlan, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    labelled = next(labelled for labelled in plan.sets if labelled.name == name)
    return {
        "mpp": labelled.mpp,
        "licence": labelled.licence,
        "evaluation_only": labelled.evaluation_only,
        "note": labelled.note,
        "patches": {
            outcome.encoder.name: count_patches(outcome.encoded.patches)
            for outcome in outcomes
            if outcome.labelled.name == name and outcome.encoded is not None
        },
    }


def count_patches(patches: LabelledPatches) -> dict[str, Any]:
    """Return the numbers of patches, tiles and groups, of patches by class, and of what was left out."""
    sizes = np.bincount(patches.labels, minlength=len(patches.class_names))
    return {
        "patches": len(patches),
        "tiles": len(np.unique(patches.tiles)),
        "groups": len(np.unique(patches.groups)),
        "classes": dict(zip(patches.class_names, map(int, sizes), strict=True)),
        "left_out": dict(patches.left_out),
    }


def _describe(outcome: Outcome) -> dict[str, Any]:
    result: dict[str, Any] = {"encoder": outcome.encoder.name, "set": outcome.labelled.name}
    if outcome.reason:
        return result | {"not_evaluated": outcome.reason}
    return result | {"evaluations": [evaluation.to_dict() for evaluation in outcome.evaluations]}


def scores_of(outcome: Outcome, classifier: str, level: str) -> Scores | None:
    """Return an outcome's scores by one classifier per ``"patch"`` or ``"tile"``, None if there are none."""
    for evaluation in outcome.evaluations:
        if evaluation.classifier == classifier:
            return evaluation.patch if level == "patch" else evaluation.tile
    return None


def table_rows(
    plan: EvaluationPlan,
    outcomes: Sequence[Outcome],
    *,
    metric: str = "balanced_accuracy",
    level: str = "patch",
) -> list[list[str]]:
    """Return a table of encoders and classifiers over sets: the header, then a row each.

    Parameters
    ----------
    plan : EvaluationPlan
    outcomes : sequence of Outcome
    metric : str
        ``"balanced_accuracy"`` or ``"accuracy"``.
    level : str
        ``"patch"`` or ``"tile"``.

    Returns
    -------
    list of list of str
        Cells are mean and standard deviation over seeds; the last column is the mean over the sets that
        every encoder has.
    """
    found = {(outcome.labelled.name, outcome.encoder.name): outcome for outcome in outcomes}
    encoders = list(dict.fromkeys(outcome.encoder.name for outcome in outcomes))
    sets = [labelled.name for labelled in plan.sets]
    rows = [["classifier", "encoder", "C", *sets, "mean"]]
    for classifier in plan.classifiers:
        values = {
            key: getattr(scores, metric)
            for key, outcome in found.items()
            if (scores := scores_of(outcome, classifier, level)) is not None
        }
        common = [name for name in sets if all((name, encoder) in values for encoder in encoders)]
        for encoder in encoders:
            size = next(o.encoder.code_size for o in outcomes if o.encoder.name == encoder)
            cells = [_cell(values.get((name, encoder))) for name in sets]
            mean = np.mean([values[name, encoder].mean() for name in common]) if common else None
            rows.append([classifier, encoder, str(size), *cells, MISSING if mean is None else f"{mean:.3f}"])
    return rows


def _cell(values: np.ndarray | None) -> str:
    if values is None:
        return MISSING
    spread = np.std(values, ddof=1) if len(values) > 1 else 0.0
    return f"{values.mean():.3f} +- {spread:.3f}"


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    lines.insert(1, f"|{'---|' * len(rows[0])}")
    return "\n".join(lines) + "\n"
