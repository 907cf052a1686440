"""A part of a dock that is folded away until it is wanted."""

from __future__ import annotations

from qtpy.QtWidgets import QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_nic.plugin.widgets.rows import SPACING

CLOSED, OPEN = "+", "\N{MINUS SIGN}"


class Fold(QCollapsible):
    """A heading that folds its rows out, by click or Space; closed at first.

    Parameters
    ----------
    title : str
    """

    def __init__(self, title: str) -> None:
        # The icons that this widget paints itself keep the colours of the desktop, not of the theme.
        super().__init__(f"{CLOSED} {title}", expandedIcon=" ", collapsedIcon=" ")
        self._title = title
        self.toggled.connect(self._on_toggled)
        self.content().hide()
        self.setDuration(0)
        page = QWidget()
        self.body = QVBoxLayout(page)
        self.body.setContentsMargins(0, 0, 0, SPACING)
        self.body.setSpacing(SPACING)
        self.addWidget(page)
        self.toggleButton().setStyleSheet("text-align: left; border: none; background: transparent;")
        for layout in (self.layout(), self.content().layout()):
            layout.setContentsMargins(0, 0, 0, 0)

    def _on_toggled(self, on: bool) -> None:
        self.setText(f"{OPEN if on else CLOSED} {self._title}")
        self.content().setVisible(on)  # what is only made flat is still stopped at by Tab
