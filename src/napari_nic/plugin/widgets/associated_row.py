"""Buttons for the label and the macro image of a slide, and the picture under them once it was asked for."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QImage, QPainter, QPaintEvent
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from napari_nic.plugin.controllers.associated import AssociatedImages
from napari_nic.plugin.widgets.minimap import to_qimage
from napari_nic.plugin.widgets.rows import SPACING

MOST_HEIGHT = 220
MOST_BUTTONS = 4
CAUTION = "It may show a patient's name, and is hidden until you ask for it"


class Picture(QWidget):
    """A picture as large as the dock lets it be."""

    def __init__(self) -> None:
        super().__init__()
        self._image = QImage()
        policy = QSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)

    def set_image(self, image: QImage) -> None:
        """Show this image."""
        self._image = image
        self.updateGeometry()
        self.update()

    def hasHeightForWidth(self) -> bool:  # noqa: N802 -- Qt's name
        """It keeps its proportions."""
        return True

    def heightForWidth(self, width: int) -> int:  # noqa: N802 -- Qt's name
        """Height at this width, within bounds."""
        if self._image.isNull():
            return 0
        return min(MOST_HEIGHT, round(width * self._image.height() / self._image.width()))

    def sizeHint(self) -> QSize:  # noqa: N802 -- Qt's name
        """Height at the present width."""
        return QSize(120, self.heightForWidth(max(120, self.width())))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002 -- Qt's
        """Draw it in the middle."""
        if self._image.isNull():
            return
        size = self._image.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        scaled = self._image.scaled(
            size, Qt.AspectRatioMode.IgnoreAspectRatio, Qt.TransformationMode.SmoothTransformation
        )
        painter.drawImage((self.width() - size.width()) // 2, 0, scaled)
        painter.end()


class AssociatedRow(QWidget):
    """One button for each image; the one that is down is shown.

    Parameters
    ----------
    images : AssociatedImages
    """

    def __init__(self, images: AssociatedImages) -> None:
        super().__init__()
        self._images = images
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(SPACING)
        self._line = QHBoxLayout()
        self._line.setSpacing(SPACING)
        column.addLayout(self._line)
        self.picture = Picture()
        column.addWidget(self.picture)
        self.buttons: dict[str, QPushButton] = {}
        images.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what the slide offers, and what of it was asked for."""
        names = self._images.names[:MOST_BUTTONS]
        if tuple(self.buttons) != names:
            self._make_buttons(names)
        for name, button in self.buttons.items():
            button.setChecked(name == self._images.shown)
        picture = self._images.picture
        self.picture.setVisible(picture is not None)
        self.picture.set_image(QImage() if picture is None else to_qimage(picture))
        self.picture.setAccessibleName(f"The slide's {self._images.shown}")
        self.setVisible(bool(names))

    def _make_buttons(self, names: tuple[str, ...]) -> None:
        for button in self.buttons.values():
            self._line.removeWidget(button)
            button.deleteLater()
        self.buttons = {}
        for name in names:
            button = QPushButton(name[:1].upper() + name[1:])
            button.setCheckable(True)
            button.setToolTip(f"Show the slide's {name}. {CAUTION}")
            button.clicked.connect(lambda on, name=name: self._images.show(name if on else ""))
            self._line.addWidget(button, 1)
            self.buttons[name] = button
