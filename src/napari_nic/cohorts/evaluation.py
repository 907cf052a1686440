"""From a folder of trained models, or one finished model, to results, plots and a report."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic import old_names
from napari_nic.cohorts.cohort import Cohort
from napari_nic.cohorts.extremes import saliency_note, show_extremes
from napari_nic.cohorts.plan import BUNDLE_KEY, Plan, sees_vectors
from napari_nic.cohorts.plots import result_plots, training_curves
from napari_nic.cohorts.predictions import PREDICTIONS_FILE, ScoredSlide, read_scores, write_scores
from napari_nic.cohorts.previews import absent_facts
from napari_nic.cohorts.report import MEASURES, Report
from napari_nic.cohorts.results import Table, averaged, evaluate
from napari_nic.cohorts.splits import Fold
from napari_nic.cohorts.training import LOG_FILE, run_folder
from napari_nic.cohorts.vectors import VectorCohort, open_for, with_encoder
from napari_nic.disk import replacing
from napari_nic.errors import InvalidParameterError, StoreError
from napari_nic.explain import NO_PLACES
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.metrics import METRIC_NAMES
from napari_nic.plots import require_matplotlib
from napari_nic.slide_models import ModelBundle
from napari_nic.wording import counted

RESULTS_FILE, REPORT_FILE, PLOTS_FOLDER = "results.json", "report.html", "plots"


@dataclass(frozen=True)
class Evaluated(Progress):
    """The last report of an evaluation.

    Attributes
    ----------
    results : mapping
        As :func:`~napari_nic.cohorts.results.evaluate` gives them.
    report : Path or None
        The page.
    """

    results: Mapping[str, Any] = field(default_factory=dict)
    report: Path | None = None


def evaluate_bundle(
    bundle: ModelBundle,
    cohort: Cohort,
    out: Path | str,
    *,
    device: str = "auto",
    allow_partial: bool = False,
    token: CancellationToken | None = None,
) -> Iterator[Progress]:
    """Score a cohort that a finished model never saw; :func:`evaluate_folder` then tells how well.

    Parameters
    ----------
    bundle : ModelBundle
        Loaded from a folder.
    cohort : Cohort
        With stores only. Where it has splits, only its test slides are scored.
    out : Path or str
        Folder of the results.
    device : str
    allow_partial : bool
        Take slides that are not compressed completely.
    token : CancellationToken, optional

    Yields
    ------
    Progress

    Raises
    ------
    InvalidParameterError
        If task or classes of model and cohort differ, or `out` holds another plan.
    BundleError
        If the slides were compressed by another encoder.
    StoreMismatchError
        If their encoders differ, or one is not compressed completely.
    CancelledError
    """
    out, token = Path(out), token or CancellationToken()
    _check_kind(bundle, cohort)
    chosen = [i for i, slide in enumerate(cohort.slides) if slide.split in ("", "test")]
    fold = Fold(0, (), (), tuple(chosen))
    vectors = bundle.card.network.is_of_vectors
    opened = open_for(cohort, vectors=vectors, allow_partial=allow_partial, token=token)
    model_record: dict[str, Any] = {"name": bundle.name, BUNDLE_KEY: str(bundle.folder)}
    if isinstance(opened, VectorCohort):
        model_record = with_encoder(model_record, opened)
    Plan(cohort, (fold,), model_record, opened.checksums).save(out)
    rows: list[ScoredSlide] = []
    for done, index in enumerate(chosen):
        token.checkpoint()
        yield Progress(done, len(chosen), "predicting", "slides")
        slide = cohort.slides[index]
        result = opened.predict(bundle, slide.name, device=device, token=token)
        rows.append(ScoredSlide.of(slide, (0, 0), result.n_views, result.mean, result.std))
    write_scores(out / PREDICTIONS_FILE, rows, cohort.class_names)


def evaluate_folder(
    out: Path | str, *, device: str = "auto", token: CancellationToken | None = None
) -> Iterator[Progress]:
    """Measure the scores in a folder, plot them and write the report.

    Parameters
    ----------
    out : Path or str
        As :func:`~napari_nic.cohorts.training.train_cohort` or :func:`evaluate_bundle` left it;
        ``results.json``, ``report.html`` and ``plots/`` are written to it.
    device : str
        Where saliency is computed.
    token : CancellationToken, optional

    Yields
    ------
    Progress
        The last one is :class:`Evaluated`.

    Raises
    ------
    StoreError
        If the folder holds no plan or no scores, or cannot be written.
    MissingDependencyError
        If matplotlib is not installed.
    CancelledError
    """
    require_matplotlib()
    out, token = Path(out), token or CancellationToken()
    plan = _plan_of(out)
    rows = read_scores(out / PREDICTIONS_FILE)
    yield Progress(0, 3, "measuring", "steps")
    results = evaluate(plan.cohort.task, plan.cohort.class_names, rows)
    results["left_out"] = {"no_label": list(plan.cohort.left_out), **plan.cohort.absent.to_dict()}
    yield Progress(1, 3, "plotting", "steps")
    plots = _plots(plan, out, rows, results)
    yield Progress(2, 3, "explaining", "steps")
    best, worst = show_extremes(plan, out, rows, device=device, token=token)
    facts, note = _facts(plan, results), _note(plan)
    page = Report(str(plan.settings["name"]), results, facts, plots, best, worst, note)
    _write(out, results, plots, page.to_html())
    yield Evaluated(3, 3, "evaluated", "steps", results=results, report=out / REPORT_FILE)


def _note(plan: Plan) -> str:
    if sees_vectors(plan.settings):
        return f"{NO_PLACES[0].upper()}{NO_PLACES[1:]}."
    return saliency_note(plan.cohort)


def _check_kind(bundle: ModelBundle, cohort: Cohort) -> None:
    card = bundle.card
    same = card.task == cohort.task and (
        card.task != "classification" or card.class_names == cohort.class_names
    )
    if not same:
        raise InvalidParameterError(
            "the model answers another question than the cohort asks",
            expected=f"{card.task}: {', '.join(card.class_names)}",
            found=f"{cohort.task}: {', '.join(cohort.class_names)}",
            hint="name the classes in the model's order (--classes)",
        )


def _plan_of(out: Path) -> Plan:
    plan = Plan.load(out)
    if plan is None:
        raise StoreError(
            "no models were trained or evaluated here", path=out, hint="make it with: napari-nic models train"
        )
    return plan


def _plots(plan: Plan, out: Path, rows: Sequence[ScoredSlide], results: Mapping[str, Any]) -> dict[str, str]:
    task, logs = plan.cohort.task, _logs(out, rows)
    plots = result_plots(task, results, Table.of(averaged(rows)))
    return plots | training_curves(logs, MEASURES[METRIC_NAMES[task]]) if logs else plots


def _logs(out: Path, rows: Sequence[ScoredSlide]) -> dict[str, list[dict[str, float]]]:
    """Read the log of each run that has one."""
    logs = {}
    for fold, seed in sorted({(row.fold, row.seed) for row in rows}):
        file = run_folder(out, fold, seed) / LOG_FILE
        if file.is_file():
            with file.open(newline="", encoding="utf-8") as lines:
                read = [{name: float(v) for name, v in row.items()} for row in csv.DictReader(lines)]
            logs[f"fold {fold}, seed {seed}"] = read
    return logs


def _facts(plan: Plan, results: Mapping[str, Any]) -> dict[str, str]:
    settings = plan.settings
    network = settings.get("network", {})
    crop = network.get("crop_size")
    facts = {
        "task": f"{plan.cohort.task}: {', '.join(plan.cohort.class_names)}",
        "slides predicted": f"{results['slides']:,} of {counted(results['cases'], 'case')}",
        "models": f"{results['models']}",
    }
    if sees_vectors(settings):
        facts["slide vectors"] = str(settings["slide_encoder"])
    if network and sees_vectors(settings):
        facts["network"] = f"{settings['model']}, one vector of {network['code_size']} numbers a slide"
    elif network:
        facts["network"] = f"{settings['model']}, crops of {crop} x {crop} cells, C = {network['code_size']}"
    if "augmentation" in settings and not sees_vectors(settings):
        facts["augmentation"] = str(settings["augmentation"])
    if BUNDLE_KEY in settings:
        facts["evaluated model"] = str(settings[BUNDLE_KEY])
    return facts | absent_facts(plan.cohort.left_out, plan.cohort.absent)


def _write(out: Path, results: Mapping[str, Any], plots: Mapping[str, str], page: str) -> None:
    with replacing(out / RESULTS_FILE) as temporary:
        temporary.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    for title, svg in plots.items():
        with replacing(out / PLOTS_FOLDER / f"{title.lower().replace(' ', '-')}.svg") as temporary:
            temporary.write_text(svg, encoding="utf-8")
    with replacing(out / REPORT_FILE) as temporary:
        temporary.write_text(page, encoding="utf-8")


if not TYPE_CHECKING:
    __getattr__ = old_names.members_of(__name__)
