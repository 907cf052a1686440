"""How a slide is shown: brightness, contrast, gamma, one stain of several; for the eye alone.

The layer of a slide gets levels that compute what is shown tile by tile, when a tile is looked at. The slide
itself, which is what is compressed, exported and measured, is never touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psygnal import Signal

from napari_nic.errors import InvalidParameterError
from napari_nic.plugin.layers import LayerTag, tag_of
from napari_nic.viewing import OWN, STAIN_SETS, Display, StainSet, Tone, format_stains, parse_stains

if TYPE_CHECKING:
    import dask.array as da
    from napari.layers import Layer

    from napari_nic.plugin.controllers.asking import Asking
    from napari_nic.plugin.controllers.watching import SlideWatch
    from napari_nic.plugin.settings import Settings
    from napari_nic.slides import RgbArray

STAINS_SETTING = "stain_vectors"
"""Setting: the user's own stain vectors, as text."""

SET_SETTING = "stain_set"
"""Setting: name of the set that was chosen last."""


class Shown:
    """What a layer's levels go through; changed in place, so that the levels need not be exchanged.

    Parameters
    ----------
    plain : list of dask.array.Array
        The levels as they are.
    """

    def __init__(self, plain: list[da.Array]) -> None:
        self.plain = plain
        self.display = Display()
        self.levels = [self._wrapped(level) for level in plain]

    def __call__(self, block: RgbArray) -> RgbArray:
        """Show a tile."""
        return self.display.apply(block)

    def _wrapped(self, level: da.Array) -> da.Array:
        import dask.array as da

        # Named by this object: its results change while it lives, and Dask's name must be no promise.
        name = f"shown-{id(self)}-{level.name}"
        return da.map_blocks(self, level, name=name, dtype=level.dtype, meta=level._meta)


class DisplayController:
    """Sets how the slide that is seen is shown; each slide keeps its own.

    Parameters
    ----------
    watch : SlideWatch
    settings : Settings
    asking : Asking
    """

    changed = Signal()

    def __init__(self, watch: SlideWatch, settings: Settings, asking: Asking) -> None:
        self._watch, self._settings, self._asking = watch, settings, asking
        self._setting = False
        watch.changed.connect(self._on_slide)

    def close(self) -> None:
        """Let the viewer go; slides stay as they are shown."""
        self._watch.changed.disconnect(self._on_slide)
        for layer in self._watch.slide_layers:
            layer.events.data.disconnect(self._on_data)

    @property
    def display(self) -> Display:
        """How the slide is shown."""
        shown = self._shown()
        return Display() if shown is None else shown.display

    def why_not(self) -> str:
        """Why nothing can be set; empty if it can."""
        return "" if self._watch.layer is not None else "Open a slide first"

    def why_no_stains(self) -> str:
        """Why no stain can be shown by itself; empty if one can."""
        slide = self._watch.slide
        if slide is not None and slide.is_fluorescence:
            return "Stains are taken apart in transmitted light; this slide is fluorescence"
        return self.why_not()

    def set_display(self, display: Display) -> None:
        """Show the slide that is seen like this."""
        layer = self._watch.layer
        if layer is not None and display != self.display:
            show(layer, display, self._set_data)
            layer.events.data.disconnect(self._on_data)
            layer.events.data.connect(self._on_data)
            self.changed.emit()

    def set_tone(self, tone: Tone) -> None:
        """Change brightness, contrast and gamma."""
        self.set_display(Display(tone, self.display.stains, self.display.stain))

    def reset(self) -> None:
        """Show the slide as it was scanned."""
        self.set_display(Display())

    # -- stains ------------------------------------------------------------------------------------------

    @property
    def sets(self) -> tuple[StainSet, ...]:
        """The sets there are, the user's own last."""
        own = self.own()
        return (*STAIN_SETS, own) if own is not None else STAIN_SETS

    @property
    def chosen_set(self) -> StainSet:
        """The set that stains are taken of: what is shown, else what was chosen last."""
        if self.display.stains is not None:
            return self.display.stains
        name = self._settings.get(SET_SETTING)
        return next((one for one in self.sets if one.name == name), STAIN_SETS[0])

    def own(self) -> StainSet | None:
        """Return the user's own vectors; None where there are none, or they are damaged."""
        text = self._settings.get(STAINS_SETTING)
        try:
            return parse_stains(text) if isinstance(text, str) and text else None
        except InvalidParameterError:
            return None  # a settings file that was written by hand; new ones can be entered

    def set_own(self, text: str) -> None:
        """Take the user's own vectors; what is wrong with them is told."""
        try:
            stains = parse_stains(text)
        except InvalidParameterError as error:
            self._asking.tell_error(error)
            return
        self._settings.set(STAINS_SETTING, format_stains(stains))
        self.choose_set(OWN)

    def choose_set(self, name: str) -> None:
        """Take stains of this set from now on; a stain that is shown becomes one of it."""
        chosen = next(one for one in self.sets if one.name == name)
        self._settings.set(SET_SETTING, name)
        display = self.display
        if display.stains is not None:
            self.set_display(Display(display.tone, chosen, min(display.stain, len(chosen.stains) - 1)))
        self.changed.emit()

    def show_stain(self, index: int | None) -> None:
        """Show one stain of the chosen set, or all of them (None)."""
        if index is not None and self.why_no_stains():
            return
        stains = None if index is None else self.chosen_set
        self.set_display(Display(self.display.tone, stains, index or 0))

    def next_stain(self) -> None:
        """Show the next stain of the chosen set; after the last one all."""
        display = self.display
        index = 0 if display.stains is None else display.stain + 1
        self.show_stain(index if index < len(self.chosen_set.stains) else None)

    # -- the layer ---------------------------------------------------------------------------------------

    def _shown(self) -> Shown | None:
        tag = None if self._watch.layer is None else tag_of(self._watch.layer)
        return None if tag is None else tag.look

    def _set_data(self, layer: Layer, levels: list[da.Array]) -> None:
        self._setting = True
        try:
            layer.data = levels
        finally:
            self._setting = False

    def _on_data(self, event: Any) -> None:
        """Show new levels, with or without the colour profile for instance, as the old ones were."""
        layer = event.source
        tag = tag_of(layer)
        if self._setting or tag is None or tag.look is None:
            return
        display, tag.look = tag.look.display, None
        show(layer, display, self._set_data)

    def _on_slide(self) -> None:
        self.changed.emit()


def show(layer: Layer, display: Display, set_data: Any = None) -> None:
    """Show the layer of a slide like this.

    Parameters
    ----------
    layer : napari.layers.Image
        With a tag of ours.
    display : Display
    set_data : callable, optional
        ``set_data(layer, levels)`` gives it other levels.
    """
    tag = tag_of(layer)
    if tag is None or tag.kind != "slide":
        return
    set_data = set_data or _set_data
    if display.is_plain:
        _show_plain(layer, tag, set_data)
    elif tag.look is None:
        tag.look = Shown(list(layer.data))
        tag.look.display = display
        set_data(layer, tag.look.levels)
    else:
        # Not new levels: napari would begin with the coarsest one again, which flickers.
        tag.look.display = display
        layer.refresh(extent=False)


def _show_plain(layer: Layer, tag: LayerTag, set_data: Any) -> None:
    if tag.look is not None:
        plain, tag.look = tag.look.plain, None
        set_data(layer, plain)


def _set_data(layer: Layer, levels: list[da.Array]) -> None:
    layer.data = levels
