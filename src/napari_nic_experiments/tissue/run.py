"""The experiment: cohort, training on labels alone, scores by lesion size, saliency against outlines."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.cohorts import (
    Cohort,
    CohortSlide,
    CohortTraining,
    Evaluated,
    TableOptions,
    evaluate_folder,
    read_cohort,
    run_folder,
    train_cohort,
)
from napari_nic.disk import replacing
from napari_nic.embeddings import default_store_path
from napari_nic.encoders import DEFAULT_ENCODER, Encoder, load_encoder
from napari_nic.errors import UnknownNameError
from napari_nic.evaluation.classifiers import get_classifier
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.metrics import auc
from napari_nic.patches.tiles import TileFolder
from napari_nic.pipeline import iter_compress, prepare_store
from napari_nic.slide_models import ModelBundle, TrainingSettings
from napari_nic.slides import open_slide
from napari_nic.synthetic.cohorts import (
    CLASSES,
    OUTLINE_SUFFIX,
    SLIDE_SUFFIX,
    SLIDES_FOLDER,
    CohortOptions,
    TissueFolders,
    write_cohort,
    write_regions,
)
from napari_nic_experiments.tissue.localisation import ExplainedSlide, explain_slide, measure_maps
from napari_nic_experiments.tissue.probe import CLASSIFIER, OutlinedCells, probe_cells

COHORT_FOLDER, MODELS_FOLDER, REGIONS_FOLDER, RESULTS_FILE = "cohort", "models", "regions", "tissue.json"
LARGE_SHARE = 0.1
"""Lesions above this share of the tissue are large."""


@dataclass(frozen=True)
class Preset:
    """A size of the experiment.

    Attributes
    ----------
    name : str
    cohort : CohortOptions
    training : CohortTraining
        A small network, held back hard: with few slides a larger one learns them by heart, and its saliency
        misses the lesions.
    """

    name: str
    cohort: CohortOptions
    training: CohortTraining


_NETWORK: dict[str, Any] = {"name": "tissue", "model": "cnn-compact", "width": 32, "dropout": 0.5}
_LEARNING = TrainingSettings(epochs=60, steps=20, learning_rate=3e-3, weight_decay=2e-2, patience=12)
"""More patience than the paper's: with a few dozen validation slides their loss jumps."""

PRESETS = {
    "standard": Preset(
        "standard",
        CohortOptions(),
        CohortTraining(**_NETWORK, settings=_LEARNING),
    ),
    "quick": Preset(
        "quick",
        CohortOptions(train=120, validation=24, test=60, sides=(14, 20)),
        CohortTraining(**_NETWORK, settings=_LEARNING),
    ),
    "tiny": Preset(
        "tiny",
        CohortOptions(train=6, validation=4, test=6, sides=(14, 14), shares=(0.2, 0.4)),
        CohortTraining(
            **_NETWORK, settings=TrainingSettings(epochs=3, steps=4, batch_size=6, learning_rate=3e-3)
        ),
    ),
}
"""``standard``: 280 slides; ``quick``: 204 smaller ones; ``tiny`` only shows that all parts work."""


@dataclass(frozen=True)
class TissueExperiment:
    """What is run.

    Attributes
    ----------
    preset : Preset
    out : Path
    encoder : str
        Name or folder.
    folders : TissueFolders or None
        Tiles that slides are composed of; painted slides without.
    regions : TileFolder or None
        Real regions with masks, of which slides are made that the model is tried on.
    device : str
    """

    preset: Preset
    out: Path
    encoder: str = DEFAULT_ENCODER
    folders: TissueFolders | None = None
    regions: TileFolder | None = None
    device: str = "auto"


@dataclass(frozen=True)
class TissueDone(Progress):
    """The last report.

    Attributes
    ----------
    results : mapping
        What ``tissue.json`` holds.
    """

    results: Mapping[str, Any] = field(default_factory=dict)


def get_preset(name: str) -> Preset:
    """Return a preset.

    Raises
    ------
    UnknownNameError
        If there is none of that name.
    """
    if name not in PRESETS:
        raise UnknownNameError("no such preset", expected=", ".join(PRESETS), found=name)
    return PRESETS[name]


def run_tissue(experiment: TissueExperiment, *, token: CancellationToken | None = None) -> Iterator[Progress]:
    """Run the experiment; each stage goes on where it was stopped.

    Parameters
    ----------
    experiment : TissueExperiment
    token : CancellationToken, optional

    Yields
    ------
    Progress
        The last one is a :class:`TissueDone`; ``tissue.json`` is written then.

    Raises
    ------
    NicError
        Of the stages: :func:`~napari_nic_experiments.tissue.write_cohort`,
        :func:`~napari_nic.cohorts.train_cohort`, :func:`~napari_nic.cohorts.evaluate_folder`.
    CancelledError
    """
    token, out = token or CancellationToken(), experiment.out
    get_classifier(CLASSIFIER)  # what it needs should not be missed at the end
    encoder = load_encoder(experiment.encoder, device=experiment.device)
    preset, folder = experiment.preset, out / COHORT_FOLDER
    yield from write_cohort(folder, preset.cohort, folders=experiment.folders, encoder=encoder, token=token)
    cohort = read_cohort(
        folder / "cohort.csv", "classification", classes=CLASSES, options=TableOptions(strict=True)
    )
    models = out / MODELS_FOLDER
    yield from train_cohort(cohort, models, preset.training, device=experiment.device, token=token)
    scores = yield from _evaluate(models, experiment.device, token)
    bundle = ModelBundle.load(run_folder(models, 1, preset.training.settings.seed))
    explained = yield from _explain(bundle, cohort, folder / SLIDES_FOLDER, experiment.device, token)
    results: dict[str, Any] = {
        "preset": preset.name,
        "encoder": encoder.spec.name,
        "tissue": None if experiment.folders is None else experiment.folders.to_dict(),
        "slides": {part: preset.cohort.count(part) for part in ("train", "validation", "test")},
        "scores": _scores(scores, explained["test"]),
        "saliency": measure_maps(_evaluable(explained["validation"]), _evaluable(explained["test"])),
    }
    shown = _outlined(cohort, folder / SLIDES_FOLDER, "train")
    yield Progress(0, 0, "learning from outlines, for comparison", "slides")
    results["probe"] = probe_cells(shown, _outlined(cohort, folder / SLIDES_FOLDER, "test"))
    if experiment.regions is not None:
        results["regions"] = yield from _try_regions(experiment, encoder, bundle, token)
        results["regions"]["probe"] = probe_cells(shown, _outlined_regions(out / REGIONS_FOLDER))
    with replacing(out / RESULTS_FILE) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    yield TissueDone(1, 1, "done", "experiments", results=results)


def _evaluate(
    models: Path, device: str, token: CancellationToken
) -> Generator[Progress, None, Mapping[str, Any]]:
    results: Mapping[str, Any] = {}
    for report in evaluate_folder(models, device=device, token=token):
        if isinstance(report, Evaluated):
            results = report.results
        yield report
    return results


def _explain(
    bundle: ModelBundle, cohort: Cohort, outlines: Path, device: str, token: CancellationToken
) -> Generator[Progress, None, dict[str, list[ExplainedSlide]]]:
    """Explain the slides that did not teach."""
    explained: dict[str, list[ExplainedSlide]] = {"validation": [], "test": []}
    slides = [slide for slide in cohort.slides if slide.split in explained]
    for done, slide in enumerate(slides):
        token.checkpoint()
        yield Progress(done, len(slides), "explaining", "slides")
        file = outlines / f"{slide.name}{OUTLINE_SUFFIX}"
        explained[slide.split].append(
            explain_slide(bundle, slide.store, file, share=_share(slide), device=device)
        )
    return explained


def _outlined(cohort: Cohort, outlines: Path, part: str) -> list[OutlinedCells]:
    """Read the cells of the slides of a part."""
    return [
        OutlinedCells.read(slide.store, outlines / f"{slide.name}{OUTLINE_SUFFIX}")
        for slide in cohort.slides
        if slide.split == part
    ]


def _outlined_regions(folder: Path) -> list[OutlinedCells]:
    """Read the cells of real regions."""
    return [
        OutlinedCells.read(default_store_path(file), file.with_suffix(OUTLINE_SUFFIX))
        for file in sorted(folder.glob(f"*{SLIDE_SUFFIX}"))
    ]


def _share(slide: CohortSlide) -> float:
    return 0.0 if np.isnan(slide.size) else slide.size


def _evaluable(slides: Sequence[ExplainedSlide]) -> list[ExplainedSlide]:
    return [slide for slide in slides if slide.is_evaluable]


def _scores(results: Mapping[str, Any], test: Sequence[ExplainedSlide]) -> dict[str, Any]:
    """Pick what is told of the scores, and add the AUC of large lesions against all slides without one."""
    overall = results["overall"]
    shares, scores = (np.array([getattr(slide, name) for slide in test]) for name in ("share", "score"))
    large = (shares == 0) | (shares > LARGE_SHARE)
    enough = bool((shares[large] > 0).any() and (shares == 0).any())
    return {
        "auc": overall["auc"],
        "auc_of_large_lesions": float(auc(scores[large], shares[large] > 0)) if enough else None,
        "balanced_accuracy": overall["balanced_accuracy"],
        "by_size": overall["by_size"],
    }


def _try_regions(
    experiment: TissueExperiment, encoder: Encoder, bundle: ModelBundle, token: CancellationToken
) -> Generator[Progress, None, dict[str, Any]]:
    """Compress, score and explain real regions."""
    assert experiment.regions is not None  # noqa: S101 - asked before
    folder = experiment.out / REGIONS_FOLDER
    yield from write_regions(experiment.regions, folder, token=token)
    found: list[ExplainedSlide] = []
    files = sorted(folder.glob(f"*{SLIDE_SUFFIX}"))
    for done, file in enumerate(files):
        token.checkpoint()
        yield Progress(done, len(files), "trying real regions", "regions")
        with open_slide(file) as slide, prepare_store(slide, encoder, token=token) as store:
            for _ in iter_compress(slide, encoder, store, token=token):
                pass
        outlines = file.with_suffix(OUTLINE_SUFFIX)
        found.append(explain_slide(bundle, default_store_path(file), outlines, device=experiment.device))
    return {
        "scores": {slide.name: slide.score for slide in found},
        "has_tumour": {slide.name: bool(slide.inside.any()) for slide in found},
        "saliency": measure_maps([], _evaluable(found)),
    }
