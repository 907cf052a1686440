"""The same question to a folder of compressed slides; a match that is clicked is opened and looked at."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from psygnal import Signal

from napari_nic.errors import CancelledError, NicError
from napari_nic.jobs import Progress
from napari_nic.plugin.controllers.cohort_slides import add_codes, add_slide, codes_layer_of, look_at
from napari_nic.plugin.controllers.desk_link import DeskLink
from napari_nic.plugin.controllers.session import Session
from napari_nic.plugin.controllers.similar import NO_QUERY, SimilarController
from napari_nic.plugin.layers import METADATA_KEY, LayerTag, annotation_frame, tag_of
from napari_nic.plugin.match_job import OpenedMatch, match_job
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.similar_jobs import Found, search_job
from napari_nic.plugin.worker import Callbacks, Job, Runner
from napari_nic.similarity import Crop, Match, Query, SearchOptions
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

STORES_SETTING, SLIDES_SETTING = "similar_stores", "similar_slides"
"""Settings: the folder that was searched last, and where its slides are."""

MATCH = "match"
"""Name in the tag of the layer that frames a match."""

PATCHES_SHOWN = 8
"""A match is shown with so many times its patch around it."""

NO_FOLDER = "Choose a folder of compressed slides first"
EDGE_COLORS = ("black", "yellow")
"""A yellow line on a black one twice as wide: seen on any stain, and on glass."""

_EDGE_OF_PATCH = 1 / 16


class SearchController:
    """Searches and opens.

    Parameters
    ----------
    viewer : ViewerModel
    link : DeskLink
    similar : SimilarController
        Knows the query.
    settings : Settings
    runner : Runner
    """

    changed = Signal()
    progressed = Signal(Progress)

    def __init__(
        self,
        viewer: ViewerModel,
        link: DeskLink,
        similar: SimilarController,
        settings: Settings,
        runner: Runner,
    ) -> None:
        self._viewer, self._link, self._similar = viewer, link, similar
        self._settings, self._runner = settings, runner
        self.options = SearchOptions(per_slide=5)
        self.found: Found | None = None
        self.opening = ""
        """Name of the slide that is being opened; empty if none is."""
        self._job: Job | None = None
        self._opening: Job | None = None
        similar.changed.connect(self.changed.emit)

    @property
    def folder(self) -> Path | None:
        """Compressed slides that are searched."""
        return self._folder(STORES_SETTING)

    @property
    def slides(self) -> Path | None:
        """Where their slides are, if the user said so; else they are looked for beside them."""
        return self._folder(SLIDES_SETTING)

    def set_folder(self, folder: Path) -> None:
        """Search this folder, now and in the next session."""
        self._settings.set(STORES_SETTING, str(folder))
        self.changed.emit()

    def set_slides(self, folder: Path) -> None:
        """Look for slides in this folder."""
        self._settings.set(SLIDES_SETTING, str(folder))
        self.changed.emit()

    def _folder(self, name: str) -> Path | None:
        text = self._settings.get(name)
        return Path(text) if isinstance(text, str) and text else None

    @property
    def busy(self) -> bool:
        """Whether a search is running."""
        return self._job is not None and self._job.running

    def why_not(self) -> str:
        """Why nothing can be searched; empty when it can."""
        if self._similar.query is None:
            return NO_QUERY
        return "" if self.folder is not None else NO_FOLDER

    def search(self) -> None:
        """Search the folder for what was asked for last."""
        query, folder = self._similar.query, self.folder
        if query is None or folder is None or self.busy:
            return
        session = self._link.open().session
        beside = () if session.slide is None else (session.slide.path.parent,)
        places = tuple(place for place in (self.slides, *beside) if place is not None)
        self._job = self._runner.start(
            "Searching for similar cells",
            partial(search_job, query, folder, places, self.options),
            Callbacks(
                yielded=self.progressed.emit,
                returned=self._on_found,
                failed=self._link.tell_error,
                finished=self._on_finished,
            ),
        )
        self.changed.emit()

    def cancel(self) -> None:
        """Stop the search; what was found before stays."""
        if self._job is not None:
            self._job.cancel()

    def summary(self) -> str:
        """What was searched, how, and what was left out."""
        if self.opening:
            return f"Opening {self.opening}..."
        if self.found is None:
            return ""
        result = self.found.result
        parts = [f"{counted(len(result.matches), 'match', 'matches')}; {result.note}"]
        if result.left_out:
            names = ", ".join(f"{path.name} ({why})" for path, why in result.left_out[:3])
            parts.append(f"{counted(len(result.left_out), 'store')} left out: {names}")
        return ". ".join(parts)

    @property
    def crops(self) -> tuple[Crop, ...]:
        """The matches with their pictures, the best one first."""
        return () if self.found is None else self.found.crops

    def _on_found(self, found: Found) -> None:
        self.found = found

    def _on_finished(self) -> None:
        self.changed.emit()

    # -- a match -----------------------------------------------------------------------------------------

    def open(self, match: Match) -> None:
        """Show a match: its slide is opened in the background unless it is, and the view moves there."""
        session = self._link.open().session
        if self._opening is not None:
            self._opening.cancel()
        tags = [tag_of(layer) for layer in session.slide_layers]
        shown = tuple(tag.slide for tag in tags if tag is not None and tag.slide is not None)
        beside = None if session.slide is None else session.slide.path.parent
        places = tuple(place for place in (self.slides, beside) if place is not None)
        self.opening = match.slide_name
        job = self._runner.start(
            f"Opening {match.slide_name}",
            partial(match_job, match, shown, places, self._settings),
            Callbacks(
                returned=partial(self._on_match, self._similar.query),
                failed=self._link.tell_error,
                finished=self._on_opened,
            ),
        )
        self._opening = job if job.running else None
        self.changed.emit()

    def _on_opened(self) -> None:
        if self._opening is None or not self._opening.running:  # else another one is being opened by now
            self.opening, self._opening = "", None
        self.changed.emit()

    def _on_match(self, query: Query | None, opened: OpenedMatch) -> None:
        session = self._link.open().session
        before = list(self._viewer.layers)
        try:
            layer = self._layer_of(opened, session)
            session.select(layer if layer in session.slide_layers else None)
            if session.slide is not None:
                session.open_store(opened.store)
        except CancelledError:
            return
        except NicError as error:
            session.asking.tell_error(error)
            return
        look_at(layer, session, is_new=layer not in before)
        self._go_to(opened.match)
        if query is not None and session.store is not None and self._similar.query is not query:
            self._similar.ask(query)

    def _layer_of(self, opened: OpenedMatch, session: Session) -> Layer:
        """Return the layer that shows what was opened, which may have been opened by others meanwhile."""
        wanted = opened.store.header.slide_fingerprint
        for layer in session.slide_layers:
            tag = tag_of(layer)
            if tag is not None and tag.slide is not None and tag.slide.fingerprint == wanted:
                return layer
        if opened.slide is not None:
            return add_slide(opened.slide, session)
        name = opened.match.slide_name
        session.asking.tell(f"{name} itself is not found: its codes are shown as colours")
        return (
            codes_layer_of(opened.store, session)
            if opened.picture is None
            else add_codes(opened.picture, session)
        )

    def _go_to(self, match: Match) -> None:
        """Bring a match into the middle of the view, and frame it."""
        session = self._link.session
        if session is None:
            return
        y, x, height, width = match.box_px
        place = annotation_frame(session.slide)
        scale, corner = place["scale"], place["translate"]
        camera = self._viewer.scene.camera
        camera.center = (
            0.0,
            corner[0] + (y + height / 2) * scale[0],
            corner[1] + (x + width / 2) * scale[1],
        )
        camera.zoom = min(self._viewer.canvas.size) / (
            PATCHES_SHOWN * max(height * scale[0], width * scale[1])
        )
        self._frame(match)

    def _frame(self, match: Match) -> None:
        session = self._link.session
        slide = None if session is None else session.slide
        for layer in list(self._viewer.layers):
            tag = layer.metadata.get(METADATA_KEY)
            if isinstance(tag, LayerTag) and (tag.kind, tag.name) == ("overlay", MATCH):
                self._viewer.layers.remove(layer)
        y, x, height, width = match.box_px
        active = self._viewer.layers.selection.active
        frame = [[y, x], [y, x + width], [y + height, x + width], [y + height, x]]
        edge = max(1.0, width * _EDGE_OF_PATCH)
        self._viewer.add_shapes(
            [frame] * len(EDGE_COLORS),
            shape_type="polygon",
            name="Match",
            edge_color=list(EDGE_COLORS),
            edge_width=[2 * edge, edge],
            face_color="transparent",
            metadata={METADATA_KEY: LayerTag("overlay", slide, MATCH)},
            **annotation_frame(slide),
        )
        self._viewer.layers.selection.active = active
