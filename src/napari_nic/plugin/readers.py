"""The reader of napari's manifest: one command that looks at the path and hands it to the right room."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from napari_nic.addresses import TESTED, UNTESTED, is_address, name_in
from napari_nic.errors import ChannelsError, NicError
from napari_nic.names import (
    CLAIMED_ANNOTATIONS,
    DICOM_ANNOTATIONS_CLASS,
    DICOM_SUFFIXES,
    FEATURE_SUFFIXES,
    FEATURE_TABLE_SUFFIXES,
    PROJECT_SUFFIX,
    STORE_SUFFIX,
    has_suffix,
)
from napari_nic.plugin.layers import METADATA_KEY, LayerData, LayerTag, slide_layer, tag_of
from napari_nic.plugin.news import MODEL_NEWS
from napari_nic.plugin.opening import holds_slides, is_slide, open_remembered, read_store
from napari_nic.plugin.settings import Settings
from napari_nic.slides import Slide, path_for, slide_suffixes

if TYPE_CHECKING:
    from napari_nic.plugin.annotation_jobs import ReadFile

CARD_FILE, PLAN_FILE, RUN_FILE = "model.json", "plan.json", "run.json"
"""What tells the folder of a model bundle, that of a training, and that of a run over many slides."""

LARGE_BYTES = 1_000_000
"""Annotations of more bytes, some 2,000 outlines, take so long that the window must live meanwhile."""

DICOM_HEAD = 1024
"""Bytes of a DICOM file in which it says what it is."""

NO_LAYER = (None,)
"""What napari takes for "read, and there is nothing to show"."""

Reader = Callable[[str | Sequence[str]], list[Any]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the function that reads this path, or None if nothing of ours does.

    Looks at names only, and of files that may be features at a few bytes; whether the content fits is found
    out when it is read, and then told in words.
    """
    paths = [path] if isinstance(path, str) else list(path)
    readers = [_reader_of_address(p) if is_address(p) else _reader_of(Path(p)) for p in paths]
    if not paths or any(reader is None for reader in readers):
        return None
    return partial(_read_all, [reader for reader in readers if reader is not None])


def read_slide(path: Path) -> list[LayerData]:
    """Open a slide as a layer; a remembered um/px is applied. No layer if the user cancelled.

    Raises
    ------
    NicError
        What :func:`napari_nic.slides.open_slide` raises.
    """
    layer = slide_layer(open_remembered(path, Settings()))
    return [layer] if _may_be_added(layer) else []


def _may_be_added(layer: LayerData) -> bool:
    if not has_window():
        return True
    from napari_nic.plugin.widgets.dialogs import napari_window
    from napari_nic.plugin.widgets.first_look import is_ready

    return is_ready(layer, napari_window())


def read_compressed(path: Path) -> list[LayerData]:
    """Open a compressed slide, see :func:`~napari_nic.plugin.opening.read_store`."""
    return [layer for layer in read_store(path) if _may_be_added(layer)]


def read_annotation_file(path: Path) -> list[LayerData]:
    """Open annotations on the slide that the viewer shows, or in pixels when it shows none.

    Raises
    ------
    NicError
        If the file is no annotation file that we know.
    """
    from napari_nic.plugin.annotation_jobs import read_file

    slide = current_slide()
    if path.is_file() and path.stat().st_size > LARGE_BYTES and has_window():
        read = _read_while_waiting(path, slide)
    else:
        read = read_file(path, slide)
    if read is None:  # the user cancelled
        return []
    _tell_notes(read.layers)
    return read.layers


def _read_while_waiting(path: Path, slide: Slide | None) -> ReadFile | None:
    """Read in the background, behind a bar with Cancel: napari's call would hold up the window meanwhile."""
    from napari_nic.plugin.annotation_jobs import iter_read_and_keep
    from napari_nic.plugin.widgets.dialogs import napari_window
    from napari_nic.plugin.widgets.waiting import wait_for_job

    return wait_for_job(
        f"Opening {path.name}", lambda token: iter_read_and_keep(path, slide, token), napari_window()
    )


def has_window() -> bool:
    """Whether there is a window that must live on, and this is its thread."""
    from qtpy.QtWidgets import QApplication

    return QApplication.instance() is not None and threading.current_thread() is threading.main_thread()


def _tell_notes(layers: list[LayerData]) -> None:
    """Say what was left out or is shown differently; once, whether a dock is open or not."""
    from napari.utils.notifications import show_info

    for _, options, _ in layers[:1]:
        tag = options["metadata"][METADATA_KEY]
        tag.told = True
        if notes := tag.notes():
            show_info("; ".join(notes))


def read_models(path: Path) -> list[LayerData]:
    """Hand a model bundle to the NIC dock, which is opened if need be; there is nothing to show as a layer.

    Raises
    ------
    BundleError
        If it is damaged.
    """
    from napari_nic.slide_models import ModelBundle

    ModelBundle.load(path)
    _open_nic_dock()
    MODEL_NEWS.model_opened.emit(path)
    return []


def read_features(path: Path) -> list[LayerData]:
    """Hand other programs' features to the NIC dock, which imports them on the slide that is open.

    Raises
    ------
    InvalidParameterError
        If no slide is open.
    """
    from napari_nic.plugin.controllers.importing import no_slide

    if current_slide() is None:
        raise no_slide(path)
    _open_nic_dock()
    MODEL_NEWS.features_opened.emit(path)
    return []


def read_cohort_folder(path: Path) -> list[LayerData]:
    """Hand the folder of a training, or of a run, to the cohort browser, which is opened if need be.

    Raises
    ------
    NicError
        If its plan or scores are damaged; found out here, since a dialog of the dock would hold up a drop.
    """
    if (path / PLAN_FILE).is_file():
        from napari_nic.cohorts import read_listing

        read_listing(path)
    else:
        from napari_nic.runs import RunFolder

        RunFolder(path).read_plan()
    _open_cohort_dock()
    MODEL_NEWS.cohort_opened.emit(path)
    return []


def read_project(path: Path) -> list[LayerData]:
    """Open the slides and annotations of a project; the view dock, opened if need be, shows what was seen.

    Raises
    ------
    ProjectError
        If it is no project, or nothing of it can be opened.
    """
    from napari import current_viewer

    from napari_nic.plugin.projects import open_project

    opened = open_project(path)
    viewer = current_viewer()
    if viewer is not None:
        _open_view_dock(viewer)
        MODEL_NEWS.project_opened.emit(opened)
    return [layer for layer in opened.layers if _may_be_added(layer)]


def _open_view_dock(viewer: Any) -> None:
    from napari_nic.plugin.widgets.docking import VIEW, open_dock
    from napari_nic.plugin.widgets.view_dock import ViewDock

    open_dock(viewer, ViewDock, VIEW, tabify=True)


def read_slide_folder(path: Path) -> list[LayerData]:
    """Hand a folder of slides to the view dock, which lets the user choose; it is opened if need be."""
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is not None:
        _open_view_dock(viewer)
        MODEL_NEWS.folder_opened.emit(path)
    return []


def _open_nic_dock() -> None:
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is not None:
        from napari_nic.plugin.widgets.docking import NIC, open_dock
        from napari_nic.plugin.widgets.nic_dock import NicDock

        open_dock(viewer, NicDock, NIC)


def _open_cohort_dock() -> None:
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is not None:
        from napari_nic.plugin.widgets.cohort_dock import CohortDock
        from napari_nic.plugin.widgets.docking import COHORT, open_dock

        open_dock(viewer, CohortDock, COHORT)


def current_slide() -> Slide | None:
    """The topmost slide of the current viewer that is visible, else the topmost one."""
    from napari import current_viewer

    viewer = current_viewer()
    if viewer is None:
        return None
    slides = [(layer.visible, tag.slide) for layer in reversed(viewer.layers) if (tag := _slide_tag(layer))]
    return next((slide for visible, slide in slides if visible), slides[0][1] if slides else None)


def _slide_tag(layer: Any) -> LayerTag | None:
    tag = tag_of(layer)
    return tag if tag is not None and tag.kind == "slide" else None


def _reader_of_address(address: str) -> Callable[[Path], list[LayerData]] | None:
    """Read slides in the network, by their names: nothing is asked of a server before that."""
    name = name_in(address).lower()
    is_ours = urlsplit(address).scheme.lower() in (*TESTED, *UNTESTED) and name.endswith(slide_suffixes())
    return read_slide if is_ours and not name.endswith(STORE_SUFFIX) else None


def _reader_of(path: Path) -> Callable[[Path], list[LayerData]] | None:
    name = path.name.lower()
    if name.endswith(STORE_SUFFIX):
        return read_compressed
    if name.endswith(PROJECT_SUFFIX):
        return read_project
    if (path / CARD_FILE).is_file():
        return read_models
    if (path / PLAN_FILE).is_file() or (path / RUN_FILE).is_file():
        return read_cohort_folder
    if _is_features(path):
        return read_features
    if (name.endswith(CLAIMED_ANNOTATIONS) and not path.is_dir()) or _is_dicom_annotations(path):
        return read_annotation_file
    if is_slide(path):
        return read_slide
    return read_slide_folder if path.is_dir() and holds_slides(path) else None


def _is_dicom_annotations(path: Path) -> bool:
    """A DICOM file may be a part of a slide, or annotations of one."""
    if not has_suffix(path, *DICOM_SUFFIXES) or not path.is_file():
        return False
    with path.open("rb") as file:
        return DICOM_ANNOTATIONS_CLASS.encode() in file.read(DICOM_HEAD)


def _is_features(path: Path) -> bool:
    """Look at the name first: a slide does not wait for what reads features, which is large, to be loaded."""
    if not has_suffix(path, *FEATURE_SUFFIXES, *FEATURE_TABLE_SUFFIXES):
        return False
    from napari_nic.plugin.features import looks_like_features

    return looks_like_features(path)


def _read_all(readers: list[Callable[[Path], list[LayerData]]], path: str | Sequence[str]) -> list[Any]:
    """Read all paths; in a window a file that cannot be read is told in a dialog, not in a traceback."""
    paths = [path] if isinstance(path, str) else list(path)
    layers: list[Any] = []
    try:
        for reader, single in zip(readers, paths, strict=True):
            layers += reader(path_for(single) if is_address(single) else Path(single))
    except NicError as error:
        if not _tell_in_window(error):
            raise
    return layers or [NO_LAYER]


def _tell_in_window(error: NicError) -> bool:
    from napari import current_viewer

    if current_viewer() is None:
        return False
    if isinstance(error, ChannelsError) and error.file is not None and (error.channels or error.scenes):
        from napari_nic.plugin.widgets.channel_question import choose_soon

        return choose_soon(error.file)
    from napari_nic.plugin.widgets.dialogs import tell_soon

    return tell_soon(error)
