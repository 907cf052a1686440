"""Import of features that another program cut from the slide that is open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_nic.embeddings import CompressedSlide, ImportHints, default_store_path
from napari_nic.embeddings.interchange import (
    FeatureImport,
    ImportedStore,
    import_one,
    recognised_format,
    slide_name_of,
    slide_stem_of,
    tissue_outlines_beside,
)
from napari_nic.errors import InvalidParameterError, NicError
from napari_nic.jobs import CancellationToken
from napari_nic.names import exists
from napari_nic.plugin.annotation_jobs import Wait
from napari_nic.plugin.controllers.session import Session
from napari_nic.slides import Slide
from napari_nic.telling import Event, LeftOut, telling
from napari_nic.wording import counted


class ImportController:
    """Makes a store of features, and opens it on their slide.

    Parameters
    ----------
    session : Session
    wait : callable
        ``wait(title, work)`` does ``work(token)`` while the window lives; None if the user cancelled.
    show_outlines : callable, optional
        ``show_outlines(path)`` opens the outlines of tissue that lie with the features.
    """

    def __init__(
        self, session: Session, wait: Wait, show_outlines: Callable[[Path], None] | None = None
    ) -> None:
        self.session = session
        self._wait = wait
        self._show_outlines = show_outlines
        self._busy = False

    def import_features(self, path: Path) -> None:
        """Import a file or folder on the chosen slide; asks what must be asked, tells how it ended."""
        if self._busy:
            return
        self._busy = True
        try:
            self._import(path)
        except NicError as error:
            self.session.asking.tell_error(error)
        finally:
            self._busy = False

    def _import(self, path: Path) -> None:
        slide = self.session.slide
        if slide is None:
            raise no_slide(path)
        if not self._is_of(path, slide):
            return
        if slide.pixel_size is None:
            self.session.ask_pixel_size(again=True)
            slide = self.session.slide or slide
        told: list[Event] = []
        found = self._wait(f"Looking at {path.name}", lambda _: recognised_format(path))
        if found is None:
            return
        job, overwrite = self._planned(path, slide, found)
        if job is None:
            return
        made = self._wait(
            f"Importing {path.name}", lambda token: _work(job, told, token, overwrite=overwrite)
        )
        if isinstance(made, ImportedStore):
            self._open(job, made, slide, told)

    def _is_of(self, path: Path, slide: Slide) -> bool:
        """Whether features are of the slide: by their name, or as the user says."""
        if slide.path.name == slide_name_of(path) or slide.name in (slide_name_of(path), slide_stem_of(path)):
            return True
        return self.session.asking.confirm(
            "Another name",
            f"{path.name} is called after another slide than the one that is open, {slide.path.name}.",
            yes="They are of this slide",
            no="Cancel",
        )

    def _planned(self, path: Path, slide: Slide, found: str) -> tuple[FeatureImport | None, bool]:
        """Choose the store; what was compressed is never replaced, what was imported after asking."""
        plain = default_store_path(slide.path, self.session.store_folder)
        named = default_store_path(slide.path, self.session.store_folder, found)
        hints = ImportHints.of_slide(slide)
        target = plain if not exists(plain) or _is_imported(plain) else named
        job = FeatureImport(path, target, hints=hints, format=found)
        if not exists(target) or self._is_there(job):
            return job, False
        replace = self.session.asking.confirm(
            "Compressed slide exists",
            f"{target.name} was made of other features, or of this file before it was changed.",
            yes="Replace it",
            no="Keep it",
        )
        return (job, True) if replace else (None, False)

    def _is_there(self, job: FeatureImport) -> bool:
        """Whether the store is complete and made of the same bytes, so that there is nothing to replace."""
        try:
            return bool(
                self._wait(f"Looking at {job.target.name}", lambda token: import_one(job, token=token))
            )
        except NicError:
            return False

    def _open(self, job: FeatureImport, made: ImportedStore, slide: Slide, told: list[Event]) -> None:
        if self.session.slide is not slide:
            self.session.asking.tell(f"Imported {job.target.name}: open its slide to see it")
            return
        if self.session.store is not None and self.session.store.path == job.target:
            self.session.set_store(None)  # it was replaced
        self.session.open_store(CompressedSlide.open(job.target))
        number = counted(made.encoded, "patch", "patches")
        state = f"{number} imported" if made.is_new else f"{number}, imported before"
        notes = [text for event in told if not isinstance(event, LeftOut) for text in event.texts]
        self.session.asking.tell("; ".join([f"{job.target.name}: {state}", *notes]))
        outlines = tissue_outlines_beside(job.source)
        if outlines is not None and self._show_outlines is not None:
            self._show_outlines(outlines)


def no_slide(path: Path) -> NicError:
    """Build the error for features that are dropped where no slide is open."""
    return InvalidParameterError(
        "these are features of a slide, and no slide is open",
        path=path,
        hint="open the slide first, then drop its features on it",
    )


def _work(job: FeatureImport, told: list[Event], token: CancellationToken, *, overwrite: bool) -> Any:
    with telling(told.append):
        return import_one(job, overwrite=overwrite, token=token)


def _is_imported(path: Path) -> bool:
    try:
        with CompressedSlide.open(path) as store:
            return bool(store.header.origin)
    except NicError:
        return False
