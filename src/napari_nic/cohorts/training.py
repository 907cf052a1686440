"""Cross-validation on a cohort: one model for each fold and seed, evaluated on slides that it never saw."""

from __future__ import annotations

import csv
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from napari_nic.cohorts.cohort import Cohort
from napari_nic.cohorts.plan import CohortTraining, Plan, settings_record
from napari_nic.cohorts.predictions import PREDICTIONS_FILE, ScoredSlide, read_scores, write_scores
from napari_nic.cohorts.slides import OpenCohort
from napari_nic.cohorts.splits import Fold, check_folds, make_folds
from napari_nic.cohorts.vectors import VectorCohort, open_for, with_encoder
from napari_nic.disk import replacing
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.metrics import METRIC_NAMES, ranking
from napari_nic.slide_models import (
    EpochDone,
    ModelBundle,
    ModelCard,
    SlideNetConfig,
    TrainingSlide,
    train,
)

CHECKPOINT_FILE, LOG_FILE = "checkpoint.safetensors", "log.csv"
LOG_COLUMNS = ("epoch", "loss", "validation_loss", "metric", "learning_rate", "is_best")
INTENDED_USE = "Research on slides like those of its cohort, stained, scanned and compressed alike."
NOT_FOR = "Diagnosis, or slides of other origin, for which its results were not measured."


@dataclass(frozen=True)
class RunProgress(Progress):
    """A step of one run of the cross-validation.

    Attributes
    ----------
    fold, seed : int
    epoch : EpochDone or None
        The epoch that was finished.
    """

    fold: int = 0
    seed: int = 0
    epoch: EpochDone | None = None


@dataclass(frozen=True, eq=False)
class _Runs:
    """What all runs share."""

    cohort: Cohort
    stores: OpenCohort | VectorCohort
    slides: Sequence[TrainingSlide]
    network: SlideNetConfig
    training: CohortTraining
    device: str
    token: CancellationToken

    def pick(self, indices: Sequence[int]) -> list[TrainingSlide]:
        return [self.slides[index] for index in indices]


def run_folder(out: Path, fold: int, seed: int) -> Path:
    """Folder of a run's model, log and scores; it is a model bundle."""
    return out / f"fold{fold}-seed{seed}"


def train_cohort(
    cohort: Cohort,
    out: Path | str,
    training: CohortTraining | None = None,
    *,
    device: str = "auto",
    token: CancellationToken | None = None,
) -> Iterator[Progress]:
    """Train and evaluate one model for each fold and seed; a run that was interrupted is gone on with.

    Parameters
    ----------
    cohort : Cohort
        With stores only, or files of slide vectors, see :func:`~napari_nic.cohorts.slides.import_foreign`.
    out : Path or str
        Folder of the results: ``plan.json``, for each run a model bundle with ``log.csv`` and
        ``predictions.csv`` (scores of its test part, T = 10 crops times 8 dihedral transforms), and at the
        end ``predictions.csv`` of all runs.
    training : CohortTraining, optional
    device : str
    token : CancellationToken, optional

    Yields
    ------
    Progress
        :class:`RunProgress` while models are trained and evaluated.

    Raises
    ------
    InvalidParameterError
        If the cohort cannot be shared out or learned from, or `out` holds another plan.
    StoreMismatchError
        If the slides' encoders differ, or one is not compressed completely.
    CancelledError
        What is finished is kept; the same call goes on from there.
    """
    training, out, token = training or CohortTraining(), Path(out), token or CancellationToken()
    folds = make_folds(cohort, training.folds, seed=training.settings.seed)
    yield Progress(0, 0, "opening slides", "slides")
    vectors, partial = training.sees_vectors, training.allow_partial
    stores = open_for(cohort, vectors=vectors, allow_partial=partial, token=token)
    network = training.network(cohort, stores.code_size, stores.longest_side)
    check_folds(cohort, folds)
    record = settings_record(training, network, transformed_patches=stores.transforms_patches)
    record = with_encoder(record, stores) if isinstance(stores, VectorCohort) else record
    Plan(cohort, folds, record, stores.checksums).save(out)
    seeds = range(training.settings.seed, training.settings.seed + training.seeds)
    finished = all(_is_done(run_folder(out, fold.number, seed)) for fold in folds for seed in seeds)
    slides = [] if finished else stores.slides(cohort, memory_bytes=training.memory_bytes, token=token)
    runs = _Runs(cohort, stores, slides, network, training, device, token)
    rows: list[ScoredSlide] = []
    for fold in folds:
        for seed in seeds:
            rows += yield from _run(runs, fold, seed, run_folder(out, fold.number, seed))
    write_scores(out / PREDICTIONS_FILE, rows, cohort.class_names)


def _is_done(folder: Path) -> bool:
    """Whether a run has ended: its scores are written last."""
    return (folder / PREDICTIONS_FILE).is_file()


def _run(runs: _Runs, fold: Fold, seed: int, folder: Path) -> Generator[Progress, None, list[ScoredSlide]]:
    """Train and evaluate one model, or read what it said."""
    scores = folder / PREDICTIONS_FILE
    if _is_done(folder):
        return read_scores(scores)
    bundle = yield from _train(runs, fold, seed, folder)
    rows: list[ScoredSlide] = []
    for done, index in enumerate(fold.test):
        yield RunProgress(
            done, len(fold.test), f"fold {fold.number}, seed {seed}: predicting", "slides", fold.number, seed
        )
        slide = runs.cohort.slides[index]
        result = runs.stores.predict(bundle, slide.name, device=runs.device, token=runs.token)
        rows.append(ScoredSlide.of(slide, (fold.number, seed), result.n_views, result.mean, result.std))
    _with_test(bundle, rows).save(folder)
    write_scores(scores, rows, runs.cohort.class_names)
    (folder / CHECKPOINT_FILE).unlink(missing_ok=True)
    return rows


def _train(runs: _Runs, fold: Fold, seed: int, folder: Path) -> Generator[Progress, None, ModelBundle]:
    settings = replace(runs.training.settings, seed=seed)
    reports = train(
        _card(runs, fold, seed),
        runs.pick(fold.train),
        runs.pick(fold.validation),
        settings=settings,
        device=runs.device,
        checkpoint=folder / CHECKPOINT_FILE,
        token=runs.token,
    )
    log: list[EpochDone] = []
    for report in reports:
        log.append(report)
        write_log(folder / LOG_FILE, log)
        stage = f"fold {fold.number}, seed {seed}: training"
        yield RunProgress(report.done, report.total, stage, "epochs", fold.number, seed, report)
    best = log[-1].best
    assert best is not None  # noqa: S101 - the first epoch is the best until then
    return best


def write_log(file: Path, log: Sequence[EpochDone]) -> None:
    """Write the epochs of a training as a table, whole or not at all."""
    with replacing(file) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(LOG_COLUMNS)
        for row in log:
            numbers = (row.loss, row.validation_loss, row.metric, row.learning_rate)
            writer.writerow([row.done, *numbers, int(row.is_best)])


def _card(runs: _Runs, fold: Fold, seed: int) -> ModelCard:
    cohort = runs.cohort
    return ModelCard(
        name=f"{runs.training.name}-fold{fold.number}-seed{seed}",
        task=cohort.task,
        class_names=cohort.class_names,
        encoder=dict(runs.stores.encoder),
        network=runs.network,
        summary=f"Trained on labels of whole slides: {', '.join(cohort.class_names)}.",
        intended_use=INTENDED_USE,
        not_for=NOT_FOR,
        training={"fold": fold.number, "cohort_slides": len(cohort.slides)},
    )


def _with_test(bundle: ModelBundle, rows: Sequence[ScoredSlide]) -> ModelBundle:
    """Add the result on the test part to the card."""
    scores = np.array([row.scores for row in rows])
    labels, events = (np.array([getattr(row, name) for row in rows]) for name in ("label", "event"))
    value = ranking(bundle.card.task, scores, labels, events)
    test = {"slides": len(rows), METRIC_NAMES[bundle.card.task]: None if np.isnan(value) else value}
    card = replace(bundle.card, metrics=dict(bundle.card.metrics) | {"test": test})
    return replace(bundle, card=card)
