"""Which slide, encoder and store the dock works on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from psygnal import Signal

from napari_nic.embeddings import CompressedSlide, default_store_path, find_stores
from napari_nic.encoders import DEFAULT_ENCODER, EncoderSpec, get_spec, list_encoders
from napari_nic.errors import (
    InvalidParameterError,
    MissingPixelSizeError,
    NicError,
    StoreMismatchError,
)
from napari_nic.plugin.controllers.asking import Asking
from napari_nic.plugin.controllers.looking import covers_another, show_alone
from napari_nic.plugin.layers import slide_layer, tag_of
from napari_nic.plugin.legend import UM
from napari_nic.plugin.news import ENCODER_NEWS
from napari_nic.plugin.opening import COLOR_SETTING
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.slide_frames import change_slide
from napari_nic.slides import Slide, describe_choice

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

ENCODER_SETTING = "encoder"
FOLDERS_SETTING = "store_folders"
"""Setting: folder of the stores of a slide, by the slide's fingerprint."""

OLD_FOLDER_SETTING = "store_folder"
"""Setting of earlier versions: one folder for all slides. Stores are found there; no new one is put there."""


class Session:
    """Follows the viewer's slides and finds the store of the chosen slide and encoder.

    Parameters
    ----------
    viewer : ViewerModel
    settings : Settings
    asking : Asking
    """

    slides_changed = Signal()
    slide_changed = Signal()
    encoder_changed = Signal()
    store_changed = Signal()
    pixel_size_wanted = Signal()

    def __init__(self, viewer: ViewerModel, settings: Settings, asking: Asking) -> None:
        self.viewer = viewer
        self.settings = settings
        self.asking = asking
        self.layer: Layer | None = None
        self.store: CompressedSlide | None = None
        self.store_note = ""
        self._told: set[str] = set()
        self.specs = self._list_encoders()
        self.spec = self._remembered_spec()
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.layers.events.renamed.connect(self._on_renamed)
        viewer.layers.selection.events.active.connect(self._on_active)
        ENCODER_NEWS.changed.connect(self._on_encoder_news)
        if self.slide_layers:
            self.select(self.slide_layers[-1])

    def close(self) -> None:
        """Stop following the viewer."""
        events = self.viewer.layers.events
        events.inserted.disconnect(self._on_inserted)
        events.removed.disconnect(self._on_removed)
        events.renamed.disconnect(self._on_renamed)
        self.viewer.layers.selection.events.active.disconnect(self._on_active)
        ENCODER_NEWS.changed.disconnect(self._on_encoder_news)

    # -- slides ------------------------------------------------------------------------------------------

    @property
    def slide_layers(self) -> list[Layer]:
        """The viewer's slides, in the order of the layer list."""
        return [layer for layer in self.viewer.layers if _is_slide(layer)]

    @property
    def slide(self) -> Slide | None:
        """The chosen slide."""
        tag = None if self.layer is None else tag_of(self.layer)
        return None if tag is None else tag.slide

    def describe_slide(self) -> str:
        """Size, um/px and where it comes from, in one line."""
        slide = self.slide
        if slide is None:
            return ""
        height, width = slide.levels[0].shape
        size = f"{width:,} x {height:,} px"
        if slide.choice:
            size = f"{describe_choice(slide.choice)}, {size}"
        if slide.pixel_size is None:
            return f"{size}, {UM}/px not known"
        return f"{size}, {slide.pixel_size.mean:.3g} {UM}/px ({slide.pixel_size.source})"

    def select(self, layer: Layer | None) -> None:
        """Work on this slide; its store, if it has one, is opened."""
        if layer is self.layer:
            return
        self.layer = layer
        self._tell_notices()
        self.slide_changed.emit()
        self.find_store(any_encoder=True)
        if self.slide is not None and self.slide.pixel_size is None:
            self.pixel_size_wanted.emit()

    def look_at(self, layer: Layer) -> None:
        """Work on this slide, and look at it: a slide that covers it is hidden."""
        if not layer.visible or covers_another(layer, self.viewer):
            show_alone(layer, self.viewer)
        self.viewer.layers.selection.active = layer
        self.select(layer)

    def _tell_notices(self) -> None:
        """Say once what a reader wants to be known of a slide."""
        slide = self.slide
        if slide is not None and slide.notices and slide.fingerprint not in self._told:
            self._told.add(slide.fingerprint)
            for notice in slide.notices:
                self.asking.tell(f"{slide.name}: {notice}")

    def set_pixel_size(self, mpp: float) -> None:
        """Take the user's um/px for the chosen slide and remember it.

        Raises
        ------
        InvalidParameterError
            If it is absurd.
        """
        slide, layer = self.slide, self.layer
        if slide is None or layer is None:
            return
        known = slide.with_pixel_size(mpp)
        self.settings.remember_pixel_size(slide.fingerprint, mpp)
        for other in self.viewer.layers:
            tag = tag_of(other)
            if tag is not None and tag.slide is slide:
                change_slide(other, tag, known)
        self.viewer.reset_view()  # the slide has another size in the viewer's world now
        self.slide_changed.emit()
        self.find_store(any_encoder=True)

    def set_color(self, color: Literal["srgb", "raw"]) -> None:
        """Show the chosen slide with its colour profile applied ("srgb") or in the file's colours ("raw").

        Slides that are opened from now on come the same way. Codes of one do not fit the other: what is
        offered from now on is the store that was made of these colours, if there is one.
        """
        self.settings.set(COLOR_SETTING, color)
        slide = self.slide
        if slide is None:
            return
        twin = slide.with_color(color)
        if twin.color == slide.color:
            return
        for layer in self.viewer.layers:
            tag = tag_of(layer)
            if tag is not None and tag.slide is slide:
                tag.slide = twin
                if tag.kind == "slide":
                    layer.data = slide_layer(twin)[0]
        self.slide_changed.emit()
        self.find_store(any_encoder=False)

    def ask_pixel_size(self, *, again: bool = False) -> None:
        """Ask for the um/px of the chosen slide if it is not known; only once a layer unless `again`."""
        slide, tag = self.slide, None if self.layer is None else tag_of(self.layer)
        if slide is None or tag is None or slide.pixel_size is not None or (tag.asked and not again):
            return
        tag.asked = True
        try:
            reason = _reason_of_unknown(slide)
            mpp = self.asking.pixel_size(slide, reason)
            if mpp is not None:
                self.set_pixel_size(mpp)
        except InvalidParameterError as error:
            self.asking.tell_error(error)

    def _on_inserted(self, event: Any) -> None:
        if _is_slide(event.value):
            if covers_another(event.value, self.viewer):
                show_alone(event.value, self.viewer)
            self.slides_changed.emit()
            self.select(event.value)

    def _on_removed(self, event: Any) -> None:
        if not _is_slide(event.value):
            return
        self.slides_changed.emit()
        if event.value is self.layer:
            left = self.slide_layers
            self.select(left[-1] if left else None)

    def _on_renamed(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        self.slides_changed.emit()

    def _on_active(self, event: Any) -> None:
        if event.value is not None and _is_slide(event.value):
            self.select(event.value)

    # -- encoders ----------------------------------------------------------------------------------------

    def select_encoder(self, name: str) -> None:
        """Work with this encoder; its store of the chosen slide, if there is one, is opened.

        Raises
        ------
        UnknownNameError
            If there is no such encoder.
        """
        if name == self.spec.name:
            return
        self._set_spec(get_spec(name))
        self.settings.set(ENCODER_SETTING, name)
        self.find_store(any_encoder=False)

    def reload_encoders(self) -> None:
        """List the encoders anew; the chosen one may have been replaced by another of its name."""
        self.specs = self._list_encoders()
        chosen = next((spec for spec in self.specs if spec.name == self.spec.name), self.spec)
        replaced = chosen.identity() != self.spec.identity()
        self._set_spec(chosen)
        if replaced:
            self.find_store(any_encoder=False)

    def _on_encoder_news(self, name: str) -> None:  # noqa: ARG002 -- the list says all there is to know
        self.reload_encoders()

    def _list_encoders(self) -> tuple[EncoderSpec, ...]:
        # One damaged folder of the user's must not shut the whole dock.
        return list_encoders(damaged=self.asking.tell_error)

    def _remembered_spec(self) -> EncoderSpec:
        by_name = {spec.name: spec for spec in self.specs}
        for name in (self.settings.get(ENCODER_SETTING), DEFAULT_ENCODER):
            if name in by_name:
                return by_name[name]
        return self.specs[0]

    def _set_spec(self, spec: EncoderSpec) -> None:
        self.spec = spec
        self.encoder_changed.emit()

    # -- stores ------------------------------------------------------------------------------------------

    @property
    def store_folder(self) -> Path | None:
        """Folder for stores of the chosen slide that the user chose; None for beside the slide."""
        folder = None if self.slide is None else self._store_folders().get(self.slide.fingerprint)
        return Path(folder) if folder else None

    def set_store_folder(self, folder: Path | None, slide: Slide | None = None) -> None:
        """Choose where stores of a slide (the chosen one by default) are written; None for beside it."""
        slide = slide or self.slide
        if slide is None:
            return
        folders = {key: value for key, value in self._store_folders().items() if key != slide.fingerprint}
        if folder is not None:
            folders[slide.fingerprint] = str(folder)
        self.settings.set(FOLDERS_SETTING, folders)
        if slide is self.slide:
            self.find_store(any_encoder=False)

    def store_place(self) -> Path | None:
        """Path of the store that is worked on, or of the one that would be made; None without a slide."""
        if self.slide is None:
            return None
        return self.new_store_path() if self.store is None else self.store.path

    def describe_place(self) -> str:
        """Where the codes go, in a line."""
        slide, place = self.slide, self.store_place()
        if slide is None or place is None:
            return ""
        if place.parent == slide.path.parent:
            return f"Beside the slide: {place.name}"
        return f"In {place.parent}: {place.name}"

    def _store_folders(self) -> dict[str, str]:
        folders = self.settings.get(FOLDERS_SETTING)
        if not isinstance(folders, dict):
            return {}
        return {key: value for key, value in folders.items() if isinstance(value, str)}

    def set_store(self, store: CompressedSlide | None) -> None:
        """Work on this store of the chosen slide."""
        self.store = store
        self.store_changed.emit()

    def open_store(self, store: CompressedSlide) -> None:
        """Work on a store that lies anywhere; its encoder becomes the chosen one if it is known.

        Raises
        ------
        StoreMismatchError
            If it was made of another slide.
        """
        slide = self.slide
        if slide is None or (self.store is not None and self.store.path == store.path):
            return
        store.check_slide(slide)
        spec = next((spec for spec in self.specs if _is_of(store, spec)), None)
        if spec is not None and spec.name != self.spec.name:
            self._set_spec(spec)
        self.set_store(store)

    def find_store(self, *, any_encoder: bool) -> None:
        """Open the chosen slide's store: of the chosen encoder, or else (if `any_encoder`) any it has.

        With a store of another encoder that encoder becomes the chosen one.
        """
        self.store_note = ""
        stores = self._stores_of_slide()
        chosen = next((s for s in stores if _is_of(s, self.spec)), None)
        if chosen is None and any_encoder:
            chosen, spec = next(((s, p) for s in stores for p in self.specs if _is_of(s, p)), (None, None))
            if spec is not None:
                self._set_spec(spec)
        self.set_store(chosen)

    def look_again(self) -> None:
        """Open the store of the chosen slide and encoder that another run has made since the last look."""
        if self.store is None and any(_is_of(store, self.spec) for store in self._stores_of_slide()):
            self.find_store(any_encoder=False)

    def new_store_path(self) -> Path:
        """Where a new store of the chosen slide and encoder goes; never on one of another encoder."""
        slide = self.slide
        if slide is None:
            raise InvalidParameterError("no slide is open", hint="open a slide first")
        plain = default_store_path(slide.path, self.store_folder)
        if plain.exists():
            return default_store_path(slide.path, self.store_folder, self.spec.name)
        return plain

    def _stores_of_slide(self) -> list[CompressedSlide]:
        slide = self.slide
        if slide is None:
            return []
        old = self.settings.get(OLD_FOLDER_SETTING)
        folders = [self.store_folder, None, Path(old) if isinstance(old, str) and old else None]
        folders = list(dict.fromkeys(folders if self.store_folder else folders[1:]))
        found, notes = [], []
        for path in (path for folder in folders for path in find_stores(slide.path, folder)):
            try:
                store = CompressedSlide.open(path)
                store.check_slide(slide)
            except NicError as error:
                notes.append(f"{path.name}: {error.problem}")
                continue
            if bool(store.header.color.get("applied")) == slide.color.applied:
                found.append(store)
            else:
                made = "without" if slide.color.applied else "with"
                notes.append(f"{path.name} was made {made} the slide's colour profile")
        self.store_note = "; ".join(notes)
        return found


def _is_slide(layer: Layer) -> bool:
    tag = tag_of(layer)
    return tag is not None and tag.kind == "slide"


def _is_of(store: CompressedSlide, spec: EncoderSpec) -> bool:
    try:
        store.check_encoder(spec)
    except StoreMismatchError:
        return False
    return True


def _reason_of_unknown(slide: Slide) -> str:
    try:
        slide.require_pixel_size()
    except MissingPixelSizeError as error:
        return error.found or error.problem
    return ""
