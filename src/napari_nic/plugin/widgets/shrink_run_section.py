"""The Shrink button: progress, pause, cancel, and the report when it is done."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import QPushButton

from napari_nic.plugin.controllers.shrinking import PAUSES, ShrinkController, ShrinkState
from napari_nic.plugin.widgets.compress_section import PERCENT
from napari_nic.plugin.widgets.glyphs import GlyphButton
from napari_nic.plugin.widgets.keyboard import keeping_focus
from napari_nic.plugin.widgets.rows import ProgressBar, Section, quiet_label, row, set_enabled

SHRINK = "Write the slide anew in the background; the slide itself stays as it is"
GO_ON = f"{SHRINK}. An earlier run was interrupted: with the same settings its finished tiles are used again"
CANCEL = "Cancel; the slide stays as it is, no half file is left, and the next run goes on (Esc)"
NOTHING = "Nothing is running"
OPEN = "Open the report in the browser"


class ShrinkRunSection(Section):
    """One button, pause, cancel, a bar, a sentence, the report.

    Parameters
    ----------
    shrinking : ShrinkController
    """

    def __init__(self, shrinking: ShrinkController) -> None:
        super().__init__("")
        self._shrinking = shrinking
        self.button = QPushButton("Shrin&k slide")
        self.button.setObjectName("nic-shrink")
        self.button.clicked.connect(shrinking.start)
        self.pause = GlyphButton("pause", "Pause")
        self.pause.clicked.connect(shrinking.pause)
        self.stop = GlyphButton("cross", CANCEL)
        self.stop.clicked.connect(shrinking.cancel)
        self.bar = ProgressBar()
        self.text = quiet_label()
        self.report = QPushButton("Open report")
        self.report.setToolTip(OPEN)
        self.report.clicked.connect(self._open_report)
        for widget in (row(self.button, self.pause, self.stop), self.bar, self.text, self.report):
            self.body.addWidget(widget)
        shrinking.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show how far the run is, or what came of it."""
        shrinking, state = self._shrinking, self._shrinking.state
        running = state.phase in ("running", *PAUSES)
        with keeping_focus(self.pause if running else self.button, self.button, self.pause, self.stop):
            goes_on = shrinking.goes_on()
            self.button.setText("Go on shrin&king" if goes_on else "Shrin&k slide")
            set_enabled(self.button, shrinking.why_not(), GO_ON if goes_on else SHRINK)
            set_enabled(self.pause, "" if running else NOTHING, "Go on" if state.phase in PAUSES else "Pause")
            self.pause.set_glyph("play" if state.phase in PAUSES else "pause")
            set_enabled(self.stop, "" if running else NOTHING, CANCEL)
        self.bar.setVisible(state.busy)
        self.bar.setRange(0, max(1, state.total))
        self.bar.setValue(state.done)
        self.bar.setFormat(f"{int(PERCENT * state.done / state.total)} %" if state.total else "")
        self.text.setText(sentence(state) or shrinking.outcome() or shrinking.why_not())
        self.text.setVisible(bool(self.text.text()))
        self.report.setVisible(self.page() is not None)

    def page(self) -> Path | None:
        """Return the report of the last run, if there is one."""
        return None if self._shrinking.shrunk is None else self._shrinking.shrunk.page

    def _open_report(self) -> None:
        page = self.page()
        if page is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(page.resolve())))


def sentence(state: ShrinkState) -> str:
    """How far it is, in words; empty where nothing runs."""
    if not state.busy:
        return ""
    paused = f" ({state.phase})" if state.phase in PAUSES else ""
    return f"{state.stage[:1].upper()}{state.stage[1:]}...{paused}"
