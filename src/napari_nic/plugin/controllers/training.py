"""The Train button: what it would train, what runs, what is done; knows neither Qt nor PyTorch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from psygnal import Signal

from napari_nic.encoders.store import check_new_name
from napari_nic.errors import InvalidParameterError, WeightsError
from napari_nic.plugin.controllers.asking import Asking
from napari_nic.plugin.controllers.encoders import has_own_encoder
from napari_nic.plugin.layers import tag_of
from napari_nic.plugin.legend import UM
from napari_nic.plugin.news import ENCODER_NEWS
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.train_job import LABELLED, Begun, Stage, Trained, TrainForm, TrainRequest, train
from napari_nic.plugin.worker import Callbacks, Job, Runner
from napari_nic.slides import Slide
from napari_nic.training.objectives import OBJECTIVES, WITH_TEACHERS

if TYPE_CHECKING:
    from napari.components import ViewerModel

Phase = Literal["idle", "running", "stopping"]
Points = list[tuple[int, float]]

FORM_SETTING = "training"
STATE_FILE = "checkpoint.json"
"""What :mod:`napari_nic.training.checkpoint` calls it; importing that module would import PyTorch."""

METHODS = {
    "vae": "Autoencoder (VAE)",
    "contrastive": "Contrastive pairs",
    "bigan": "BiGAN",
    "vicreg": "VICReg",
    "supervised": "Supervised (labels)",
    "multitask": "Multitask (labels)",
}
"""Names for people of the ways of training; one that is not here is shown by its own name."""

BATCH = 64  # of TrainOptions; for the time left only


@dataclass(frozen=True)
class TrainState:
    """What the dock shows.

    Attributes
    ----------
    phase : str
    stage : str
        What is being done, or how the last run ended.
    done, total : int
        Steps.
    loss : float
        Smoothed.
    rate : float
        Patches per second; 0 when unknown.
    seconds_left : float or None
    """

    phase: Phase = "idle"
    stage: str = ""
    done: int = 0
    total: int = 0
    loss: float = float("nan")
    rate: float = 0.0
    seconds_left: float | None = None

    @property
    def busy(self) -> bool:
        """Whether a training is on."""
        return self.phase != "idle"

    @property
    def finishing(self) -> bool:
        """Whether all steps are done, and the encoder is being measured and saved."""
        return self.busy and 0 < self.total <= self.done


@dataclass(eq=False)
class _Run:
    form: TrainForm
    job: Job = field(init=False)
    anew_wanted: bool = False


class TrainController:
    """Trains encoders on the viewer's slides, or on tiles; tells how far it is.

    Parameters
    ----------
    viewer : ViewerModel
    settings : Settings
    asking : Asking
    runner : Runner

    Attributes
    ----------
    form : TrainForm
        What is filled in; remembered between sessions.
    state : TrainState
    curve, validation : list of (int, float)
        Step and loss, of earlier parts of the run too.
    picture : ndarray of uint8, (h, w, 3), or None
        Patches above their reconstructions, as training last painted them.
    """

    changed = Signal()

    def __init__(self, viewer: ViewerModel, settings: Settings, asking: Asking, runner: Runner) -> None:
        self.viewer, self.settings, self.asking = viewer, settings, asking
        self._runner = runner
        self._run: _Run | None = None
        self.form = _read_form(settings.get(FORM_SETTING))
        self.state = TrainState()
        self.curve: Points = []
        self.validation: Points = []
        self.picture: np.ndarray | None = None
        viewer.layers.events.inserted.connect(self._on_layers)
        viewer.layers.events.removed.connect(self._on_layers)

    def close(self) -> None:
        """Stop following the viewer."""
        self.viewer.layers.events.inserted.disconnect(self._on_layers)
        self.viewer.layers.events.removed.disconnect(self._on_layers)

    # -- what can be done --------------------------------------------------------------------------------

    @property
    def slides(self) -> tuple[Slide, ...]:
        """The open slides, each once."""
        found: dict[int, Slide] = {}
        for layer in self.viewer.layers:
            tag = tag_of(layer)
            if tag is not None and tag.kind == "slide" and tag.slide is not None:
                found[id(tag.slide)] = tag.slide
        return tuple(found.values())

    def methods(self) -> dict[str, str]:
        """Ways of training and what people call them."""
        return {name: METHODS.get(name, name) for name in OBJECTIVES if name not in WITH_TEACHERS}

    def fill_in(self, **changes: Any) -> None:
        """Change what is filled in, and remember it."""
        self.form = replace(self.form, **changes)
        self.settings.set(FORM_SETTING, json.loads(json.dumps(asdict(self.form))))
        self.changed.emit()

    def why_not(self) -> str:
        """Why Train cannot be clicked; empty when it can."""
        if self._run is not None:
            return f"{self._run.form.name} is being trained"
        form = self.form
        try:
            check_new_name(form.name)
        except InvalidParameterError as error:
            return f"{error.problem}: choose another name" if form.name else "Give the encoder a name"
        if form.source == "slides":
            return self._why_not_slides()
        if not form.paths:
            return "Add a folder of tiles or a patch store first"
        missing = next((path for path in form.paths if not Path(path).exists()), None)
        return f"{missing} is not there" if missing else ""

    def _why_not_slides(self) -> str:
        slides = self.slides
        if self.form.method in LABELLED:
            return "This method needs labels: choose tiles, with a folder for each class"
        if not slides:
            return "Open a slide first, or train on tiles"
        if all(slide.pixel_size is None for slide in slides):
            return f"The {UM}/px of the open slides is not known"
        return ""

    def describe_source(self) -> str:
        """What there is to train on, in a line."""
        if self.form.source == "tiles":
            names = [Path(path).name for path in self.form.paths]
            return ", ".join(names) or "Nothing chosen yet"
        names = [slide.name for slide in self.slides]
        return f"Tissue of {', '.join(names)}" if names else "No slide is open"

    def label(self) -> str:
        """What the button says."""
        if self.state.busy:
            return "Training..."
        done = self.steps_done()
        if 0 < done < self.form.steps:
            return f"Go on from step {done:,}"
        return "Train anew" if done or has_own_encoder(self.form.name) else "Train encoder"

    def steps_done(self) -> int:
        """Steps of an earlier training of this name that can be gone on with; 0 for none."""
        try:
            record = json.loads((self.form.checkpoint / STATE_FILE).read_text("utf-8"))
            return int(record["counters"]["step"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    # -- the run -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Train, or go on with a training that was stopped."""
        if self.why_not():
            return
        going_on = 0 < self.steps_done() < self.form.steps
        if not going_on and has_own_encoder(self.form.name) and not self._may_replace():
            return
        self._start(anew=not going_on)

    def cancel(self) -> None:
        """Stop; a checkpoint is kept."""
        if self._run is not None:
            self._set(phase="stopping", stage="keeping a checkpoint", seconds_left=None)
            self._run.job.cancel()

    def _start(self, *, anew: bool) -> None:
        request = TrainRequest(self.form, self.slides if self.form.source == "slides" else (), anew)
        run = self._run = _Run(self.form)
        self.state = TrainState("running", "starting", total=self.form.steps)
        self.curve, self.validation, self.picture = [], [], None
        self.changed.emit()
        run.job = self._runner.start(
            f"Training encoder {self.form.name} (a checkpoint is kept)",
            lambda token: train(request, token),
            Callbacks(
                yielded=self._on_report,
                returned=self._on_trained,
                failed=lambda error: self._on_failed(run, error),
                finished=lambda: self._on_finished(run),
            ),
        )

    def _may_replace(self) -> bool:
        return self.asking.confirm(
            "Encoder exists",
            f"You have an encoder {self.form.name!r} already. When training ends, the new one takes its "
            "place, and slides compressed with the old one cannot be gone on with.",
            yes="Train anew",
            no="Keep it",
        )

    def _on_report(self, report: object) -> None:
        if isinstance(report, Stage):
            self._set(stage=report.text)
        elif isinstance(report, Begun):
            self.curve, self.validation = list(report.curve), list(report.validation)
            self._set(stage="training", done=self.curve[-1][0] if self.curve else 0)
            if report.skipped:
                left_out = "; ".join(f"{name}: {why}" for name, why in report.skipped)
                self.asking.tell(f"Not used for training: {left_out}")
        elif isinstance(report, Trained):
            self._on_steps(report)

    def _on_steps(self, report: Trained) -> None:
        progress = report.progress
        self.curve.append((progress.done, progress.loss))
        measured = progress.validation.get("loss")
        if measured is not None and (not self.validation or self.validation[-1][1] != measured):
            self.validation.append((progress.done, measured))
        if report.picture is not None:
            self.picture = report.picture
        rate = progress.patches_per_second
        left = (progress.total - progress.done) * BATCH / rate if rate > 0 else None
        self._set(
            done=progress.done,
            total=progress.total,
            loss=progress.loss,
            rate=rate if self.state.phase == "running" else 0.0,
            seconds_left=left if self.state.phase == "running" else None,
        )

    def _on_trained(self, name: str) -> None:
        self._set(stage=f"trained: choose {name} in the NIC dock")
        ENCODER_NEWS.changed.emit(name)

    def _on_failed(self, run: _Run, error: Exception) -> None:
        if isinstance(error, WeightsError) and _is_of_checkpoint(error, run.form.checkpoint):
            if self._may_begin_anew(error):
                if self._run is run:
                    run.anew_wanted = True
                else:
                    # While the dialog was open, the event loop went on and told that the run had ended.
                    self._start(anew=True)
            return
        self._set(stage="")
        self.asking.tell_error(error)

    def _may_begin_anew(self, error: WeightsError) -> bool:
        return self.asking.confirm(
            "Begun with other settings",
            f"A training of this name was stopped half-way, and it cannot be gone on with: {error.problem} "
            f"(then {error.expected or 'unknown'}; now {error.found or 'unknown'}).",
            yes="Begin anew",
            no="Keep it",
        )

    def _on_finished(self, run: _Run) -> None:
        self._run = None
        stopped = self.state.phase == "stopping"
        stage = "stopped: what was learnt is kept" if stopped else self.state.stage
        self._set(phase="idle", stage=stage, rate=0.0, seconds_left=None)
        if run.anew_wanted:
            self._start(anew=True)

    def _on_layers(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        self.changed.emit()

    def _set(self, **changes: Any) -> None:
        self.state = replace(self.state, **changes)
        self.changed.emit()


def _is_of_checkpoint(error: WeightsError, folder: Path) -> bool:
    return error.file is not None and folder in (error.file, error.file.parent)


def _read_form(remembered: Any) -> TrainForm:
    """Make the form of remembered values; what is of another type, or unknown, is left at its default."""
    if not isinstance(remembered, dict):
        return TrainForm()
    values = dict(remembered)
    if isinstance(values.get("paths"), list):
        values["paths"] = tuple(str(path) for path in values["paths"])
    default = TrainForm()
    known = {
        entry.name: values[entry.name]
        for entry in fields(TrainForm)
        if isinstance(values.get(entry.name), type(getattr(default, entry.name)))
    }
    if known.get("source") not in ("slides", "tiles"):
        known.pop("source", None)
    if known.get("method") in WITH_TEACHERS or str(known.get("method")) not in OBJECTIVES:
        known.pop("method", None)
    return TrainForm(**known)
