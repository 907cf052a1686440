"""Annotation files as jobs of the plugin: read, and made ready to be shown, in a worker thread."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

from napari_nic.annotations import AnnotationSet, read_annotations
from napari_nic.jobs import CancellationToken
from napari_nic.plugin.annotation_layers import annotation_layers
from napari_nic.plugin.layers import LayerData
from napari_nic.slides import Slide


@dataclass(frozen=True, eq=False)
class ReadFile:
    """A file that was read, and the layers that show it."""

    annotations: AnnotationSet
    layers: list[LayerData]


def _go_on() -> None:
    return None


def read_file(path: Path, slide: Slide | None, check: Callable[[], None] = _go_on) -> ReadFile:
    """Read a file and make the layers that show it on a slide.

    Parameters
    ----------
    path : Path
    slide : Slide or None
    check : callable, optional
        Called between the steps; what it raises ends the reading.

    Raises
    ------
    NicError
        If the file is no annotation file that we know.
    """
    check()
    annotations = read_annotations(path)
    check()
    return ReadFile(annotations, annotation_layers(annotations, slide, path.stem, path))


def read_job(path: Path, slide: Slide | None, token: CancellationToken) -> Generator[None, None, ReadFile]:
    """Do the same as a job."""
    yield
    return read_file(path, slide, token.checkpoint)
