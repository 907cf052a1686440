"""Choose the slide, the encoder and the region; edit the tissue mask."""

from __future__ import annotations

import html

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QMessageBox, QPushButton, QRadioButton

from napari_nic.encoders import EncoderSpec
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.controllers.tissue import TissueController
from napari_nic.plugin.legend import UM
from napari_nic.plugin.widgets.glyphs import GlyphButton
from napari_nic.plugin.widgets.rows import Section, card_table, narrow_combo, quiet_label, row, set_enabled


class SlideSection(Section):
    """The top of the dock; without a slide it says how to get one."""

    open_clicked = Signal()
    sample_clicked = Signal()

    def __init__(self, session: Session, compressing: CompressController, tissue: TissueController) -> None:
        super().__init__("")
        self._session, self._compressing, self._tissue = session, compressing, tissue
        self._build_empty()
        self._build_slide()
        self._build_encoder()
        self._build_region()
        session.slides_changed.connect(self.refresh)
        session.slide_changed.connect(self.refresh)
        session.encoder_changed.connect(self.refresh)
        compressing.changed.connect(self._refresh_region)
        self.refresh()

    def _build_empty(self) -> None:
        open_button, sample = QPushButton("&Open slide..."), QPushButton("Try the &sample")
        open_button.clicked.connect(self.open_clicked)
        sample.clicked.connect(self.sample_clicked)
        self.empty = Section("")
        self.empty.body.addWidget(quiet_label("<b>Open a slide, or try the sample.</b>"))
        self.empty.body.addWidget(row(open_button, sample))
        self.open_button, self.sample_button = open_button, sample
        self.body.addWidget(self.empty)

    def _build_slide(self) -> None:
        self.slides = narrow_combo()
        self.slides.setAccessibleName("Slide")
        self.slides.currentIndexChanged.connect(self._on_slide)
        self.about = quiet_label(wrap=False)
        self.set_mpp = QPushButton(f"Enter {UM}/px...")
        self.set_mpp.clicked.connect(lambda: self._session.ask_pixel_size(again=True))
        self.slide_row = row(self.slides, label="S&lide")
        for widget in (self.slide_row, self.about, self.set_mpp):
            self.body.addWidget(widget)

    def _build_encoder(self) -> None:
        self.encoders = narrow_combo()
        self.encoders.setAccessibleName("Encoder")
        self.encoders.currentIndexChanged.connect(self._on_encoder)
        self.card = GlyphButton("info", f"About this encoder: data, licence, {UM}/px")
        self.card.clicked.connect(self._show_card)
        self.body.addWidget(row(self.encoders, self.card, label="&Encoder"))

    def _build_region(self) -> None:
        self.visible_only = QRadioButton("&Visible")
        self.visible_only.setToolTip("Compress what is on the screen, from its centre outwards")
        self.whole = QRadioButton("Whole sli&de")
        self.whole.setToolTip("Compress the whole slide, beginning with what is on the screen")
        for button, region in ((self.visible_only, "visible"), (self.whole, "whole")):
            button.clicked.connect(lambda _=False, region=region: self._set_region(region))
        self.edit_tissue = QPushButton("&Tissue...")
        self.edit_tissue.clicked.connect(self._tissue.edit)
        self.body.addWidget(
            row(self.visible_only, self.whole, self.edit_tissue, label="Region", buddy=self.visible_only)
        )

    def refresh(self) -> None:
        """Show what the session holds."""
        layers = self._session.slide_layers
        self.empty.setVisible(not layers)
        self.slide_row.setVisible(bool(layers))
        with QSignalBlocker(self.slides):
            self.slides.clear()
            self.slides.addItems([layer.name for layer in layers])
            if self._session.layer in layers:
                self.slides.setCurrentIndex(layers.index(self._session.layer))
        about = self._session.describe_slide()
        self.about.setText(about)
        self.about.setVisible(bool(about))
        slide = self._session.slide
        self.about.setToolTip("" if slide is None else f"{about}\n{slide.path}\nread by {slide.reader}")
        self.set_mpp.setVisible(slide is not None and slide.pixel_size is None)
        self._refresh_encoders()
        self._refresh_region()

    def _refresh_encoders(self) -> None:
        specs = self._session.specs
        with QSignalBlocker(self.encoders):
            self.encoders.clear()
            for spec in specs:
                self.encoders.addItem(f"{spec.name} (C={spec.code_size})", spec.name)
                self.encoders.setItemData(
                    self.encoders.count() - 1, spec.summary, Qt.ItemDataRole.ToolTipRole
                )
            names = [spec.name for spec in specs]
            if self._session.spec.name in names:
                self.encoders.setCurrentIndex(names.index(self._session.spec.name))

    def _refresh_region(self) -> None:
        whole = self._compressing.region == "whole"
        self.whole.setChecked(whole)
        self.visible_only.setChecked(not whole)
        slide = self._session.slide
        why_not = "Open a slide first" if slide is None else ""
        if slide is not None and slide.pixel_size is None:
            why_not = f"The {UM}/px of this slide is not known"
        set_enabled(
            self.edit_tissue,
            why_not,
            "Show the tissue mask as a layer: paint and erase before you compress, and it is used",
        )
        busy = self._compressing.state.busy
        set_enabled(self.encoders, "Pause or cancel the compression first" if busy else "", "")

    def _on_slide(self, index: int) -> None:
        layers = self._session.slide_layers
        if 0 <= index < len(layers):
            self._session.select(layers[index])

    def _on_encoder(self, index: int) -> None:
        name = self.encoders.itemData(index)
        if name:
            self._session.select_encoder(name)

    def _set_region(self, region: str) -> None:
        self._compressing.region = "whole" if region == "whole" else "visible"

    def _show_card(self) -> None:
        box = QMessageBox(self)
        box.setWindowTitle(self._session.spec.name)
        box.setTextFormat(Qt.TextFormat.RichText)
        box.setText(encoder_card(self._session.spec))
        box.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        box.exec()


def encoder_card(spec: EncoderSpec) -> str:
    """Rich text of what a user should know of an encoder before using it."""
    rows = {
        "Codes": f"{spec.code_size} numbers a patch",
        "Patch": f"{spec.patch_size} px at {spec.mpp:g} {UM}/px ({spec.patch_size * spec.mpp:g} {UM})",
        "Network": f"{spec.architecture}, input {spec.input_size} px",
        "Licence": spec.licence or "not stated",
        **spec.training,
        "Cite": spec.citation,
        "Weights": f"SHA-256 {spec.weights_sha256[:16]}..." if spec.weights_sha256 else "none",
    }
    return f"<b>{html.escape(spec.name)}</b><p>{html.escape(spec.summary)}</p>{card_table(rows)}"
