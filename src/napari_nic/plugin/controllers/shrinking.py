"""The Shrink button: what it would write, what runs, what came of it; knows no Qt."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from psygnal import Signal

from napari_nic.jobs import Progress
from napari_nic.plugin.layers import tag_of, tissue_of
from napari_nic.plugin.shrink_form import ShrinkForm, read_form
from napari_nic.plugin.shrink_jobs import Asked, Shrunk, shrink_job
from napari_nic.plugin.worker import Callbacks, Job
from napari_nic.recompression import read_unfinished
from napari_nic.recompression.lossy import QualityScale, scale_of
from napari_nic.wording import counted, saving

if TYPE_CHECKING:
    from napari_nic.plugin.controllers.asking import Asking
    from napari_nic.plugin.controllers.watching import SlideWatch
    from napari_nic.plugin.settings import Settings
    from napari_nic.plugin.worker import Runner
    from napari_nic.tissue import TissueMask

FORM_SETTING = "shrinking"

STOPPED = "stopped: the slide is as it was, and the same again goes on"

Phase = Literal["idle", "running", "pausing", "paused", "stopping"]
PAUSES = ("pausing", "paused")


@dataclass(frozen=True)
class ShrinkState:
    """What the dock shows of a run.

    Attributes
    ----------
    phase : str
        ``"pausing"`` until a pause that was asked for is heard.
    stage : str
        What is being done.
    done, total : int
        Units of the stage.
    """

    phase: Phase = "idle"
    stage: str = ""
    done: int = 0
    total: int = 0

    @property
    def busy(self) -> bool:
        """Whether a run is on, paused ones too."""
        return self.phase != "idle"


class ShrinkController:
    """Writes the slide that is seen anew, in the background.

    Parameters
    ----------
    watch : SlideWatch
    settings : Settings
    asking : Asking
    runner : Runner

    Attributes
    ----------
    form : ShrinkForm
        What is filled in; remembered between sessions.
    state : ShrinkState
    shrunk : Shrunk or None
        What came of the last run.
    """

    changed = Signal()

    def __init__(self, watch: SlideWatch, settings: Settings, asking: Asking, runner: Runner) -> None:
        self.watch, self.settings, self.asking, self._runner = watch, settings, asking, runner
        self.form: ShrinkForm = read_form(settings.get(FORM_SETTING))
        self.state = ShrinkState()
        self.shrunk: Shrunk | None = None
        self._job: Job | None = None
        watch.changed.connect(self.changed.emit)

    def close(self) -> None:
        """Stop following the viewer."""
        self.watch.changed.disconnect(self.changed.emit)

    # -- what is filled in -------------------------------------------------------------------------------

    def fill_in(self, **changes: Any) -> None:
        """Change what is filled in, and remember it; another codec begins with its own quality."""
        if changes.get("codec", self.form.codec) != self.form.codec:
            changes = {"quality": scale_of(changes["codec"]).default} | changes
        form = replace(self.form, **changes)
        if form != self.form:
            self.form = form
            self.settings.set(FORM_SETTING, asdict(form))
            self.changed.emit()

    @property
    def scale(self) -> QualityScale:
        """What the quality of the chosen codec is."""
        return scale_of(self.form.codec)

    def asked(self) -> Asked | None:
        """What would be done; None without a slide."""
        slide = self.watch.slide
        if slide is None:
            return None
        pixel = slide.pixel_size
        return Asked(slide, self.form, None if pixel is None else pixel.mean, self.painted())

    def painted(self) -> TissueMask | None:
        """Return the tissue as it is painted in a layer on the slide; None without one."""
        for layer in self.watch.viewer.layers:
            tag, slide = tag_of(layer), self.watch.slide
            if slide is not None and tag is not None and tag.kind == "tissue" and tag.slide is slide:
                return tissue_of(layer, slide)
        return None

    def target(self) -> Path | None:
        """Return the file that would be written; None without a slide."""
        return None if self.watch.slide is None else self.form.target(self.watch.slide.path)

    def goes_on(self) -> bool:
        """Whether an earlier run was interrupted that made the same in the same way: the next goes on."""
        out, form = self.target(), self.form
        if self._job is not None or out is None:
            return False
        facts = read_unfinished(out)
        options = facts.get("options") or {}
        if form.is_lossy:
            return (options.get("codec"), options.get("quality")) == (form.codec, form.quality)
        return facts.get("mode") == form.mode

    def choose_folder(self) -> None:
        """Ask where the result goes."""
        folder = self.asking.folder("Folder for smaller slides")
        if folder is not None:
            self.fill_in(folder=str(folder))

    def why_not(self) -> str:
        """Why nothing can be written; empty when it can."""
        slide = self.watch.slide
        if self._job is not None:
            return "A slide is being written"
        if slide is None:
            return "Open a slide first"
        if self.form.glass(None) is not None and slide.pixel_size is None:
            return "Glass is found by sizes, and the slide's are not known: keep it, or state them"
        return ""

    # -- the run -----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Write the slide anew."""
        asked, out = self.asked(), self.target()
        if self.why_not() or asked is None or out is None:
            return
        if out.exists() and not self._may_replace(out):
            return
        self.shrunk = None
        self.state = ShrinkState("running", "starting")
        self.changed.emit()
        job = self._runner.start(
            f"Shrinking {asked.slide.name}",
            lambda token: shrink_job(asked, out, token),
            Callbacks(
                yielded=self._on_progress,
                returned=self._on_shrunk,
                failed=self.asking.tell_error,
                finished=self._on_finished,
                heard=self._on_heard,
            ),
        )
        if job.running:
            self._job = job
            self.changed.emit()

    def pause(self) -> None:
        """Pause the run, or let it go on."""
        if self._job is None or self.state.phase == "stopping":
            return
        if self.state.phase in PAUSES:
            self._job.token.resume()
            self._set(phase="running")
        else:
            self._set(phase="pausing")
            self._job.token.pause()

    def cancel(self) -> None:
        """Stop; the original stays as it is, and no half file is left under the result's name."""
        if self._job is not None:
            self._set(phase="stopping", stage="stopping")
            self._job.cancel()

    def outcome(self) -> str:
        """Say what came of the last run; empty before."""
        done = self.shrunk
        if done is None:
            return self.state.stage if not self.state.busy else ""
        text = f"{done.out.name}: {done.after:,} bytes, {saving(done.saved)}"
        if done.tried_anew:
            text += f"; {counted(done.tried_anew, 'tile')} encoded better than asked"
        return f"{text}. No report: {done.problem}" if done.problem else text

    def _may_replace(self, out: Path) -> bool:
        return self.asking.confirm(
            "File exists",
            f"{out} is there already. It gives way once the new one is written and verified.",
            yes="Write anew",
            no="Keep it",
        )

    def _on_progress(self, progress: Progress) -> None:
        self._set(stage=progress.stage, done=progress.done, total=progress.total)

    def _on_heard(self) -> None:
        if self.state.phase == "pausing":
            self._set(phase="paused")

    def _on_shrunk(self, shrunk: Shrunk) -> None:
        self.shrunk = shrunk
        self.changed.emit()

    def _on_finished(self) -> None:
        stopped = self.state.phase == "stopping"
        self._job = None
        self.state = ShrinkState(stage=STOPPED if stopped else "")
        self.changed.emit()

    def _set(self, **changes: Any) -> None:
        if self.state.phase == "stopping":
            changes = {name: value for name, value in changes.items() if name == "phase"}
        self.state = replace(self.state, **changes)
        self.changed.emit()
