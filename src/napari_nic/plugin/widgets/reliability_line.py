"""One line under the overlays: whether the saliency that is shown should be believed."""

from __future__ import annotations

import html

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_nic.colors import to_hex
from napari_nic.explain import MARKS, VERDICT_COLORS, Reliability
from napari_nic.plugin.controllers.reliability import STOPPED, WAITING, ReliabilityController
from napari_nic.plugin.widgets.glyphs import GlyphButton
from napari_nic.plugin.widgets.rows import quiet_label, row

STOP, AGAIN = "Stop measuring", "Measure whether this map should be believed"


class ReliabilityLine(QWidget):
    """The verdict with its mark; the numbers are in its tooltip.

    Parameters
    ----------
    controller : ReliabilityController
    """

    def __init__(self, controller: ReliabilityController) -> None:
        super().__init__()
        self._controller = controller
        self.label = quiet_label()
        self.label.setAccessibleName("Reliability of the saliency")
        self.button = GlyphButton("cross", STOP)
        self.button.clicked.connect(self._on_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(row(self.label, self.button))

    def refresh(self) -> None:
        """Show what the controller found, or how far it is."""
        controller = self._controller
        self.setVisible(controller.is_shown)
        self.button.setVisible(controller.found is None)
        self.button.set_glyph("cross" if controller.busy else "play")
        self.button.set_name(STOP if controller.busy else AGAIN)
        if controller.found is not None:
            self.label.setText(line_of(controller.found))
            self.label.setToolTip(numbers_of(controller.found))
            return
        self.label.setText(f"{WAITING}{self._share()}" if controller.busy else STOPPED)
        self.label.setToolTip("")

    def _share(self) -> str:
        progress = self._controller.progress
        if progress is None or not progress.total:
            return "..."
        return f": {progress.stage}, {progress.done} of {progress.total} {progress.unit}"

    def _on_button(self) -> None:
        if self._controller.busy:
            self._controller.cancel()
        else:
            self._controller.again()


def line_of(found: Reliability) -> str:
    """Return the line as rich text."""
    verdict = found.verdict
    color = to_hex(VERDICT_COLORS[verdict])
    return (
        f'<span style="color:{color}; font-weight:bold">{MARKS[verdict]}</span> '
        f"<b>Saliency is {verdict}</b>: {html.escape(found.reason)}"
    )


def numbers_of(found: Reliability) -> str:
    """Return the numbers behind the line as rich text."""
    rows = "".join(
        f"<tr><td style='padding-right:8px'>{html.escape(name)}</td><td>{html.escape(text)}</td></tr>"
        for name, text in found.rows()
    )
    return f"{html.escape(found.line)}<table>{rows}</table>"
