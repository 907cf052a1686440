"""The tissue mask as a layer to paint in before compressing."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from psygnal import Signal

from napari_nic.embeddings import CompressedSlide
from napari_nic.jobs import CancellationToken
from napari_nic.pipeline import MASK_SUFFIX, read_mask, write_mask
from napari_nic.plugin.controllers.compress_state import NO_TISSUE
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.layers import tag_of, tissue_layer, tissue_of
from napari_nic.plugin.worker import Callbacks, Runner
from napari_nic.slides import Slide
from napari_nic.tissue import TissueMask, TissueOptions, find_tissue

if TYPE_CHECKING:
    from napari.layers import Labels


class TissueController:
    """Finds the tissue of the session's slide and reads back what the user painted."""

    changed = Signal()

    def __init__(self, session: Session, runner: Runner) -> None:
        self.session = session
        self._runner = runner

    def close(self) -> None:
        """Let all layers go."""
        for layer in self.session.viewer.layers:
            if hasattr(layer.events, "paint"):
                layer.events.paint.disconnect(self._on_paint)

    def edit(self) -> None:
        """Put the tissue mask on the screen as a layer to paint in; it is found first if there is none."""
        slide, layer = self.session.slide, self.layer()
        if layer is not None:
            layer.visible = True
            self.session.viewer.layers.selection.active = layer
        elif slide is not None:
            self.find()

    def find(self, method: Literal["threshold", "unet"] = "threshold") -> None:
        """Find the tissue and put it on the screen, in place of a mask that is there."""
        slide = self.session.slide
        if slide is not None and self._may_replace(slide):
            self._start(f"Finding tissue on {slide.name}", slide, lambda token: _find(slide, method, token))

    def load(self) -> None:
        """Ask for a mask that was painted or outlined, and put it on the screen."""
        slide = self.session.slide
        path = None if slide is None else self.session.asking.mask_to_read(_beside(slide))
        if slide is not None and path is not None and self._may_replace(slide):
            self._start(f"Reading {path.name}", slide, lambda token: _read(slide, path, token))

    def save(self) -> None:
        """Ask for a file, and write the mask on the screen to it."""
        slide, mask = self.session.slide, self.edited()
        path = None if slide is None or mask is None else self.session.asking.mask_to_write(_beside(slide))
        if slide is None or mask is None or path is None:
            return
        self._runner.start(
            f"Writing {path.name}",
            lambda token: _write(mask, slide, path, token),
            Callbacks(
                returned=lambda _: self.session.asking.tell(f"The tissue mask is in {path}"),
                failed=self.session.asking.tell_error,
            ),
        )

    def _may_replace(self, slide: Slide) -> bool:
        if self.layer() is None:
            return True
        text = f"A tissue mask of {slide.name} is on the screen. What was painted in it is lost."
        return self.session.asking.confirm("Replace the tissue mask", text, yes="Replace", no="Keep it")

    def _start(self, title: str, slide: Slide, job: Callable[[CancellationToken], Any]) -> None:
        self._runner.start(
            title,
            job,
            Callbacks(returned=lambda mask: self._show(slide, mask), failed=self.session.asking.tell_error),
        )

    def layer(self) -> Labels | None:
        """The layer with the chosen slide's mask, if it is on the screen."""
        for layer in self.session.viewer.layers:
            tag = tag_of(layer)
            if tag is not None and tag.kind == "tissue" and tag.slide is self.session.slide:
                return layer
        return None

    def edited(self) -> TissueMask | None:
        """The mask as it is on the screen; None when it is not there."""
        layer, slide = self.layer(), self.session.slide
        return None if layer is None or slide is None else tissue_of(layer, slide)

    def differs_from(self, store: CompressedSlide) -> bool:
        """Whether the mask on the screen asks for other cells than a store holds."""
        tissue = self.edited()
        if tissue is None:
            return False
        share = float(store.header.tissue.get("min_fraction", 0.0))
        return not np.array_equal(tissue.cells(store.grid, min_fraction=share), store.coverage)

    def is_edited(self) -> bool:
        """Whether the mask on the screen asks for other cells than the session's store holds."""
        store = self.session.store
        return store is not None and self.differs_from(store)

    def _on_paint(self, event: Any) -> None:  # noqa: ARG002 -- napari passes the event
        self.changed.emit()

    def _show(self, slide: Slide, mask: TissueMask) -> None:
        if slide is not self.session.slide:
            return
        viewer, before = self.session.viewer, self.layer()
        if before is not None:
            viewer.layers.remove(before)
        data, options, _ = tissue_layer(mask, slide)
        layer = viewer.add_labels(data, **options)
        layer.selected_label = 1
        layer.events.paint.connect(self._on_paint)
        viewer.layers.selection.active = layer
        self.changed.emit()
        if not mask.mask.any():
            self.session.asking.tell(f"{NO_TISSUE} ({slide.name}). If there is some, paint it in this layer")


def _beside(slide: Slide) -> Path:
    return slide.path.with_name(f"{slide.name}{MASK_SUFFIX}")


def _find(
    slide: Slide, method: Literal["threshold", "unet"], token: CancellationToken
) -> Generator[None, None, TissueMask]:
    token.checkpoint()
    yield
    return find_tissue(slide, options=TissueOptions(method=method), token=token)


def _read(slide: Slide, path: Path, token: CancellationToken) -> Generator[None, None, TissueMask]:
    token.checkpoint()
    yield
    return read_mask(slide, path, token=token)


def _write(
    mask: TissueMask, slide: Slide, path: Path, token: CancellationToken
) -> Generator[None, None, None]:
    token.checkpoint()
    yield
    write_mask(mask, slide, path)
