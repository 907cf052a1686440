"""What is open becomes a project file, and a project file what is open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.errors import NicError
from napari_nic.names import PROJECT_SUFFIX
from napari_nic.plugin.annotation_layers import annotation_tag
from napari_nic.plugin.controllers.bookmarking import bookmarks_of, remember_bookmarks
from napari_nic.plugin.controllers.displaying import show
from napari_nic.plugin.controllers.looking import show_alone
from napari_nic.plugin.layers import tag_of
from napari_nic.plugin.settings import REMEMBERED_SOURCE
from napari_nic.viewing import Bookmark, Display, Project, ProjectSlide

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_nic.plugin.controllers.asking import Asking
    from napari_nic.plugin.controllers.bookmarking import Bookmarks
    from napari_nic.plugin.controllers.navigating import Navigator
    from napari_nic.plugin.projects import OpenedProject
    from napari_nic.plugin.settings import Settings
    from napari_nic.slides import Slide

USERS = ("user", REMEMBERED_SOURCE, "the project")
"""Sources of a pixel size that is the user's and not the file's."""

OVERLAYS = ("pca", "channel", "prediction", "saliency")
"""Kinds of overlays that come back by themselves from a store beside the slide."""


class ProjectController:
    """Writes what is open, and looks again at what was seen.

    Parameters
    ----------
    navigator : Navigator
    bookmarks : Bookmarks
    settings : Settings
    asking : Asking
    show_overlays : callable
        ``show_overlays(kinds)`` shows overlays of the slide that is seen, as far as there are any.
    """

    def __init__(
        self,
        navigator: Navigator,
        bookmarks: Bookmarks,
        settings: Settings,
        asking: Asking,
        *,
        show_overlays: Callable[[tuple[str, ...]], None],
    ) -> None:
        self._navigator, self._bookmarks = navigator, bookmarks
        self._settings, self._asking = settings, asking
        self._show_overlays = show_overlays

    def why_not(self) -> str:
        """Why nothing can be saved; empty if it can."""
        return "" if self._navigator.watch.slide_layers else "Open a slide first"

    def save(self, path: Path) -> None:
        """Write what is open; what is not saved yet, and so cannot be in it, is told."""
        if path.suffix.lower() != PROJECT_SUFFIX:
            path = path.with_name(path.name + PROJECT_SUFFIX)
        project, unsaved = self.collect()
        try:
            project.write(path)
        except NicError as error:
            self._asking.tell_error(error)
            return
        left = f"; not in it, since they lie in no file: {', '.join(unsaved)}" if unsaved else ""
        self._asking.tell(f"{path.name} is written{left}")

    def collect(self) -> tuple[Project, tuple[str, ...]]:
        """Return what is open, and the names of layers that were never saved."""
        watch = self._navigator.watch
        slides: list[ProjectSlide] = []
        unsaved, seen = [], -1
        for layer in watch.slide_layers:
            tag = tag_of(layer)
            if tag is None or tag.slide is None:
                continue
            if layer is watch.layer:
                seen = len(slides)
            slides.append(self._slide(tag.slide, Display() if tag.look is None else tag.look.display))
        for layer in watch.viewer.layers:
            drawn = annotation_tag(layer)
            if type(layer).__name__ in ("Shapes", "Points") and (drawn is None or drawn.path is None):
                unsaved.append(layer.name)
        center, downsample = self._navigator.center(), self._navigator.downsample
        view = None if center is None or downsample is None else Bookmark("View", *center, downsample)
        return Project(tuple(slides), seen, view), tuple(unsaved)

    def _slide(self, slide: Slide, display: Display) -> ProjectSlide:
        layers = [layer for layer in self._navigator.watch.viewer.layers if _lies_on(layer, slide)]
        files = [tag.path for tag in map(annotation_tag, layers) if tag is not None and tag.path is not None]
        pixel = slide.pixel_size
        return ProjectSlide(
            path=slide.path.absolute(),
            fingerprint=slide.fingerprint,
            mpp=pixel.mean if pixel is not None and pixel.source in USERS else None,
            color="srgb" if slide.color.applied or slide.color.profile is None else "raw",
            choice=slide.choice or None,
            display=display,
            bookmarks=bookmarks_of(slide.fingerprint, self._settings),
            annotations=tuple(dict.fromkeys(path.absolute() for path in files)),
            overlays=tuple(name for layer in layers if (name := _overlay(layer)) in OVERLAYS),
        )

    def restore(self, opened: OpenedProject) -> None:
        """Show slides and view as they were, once their layers are in the viewer; problems are told."""
        watch, project = self._navigator.watch, opened.project
        by_print = {_fingerprint(layer): layer for layer in watch.slide_layers}
        for wanted in project.slides:
            layer = by_print.get(wanted.fingerprint)
            if layer is not None:
                show(layer, wanted.display)
                known = bookmarks_of(wanted.fingerprint, self._settings)
                new = tuple(mark for mark in wanted.bookmarks if mark not in known)
                remember_bookmarks(wanted.fingerprint, (*known, *new), self._settings)
        self._bookmarks.reload()
        if project.seen >= 0:
            self._look(by_print.get(project.slides[project.seen].fingerprint), project)
        if (error := opened.error()) is not None:
            self._asking.tell_error(error)

    def _look(self, layer: Layer | None, project: Project) -> None:
        if layer is None:
            return
        watch = self._navigator.watch
        show_alone(layer, watch.viewer)
        watch.viewer.layers.selection.active = layer
        self._show_overlays(project.slides[project.seen].overlays)
        if project.view is not None:
            self._navigator.set_downsample(project.view.downsample)
            self._navigator.look_at(project.view.y_px, project.view.x_px)


def _lies_on(layer: Layer, slide: Slide) -> bool:
    tag = tag_of(layer)
    return tag is not None and tag.slide is slide


def _overlay(layer: Layer) -> str:
    tag = tag_of(layer)
    return tag.name if tag is not None and tag.kind == "overlay" and layer.visible else ""


def _fingerprint(layer: Layer) -> str:
    tag = tag_of(layer)
    return "" if tag is None or tag.slide is None else tag.slide.fingerprint
