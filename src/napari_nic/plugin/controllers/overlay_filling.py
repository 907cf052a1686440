"""The PCA picture that fills while cells arrive."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_nic.explain import Overlay
from napari_nic.plugin.controllers.overlay_kinds import KINDS, TITLES
from napari_nic.plugin.controllers.overlay_stack import OverlayStack
from napari_nic.plugin.controllers.overlay_states import OverlayStates, Phase
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.painting import Picture


class OverlayFilling:
    """Adds the picture before its first colours are there, and puts in what a run gives.

    Parameters
    ----------
    session : Session
    stack : OverlayStack
    states : OverlayStates
    """

    def __init__(self, session: Session, stack: OverlayStack, states: OverlayStates) -> None:
        self._session = session
        self._stack = stack
        self._states = states

    def prepare(self, opacity: float) -> None:
        """Add the picture, hidden, before its first colours are there.

        To add a layer and to draw it first take napari some 50 ms each; this way these are two short halts.
        """
        if self._may_come() and self._layer() is None:
            self._add_blank(opacity)

    def paint(self, pictures: tuple[Picture, ...], opacity: float) -> bool:
        """Put new colours into the picture that is on the screen, and only there.

        Returns
        -------
        bool
            Whether it is shown from now on: these were the first.
        """
        if self._session.store is None or not pictures:
            return False
        layer = self._layer()
        if layer is None:
            if not self._may_come():
                return False
            layer = self._add_blank(opacity)
        for picture in pictures:
            layer.data[picture.rows, picture.cols] = picture.rgba
        if self._states["pca"].phase is Phase.BLANK:
            return self._show_first_colours(layer)
        layer.refresh(thumbnail=False, highlight=False, extent=False)
        return False

    def _may_come(self) -> bool:
        """Whether cells that arrive are shown.

        Not if that was switched off, if another overlay is on or will be, or if a job will bring them.
        """
        record = self._states["pca"]
        if record.is_at_work or record.wanted is not None:
            return not record.is_at_work and bool(record.wanted)
        return not any(
            self._stack.shown(kind) or self._states.is_coming(kind, self._session.slide)
            for kind in KINDS
            if kind != "pca"
        )

    def _layer(self) -> Any:
        """The layer with the picture, if it has a place for every cell of the store."""
        layer, store = self._stack.layer("pca"), self._session.store
        fits = layer is not None and store is not None and layer.data.shape[:2] == store.grid.shape
        return layer if fits else None

    def _add_blank(self, opacity: float) -> Any:
        store = self._session.store
        if store is None:
            raise LookupError("no store")
        blank = Overlay(
            name=TITLES["pca"],
            kind="pca",
            data=np.zeros((*store.grid.shape, 4), np.uint8),
            mask=np.zeros(store.grid.shape, bool),
            placement=store.grid.placement,
        )
        layer = self._stack.put(blank, opacity=opacity, visible=False)
        self._states.blank("pca", blank)
        return layer

    def _show_first_colours(self, layer: Any) -> bool:
        self._states.fill("pca")
        if not self._may_come():  # switched off, or another was asked for, since the layer was added
            return False
        for kind in KINDS:  # what was asked for in vain till now does not come on top of this later
            if self._states[kind].wanted and not self._states.is_coming(kind, self._session.slide):
                self._states.want(kind, self._stack.shown(kind))
        self._states.want("pca", True)
        with self._stack.resting():
            layer.visible = True
        return True
