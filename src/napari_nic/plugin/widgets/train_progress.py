"""The Train button, and how the encoder learns: a bar, the loss, patches painted from their codes."""

from __future__ import annotations

from qtpy.QtWidgets import QPushButton

from napari_nic.plugin.controllers.training import TrainController, TrainState
from napari_nic.plugin.widgets.compress_section import PERCENT
from napari_nic.plugin.widgets.glyphs import GlyphButton
from napari_nic.plugin.widgets.keyboard import keeping_focus
from napari_nic.plugin.widgets.loss_plot import LossPlot
from napari_nic.plugin.widgets.patch_strip import PatchStrip
from napari_nic.plugin.widgets.rows import ProgressBar, Section, quiet_label, row, set_enabled
from napari_nic.wording import clock, count

CANCEL = "Cancel; what was learnt is kept, and can be gone on with (Esc)"
TRAIN = "Train in the background; the encoder then stands in the list of encoders"
STRIP_TITLES = dict.fromkeys(("vae", "bigan"), "Held-out patches, and the same from codes")
"""By method: what the picture shows; the other methods paint none."""


class TrainProgressSection(Section):
    """One button, cancel, a bar, a sentence, a plot, a picture."""

    def __init__(self, training: TrainController) -> None:
        super().__init__("")
        self._training = training
        self.button = QPushButton()
        self.button.setObjectName("nic-train")
        self.button.clicked.connect(training.start)
        self.stop = GlyphButton("cross", CANCEL)
        self.stop.clicked.connect(training.cancel)
        self.bar = ProgressBar()
        self.text = quiet_label()
        self.plot = LossPlot()
        self.strip_title = quiet_label()
        self.strip = PatchStrip()
        self._shown_picture: object = None
        for widget in (
            row(self.button, self.stop),
            self.bar,
            self.text,
            self.plot,
            self.strip_title,
            self.strip,
        ):
            self.body.addWidget(widget)
        training.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show how far the training is."""
        training, state = self._training, self._training.state
        self.button.setText(training.label())
        heir = self.button if why_not_cancel(state) else self.stop
        with keeping_focus(heir, self.button, self.stop):
            set_enabled(self.button, training.why_not(), TRAIN)
            set_enabled(self.stop, why_not_cancel(state), CANCEL)
        self.bar.setVisible(state.busy)
        self.bar.setRange(0, max(1, state.total))
        self.bar.setValue(state.done)
        self.bar.setFormat(bar_text(state))
        self.text.setText(sentence(state) if state.busy else training.why_not() or sentence(state))
        self.text.setVisible(bool(self.text.text()))
        self.plot.setVisible(state.busy or bool(training.curve))
        self.plot.set_curves(training.curve, training.validation, total=state.total)
        self._show_picture()

    def _show_picture(self) -> None:
        picture = self._training.picture
        if picture is not self._shown_picture or picture is None:
            self._shown_picture = picture
            self.strip.set_picture(picture)
            title = STRIP_TITLES.get(self._training.form.method, "")
            self.strip_title.setText(title)
            self.strip_title.setVisible(bool(title) and picture is not None)


def why_not_cancel(state: TrainState) -> str:
    """Why there is nothing to cancel; empty when there is."""
    if state.finishing:
        return "All steps are done: the encoder is being saved"
    return "" if state.phase == "running" else "Nothing is running"


def bar_text(state: TrainState) -> str:
    """Percent, rate and time left, as far as they are known; none when the last step is done."""
    if state.rate == 0 or state.finishing:
        return ""
    parts = [f"{int(PERCENT * state.done / state.total)} %", f"{count(state.rate)} patches/s"]
    if state.seconds_left is not None:
        parts.append(f"{clock(state.seconds_left)} left")
    return "   ".join(parts)


def sentence(state: TrainState) -> str:
    """How far it is, in words."""
    if state.finishing:
        return "Measuring and saving the encoder..."
    if state.busy and state.rate == 0:
        return f"{state.stage[:1].upper()}{state.stage[1:]}..."
    if state.busy:
        return f"{state.done:,} of {state.total:,} steps, loss {state.loss:.3g}"
    return f"{state.stage[:1].upper()}{state.stage[1:]}"
