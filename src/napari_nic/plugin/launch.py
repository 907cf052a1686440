"""Open the window from outside napari: for the command line and for the demonstration."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_nic.annotations import AnnotationSet, read_annotations
from napari_nic.demo import DEMO_BUNDLE, demo_slide
from napari_nic.editing import Choice
from napari_nic.errors import NicError
from napari_nic.names import PROJECT_SUFFIX, STORE_SUFFIX, has_suffix
from napari_nic.plugin.annotation_jobs import extent_of
from napari_nic.plugin.annotation_layers import annotation_layers
from napari_nic.plugin.controllers.asking import Leaving
from napari_nic.plugin.controllers.overlays import KINDS, Kind
from napari_nic.plugin.first_view import keep_fitting
from napari_nic.plugin.heaps import keep_few_heaps
from napari_nic.plugin.layers import METADATA_KEY, LayerData, LayerTag, slide_layer
from napari_nic.plugin.opening import read_store
from napari_nic.plugin.projects import OpenedProject, open_project
from napari_nic.plugin.settings import Settings
from napari_nic.slide_models import ModelBundle
from napari_nic.slides import Channel, Selection, Slide, choice_options, open_slide

if TYPE_CHECKING:
    import napari

    from napari_nic.plugin.widgets.nic_dock import NicDock

PICTURE_SIZE = (1500, 950)
"""Of the window in pictures; fits a full-HD screen."""

MARGIN = 0.05
"""Share of the screen that a new window leaves free on each side."""

WAIT_SECONDS = 600.0
"""Longest wait for the demonstration to be compressed, on the slowest machine."""

TURN_MS = 50
"""Longest sleep between two looks at whether something is finished."""

TURNS_TO_SHOW = 2
"""Turns of the event loop until a dock shows a change: sections refresh in one, and are drawn in the next."""

PICTURED: tuple[Kind, ...] = ("pca", "prediction", "saliency")


@dataclass(frozen=True)
class ViewRequest:
    """What to show.

    Attributes
    ----------
    paths : tuple of Path
        Slides, compressed slides and projects.
    model : str or Path, optional
        Bundle that predicts them, by name or folder.
    annotations : tuple of Path
        Shown on the last slide.
    mpp : float, optional
        The user's um/px of the slides.
    color : {"srgb", "raw"}
    channels : sequence of str or int, optional
        Channels of slides that hold no RGB picture.
    selection : Selection, optional
        Scene and planes of slides that hold several.
    """

    paths: tuple[Path, ...]
    model: str | Path | None = None
    annotations: tuple[Path, ...] = ()
    mpp: float | None = None
    color: Literal["srgb", "raw"] = "srgb"
    channels: Sequence[str | int] | None = None
    selection: Selection | None = None


def open_viewer(request: ViewRequest, *, show: bool = True) -> tuple[napari.Viewer, NicDock]:
    """Open a window with slides, annotations and the NIC dock, and the overlays that are at hand.

    Raises
    ------
    NicError
        If something cannot be opened; this is found out before there is a window.
    """
    keep_few_heaps()  # before the threads of drawing have theirs
    bundle = None if request.model is None else ModelBundle.load(request.model)
    projects = [open_project(path) for path in request.paths if has_suffix(path, PROJECT_SUFFIX)]
    paths = [path for path in request.paths if not has_suffix(path, PROJECT_SUFFIX)]
    opened = [_open(path, request) for path in paths] + [project.layers for project in projects]
    extent = extent_of(next(filter(None, map(_slide_of, (one for layers in opened for one in layers))), None))
    annotations = [(path, read_annotations(path, extent=extent)) for path in request.annotations]

    import napari

    from napari_nic.plugin.widgets.docking import NIC, open_dock
    from napari_nic.plugin.widgets.first_look import is_ready
    from napari_nic.plugin.widgets.nic_dock import NicDock

    viewer = napari.Viewer(title="napari-nic", show=show)
    for layer in (layer for layers in opened for layer in layers):
        if not show or is_ready(layer, viewer.window._qt_window):
            _add(viewer, layer)
    dock = open_dock(viewer, NicDock, NIC)
    for path, found in annotations:
        _add_annotations(viewer, found, dock.session.slide, path)
    if bundle is not None:
        dock.models.offer(bundle)
    # Colours over colours say nothing: of what a model says one is shown, the other is one click away.
    show_overlays(dock, ("pca",) if bundle is None else ("saliency",))
    if bundle is not None:
        dock.overlays.prepare("prediction")
    if show:
        _make_room(viewer)
    keep_fitting(viewer)
    for project in projects:
        _restore(viewer, project)
    return viewer, dock


def _restore(viewer: napari.Viewer, project: OpenedProject) -> None:
    """Show what was seen of a project, once the window has its size."""
    from napari_nic.plugin.widgets.dock_base import soon
    from napari_nic.plugin.widgets.docking import VIEW, open_dock
    from napari_nic.plugin.widgets.view_dock import ViewDock

    dock = open_dock(viewer, ViewDock, VIEW, tabify=True)
    soon(dock, partial(dock.projecting.restore, project))


def _make_room(viewer: napari.Viewer) -> None:
    """Give a window that was never sized by its user most of the screen: slides and docks want room."""
    from napari.settings import get_settings

    window = viewer.window._qt_window
    if get_settings().application.window_size is None and window.screen() is not None:
        place = window.screen().availableGeometry()
        aside, above = round(MARGIN * place.width()), round(MARGIN * place.height())
        window.setGeometry(place.adjusted(aside, above, -aside, -above))


def view(request: ViewRequest) -> None:
    """Open a window and return when it is closed."""
    import napari

    open_viewer(request)
    napari.run()


def open_demo(
    samples: Path | None = None, *, model: str | Path = DEMO_BUNDLE, show: bool = True
) -> tuple[napari.Viewer, NicDock]:
    """Open the sample slide with its outlines, and start to compress it unless that was done before.

    Parameters
    ----------
    samples : Path, optional
        Folder of the sample slide; see :func:`napari_nic.demo.demo_slide`.
    model : str or Path
        Bundle, by name or folder; the slide is compressed with its encoder.
    """
    bundle = ModelBundle.load(model)
    slide, outlines = demo_slide(samples)
    request = ViewRequest((slide,), model=model, annotations=(outlines,))
    viewer, dock = open_viewer(request, show=show)
    if dock.session.spec.name != bundle.card.encoder_name:
        dock.session.select_encoder(bundle.card.encoder_name)
    show_overlays(dock, ("pca",))
    if not dock.compressing.state.complete:
        dock.overlays.show("pca", on=True)
        dock.compressing.start(whole=True)
    return viewer, dock


def run_demo_window() -> None:
    """Show the demonstration and return when its window is closed."""
    import napari

    open_demo()
    napari.run()


def demo_window_pictures(out: Path, *, model: str | Path = DEMO_BUNDLE) -> tuple[Path, ...]:
    """Take the demonstration's way through the real window and keep pictures of it.

    Parameters
    ----------
    out : Path
        Folder for pictures, sample slide and store; made if need be.
    model : str or Path
        Bundle, by name or folder.

    Returns
    -------
    tuple of Path
        One PNG per overlay.

    Raises
    ------
    NicError
        What the user would have been told in a dialog.
    """
    out.mkdir(parents=True, exist_ok=True)
    viewer, dock = open_demo(out, model=model)
    unattended = dock.session.asking = Unattended()
    try:
        viewer.window._qt_window.resize(*PICTURE_SIZE)
        _wait_until(lambda: dock.compressing.state.complete and not dock.compressing.state.busy, unattended)
        viewer.reset_view()
        return tuple(_picture(viewer, dock, kind, out, unattended) for kind in PICTURED)
    finally:
        dock.shut_down()
        viewer.close()


def show_overlays(dock: NicDock, kinds: tuple[Kind, ...]) -> None:
    """Show these overlays and hide the others; those that cannot be shown yet are left out."""
    for kind in KINDS:
        wanted = kind in kinds and dock.overlays.is_ready(kind)
        if wanted or dock.overlays.state(kind).shown:
            dock.overlays.show(kind, on=wanted)


class Unattended:
    """Nobody is there to answer: errors are kept for the caller, questions get the harmless answer."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []

    def tell_error(self, error: Exception) -> None:
        """Keep the error."""
        self.errors.append(error)

    def tell(self, message: str) -> None:
        """Notices need no answer."""

    def pixel_size(self, slide: Slide, reason: str) -> float | None:  # noqa: ARG002 - the protocol's names
        """Nobody knows."""
        return None

    def confirm(self, title: str, text: str, *, yes: str, no: str) -> bool:  # noqa: ARG002 - as above
        """No."""
        return False

    def channels(self, path: Path, channels: Sequence[Channel]) -> tuple[int, ...] | None:  # noqa: ARG002
        """Nobody chooses."""
        return None

    def scene(self, path: Path, scenes: Sequence[str]) -> int | None:  # noqa: ARG002 - as above
        """Nobody chooses."""
        return None

    def folder(self, title: str) -> Path | None:  # noqa: ARG002 - as above
        """None."""
        return None

    def leaving(self, title: str, text: str) -> Leaving:  # noqa: ARG002 - as above
        """Nothing was drawn by anybody."""
        return "discard"

    def which_side(self, title: str, text: str) -> Choice | None:  # noqa: ARG002 - as above
        """Nobody decides."""
        return None

    def save_to(self, title: str, start: Path) -> Path | None:  # noqa: ARG002 - as above
        """Nowhere."""
        return None

    def mask_to_write(self, start: Path) -> Path | None:  # noqa: ARG002 - as above
        """Nowhere."""
        return None

    def mask_to_read(self, start: Path) -> Path | None:  # noqa: ARG002 - as above
        """None."""
        return None

    def wait_for_overview(self, slide: Slide) -> bool:  # noqa: ARG002 - as above
        """It is made when it is looked at."""
        return True


def _open(path: Path, request: ViewRequest) -> list[LayerData]:
    if has_suffix(path, STORE_SUFFIX):
        return read_store(path)
    settings = Settings()
    if request.channels is None and request.selection is None and settings.choice(path):
        options = choice_options(settings.choice(path))
    else:
        options = {"channels": request.channels, "selection": request.selection}
    slide = open_slide(path, mpp=request.mpp, color=request.color, **options)
    return [slide_layer(settings.apply_to(slide))]


def _slide_of(layer: LayerData) -> Slide | None:
    tag = layer[1].get("metadata", {}).get(METADATA_KEY)
    return tag.slide if isinstance(tag, LayerTag) else None


def _add(viewer: napari.Viewer, layer: LayerData) -> None:
    data, options, kind = layer
    add: Callable[..., Any] = getattr(viewer, f"add_{kind}")
    add(data, **options)


def _add_annotations(
    viewer: napari.Viewer, annotations: AnnotationSet, slide: Slide | None, path: Path
) -> None:
    for layer in annotation_layers(annotations, slide, f"Annotations ({path.stem})", path):
        _add(viewer, layer)


def _picture(viewer: napari.Viewer, dock: NicDock, kind: Kind, out: Path, unattended: Unattended) -> Path:
    from napari_nic.plugin.widgets.window_rest import is_resting

    show_overlays(dock, (kind,))
    state = partial(dock.overlays.state, kind)
    _wait_until(lambda: state().shown and not state().busy and not is_resting(dock), unattended)
    path = out / f"window-{kind}.png"
    viewer.screenshot(path, canvas_only=False, flash=False)
    return path


def _wait_until(done: Callable[[], bool], unattended: Unattended) -> None:
    """Let the window live until something is finished."""
    from qtpy.QtCore import QEventLoop, QTimer
    from qtpy.QtWidgets import QApplication

    alarm = QTimer()
    alarm.start(TURN_MS)  # wakes the loop below where nothing else does
    end = time.monotonic() + WAIT_SECONDS
    while not done():
        if unattended.errors:
            raise unattended.errors[0]
        if time.monotonic() > end:
            raise NicError("the demonstration did not finish", found=f"after {WAIT_SECONDS:g} s")
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
    for _ in range(TURNS_TO_SHOW):
        QApplication.processEvents()
