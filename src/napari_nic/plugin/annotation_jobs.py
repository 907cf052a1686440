"""Annotation files as jobs of the plugin: read, and made ready to be shown, in a worker thread."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from napari_nic.annotations import (
    FORMATS,
    AnnotationSet,
    SlideExtent,
    format_of,
    read_annotations,
    write_annotations,
)
from napari_nic.annotations.garbage import without_garbage_collection
from napari_nic.editing import ObjectsRead
from napari_nic.jobs import CancellationToken, Outcome, Progress, result_of
from napari_nic.outlines.preview import Glimpse, OutlinePreview
from napari_nic.outlines.reading import OutlinesRead, iter_look_up
from napari_nic.plugin.annotation_layers import annotation_layers
from napari_nic.plugin.layers import METADATA_KEY, LayerData
from napari_nic.plugin.worker import leave_alone, throttled
from napari_nic.slides import Slide

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ReadFile:
    """A file that was read, the layers that show it, and what is to be kept of it."""

    annotations: AnnotationSet
    layers: list[LayerData]
    to_keep: OutlinesRead | None = None


MAKING = "Making objects"

SEEN_SECONDS = 0.3
"""So long at most a picture is waited for: what else is to be done would take turns with its drawing."""

LOOKS = 20
"""So often in that time it is looked at whether the user cancelled."""

MANY_SHAPES = 1_000
"""So many are read or written at once; more take noticeable time, in which a window must live."""

Wait = Callable[[str, Callable[[CancellationToken], Any]], Any]
"""``wait(title, work)`` gives and raises what ``work(token)`` does; None if the user cancelled."""


def at_once(_title: str, work: Callable[[CancellationToken], T]) -> T:
    """Do it here and now: where no window waits."""
    return work(CancellationToken())


def read_file(path: Path, slide: Slide | None, token: CancellationToken | None = None) -> ReadFile:
    """Do what :func:`iter_read_and_keep` does, in one go."""
    return result_of(iter_read_and_keep(path, slide, token))


def iter_read_file(
    path: Path, slide: Slide | None, token: CancellationToken | None = None
) -> Generator[Progress, None, ReadFile]:
    """Read a file and make the layers that show it on a slide, with progress.

    Parameters
    ----------
    path : Path
    slide : Slide or None
    token : CancellationToken, optional
        Asked at each shape.

    Raises
    ------
    NicError
        If the file is no annotation file that we know.
    """
    with without_garbage_collection():
        read = yield from iter_look_up(path, token=token, extent=extent_of(slide))
        annotations = read.annotations
        if token is not None:
            token.checkpoint()
        layers = annotation_layers(annotations, slide, path.stem, path, token=token)
        tag = layers[0][1]["metadata"][METADATA_KEY]
        tag.content = read.content
        if len(annotations) > MANY_SHAPES:
            pyramid = None if tag.view is None else tag.view.pyramid
            yield Glimpse(0, 0, MAKING, "shapes", pyramid, annotations.colors)
            tag.prepared = ObjectsRead.of(annotations, token)
            leave_alone()
    return ReadFile(annotations, layers, None if read.cache is None else read)


def iter_read_and_keep(
    path: Path, slide: Slide | None, token: CancellationToken | None = None
) -> Generator[Progress, None, ReadFile]:
    """Do the same, and keep what was read for the next time: where nobody does so later."""
    found = yield from iter_read_file(path, slide, token)
    if found.to_keep is not None:
        found.to_keep.keep(token)
    return found


def keep_job(read: OutlinesRead, token: CancellationToken) -> Generator[Progress, None, None]:
    """Keep what was read for the next time, once it is shown."""
    yield Progress(0, 0, "Keeping outlines", "shapes")
    read.keep(token)


def extent_of(slide: Slide | None) -> SlideExtent | None:
    """What files need of the slide that count in something else than its pixels."""
    return None if slide is None else SlideExtent.of(slide)


def read_job(
    path: Path, slide: Slide | None, token: CancellationToken
) -> Generator[Progress, None, ReadFile]:
    """Do the same as a job, which tells how far it is as often as the screen can show it."""
    reading: Generator[Progress, None, ReadFile] = iter_read_file(path, slide, token)
    if slide is not None:
        reading = OutlinePreview(slide.levels[0].shape, token).watch(reading)
    outcome = Outcome(reading)
    for report in throttled(outcome, _joined):
        yield report
        if isinstance(report, Glimpse) and report.pyramid is not None:
            _wait_until_seen(report, token)
    return outcome.value


def _wait_until_seen(glimpse: Glimpse, token: CancellationToken) -> None:
    """Wait for a picture to be shown, but not for longer than the user wants any."""
    for _ in range(LOOKS):
        token.checkpoint()
        if glimpse.seen.wait(SEEN_SECONDS / LOOKS):
            return


def _joined(older: Progress, newer: Progress) -> Progress:
    """Return the newer report; the older one if it alone has a picture."""
    return older if isinstance(older, Glimpse) and not isinstance(newer, Glimpse) else newer


def read_again(path: Path, known: int, wait: Wait, slide: Slide | None = None) -> AnnotationSet | None:
    """Read a file anew, of which it is `known` how many shapes it held; None if the user cancelled.

    Raises
    ------
    NicError
        If the file cannot be read.
    """
    extent = extent_of(slide)
    if known <= MANY_SHAPES:
        return read_annotations(path, extent=extent)
    found: AnnotationSet | None = wait(
        f"Reading {path.name}", lambda token: read_annotations(path, token=token, extent=extent)
    )
    return found


def holds_ids(path: Path) -> bool:
    """Whether the format that a file of this name is written in has a place for ids.

    Raises
    ------
    AnnotationError
        If the suffix tells no format.
    """
    return "ids" not in FORMATS.get(format_of(path)).instead


def write_file(
    annotations: AnnotationSet, path: Path, wait: Wait, slide: Slide | None = None
) -> tuple[str, ...] | None:
    """Write a file, many shapes while the window waits; None if the user cancelled.

    Returns
    -------
    tuple of str
        What had to be written differently.

    Raises
    ------
    NicError
        If it cannot be written; what was there before is kept.
    """
    extent = extent_of(slide)
    if len(annotations) <= MANY_SHAPES:
        return write_annotations(annotations, path, extent=extent)
    differences: tuple[str, ...] | None = wait(
        f"Saving {path.name}",
        lambda token: write_annotations(annotations, path, token=token, extent=extent),
    )
    return differences
