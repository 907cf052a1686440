"""The training of an encoder as a job of the plugin: it reads patches, trains, and reports in between."""

from __future__ import annotations

import json
import shutil
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from napari_nic.disk import write_text
from napari_nic.encoders.store import user_encoders_folder
from napari_nic.errors import WeightsError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.names import PATCHES_SUFFIX
from napari_nic.patches import TileFolder
from napari_nic.pipeline import usable_cores
from napari_nic.plugin.low_priority import at_low_priority
from napari_nic.plugin.no_triton import keep_triton_out
from napari_nic.plugin.training_patches import SlidePatches, read_slides
from napari_nic.plugin.worker import throttled
from napari_nic.slides import Slide

if TYPE_CHECKING:
    from napari_nic.training import TrainingProgress, TrainingSet, TrainOptions, TrainRecipe


MEASURE_EVERY = 50
"""Steps between validations, which paint the pictures, and between checkpoints: some seconds on one core."""

PATCHES_FILE = "patches.json"
"""In the folder of a training: the slides (fingerprint and name) or paths that it was begun with."""

ARCHITECTURE = "nic-64"
"""The small network: the published one."""

LABELLED = ("supervised", "multitask")
"""Methods that need classes."""


@dataclass(frozen=True)
class TrainForm:
    """What the user filled in.

    Attributes
    ----------
    source : {'slides', 'tiles'}
        The open slides, or `paths`.
    paths : tuple of str
        Folders of tiles, or patch stores.
    mpp : float
        Of the tiles in folders, um/px; stores know their own.
    method : str
        Name in :data:`napari_nic.training.objectives.OBJECTIVES`.
    name : str
        Of the encoder.
    code_size, steps : int
    device : str
    """

    source: Literal["slides", "tiles"] = "slides"
    paths: tuple[str, ...] = ()
    mpp: float = 0.5
    method: str = "vae"
    name: str = "my-encoder"
    code_size: int = 64
    steps: int = 3000
    device: str = "auto"

    @property
    def checkpoint(self) -> Path:
        """Folder of the checkpoint, the log and the pictures."""
        return user_encoders_folder() / f"{self.name}.training"


@dataclass(frozen=True, eq=False)
class TrainRequest:
    """All that the worker thread needs; made in the main thread and not changed after."""

    form: TrainForm
    slides: tuple[Slide, ...]
    anew: bool = False


@dataclass(frozen=True)
class Stage:
    """Report: what is being done before the first step."""

    text: str


@dataclass(frozen=True, eq=False)
class Begun:
    """Report: training begins, or goes on.

    Attributes
    ----------
    curve, validation : tuple of (int, float)
        Step and loss of an earlier run; empty for a new one.
    skipped : tuple of (str, str)
        Slides that cannot be used, and why.
    """

    curve: tuple[tuple[int, float], ...]
    validation: tuple[tuple[int, float], ...]
    skipped: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class Trained:
    """Report: steps were done.

    Attributes
    ----------
    progress : TrainingProgress
        The last step's.
    picture : ndarray of uint8, (h, w, 3), or None
        A row of held-out patches above their reconstructions (or two rows of generated ones), if new.
    """

    progress: TrainingProgress
    picture: np.ndarray | None = None


def train(request: TrainRequest, token: CancellationToken) -> Generator[object, None, str]:
    """Run in the worker thread; return the name of the new encoder."""
    yield from at_low_priority(_prepare_and_train(request, token), "training")
    return request.form.name


def _prepare_and_train(request: TrainRequest, token: CancellationToken) -> Generator[object, None, None]:
    form = request.form
    yield Stage("starting")
    keep_triton_out()
    if request.anew and form.checkpoint.exists():
        shutil.rmtree(form.checkpoint)
    skipped: tuple[tuple[str, str], ...] = ()
    if form.source == "slides":
        sets: Sequence[TrainingSet] = ()
        for report in _read(request, token):
            if isinstance(report, SlidePatches):
                sets, skipped = [_slide_set(report)], report.skipped
            else:
                yield Stage(report.stage)
    else:
        yield Stage("reading patches")
        sets = named_sets(form)
    token.checkpoint()
    _check_same_patches(request)
    yield Begun(*_earlier(form.checkpoint), skipped)
    yield from _train(make_recipe(form, sets), token)


def _check_same_patches(request: TrainRequest) -> None:
    """Refuse to go on with other patches than a training was begun with; its model card would not be true."""
    form = request.form
    if form.source == "slides":
        patches = {slide.fingerprint: slide.name for slide in request.slides}
    else:
        patches = {path: Path(path).name for path in form.paths}
    file = form.checkpoint / PATCHES_FILE
    if file.is_file():
        known = json.loads(file.read_text("utf-8"))
        if set(known) != set(patches):
            raise WeightsError(
                "this training was begun with other patches",
                path=form.checkpoint,
                expected=", ".join(known.values()),
                found=", ".join(patches.values()),
                hint="open the same slides, or choose another name",
            )
        return
    form.checkpoint.mkdir(parents=True, exist_ok=True)
    write_text(file, json.dumps(patches, indent=2))


def _read(request: TrainRequest, token: CancellationToken) -> Iterator[Progress | SlidePatches]:
    from napari_nic.encoders.networks import get_architecture

    mpp = get_architecture(ARCHITECTURE).input_mpp
    return read_slides(request.slides, mpp, seed=_options(request.form).seed, token=token)


def _slide_set(patches: SlidePatches) -> TrainingSet:
    from napari_nic.encoders.networks import get_architecture
    from napari_nic.training import MARGIN, GivenSources

    size = round(MARGIN * get_architecture(ARCHITECTURE).input_size)
    train_source, held_out = patches.sources(size, seed=0)
    return GivenSources(train_source, held_out, patches.facts)


def named_sets(form: TrainForm) -> list[TrainingSet]:
    """Make training sets of the form's paths: each a task of multitask training, else folders in one."""
    from napari_nic.training import StoreSet, TileFolders

    labelled = form.method in LABELLED
    paths = [Path(path) for path in form.paths]
    stores: list[TrainingSet] = [StoreSet(path) for path in paths if is_store(path)]
    folders = [TileFolder(path, form.mpp, labelled=labelled) for path in paths if not is_store(path)]
    if form.method == "multitask":
        return [*stores, *(TileFolders([folder]) for folder in folders)]
    return [*stores, TileFolders(folders)] if folders else stores


def is_store(path: Path) -> bool:
    """Whether a path names a patch store and not a folder of tiles."""
    return path.name.endswith(PATCHES_SUFFIX)


def _options(form: TrainForm) -> TrainOptions:
    from napari_nic.training import TrainOptions

    return TrainOptions(
        code_size=form.code_size,
        architecture=ARCHITECTURE,
        steps=form.steps,
        validate_every=MEASURE_EVERY,
        checkpoint_every=MEASURE_EVERY,
    )


def make_recipe(form: TrainForm, sets: Sequence[TrainingSet]) -> TrainRecipe:
    """Return the recipe that trains what the user filled in."""
    from napari_nic.training import TrainRecipe

    where = "the slides open in napari" if form.source == "slides" else ", ".join(form.paths)
    return TrainRecipe(
        name=form.name,
        method=form.method,
        sets=sets,
        card={
            "data": f"Patches of {where}, chosen by the user who trained it.",
            "licence": "no licence stated",
        },
        device=form.device,
        options=_options(form),
    )


def _train(recipe: TrainRecipe, token: CancellationToken) -> Iterator[Trained]:
    import torch

    from napari_nic.training import train_encoder

    pictures = _Pictures(recipe.checkpoint)
    threads = torch.get_num_threads()
    # One core is left to the window and to the thread that draws the next patches.
    torch.set_num_threads(max(1, usable_cores() - 1))
    try:
        for progress in throttled(train_encoder(recipe, token=token), lambda _, newer: newer):
            yield Trained(progress, pictures.new())
    finally:
        torch.set_num_threads(threads)  # threads that start later would inherit it


class _Pictures:
    """Watches the picture that training writes at every validation."""

    def __init__(self, folder: Path) -> None:
        from napari_nic.training.pictures import GENERATED_FILE, RECONSTRUCTIONS_FILE

        self._files = [folder / RECONSTRUCTIONS_FILE, folder / GENERATED_FILE]
        self._seen = -1.0

    def new(self) -> np.ndarray | None:
        """Return the picture, (h, w, 3) uint8 RGB, if it was written since the last look."""
        file = next((file for file in self._files if file.is_file()), None)
        written = -1.0 if file is None else file.stat().st_mtime
        if file is None or written == self._seen:
            return None
        self._seen = written
        image = cv2.imread(str(file), cv2.IMREAD_COLOR)
        return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


Points = tuple[tuple[int, float], ...]


def _earlier(folder: Path) -> tuple[Points, Points]:
    """Return training and validation losses of earlier runs from their log."""
    from napari_nic.training.log import STEPS_FILE, VALIDATION_FILE, read_log

    steps, validation = (read_log(folder / name) for name in (STEPS_FILE, VALIDATION_FILE))
    return _points(steps), _points(validation)


def _points(rows: list[dict[str, float]]) -> Points:
    return tuple((int(row["step"]), row["loss"]) for row in rows)
