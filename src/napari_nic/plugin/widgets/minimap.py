"""The whole slide as a small picture, with a frame around what is seen; click and drag move the view."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import QPointF, QRectF, QSize, Qt
from qtpy.QtGui import QColor, QImage, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen, QPolygonF
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_nic.plugin.controllers.navigating import Navigator
from napari_nic.slides import RgbArray

HEIGHT = 190
LEAST_FRAME = 6.0
"""A view of a few cells is a point on the minimap: so large its frame is drawn at least, in pixels."""

FRAME, HALO = QColor(0, 90, 255), QColor(255, 255, 255, 200)
"""Blue, which no stain is, with a light rim that is seen on dark tissue."""

_PANS = {
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
}
_HARMLESS = Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier
_ZOOMS = {Qt.Key.Key_Plus: 1, Qt.Key.Key_Equal: 1, Qt.Key.Key_Minus: -1}

HELP = "Click or drag to move the view. With the keyboard: arrows move it, + and - zoom, Home shows all"


class Minimap(QWidget):
    """Paints the thumbnail and the field of view.

    Parameters
    ----------
    navigator : Navigator
    """

    def __init__(self, navigator: Navigator) -> None:
        super().__init__()
        self._navigator = navigator
        self._image = QImage()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Minimap")
        self.setToolTip(HELP)
        self.setCursor(Qt.CursorShape.PointingHandCursor)

    def sizeHint(self) -> QSize:  # noqa: N802 -- Qt's name
        """As wide as the dock, and not so high that it pushes the rest away."""
        return QSize(200, HEIGHT)

    def set_picture(self, picture: RgbArray | None) -> None:
        """Show this thumbnail, or none."""
        self._image = QImage() if picture is None else to_qimage(picture)
        self.update()

    def picture_rect(self) -> QRectF:
        """Where the whole slide lies on the widget."""
        slide = self._navigator.slide
        if slide is None:
            return QRectF()
        height, width = slide.levels[0].shape
        factor = min(self.width() / width, self.height() / height)
        w, h = width * factor, height * factor
        return QRectF((self.width() - w) / 2, (self.height() - h) / 2, w, h)

    def frame(self) -> QPolygonF:
        """Outline of what is seen, in pixels of the widget."""
        corners, slide = self._navigator.field_of_view(), self._navigator.slide
        if corners is None or slide is None:
            return QPolygonF()
        place = self.picture_rect()
        height, width = slide.levels[0].shape
        points = corners / (height, width) * (place.height(), place.width()) + (place.top(), place.left())
        middle = points.mean(axis=0)
        extent = np.abs(points - middle).max()
        if 0 < extent < LEAST_FRAME / 2:
            points = middle + (points - middle) * (LEAST_FRAME / 2 / extent)
        return QPolygonF([QPointF(x, y) for y, x in points])

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 -- Qt's
        """Draw the slide, then the frame."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        place = self.picture_rect()
        if not self._image.isNull():
            painter.drawImage(place, self._image)
        elif not place.isEmpty():
            painter.setPen(self.palette().color(self.foregroundRole()))
            painter.drawRect(place)
        frame = self.frame()
        for pen in (QPen(HALO, 4), QPen(FRAME, 2)):
            painter.setPen(pen)
            painter.drawPolygon(frame)
        painter.end()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 -- Qt's name
        """Look at the place."""
        self._look_at(event)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 -- Qt's name
        """Follow the pointer while the button is held down."""
        self._look_at(event)

    def _look_at(self, event: QMouseEvent) -> None:
        place, slide = self.picture_rect(), self._navigator.slide
        if slide is None or place.isEmpty() or not event.buttons() & Qt.MouseButton.LeftButton:
            event.ignore()
            return
        height, width = slide.levels[0].shape
        y = (event.position().y() - place.top()) / place.height() * height
        x = (event.position().x() - place.left()) / place.width() * width
        # A drag past the edge goes on at the edge: nobody looks for glass beside the glass.
        self._navigator.look_at(min(max(y, 0), height), min(max(x, 0), width))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 -- Qt's name
        """Move and zoom; all other keys are napari's."""
        key = Qt.Key(event.key())
        plain = not event.modifiers() & ~(
            Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.KeypadModifier
        )
        if plain and key in _PANS:
            self._navigator.pan(*_PANS[key])
        elif plain and key in _ZOOMS:
            self._navigator.zoom_by(_ZOOMS[key])
        elif plain and key == Qt.Key.Key_Home:
            self._navigator.fit()
        else:
            super().keyPressEvent(event)


def to_qimage(picture: RgbArray) -> QImage:
    """Return a copy of an RGB picture, (rows, cols, 3) uint8."""
    height, width = picture.shape[:2]
    data = np.ascontiguousarray(picture, np.uint8)
    return QImage(data.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
