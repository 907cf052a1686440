"""The Compress button, its progress, and the options that are seldom needed."""

from __future__ import annotations

from collections.abc import Callable

from magicgui.widgets import ComboBox, FloatSpinBox, SpinBox
from qtpy.QtCore import QPoint, QTimer
from qtpy.QtWidgets import QMenu, QPushButton, QWidget
from superqt import QCollapsible

from napari_nic.pipeline import MIN_TISSUE
from napari_nic.plugin.compress_options import CompressOptions, made_with
from napari_nic.plugin.controllers.compress_state import NO_TISSUE, PAINT_IT, CompressState
from napari_nic.plugin.controllers.compressing import CELLS, CompressController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.widgets.glyphs import GlyphButton
from napari_nic.plugin.widgets.keyboard import holding_focus, keeping_focus
from napari_nic.plugin.widgets.rows import ProgressBar, Section, form, quiet_label, row, set_enabled
from napari_nic.wording import clock, count

CANCEL = "Cancel; what is finished is kept (Esc)"
OPTIONS_CLOSED, OPTIONS_OPEN = "+ Options", "\N{MINUS SIGN} Options"
PLACE = "Where the codes of this slide go: choose another folder, or go back to beside the slide"
SETTLE_MS = 200
"""After the last move of the camera, the cells on the screen are counted."""

FOLLOW_MS = 2_000
"""Between two looks at what another window or program writes."""

PERCENT = 100
MAX_OVERLAP = 75
THOUSAND = 1000


PAUSES = ("pausing", "paused")


class CompressSection(Section):
    """One button, pause, cancel, a bar, a sentence."""

    def __init__(self, session: Session, compressing: CompressController) -> None:
        super().__init__("")
        self._session, self._compressing = session, compressing
        self.button = QPushButton("C&ompress slide")
        self.button.setObjectName("nic-compress")
        self.button.clicked.connect(compressing.start)
        self.pause = GlyphButton("pause", "Pause")
        self.pause.clicked.connect(compressing.pause)
        self.stop = GlyphButton("cross", CANCEL)
        self.stop.clicked.connect(compressing.cancel)
        self.bar = ProgressBar()
        self.bar.setTextVisible(True)
        self.text = quiet_label()
        self.options = OptionsForm(session, compressing)
        buttons = row(self.button, self.pause, self.stop)
        for widget in (buttons, self.bar, self.text, self._make_place(), self.options):
            self.body.addWidget(widget)
        compressing.changed.connect(self.refresh)
        self._camera = session.viewer.scene.camera.events
        self._camera.connect(self._on_camera)
        self._moved = self._timer(SETTLE_MS, self._refresh_button, repeats=False)
        self._follow = self._timer(FOLLOW_MS, compressing.follow, repeats=True)
        self._follow.start()
        self.refresh()

    def close_down(self) -> None:
        """Let the viewer and the store go."""
        self._follow.stop()
        self._camera.disconnect(self._on_camera)

    def _timer(self, after_ms: int, action: Callable[[], None], *, repeats: bool) -> QTimer:
        timer = QTimer(self)
        timer.setInterval(after_ms)
        timer.setSingleShot(not repeats)
        timer.timeout.connect(action)
        return timer

    def _make_place(self) -> QWidget:
        """Where the codes go, and a button that changes it for this slide."""
        self.place = quiet_label(wrap=False)
        self.place.setAccessibleName("Where the codes of this slide go")
        self.place_button = GlyphButton("folder", PLACE)
        self.place_button.clicked.connect(self._show_place_menu)
        self.place_menu = QMenu(self)
        self.choose_folder = self.place_menu.addAction("Choose another &folder...")
        self.choose_folder.triggered.connect(self._choose_folder)
        self.beside_slide = self.place_menu.addAction("&Beside the slide")
        self.beside_slide.triggered.connect(lambda: self._session.set_store_folder(None))
        self.place_row = row(self.place, self.place_button)
        return self.place_row

    def _show_place_menu(self) -> None:
        self.place_menu.popup(self.place_button.mapToGlobal(QPoint(0, self.place_button.height())))

    def _choose_folder(self) -> None:
        folder = self._session.asking.folder("Folder for the codes of this slide")
        if folder is None:
            return
        self._session.set_store_folder(folder)
        store = self._session.store
        if store is not None and store.path.parent != folder:
            self._session.asking.tell(f"{store.path} is there already, and is gone on with")

    def _refresh_place(self) -> None:
        place = self._session.store_place()
        self.place_row.setVisible(place is not None)
        self.place.setText(self._session.describe_place())
        self.place.setToolTip("" if place is None else str(place))
        busy = self._compressing.state.busy
        set_enabled(self.place_button, "The codes are being written there" if busy else "", PLACE)
        self.beside_slide.setEnabled(self._session.store_folder is not None)

    def _on_camera(self, event: object) -> None:  # noqa: ARG002 -- napari passes the event
        if not self._compressing.state.busy:
            self._moved.start()  # begun anew by each move: the cells on the screen are counted at rest

    def _refresh_button(self) -> None:
        self.button.setText(self._compressing.label())

    def refresh(self) -> None:
        """Show how far the compression is."""
        state = self._compressing.state
        why_not = self._compressing.why_not()
        self._refresh_button()
        self._refresh_place()
        running = state.phase in ("running", "pausing", "paused")
        with keeping_focus(self.pause if running else self.button, self.button, self.pause, self.stop):
            set_enabled(self.button, why_not, "Encode the tissue of this slide, patch by patch")
            set_enabled(self.pause, "" if running else "Nothing is running", pause_name(state))
            self.pause.set_glyph("play" if state.phase in PAUSES else "pause")
            set_enabled(self.stop, "" if running else "Nothing is running", CANCEL)
        self.bar.setVisible(state.busy or 0 < state.done < state.total)
        # Never the moving bar of a range of nothing: every frame of it composes the whole window again, which
        # takes a core where OpenGL is done in software. The sentence below says what is being done.
        self.bar.setRange(0, max(1, state.total))
        self.bar.setValue(state.done)
        self.bar.setFormat(bar_text(state))
        self.text.setText(self._sentence(state))
        self.text.setVisible(bool(self.text.text()))

    def _sentence(self, state: CompressState) -> str:
        if state.phase == "stopping" or (state.busy and state.total == 0):
            paused = f" ({state.phase})" if state.phase in PAUSES else ""
            return f"{state.stage[:1].upper()}{state.stage[1:]}...{paused}"
        foreign = self._compressing.writing.describe_other()
        if foreign and not state.busy:
            done = f"{state.done:,} of {state.total:,} {CELLS} so far"
            return f"Being compressed by {foreign}: {done}"
        if state.total:
            paused = f" ({state.phase})" if state.phase in PAUSES else ""
            other = self._compressing.made_by()
            of_other = f", codes of {other}" if other else ""
            return f"{state.done:,} of {state.total:,} {CELLS}{of_other}{paused}"
        if self._compressing.found_nothing():
            return f"{NO_TISSUE}. {PAINT_IT}"
        if self._session.store_note:
            return self._session.store_note
        return "Not compressed yet" if self._session.slide is not None else ""


class OptionsForm(QCollapsible):
    """Overlap, tissue share, device and precision; closed at first.

    With a store it shows what that was made with, and what differs from it is asked for. Without one it shows
    what the user chose last.
    """

    def __init__(self, session: Session, compressing: CompressController) -> None:
        # The icons that this widget paints itself keep the colours of the desktop, not of the theme.
        super().__init__(OPTIONS_CLOSED, expandedIcon=" ", collapsedIcon=" ")
        self.toggled.connect(self._on_toggled)
        self.content().hide()
        self._session, self._compressing = session, compressing
        self._chosen = (0, MIN_TISSUE)
        self._build()
        session.store_changed.connect(self._follow_store)
        self._follow_store()

    def _on_toggled(self, on: bool) -> None:
        self.setText(OPTIONS_OPEN if on else OPTIONS_CLOSED)
        self.content().setVisible(on)  # what is only made flat is still stopped at by Tab

    def _build(self) -> None:
        self.overlap = SpinBox(
            label="Overlap (%)",
            max=MAX_OVERLAP,
            step=25,
            tooltip="Of neighbouring patches; 0 is NIC's own grid",
        )
        self.min_tissue = FloatSpinBox(
            label="Least tissue",
            max=1.0,
            step=0.05,
            value=MIN_TISSUE,
            tooltip="Share of a patch that must be tissue; 0 takes every cell",
        )
        self.device = ComboBox(label="Device", choices=["auto", "cpu", "cuda", "mps"])
        self.precision = ComboBox(
            label="Precision",
            choices=["auto", "float32", "bfloat16"],
            tooltip="auto takes bfloat16 where it is faster; it rounds codes by up to 2 %",
        )
        widgets = [self.overlap, self.min_tissue, self.device, self.precision]
        for widget in widgets:
            widget.changed.connect(self._on_edit)
        self.setDuration(0)
        self.addWidget(form(widgets))
        self.toggleButton().setStyleSheet("text-align: left; border: none; background: transparent;")
        for layout in (self.layout(), self.content().layout()):
            layout.setContentsMargins(0, 0, 0, 0)

    def _follow_store(self) -> None:
        """Show what the store was made with; a run that has just begun was asked for that way."""
        store = self._session.store
        overlap, share = self._chosen if store is None else self._made()
        with holding_focus(), self.overlap.changed.blocked(), self.min_tissue.changed.blocked():
            self.overlap.value, self.min_tissue.value = overlap, share
        self._apply()

    def _made(self) -> tuple[int, float]:
        """Overlap in percent and least tissue of the store, or else the defaults."""
        made = made_with(self._session.store)
        share = MIN_TISSUE if made.min_tissue is None else made.min_tissue
        return min(MAX_OVERLAP, round(PERCENT * (made.overlap or 0.0))), share

    def _on_edit(self) -> None:
        self._chosen = (self.overlap.value, self.min_tissue.value)
        self._apply()

    def _apply(self) -> None:
        overlap, share = self._made()
        # What was not changed is not asked for, so that a store of any other grid can be resumed.
        self._compressing.set_options(
            CompressOptions(
                device=self.device.value,
                precision=self.precision.value,
                overlap=None
                if self.overlap.value == min(overlap, MAX_OVERLAP)
                else self.overlap.value / PERCENT,
                min_tissue=None if self.min_tissue.value == share else self.min_tissue.value,
            )
        )


def pause_name(state: CompressState) -> str:
    """What the pause button would do."""
    return "Go on" if state.phase in PAUSES else "Pause"


def bar_text(state: CompressState) -> str:
    """Percent, rate and time left, as far as they are known."""
    parts = [f"{int(PERCENT * state.done / state.total)} %" if state.total else ""]
    if state.rate > 0:
        parts.append(f"{count(state.rate)} patches/s")
    if state.seconds_left is not None:
        parts.append(f"{clock(state.seconds_left)} left")
    return "   ".join(part for part in parts if part)
