"""Annotation files that commands are given: how they are read, and the slide that they lie on."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.annotated import SCAN, add_frame, extent_of_store
from napari_nic.errors import AnnotationError
from napari_nic.names import STORE_SUFFIX, has_suffix

if TYPE_CHECKING:
    from napari_nic.annotations import AnnotationSet, SlideExtent
    from napari_nic.jobs import CancellationToken


class Formats:
    """Names of formats, which are loaded when the help or a name is asked for, and not at every start.

    Parameters
    ----------
    written : bool
        Only those that can be written.
    """

    def __init__(self, *, written: bool = False) -> None:
        self._written = written

    def __iter__(self) -> Iterator[str]:
        from napari_nic.annotations import FORMATS, writable_formats

        return iter(writable_formats() if self._written else FORMATS)

    def __contains__(self, name: object) -> bool:
        return name in list(self)


def add_input(parser: argparse.ArgumentParser, *, slide: bool = False) -> None:
    """Add how files are read; `slide` says that the slide must be named."""
    parser.add_argument(
        "--from",
        dest="source_format",
        metavar="NAME",
        choices=Formats(),
        help="of the files; default: found out",
    )
    parser.add_argument(
        "--slide",
        metavar="SLIDE",
        required=slide,
        help="the slide that they were drawn on, or its compressed slide; needed for files that count in "
        "something else than pixels from its corner",
    )
    parser.add_argument(
        "--mpp",
        type=arguments.positive,
        metavar="UM",
        help="um/px of level 0, when the slide is silent or wrong",
    )
    add_frame(parser)


def extent_of(args: argparse.Namespace) -> SlideExtent | None:
    """Open the slide that was named, or what was compressed of it, and take what annotations need of it."""
    from napari_nic.annotations import SlideExtent
    from napari_nic.slides import open_slide

    if args.slide is None:
        return None
    if has_suffix(args.slide, STORE_SUFFIX):
        return _extent_of_store(Path(args.slide))
    with open_slide(args.slide, mpp=args.mpp) as slide:
        return SlideExtent.of(slide)


def _extent_of_store(path: Path) -> SlideExtent:
    from napari_nic.embeddings import CompressedSlide

    return extent_of_store(CompressedSlide.open(path))


def read_input(
    path: Path,
    args: argparse.Namespace,
    extent: SlideExtent | None,
    token: CancellationToken,
    *,
    cut: str = "",
) -> AnnotationSet:
    """Read a file into the frame of its slide, if one was named; `cut` as of ``frames.on_slide``.

    Raises
    ------
    AnnotationError
        If it cannot be read, or does not lie on the slide.
    """
    from napari_nic.annotations import read_annotations
    from napari_nic.annotations.frames import on_slide

    annotations = read_annotations(path, format=args.source_format, token=token, extent=extent)
    if extent is not None:
        return on_slide(annotations, extent.shape, extent.bounds, args.annotation_from, cut=cut)
    if args.annotation_from == SCAN:
        raise AnnotationError(
            "it is not known where the scanned part of the slide begins",
            path=path,
            hint="name the slide (--slide)",
        )
    return annotations
