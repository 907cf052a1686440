"""The Compress button: what it would do, what runs, what is done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from psygnal import Signal

from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import ConsentError, StoreBusyError, StoreError, StoreMismatchError
from napari_nic.geometry import RegionPx
from napari_nic.pipeline.plan import blocks_within, pending_blocks
from napari_nic.plugin.compress_job import (
    CompressRequest,
    EncoderCache,
    Painted,
    Ready,
    Settled,
    Stage,
    compress_painted,
    load_ahead,
)
from napari_nic.plugin.compress_options import CompressOptions
from napari_nic.plugin.controllers.compress_label import label_of_new, label_of_store, planned_cells
from napari_nic.plugin.controllers.compress_state import NO_TISSUE, PAINT_IT, CompressState, count_cells
from napari_nic.plugin.controllers.consent import ask_trust
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.controllers.store_writing import Run, StoreWriting
from napari_nic.plugin.controllers.tissue import TissueController
from napari_nic.plugin.layers import tag_of, visible_region
from napari_nic.plugin.legend import UM
from napari_nic.plugin.worker import Callbacks, Runner
from napari_nic.slides import Slide

Region = Literal["visible", "whole"]

REGION_SETTING = "region"
CELLS = "tissue cells"


class CompressController:
    """Runs the compression of the session's slide and tells how far it is.

    Parameters
    ----------
    session : Session
    runner : Runner
    tissue : TissueController
        Knows whether the user painted a tissue mask.
    """

    changed = Signal()
    prepared = Signal()
    painted = Signal(tuple)
    grown = Signal()
    """Emitted when another run has stored cells of the session's slide."""
    ended = Signal()

    def __init__(self, session: Session, runner: Runner, tissue: TissueController) -> None:
        self.session = session
        self.options = CompressOptions()
        self._tissue = tissue
        self._runner = runner
        self._encoders = EncoderCache()
        self.writing = StoreWriting(session)
        self._at_rest = count_cells(session.store)  # of a slide that was opened before the dock
        session.slides_changed.connect(self._on_slides)
        session.slide_changed.connect(self.changed.emit)
        session.store_changed.connect(self._on_store)
        tissue.changed.connect(self.changed.emit)

    # -- what can be done --------------------------------------------------------------------------------

    @property
    def state(self) -> CompressState:
        """How far the session's slide is."""
        run = self.writing.own
        return self._at_rest if run is None else run.state

    @property
    def region(self) -> Region:
        """What a click compresses."""
        return "whole" if self.session.settings.get(REGION_SETTING) == "whole" else "visible"

    @region.setter
    def region(self, region: Region) -> None:
        self.session.settings.set(REGION_SETTING, region)
        self.changed.emit()

    def blocked(self) -> str:
        """Why no run of this slide can be started just now; empty when one can."""
        slide = self.session.slide
        if slide is None:
            return "Open a slide first"
        if self.writing.run is None and slide.pixel_size is None:
            return f"The {UM}/px of this slide is not known: enter it above"
        return self.writing.why_busy()

    def follow(self) -> None:
        """Look whether another run writes the session's store, and take up what it has stored since."""
        if self.writing.own is not None:
            return
        before = self._at_rest.done
        if self.writing.look():
            self._at_rest = count_cells(self.session.store)
            self.changed.emit()
            if self._at_rest.done != before:
                self.grown.emit()

    def why_not(self) -> str:
        """Why Compress cannot be clicked; empty when it can."""
        if blocked := self.blocked():
            return blocked
        if self.found_nothing() and not self._asks_anew():
            return f"{NO_TISSUE}. {PAINT_IT}"
        if self.state.complete and not self._asks_anew():
            encoder = self.made_by() or self.session.spec.name
            return (
                f"All {self.state.total:,} {CELLS} are compressed with {encoder}. "
                "Choose another encoder or options, or edit the tissue mask, to compress anew"
            )
        return ""

    def found_nothing(self) -> bool:
        """Whether the slide was looked through and no cell of it is to be compressed."""
        state = self.state
        return self.session.store is not None and state.total == 0 and not state.busy

    def made_by(self) -> str:
        """Name of the encoder whose codes the store holds, where it is not the chosen one; else empty.

        Codes that another program computed may be of an encoder that is not here.
        """
        store = self.session.store
        name = "" if store is None else store.header.encoder_name
        return "" if name == self.session.spec.name else name

    def label(self) -> str:
        """What the button says."""
        if self.state.busy:
            return "Compressing..."
        session, whole = self.session, self.region == "whole"
        visible = None if whole else self._visible()
        if session.store is None or self._asks_anew():
            planned = planned_cells(session, self._tissue.edited(), self.options, visible)
            return label_of_new(planned, anew=session.store is not None, whole=whole)
        return label_of_store(session.store, visible)

    def set_options(self, options: CompressOptions) -> None:
        """Compress in another way from now on."""
        self.options = options
        self.changed.emit()

    def _asks_anew(self) -> bool:
        """Whether mask or options ask for other cells or codes than the store holds."""
        return self._tissue.is_edited() or self._options_differ()

    def _options_differ(self) -> bool:
        store = self.session.store
        return store is not None and self.options.differ_from(store, self.session.spec.patch_size)

    # -- the run -----------------------------------------------------------------------------------------

    def start(self, *, whole: bool = False) -> None:
        """Compress what is missing of the chosen region; a second click goes on where the first ended.

        Parameters
        ----------
        whole : bool
            The whole slide this time, whatever region is chosen.
        """
        if self.writing.run is None:
            self.session.look_again()
        self.follow()
        slide, store = self.session.slide, self.session.store
        if slide is None or self.why_not():
            return
        overwrite = store is not None and self._tissue.differs_from(store)
        if store is not None and overwrite and not self._may_replace(store):
            return
        self._start(slide, overwrite=overwrite, whole=whole)

    def _start(self, slide: Slide, *, overwrite: bool, whole: bool) -> None:
        store = self.session.store
        request = CompressRequest(
            slide,
            self.session.spec.name,
            self._encoders,
            self.session.new_store_path() if store is None else store.path,
            self.options.completed(store),
            self._tissue.edited(),
            overwrite,
            *self._region_to_do(store, overwrite=overwrite, whole=whole),
        )
        run = self.writing.run = Run(slide, whole=whole, overwrite=overwrite)
        run.state = replace(run.state, done=self._at_rest.done, total=self._at_rest.total)
        self.changed.emit()
        run.job = self._runner.start(
            f"Compressing {slide.name} (what is finished is kept)",
            lambda token: compress_painted(request, token),
            Callbacks(
                yielded=lambda report: self._on_report(run, report),
                failed=lambda error: self._on_failed(run, error),
                finished=lambda: self._on_finished(run),
                heard=lambda: self._on_heard(run),
            ),
        )

    def load_ahead(self) -> None:
        """Load the chosen encoder while the user still looks at the slide; failing is told at the click."""
        if self.session.slide is not None and self.writing.run is None:
            name, options = self.session.spec.name, self.options
            self._runner.start(
                f"Loading encoder {name}",
                lambda token: load_ahead(self._encoders, name, options, token),
                Callbacks(),
            )

    def pause(self) -> None:
        """Pause the run of this slide, or let it go on."""
        run = self.writing.run
        if run is None or run.state.phase == "stopping":
            return
        if run.state.phase in ("pausing", "paused"):
            run.job.token.resume()
            self._set(run, phase="running")
        else:
            self._set(run, phase="pausing", rate=0.0, seconds_left=None)
            run.job.token.pause()

    def _on_heard(self, run: Run) -> None:
        """Show a pause only now that the work waits."""
        if run.state.phase == "pausing" and run.job.token.paused:
            self._set(run, phase="paused")

    def cancel(self) -> None:
        """Stop the run; what is finished is kept."""
        run = self.writing.run
        if run is not None:
            self._set(run, phase="stopping", stage="storing what is finished")
            run.job.cancel()

    def _region_to_do(
        self, store: CompressedSlide | None, *, overwrite: bool, whole: bool
    ) -> tuple[RegionPx | None, bool]:
        """What is visible, and whether to stop after it; goes on to the rest when that is done already."""
        visible = self._visible()
        if whole or self.region == "whole" or visible is None:
            return visible, False
        if store is not None and not overwrite:
            left = pending_blocks(~store.pending(), store.coverage)
            inside = blocks_within(store.grid, visible)
            if left and not any(block in inside for block in left):
                self.session.asking.tell("The visible part is compressed already: going on with the rest")
                return visible, False
        return visible, True

    def _visible(self) -> RegionPx | None:
        layer, slide = self.session.layer, self.session.slide
        if layer is None or slide is None:
            return None
        corners = np.asarray(layer.corner_pixels)[:, -2:]
        region = visible_region(corners, layer.downsample_factors[layer.data_level][:2], slide)
        return None if region.is_empty else region

    def _on_report(self, run: Run, report: object) -> None:
        shown = run.slide is self.session.slide
        if isinstance(report, Stage):
            self._set(run, stage=report.text)
        elif isinstance(report, Ready):
            self._on_ready(run, report.store, shown=shown)
        elif isinstance(report, Settled):
            report.seen.set()
        elif isinstance(report, Painted):
            going = run.state.phase == "running"
            self._set(
                run,
                done=report.encoded,
                rate=report.progress.rate if going else 0.0,
                seconds_left=report.progress.seconds_left if going else None,
            )
            if shown:
                self.painted.emit(report.pictures)

    def _on_ready(self, run: Run, store: CompressedSlide, *, shown: bool) -> None:
        run.store = store
        counts = count_cells(store)
        self._set(run, stage="compressing", done=counts.done, total=counts.total)
        if shown:
            self.session.set_store(store)
            self.prepared.emit()

    def _on_failed(self, run: Run, error: Exception) -> None:
        if isinstance(error, ConsentError):
            if ask_trust(self.session.asking, error):
                self._again(run, overwrite=run.overwrite)
            return
        if isinstance(error, StoreMismatchError):
            if self._may_replace_mismatch(error):
                self._again(run, overwrite=True)
            return
        if isinstance(error, StoreBusyError):
            self.session.asking.tell(
                f"{run.slide.name} is being compressed by {error.found}: nothing is encoded twice, "
                "and what that run stores is shown here"
            )
            return
        self.session.asking.tell_error(error)
        if isinstance(error, StoreError) and run.store is None:
            folder = self.session.asking.folder("Choose another folder for compressed slides")
            if folder is not None:
                self.session.set_store_folder(folder, run.slide)

    def _on_finished(self, run: Run) -> None:
        self.writing.run = None
        self.writing.look()
        self._on_store()
        self.ended.emit()
        if run.again is not None:
            self._start_again(run, overwrite=run.again)

    def _again(self, run: Run, *, overwrite: bool) -> None:
        """Start a run once more that had to ask; now, or when it has ended."""
        if self.writing.run is run:
            run.again = overwrite
        else:
            # While the dialog was open, the event loop went on and told that the run had ended.
            self._start_again(run, overwrite=overwrite)

    def _start_again(self, run: Run, *, overwrite: bool) -> None:
        if run.slide is self.session.slide and self.writing.run is None:
            self._start(run.slide, overwrite=overwrite, whole=run.whole)

    # -- another tissue mask or other settings than the store was made with -------------------------------

    def _may_replace(self, store: CompressedSlide) -> bool:
        return self.session.asking.confirm(
            "Tissue mask changed",
            f"{store.path.name} was made for another tissue mask. Compressing with the edited mask "
            "replaces it and encodes all cells again.",
            yes="Replace and compress",
            no="Keep it",
        )

    def _may_replace_mismatch(self, error: StoreMismatchError) -> bool:
        return self.session.asking.confirm(
            "Made with other settings",
            f"{'' if error.file is None else error.file.name} was made with other settings "
            f"({error.found}). Compressing now replaces it and encodes all cells again.",
            yes="Replace and compress",
            no="Keep it",
        )

    # -- state -------------------------------------------------------------------------------------------

    def _on_slides(self) -> None:
        """Stop the run of a slide that was removed from the viewer."""
        run = self.writing.run
        if run is not None and run.state.phase != "stopping" and run.slide not in self._slides_shown():
            self.cancel()

    def _slides_shown(self) -> list[Slide | None]:
        tags = (tag_of(layer) for layer in self.session.slide_layers)
        return [None if tag is None else tag.slide for tag in tags]

    def _on_store(self) -> None:
        newer = self.writing.newer_store()
        if newer is not None:
            # Back at the slide of the run: its own store knows what is finished but not yet written.
            self.session.set_store(newer)
            return
        self.writing.look()
        self._at_rest = count_cells(self.session.store)
        self.changed.emit()

    def _set(self, run: Run, **changes: Any) -> None:
        run.state = replace(run.state, **changes)
        self.changed.emit()
