"""The second view: which slide, linked or not, and how both lie on each other."""

from __future__ import annotations

from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QCheckBox, QPushButton

from napari_nic.plugin.controllers.linking import LinkedView
from napari_nic.plugin.widgets.fold import Fold
from napari_nic.plugin.widgets.rows import narrow_combo, quiet_label, row, set_enabled
from napari_nic.viewing import LEAST_LANDMARKS
from napari_nic.wording import counted

KINDS = ("similarity", "affine")
NO_VIEW = "Open the second view first"
HOW = (
    "Unlink, bring the same place into the middle of both views, and add it: three times or more, far apart. "
    "Then align"
)


class SecondSection(Fold):
    """Opens and links the second view.

    Parameters
    ----------
    linking : LinkedView
    """

    def __init__(self, linking: LinkedView) -> None:
        super().__init__("Second view")
        self._linking = linking
        self.slide = narrow_combo()
        self.slide.setAccessibleName("Slide of the second view")
        self.show_button = QPushButton("Open")
        self.show_button.clicked.connect(self._open_or_close)
        self.slide.activated.connect(lambda index: self._open(index) if linking.is_open else None)
        self.linked = QCheckBox("Linked")
        self.linked.setToolTip("Move and zoom both together; what is in the middle of both stays together")
        self.linked.clicked.connect(linking.set_linked)
        self.kind = narrow_combo()
        self.kind.addItems(KINDS)
        self.kind.setAccessibleName("Kind of alignment")
        self.kind.activated.connect(self._on_kind)
        self.add, self.undo, self.fit = QPushButton("Add place"), QPushButton("Undo"), QPushButton("Align")
        self.add.clicked.connect(linking.add_landmark)
        self.undo.clicked.connect(linking.remove_landmark)
        self.fit.clicked.connect(linking.fit)
        self.about = quiet_label()
        self.body.addWidget(row(self.slide, self.show_button, label="Slide"))
        self.body.addWidget(row(self.linked, self.kind, label="Views"))
        self.body.addWidget(row(self.add, self.undo, self.fit))
        self.body.addWidget(self.about)
        linking.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        """Show what is open and how it lies."""
        linking = self._linking
        slides = linking.choices()
        with QSignalBlocker(self.slide):
            chosen = linking.slide or (
                slides[max(0, self.slide.currentIndex()) % len(slides)] if slides else None
            )
            self.slide.clear()
            self.slide.addItems([slide.name for slide in slides])
            self.slide.setCurrentIndex(next((n for n, one in enumerate(slides) if one is chosen), -1))
        no_slide = "" if slides else "Open a slide first"
        no_view = no_slide or ("" if linking.is_open else NO_VIEW)
        self.show_button.setText("Close" if linking.is_open else "Open")
        set_enabled(
            self.show_button, no_slide, "A second view of this slide, or another open one, beside the first"
        )
        set_enabled(self.slide, no_slide, "What the second view shows: any slide that is open")
        self.linked.setChecked(linking.linked)
        set_enabled(self.linked, no_view, "Move and zoom both views together")
        set_enabled(
            self.kind, no_view, "similarity: moved, turned, scaled. affine: stretched and sheared too"
        )
        self._refresh_landmarks(no_view)

    def _refresh_landmarks(self, no_view: str) -> None:
        linking, count = self._linking, len(self._linking.landmarks)
        set_enabled(self.add, no_view, f"{HOW} (Alt+Home adds the place)")
        set_enabled(
            self.undo, no_view or ("" if count else "No place was added yet"), "Forget the last place"
        )
        least = LEAST_LANDMARKS[linking.kind]
        few = "" if count >= least else f"{counted(count, 'place')} of {least} at least"
        set_enabled(self.fit, no_view or few, "Lay the second section on the first by the places")
        places = f"{counted(count, 'place')} added. " if count else ""
        self.about.setText(places + linking.describe())
        self.about.setVisible(bool(self.about.text()))
        self.kind.setCurrentIndex(KINDS.index(linking.kind))

    def _open_or_close(self) -> None:
        if self._linking.is_open:
            self._linking.close_view()
        else:
            self._open(self.slide.currentIndex())

    def _open(self, index: int) -> None:
        slides = self._linking.choices()
        if 0 <= index < len(slides):
            self._linking.open(slides[index])

    def _on_kind(self, index: int) -> None:
        self._linking.kind = "affine" if KINDS[index] == "affine" else "similarity"
        self.refresh()
