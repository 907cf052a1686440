"""The slide turned and mirrored."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QPushButton, QSpinBox

from napari_nic.plugin.controllers.turning import STEP, Turning
from napari_nic.plugin.widgets.fold import Fold
from napari_nic.plugin.widgets.rows import row, set_enabled

QUARTER = 90
SAME_PLACES = "Layers, read-outs and what is drawn keep their places"


class TurnSection(Fold):
    """An angle, quarter turns, the mirror, and upright again.

    Parameters
    ----------
    turning : Turning
    """

    def __init__(self, turning: Turning) -> None:
        super().__init__("Rotation")
        self._turning = turning
        self.angle = QSpinBox()
        self.angle.setRange(0, 359)
        self.angle.setWrapping(True)
        self.angle.setSingleStep(round(STEP))
        self.angle.setSuffix("\N{DEGREE SIGN}")
        self.angle.setAccessibleName("Rotation clockwise")
        self.angle.setKeyboardTracking(False)
        self.angle.valueChanged.connect(turning.set_angle)
        self.left, self.right = QPushButton("Left"), QPushButton("Right")
        self.left.clicked.connect(partial(turning.turn, -QUARTER))
        self.right.clicked.connect(partial(turning.turn, QUARTER))
        self.mirrored = QCheckBox("Mirrored")
        self.mirrored.clicked.connect(turning.mirror)
        self.mirrored.setToolTip(f"Left and right change places (Alt+Shift+Home). {SAME_PLACES}")
        self.upright = QPushButton("Upright")
        self.upright.clicked.connect(turning.reset)
        self.body.addWidget(row(self.angle, self.left, self.right, label="Turned"))
        self.body.addWidget(row(self.mirrored, self.upright, label=" "))
        turning.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show how the view is turned."""
        why_not = self._turning.why_not()
        with QSignalBlocker(self.angle):
            self.angle.setValue(round(self._turning.angle) % 360)
        keys = "Alt+Shift+Left and Right turn by 15\N{DEGREE SIGN}"
        set_enabled(self.angle, why_not, f"Degrees clockwise; {keys}. {SAME_PLACES}")
        set_enabled(self.left, why_not, "A quarter turn to the left")
        set_enabled(self.right, why_not, "A quarter turn to the right")
        self.mirrored.setChecked(self._turning.is_mirrored)
        upright = "The slide is seen as it was scanned" if self._turning.is_upright else ""
        set_enabled(self.upright, upright, "As it was scanned (Alt+Shift+End)")
