"""Choose the slide, the encoder and the region; edit the tissue mask."""

from __future__ import annotations

from qtpy.QtCore import QPoint, QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QMenu, QPushButton, QRadioButton

from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.encoders import EncoderController
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.controllers.tissue import TissueController
from napari_nic.plugin.legend import UM
from napari_nic.plugin.widgets.channel_question import choose_soon
from napari_nic.plugin.widgets.encoder_chooser import EncoderChooser
from napari_nic.plugin.widgets.glyphs import GlyphButton
from napari_nic.plugin.widgets.rows import Section, narrow_combo, quiet_label, row, set_enabled
from napari_nic.slides import describe_choice

MASKS = "Find the tissue mask in another way, load or save it"
PAUSE_FIRST = "Pause or cancel the compression first"


class SlideSection(Section):
    """The top of the dock; without a slide it says how to get one."""

    open_clicked = Signal()
    sample_clicked = Signal()

    def __init__(
        self,
        session: Session,
        compressing: CompressController,
        tissue: TissueController,
        encoders: EncoderController,
    ) -> None:
        super().__init__("")
        self._session, self._compressing, self._tissue = session, compressing, tissue
        self._build_empty()
        self._build_slide()
        self.chooser = EncoderChooser(session, encoders)
        self.body.addWidget(self.chooser)
        self._build_region()
        session.slides_changed.connect(self.refresh)
        session.slide_changed.connect(self.refresh)
        compressing.changed.connect(self._refresh_region)
        self.refresh()

    def _build_empty(self) -> None:
        open_button, sample = QPushButton("Open sli&de..."), QPushButton("Try the sample")
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
        self.notices = quiet_label()
        self.notices.setAccessibleName("What is to be known of this slide")
        self.set_mpp = QPushButton(f"Enter {UM}/px...")
        self.set_mpp.clicked.connect(lambda: self._session.ask_pixel_size(again=True))
        self.channels = QPushButton("Channels...")
        self.channels.clicked.connect(self._choose_channels)
        self.slide_row = row(self.slides, label="Sl&ide")
        self.profile = QCheckBox("Apply colour profile")
        self.profile.clicked.connect(lambda on: self._session.set_color("srgb" if on else "raw"))
        for widget in (self.slide_row, self.about, self.notices, self.set_mpp, self.channels, self.profile):
            self.body.addWidget(widget)

    def _build_region(self) -> None:
        self.visible_only = QRadioButton("Visi&ble")
        self.visible_only.setToolTip("Compress what is on the screen, from its centre outwards")
        self.whole = QRadioButton("Whole")
        self.whole.setToolTip("Compress the whole slide, beginning with what is on the screen")
        for button, region in ((self.visible_only, "visible"), (self.whole, "whole")):
            button.clicked.connect(lambda _=False, region=region: self._set_region(region))
        self.edit_tissue = QPushButton("&Tissue...")
        self.edit_tissue.clicked.connect(self._tissue.edit)
        self._build_masks()
        buttons = (self.visible_only, self.whole, self.edit_tissue, self.masks)
        self.body.addWidget(row(*buttons, label="Region", buddy=self.visible_only))

    def _build_masks(self) -> None:
        """A button beside the mask's: where it comes from, and where it goes."""
        self.masks = GlyphButton("folder", MASKS)
        menu = QMenu(self)
        self.find_stain = menu.addAction("Find it by the &stain")
        self.find_stain.triggered.connect(lambda: self._tissue.find("threshold"))
        self.find_network = menu.addAction("Find it by the &network")
        self.find_network.triggered.connect(lambda: self._tissue.find("unet"))
        self.load_mask = menu.addAction("&Load a mask...")
        self.load_mask.triggered.connect(self._tissue.load)
        self.save_mask = menu.addAction("Sa&ve the mask...")
        self.save_mask.triggered.connect(self._tissue.save)
        menu.aboutToShow.connect(lambda: self.save_mask.setEnabled(self._tissue.edited() is not None))
        self.masks.clicked.connect(lambda: menu.popup(self.masks.mapToGlobal(QPoint(0, self.masks.height()))))

    def refresh(self) -> None:
        """Show what the session holds."""
        layers = self._session.slide_layers
        self.empty.setVisible(not layers)
        self.slide_row.setVisible(bool(layers))
        with QSignalBlocker(self.slides):
            self.slides.clear()
            self.slides.addItems([layer.name for layer in layers])
            chosen = self._session.layer
            # Nothing chosen shows nothing; with a name in the box that slide could not be chosen again.
            self.slides.setCurrentIndex(layers.index(chosen) if chosen in layers else -1)
        about = self._session.describe_slide()
        self.about.setText(about)
        self.about.setVisible(bool(about))
        slide = self._session.slide
        self.about.setToolTip("" if slide is None else f"{about}\n{slide.path}\nread by {slide.reader}")
        notices = (
            "" if slide is None else "\n".join(notice[:1].upper() + notice[1:] for notice in slide.notices)
        )
        self.notices.setText(notices)
        self.notices.setVisible(bool(notices))
        self.set_mpp.setVisible(slide is not None and slide.pixel_size is None)
        self._refresh_channels()
        self._refresh_profile()
        self._refresh_region()

    def _refresh_channels(self) -> None:
        """Say which channels are shown, and offer others."""
        slide = self._session.slide
        self.channels.setVisible(slide is not None and bool(slide.channels))
        if slide is not None:
            self.channels.setToolTip(f"Shown: {describe_choice(slide.choice)}. Show others as another layer")

    def _choose_channels(self) -> None:
        slide = self._session.slide
        if slide is not None:
            choose_soon(slide.path)

    def _refresh_profile(self) -> None:
        """Offer the choice where the slide has a profile and nothing is being made of its colours."""
        slide = self._session.slide
        self.profile.setVisible(slide is not None and slide.color.profile is not None)
        if slide is None or slide.color.profile is None:
            return
        self.profile.setChecked(slide.color.applied)
        why_not = ""
        if self._compressing.state.busy:
            why_not = PAUSE_FIRST
        elif not slide.with_color("srgb").color.applied:
            why_not = f"The slide's colour profile is {slide.color.profile}"
        set_enabled(self.profile, why_not, f"{slide.color.profile}: the scanner's colours are shown as sRGB")

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
        set_enabled(self.masks, why_not, MASKS)
        busy = self._compressing.state.busy
        self.chooser.set_busy(PAUSE_FIRST if busy else "")
        self._refresh_profile()

    def _on_slide(self, index: int) -> None:
        layers = self._session.slide_layers
        if 0 <= index < len(layers):
            self._session.look_at(layers[index])

    def _set_region(self, region: str) -> None:
        self._compressing.region = "whole" if region == "whole" else "visible"
