"""The experiment from its plan to its results; what is finished is not done again."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.device import choose_device
from napari_nic.disk import replacing
from napari_nic.encoders import Encoder
from napari_nic.errors import InvalidParameterError, StoreError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.old_names import training_settings
from napari_nic.slide_models import ModelBundle, ModelCard, SlideNetConfig, train
from napari_nic_experiments.digits.codes import CodeSource, DigitSlide, GatheredCodes, RenderedCodes
from napari_nic_experiments.digits.encoders import (
    EncoderData,
    encode_patches,
    load_digit_encoder,
    train_digit_encoder,
)
from napari_nic_experiments.digits.glyphs import CLASSES, GLYPH, load_glyphs
from napari_nic_experiments.digits.images import DigitImages
from napari_nic_experiments.digits.plan import SALIENCY, SWEEPS, VALIDATION_SHARE, Cell, Preset
from napari_nic_experiments.digits.saliency import SaliencyDone, measure_saliency

PLAN_FILE, RESULTS_FILE, SALIENCY_FILE = "plan.json", "results.json", "saliency.json"
PARTS = (*SWEEPS, SALIENCY)
_SEED_STEP = 10
_ENCODER, _TRAIN, _TEST = 0, 2, 3
"""Offsets of the pictures' seeds; the encoders' validation has the one between."""


@dataclass(frozen=True, eq=False)
class ExperimentDone(Progress):
    """The experiment is finished.

    Attributes
    ----------
    results : mapping
        ``preset``, ``digits``, ``cells`` (by name), ``saliency``.
    """

    results: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Experiment:
    """The experiment in a folder.

    Attributes
    ----------
    preset : Preset
    out : Path
        ``plan.json``, ``encoders/``, ``models/`` (bundles), ``cells/`` (a JSON file for each finished cell),
        ``saliency.json``, ``results.json``.
    digits : Path or None
        Folder of MNIST's files; without it scikit-learn's digits are taken.
    seed : int
    device : str
    """

    preset: Preset
    out: Path
    digits: Path | None = None
    seed: int = 0
    device: str = "auto"

    @cached_property
    def encoder_data(self) -> EncoderData:
        """What encoders are trained on."""
        images = self._images(_ENCODER, self.preset.encoder_images)
        return EncoderData(images, images.glyphs)

    @cached_property
    def train_images(self) -> DigitImages:
        """Pictures for training and validation of the CNN."""
        return self._images(_TRAIN, self.preset.train_images)

    @cached_property
    def test_images(self) -> DigitImages:
        """Pictures for its test, made of other digits."""
        return self._images(_TEST, self.preset.test_images)

    def _images(self, offset: int, count: int) -> DigitImages:
        glyphs = load_glyphs(self.digits, "test" if offset == _TEST else "train")
        return DigitImages(self.preset.canvas, glyphs, count, seed=self.seed * _SEED_STEP + offset)

    def encoder_folder(self, cell: Cell) -> Path:
        """Folder of a cell's encoder."""
        return self.out / "encoders" / f"{cell.encoder}-c{cell.code_size}"

    def model_folder(self, cell: Cell) -> Path:
        """Folder of a cell's model bundle."""
        return self.out / "models" / cell.name

    def cell_file(self, cell: Cell) -> Path:
        """File of a cell's results."""
        return self.out / "cells" / f"{cell.name}.json"

    def encoder(self, cell: Cell) -> Encoder:
        """Load a cell's encoder."""
        return load_digit_encoder(cell.encoder, self.encoder_folder(cell), device=choose_device(self.device))

    def codes(self, cell: Cell, images: DigitImages) -> CodeSource:
        """Return the codes of pictures as a cell sees them."""
        encoder = self.encoder(cell)
        if cell.stride % GLYPH == 0:
            return GatheredCodes(images, encode_patches(encoder, images.glyphs.table), stride=cell.stride)
        folder = self.out / "codes" / f"{cell.encoder}-c{cell.code_size}-s{cell.stride}"
        return RenderedCodes(images, encoder, folder, stride=cell.stride)

    def check_plan(self) -> None:
        """Write the plan, or compare it with the one that is there.

        Raises
        ------
        InvalidParameterError
            If the folder holds another experiment.
        """
        plan = {"preset": self.preset.to_dict(), "digits": self.train_images.glyphs.name, "seed": self.seed}
        plan = json.loads(json.dumps(plan))
        file = self.out / PLAN_FILE
        if not file.is_file():
            write_json(file, plan)
        elif _named(read_json(file)) != plan:
            raise InvalidParameterError(
                "the folder holds another experiment",
                path=self.out,
                expected="the same preset, digits and seed",
                hint="choose another folder",
            )


def _named(plan: dict[str, Any]) -> dict[str, Any]:
    """Return a plan by the names of today."""
    preset = plan.get("preset", {})
    return plan | {"preset": preset | {"cnn": training_settings(preset.get("cnn", {}))}}


def run_experiment(
    experiment: Experiment, parts: Sequence[str] = PARTS, *, token: CancellationToken | None = None
) -> Iterator[Progress]:
    """Run parts of the experiment, going on where it was stopped.

    Parameters
    ----------
    experiment : Experiment
    parts : sequence of str
        Of :data:`PARTS`.
    token : CancellationToken, optional

    Yields
    ------
    Progress
        The last one is :class:`ExperimentDone`.

    Raises
    ------
    InvalidParameterError
        If the folder holds another experiment, or digits cannot be read.
    UnknownNameError
        If there is no such part.
    CancelledError
        What is finished is kept.
    """
    token = token or CancellationToken()
    cells = list(dict.fromkeys(cell for part in parts for cell in experiment.preset.sweep(part)))
    experiment.check_plan()
    for number, cell in enumerate(cells):
        if not experiment.cell_file(cell).is_file():
            yield Progress(number, len(cells), cell.name, "networks")
            yield from _run_cell(experiment, cell, token)
    if SALIENCY in parts and not (experiment.out / SALIENCY_FILE).is_file():
        yield from _run_saliency(experiment, token)
    results = collect(experiment)
    write_json(experiment.out / RESULTS_FILE, results)
    yield ExperimentDone(len(cells), len(cells), "done", "networks", results)


def collect(experiment: Experiment) -> dict[str, Any]:
    """Return the results that the folder holds so far."""
    cells = {}
    for part in PARTS:
        for cell in experiment.preset.sweep(part):
            if experiment.cell_file(cell).is_file():
                cells[cell.name] = read_json(experiment.cell_file(cell))
    saliency = experiment.out / SALIENCY_FILE
    return {
        "preset": experiment.preset.name,
        "digits": experiment.train_images.glyphs.name,
        "cells": cells,
        "saliency": read_json(saliency) if saliency.is_file() else {},
    }


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON file of the experiment.

    Raises
    ------
    StoreError
        If it is damaged.
    """
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise StoreError(
            "a file of the experiment is damaged",
            path=file,
            found=str(error),
            hint="delete it: it is made again",
        ) from error


def write_json(file: Path, data: Mapping[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    with replacing(file) as temporary:
        temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _run_cell(experiment: Experiment, cell: Cell, token: CancellationToken) -> Iterator[Progress]:
    """Train what the cell needs and test it."""
    preset = experiment.preset
    for report in train_digit_encoder(
        cell.encoder,
        cell.code_size,
        experiment.encoder_data,
        experiment.encoder_folder(cell),
        preset.encoder,
        device=choose_device(experiment.device),
        token=token,
    ):
        yield replace(report, stage=f"{cell.encoder} encoder, C = {cell.code_size}")
    bundle = yield from _train_cnn(experiment, cell, token)
    yield Progress(0, 0, f"{cell.name}: testing", "images")
    write_json(experiment.cell_file(cell), _test(experiment, cell, bundle, token))


def _train_cnn(
    experiment: Experiment, cell: Cell, token: CancellationToken
) -> Generator[Progress, None, ModelBundle]:
    source = experiment.codes(cell, experiment.train_images)
    slides = [DigitSlide(source, index) for index in range(cell.images)]
    first = round(len(slides) * (1 - VALIDATION_SHARE))
    checkpoint = experiment.model_folder(cell) / "checkpoint.safetensors"
    best: ModelBundle | None = None
    settings = experiment.preset.cnn
    for report in train(
        _card(experiment, cell, source),
        slides[:first],
        slides[first:],
        settings=replace(settings, seed=experiment.seed, epochs=cell.epochs or settings.epochs),
        device=experiment.device,
        checkpoint=checkpoint,
        token=token,
    ):
        best = report.best
        yield replace(report, stage=f"{cell.name}: CNN")
    assert best is not None  # noqa: S101 - there is at least one epoch
    best.save(experiment.model_folder(cell))
    checkpoint.unlink(missing_ok=True)
    return best


def _card(experiment: Experiment, cell: Cell, source: CodeSource) -> ModelCard:
    preset = experiment.preset
    network = SlideNetConfig.adaptive(
        source.code_size, CLASSES, crop_size=len(source.mask), width=preset.width
    )
    return ModelCard(
        name=f"digits-{cell.name}",
        task="classification",
        class_names=tuple(str(number) for number in range(CLASSES)),
        encoder=experiment.encoder(cell).spec.to_dict(),
        network=replace(network, dropout=preset.dropout),
        summary="Class of the tilted rectangle in a picture of digits.",
        intended_use="The synthetic experiment only.",
        not_for="Anything else.",
        licence="MIT",
    )


def _test(
    experiment: Experiment, cell: Cell, bundle: ModelBundle, token: CancellationToken
) -> dict[str, Any]:
    from napari_nic_experiments.digits.evaluating import accuracy, by_size, predict_images

    images = experiment.test_images
    indices = range(experiment.preset.test_count(cell))
    source = experiment.codes(cell, images)
    predicted = predict_images(bundle, source, indices, device=experiment.device, token=token)
    right = predicted == np.array([images.label(index) for index in indices])
    sizes = np.array([images[index].tilted_px for index in indices]) / images.canvas.side_px
    return {
        "cell": asdict(cell),
        "code_size": source.code_size,
        **accuracy(right),
        "by_size": by_size(right, sizes),
        "validation": dict(bundle.card.metrics["validation"]),
        "best_epoch": bundle.card.training["epoch"],
    }


def _run_saliency(experiment: Experiment, token: CancellationToken) -> Iterator[Progress]:
    cell, count = experiment.preset.explained, experiment.preset.saliency_images
    bundle = ModelBundle.load(experiment.model_folder(cell))
    choosing = experiment.codes(cell, experiment.train_images)
    measuring = experiment.codes(cell, experiment.test_images)
    for report in measure_saliency(
        bundle, choosing, measuring, count=count, device=experiment.device, token=token
    ):
        yield report
        if isinstance(report, SaliencyDone):
            write_json(experiment.out / SALIENCY_FILE, report.results or {})
