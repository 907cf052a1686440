"""Patches above their reconstructions, as training last painted them."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QRect, QSize
from qtpy.QtGui import QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

ROWS = 2
LEAST_SIDE = 56
"""A patch is not shown smaller than this; as many are shown as fit."""


class PatchStrip(QWidget):
    """Two rows of square patches; as many columns as fit the width."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._image: QImage | None = None
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def set_picture(self, picture: np.ndarray | None) -> None:
        """Show a picture, (2 s, n s, 3) uint8 RGB: n patches of s px above n others; or nothing."""
        self.setVisible(picture is not None)
        if picture is None:
            self._image = None
            return
        pixels = np.ascontiguousarray(picture, np.uint8)
        height, width = pixels.shape[:2]
        self._image = QImage(pixels.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
        self.updateGeometry()
        self.update()

    def columns(self, width: int) -> int:
        """How many patches stand side by side at a width in pixels."""
        return max(1, min(width // LEAST_SIDE, self._all_columns()))

    def hasHeightForWidth(self) -> bool:  # noqa: N802 -- Qt's name
        """Patches stay square."""
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802 -- Qt's name
        """Two rows of squares."""
        return 0 if self._image is None else ROWS * (width // self.columns(width))

    def sizeHint(self) -> QSize:  # noqa: N802 -- Qt's name
        """Height at the present width."""
        width = max(2 * LEAST_SIDE, self.width())
        return QSize(2 * LEAST_SIDE, self.heightForWidth(width))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 -- Qt's
        """Draw the columns that fit."""
        if self._image is None:
            return
        columns = self.columns(self.width())
        side = self._image.height() // ROWS
        shown = self.width() // columns
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        target = QRect(0, 0, shown * columns, shown * ROWS)
        painter.drawImage(target, self._image, QRect(0, 0, side * columns, side * ROWS))
        painter.end()

    def _all_columns(self) -> int:
        if self._image is None:
            return 1
        return max(1, self._image.width() // (self._image.height() // ROWS))
