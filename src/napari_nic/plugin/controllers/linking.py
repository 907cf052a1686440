"""A second view of the same or another slide, which moves and zooms with the first.

What the second view shows is laid into the world of the first, by the affine transform of its layer. Linked
views then have one camera: places that belong together are in the same place of both, turned sections too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from psygnal import Signal

from napari_nic.errors import InvalidParameterError
from napari_nic.plugin.layers import slide_layer, tag_of
from napari_nic.viewing import Alignment, AlignmentKind, align

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_nic.plugin.controllers.asking import Asking
    from napari_nic.plugin.controllers.watching import SlideWatch
    from napari_nic.slides import Slide

MOST_LANDMARKS = 20


class SecondScreen(Protocol):
    """What shows the second view."""

    model: ViewerModel

    def close(self) -> None:
        """Take it away; its model is not used any more."""
        ...


class LinkedView:
    """Opens, links, aligns and closes the second view.

    Parameters
    ----------
    watch : SlideWatch
        Of the first view.
    asking : Asking
    make_screen : callable
        Makes an empty second view beside the first.
    """

    changed = Signal()

    def __init__(self, watch: SlideWatch, asking: Asking, make_screen: Callable[[], SecondScreen]) -> None:
        self._watch, self._asking, self._make_screen = watch, asking, make_screen
        self._screen: SecondScreen | None = None
        self._moving = False
        self.linked = True
        self.kind: AlignmentKind = "similarity"
        self.landmarks: tuple[tuple[tuple[float, float], tuple[float, float]], ...] = ()
        """Pairs of places: in the world of the first view, and in micrometres of the second slide."""
        self.alignment: Alignment | None = None
        self._camera = watch.viewer.scene.camera
        self._camera.events.connect(self._on_first)
        watch.slides_changed.connect(self._on_slides)

    def close(self) -> None:
        """Close the second view and let the first one go."""
        self.close_view()
        self._camera.events.disconnect(self._on_first)
        self._watch.slides_changed.disconnect(self._on_slides)

    @property
    def is_open(self) -> bool:
        """Whether there is a second view."""
        return self._screen is not None

    @property
    def layer(self) -> Layer | None:
        """The slide's layer in the second view."""
        layers = [] if self._screen is None else self._screen.model.layers
        return layers[0] if layers else None

    @property
    def slide(self) -> Slide | None:
        """The slide of the second view."""
        tag = None if self.layer is None else tag_of(self.layer)
        return None if tag is None else tag.slide

    def choices(self) -> list[Slide]:
        """Slides that can be shown: those that are open, the one that is seen first."""
        slides = [tag.slide for layer in self._watch.slide_layers if (tag := tag_of(layer)) and tag.slide]
        seen = self._watch.slide
        return sorted(slides, key=lambda slide: slide is not seen)

    def open(self, slide: Slide) -> None:
        """Show a slide in the second view, which is made if need be."""
        if self._screen is None:
            self._screen = self._make_screen()
            self._screen.model.scene.camera.events.connect(self._on_second)
        model = self._screen.model
        model.layers.clear()
        data, options, _ = slide_layer(slide)
        model.add_image(data, **options)
        model.canvas.overlays.scale_bar.visible = True
        self.landmarks, self.alignment = (), None
        self._follow(self._camera, model.scene.camera)
        self.changed.emit()

    def close_view(self) -> None:
        """Take the second view away."""
        if self._screen is None:
            return
        screen, self._screen = self._screen, None
        screen.model.scene.camera.events.disconnect(self._on_second)
        screen.model.layers.clear()
        screen.close()
        self.landmarks, self.alignment = (), None
        self.changed.emit()

    # -- linking -----------------------------------------------------------------------------------------

    def set_linked(self, linked: bool) -> None:
        """Move both views together, or each by itself.

        Where no landmarks say how two sections lie on each other, what is in the middle of both views when
        they are linked stays together.
        """
        self.linked = linked
        layer = self.layer
        if linked and layer is not None and self._screen is not None:
            if self.alignment is None or self.alignment.kind == "translation":
                here, there = self._middle(self._camera), self._middle(self._screen.model.scene.camera)
                if here != there:
                    place = _slide_um(layer, there)
                    self._set_alignment(align([here], [place], "translation"))
            self._follow(self._camera, self._screen.model.scene.camera)
        self.changed.emit()

    def _on_first(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        if self.linked and self._screen is not None:
            self._follow(self._camera, self._screen.model.scene.camera)

    def _on_second(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        if self.linked and self._screen is not None:
            self._follow(self._screen.model.scene.camera, self._camera)

    def _follow(self, leader: Any, follower: Any) -> None:
        if self._moving:
            return  # it moves because the other one did
        self._moving = True
        try:
            follower.zoom = leader.zoom
            follower.center = leader.center
        finally:
            self._moving = False

    @staticmethod
    def _middle(camera: Any) -> tuple[float, float]:
        y, x = camera.center[-2:]
        return float(y), float(x)

    # -- alignment ---------------------------------------------------------------------------------------

    def add_landmark(self) -> None:
        """Take the places in the middle of both views for the same one."""
        layer = self.layer
        if layer is None or self._screen is None or len(self.landmarks) >= MOST_LANDMARKS:
            return
        here, there = self._middle(self._camera), self._middle(self._screen.model.scene.camera)
        self.landmarks = (*self.landmarks, (here, _slide_um(layer, there)))
        self.changed.emit()

    def remove_landmark(self) -> None:
        """Forget the last landmark."""
        self.landmarks = self.landmarks[:-1]
        self.changed.emit()

    def fit(self) -> None:
        """Align by the landmarks and link; what is wrong with them is told."""
        try:
            self._set_alignment(
                align([here for here, _ in self.landmarks], [there for _, there in self.landmarks], self.kind)
            )
        except InvalidParameterError as error:
            self._asking.tell_error(error)
            return
        self.set_linked(True)

    def describe(self) -> str:
        """Say how the second section lies on the first."""
        if self.alignment is None:
            return "Not aligned: both begin at their top left corner" if self.is_open else ""
        found = self.alignment
        if found.kind == "translation":
            return "Linked where they were: moved, not turned"
        turned = f"turned by {found.angle:.1f}\N{DEGREE SIGN}, scaled by {found.scale:.3f}"
        size = f"{found.count} landmarks, {turned}"
        if found.residual_um is None:
            return f"{size}; as few as determine the fit: how well they agree is not known"
        return f"{size}; residual {found.residual_um:.1f} \N{MICRO SIGN}m"

    def _set_alignment(self, alignment: Alignment) -> None:
        layer = self.layer
        if layer is None:
            return
        self.alignment = alignment
        layer.affine = alignment.matrix  # of the world of the slide, which is micrometres, into the first's
        self.changed.emit()

    def _on_slides(self) -> None:
        slide = self.slide
        if slide is not None and not any(slide is one for one in self.choices()):
            self.close_view()  # it was closed in the first view
        self.changed.emit()


def _slide_um(layer: Layer, world: tuple[float, float]) -> tuple[float, float]:
    """Return where a place of the second view lies in its slide's own world, before any alignment."""
    place = np.linalg.inv(np.asarray(layer.affine.affine_matrix)[-3:, -3:]) @ (*world, 1.0)
    return float(place[0]), float(place[1])
