"""Dialogs: the answers that controllers ask for."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_info
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QApplication, QFileDialog, QInputDialog, QMainWindow, QMessageBox, QWidget

from napari_nic.errors import NicError, UnreadableSlideError
from napari_nic.geometry import MPP_MAX, MPP_MIN
from napari_nic.names import known_suffix
from napari_nic.plugin.controllers.asking import Leaving
from napari_nic.slides import Channel, Slide
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.editing import Choice

TYPICAL_MPP = 0.25
"""Offered first: a 40x scan, which most scanners make."""

MASK_FILTER = "Masks and outlines (*.png *.tif *.tiff *.geojson *.xml)"
ANNOTATION_FILTERS = {
    "QuPath GeoJSON (*.geojson)": ".geojson",
    "ASAP XML (*.xml)": ".xml",
    "HALO XML (*.annotations)": ".annotations",
    "Hamamatsu NDPA (*.ndpa)": ".ndpa",
    "GeoParquet (*.parquet)": ".parquet",
    "CSV of measurements (*.csv)": ".csv",
}
"""What is written, and the suffix that tells it; formats that share one are left to the command line."""

_OPTION = re.compile(r"\s*\(--[\w-]+\)")
"""Options of the command line in brackets, which mean nothing in a window."""


class Dialogs:
    """Asks and tells in dialogs over a widget's window; see :class:`~..controllers.asking.Asking`."""

    def __init__(self, parent: QWidget) -> None:
        self._parent = parent

    def tell_error(self, error: Exception) -> None:
        """Show an error: what is wrong in bold, then file, expected, found and what to do."""
        show_error(error, self._parent)

    def tell(self, message: str) -> None:
        """Show a notice in napari's corner."""
        show_info(message)

    def pixel_size(self, slide: Slide, reason: str) -> float | None:
        """Ask for um/px."""
        text = (
            f"{slide.path.name} does not say how large its pixels are"
            + (f" ({reason})" if reason else "")
            + ".\n\nMicrometres per pixel (0.25 for a 40x scan, 0.5 for 20x):"
        )
        # The file's own value, though it is hard to believe, may be right: then the user confirms it.
        stated = slide.unbelieved_mpp or TYPICAL_MPP
        least, most = min(MPP_MIN, stated), max(MPP_MAX, stated)
        mpp, given = QInputDialog.getDouble(self._parent, "Pixel size", text, stated, least, most, 4)
        return mpp if given else None

    def confirm(self, title: str, text: str, *, yes: str, no: str) -> bool:
        """Ask; the harmless answer is the default."""
        box = QMessageBox(QMessageBox.Icon.Question, title, text, parent=self._parent)
        agree = box.addButton(yes, QMessageBox.ButtonRole.AcceptRole)
        refuse = box.addButton(no, QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(refuse)
        box.exec()
        return box.clickedButton() is agree

    def channels(self, path: Path, channels: Sequence[Channel]) -> tuple[int, ...] | None:
        """Ask for up to three channels."""
        from napari_nic.plugin.widgets.channel_dialog import ChannelDialog

        dialog = ChannelDialog(path, channels, self._parent)
        return dialog.chosen() if dialog.exec() else None

    def scene(self, path: Path, scenes: Sequence[str]) -> int | None:
        """Ask for one of the scenes."""
        text = f"{path.name} holds {counted(len(scenes), 'scene')}. Which one?"
        scene, given = QInputDialog.getItem(self._parent, "Scene", text, list(scenes), 0, editable=False)
        return scenes.index(scene) if given else None

    def folder(self, title: str) -> Path | None:
        """Ask for a folder."""
        chosen = QFileDialog.getExistingDirectory(self._parent, title)
        return Path(chosen) if chosen else None

    def leaving(self, title: str, text: str) -> Leaving:
        """Ask; Esc stays."""
        box = QMessageBox(QMessageBox.Icon.Question, title, text, parent=self._parent)
        save = box.addButton("Save...", QMessageBox.ButtonRole.AcceptRole)
        discard = box.addButton("Discard", QMessageBox.ButtonRole.DestructiveRole)
        cancel = box.addButton("Cancel", QMessageBox.ButtonRole.RejectRole)
        box.setDefaultButton(save)
        box.setEscapeButton(cancel)
        box.exec()
        if box.clickedButton() is save:
            return "save"
        return "discard" if box.clickedButton() is discard else "cancel"

    def which_side(self, title: str, text: str) -> Choice | None:
        """Ask; Esc leaves everything as it is for now."""
        box = QMessageBox(QMessageBox.Icon.Question, title, text, parent=self._parent)
        box.setInformativeText("What was changed both here and in the file:")
        sides: dict[Any, Choice] = {
            box.addButton("Keep both", QMessageBox.ButtonRole.AcceptRole): "both",
            box.addButton("Keep what is here", QMessageBox.ButtonRole.ActionRole): "ours",
            box.addButton("Take what is in the file", QMessageBox.ButtonRole.ActionRole): "theirs",
        }
        cancel = box.addButton("Decide later", QMessageBox.ButtonRole.RejectRole)
        box.setEscapeButton(cancel)
        box.exec()
        return sides.get(box.clickedButton())

    def save_to(self, title: str, start: Path) -> Path | None:
        """Ask for a file; a name without a known suffix gets the one of the chosen format."""
        filters = ";;".join(ANNOTATION_FILTERS)
        path, chosen = QFileDialog.getSaveFileName(self._parent, title, str(start), filters)
        if not path:
            return None
        suffix = ANNOTATION_FILTERS.get(chosen, ".geojson")
        if path == str(start):  # the name that was proposed, whichever format was chosen
            return start.with_suffix(suffix)
        return Path(path) if known_suffix(path) else Path(path + suffix)

    def mask_to_write(self, start: Path) -> Path | None:
        """Ask for a picture; a name without a suffix gets that of PNG."""
        path, _ = QFileDialog.getSaveFileName(
            self._parent, "Save the tissue mask", str(start), "Picture (*.png)"
        )
        if not path:
            return None
        return Path(path) if path.lower().endswith(".png") else Path(path + ".png")

    def mask_to_read(self, start: Path) -> Path | None:
        """Ask for a picture or outlines."""
        path, _ = QFileDialog.getOpenFileName(
            self._parent, "Load a tissue mask", str(start), f"{MASK_FILTER};;All files (*)"
        )
        return Path(path) if path else None

    def wait_for_overview(self, slide: Slide) -> bool:
        """Show a bar while it is made."""
        from napari_nic.plugin.widgets.first_look import wait_for_overview

        return wait_for_overview(slide, self._parent)


def show_error(error: Exception, parent: QWidget | None) -> None:
    """Show an error in a dialog and wait until it is read."""
    box = QMessageBox(parent)
    box.setIcon(QMessageBox.Icon.Warning)
    box.setWindowTitle("NIC")
    box.setTextFormat(Qt.TextFormat.RichText)
    box.setText(error_text(error))
    box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    if isinstance(error, UnreadableSlideError) and error.reasons:
        box.setDetailedText("\n".join(f"{reader}: {reason}" for reader, reason in error.reasons))
    box.exec()


def tell_soon(error: Exception) -> bool:
    """Show an error once the present event is dealt with; False where there is no window to show it in.

    Readers run inside drop events, where a dialog would hold up the desktop.
    """
    if QApplication.instance() is None:
        return False
    QTimer.singleShot(0, lambda: show_error(error, napari_window()))
    return True


def napari_window() -> QWidget | None:
    """Return napari's window, whose theme a dialog takes on; the active one may be none at all."""
    windows = [w for w in QApplication.topLevelWidgets() if isinstance(w, QMainWindow) and w.isVisible()]
    return next((w for w in windows if w.isActiveWindow()), windows[0] if windows else None)


def error_text(error: Exception) -> str:
    """Rich text of an error; one that is not ours is named by its type."""
    if not isinstance(error, NicError):
        return f"<b>{html.escape(type(error).__name__)}</b><p>{html.escape(str(error))}</p>"
    lines = [f"<b>{html.escape(_sentence(error.problem))}</b>"]
    parts = (
        ("File", str(error.file) if error.file else None),
        ("Expected", error.expected),
        ("Found", error.found),
        ("What to do", _OPTION.sub("", error.hint) if error.hint else None),
    )
    rows = "".join(
        f"<tr><td style='padding-right:8px'>{name}</td><td>{_escape_lines(text)}</td></tr>"
        for name, text in parts
        if text
    )
    if rows:
        lines.append(f"<table>{rows}</table>")
    return "<br><br>".join(lines)


def _escape_lines(text: str) -> str:
    return html.escape(text.strip()).replace("\n", "<br>")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
