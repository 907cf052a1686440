"""The annotations that a command compares with: read, brought into the slide's frame, and checked."""

from __future__ import annotations

import argparse
import glob
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.errors import AnnotationError, NicError
from napari_nic.names import TEXT_SUFFIXES, has_suffix, without_suffix
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.annotations import AnnotationSet, SlideExtent
    from napari_nic.embeddings import CompressedSlide
    from napari_nic.jobs import CancellationToken
    from napari_nic.slides import Slide

SLIDE, SCAN = "slide", "scan"


def add_frame(parser: argparse._ActionsContainer) -> None:
    """Add the option that says what the annotations' coordinates count from."""
    parser.add_argument(
        "--annotation-from",
        choices=(SLIDE, SCAN),
        help="what annotations count from: the slide's corner (default; what looks otherwise is refused), "
        "or the corner of its scanned part, as QuPath does",
    )


def annotation_of(store: CompressedSlide, given: Path) -> Path:
    """Return the annotation file itself, or the one in a folder that is called like the slide.

    Raises
    ------
    AnnotationError
        If the folder has none, or several.
    """
    if not given.is_dir():
        return given
    name = store.slide_name
    files = [
        file
        for file in sorted(given.iterdir())
        if file.is_file()
        and has_suffix(file, *TEXT_SUFFIXES)
        and without_suffix(file.name, TEXT_SUFFIXES) == name
    ]
    if not files:
        raise AnnotationError("no annotation of this slide", path=given, expected=f"a file called {name}.*")
    if len(files) > 1:
        raise AnnotationError(
            "several annotations of this slide",
            path=given,
            found=", ".join(file.name for file in files),
            hint="name the one that is meant",
        )
    return files[0]


def annotations_on(store: CompressedSlide, path: Path, args: argparse.Namespace) -> AnnotationSet:
    """Read the areas of a compressed slide that something is compared with.

    Raises
    ------
    AnnotationError
        If they cannot be read, are not in the slide's frame, or have none of the classes asked for.
    """
    annotations = shapes_on(store, path, args)
    _check_labels(annotations, args.label, path)
    return annotations


def shapes_on(
    store: CompressedSlide, path: Path, args: argparse.Namespace, token: CancellationToken | None = None
) -> AnnotationSet:
    """Read the annotations of a compressed slide, areas or not.

    Raises
    ------
    AnnotationError
        If they cannot be read, or are not in the slide's frame.
    """
    from napari_nic.annotations import read_annotations
    from napari_nic.annotations.frames import on_slide

    extent = extent_of_store(store)
    annotations = read_annotations(path, extent=extent, token=token)
    bounds = extent.bounds
    if args.annotation_from == SCAN and bounds is None:
        raise AnnotationError(
            "it is not known where the scanned part of the slide begins",
            path=path,
            expected=f"a slide {store.slide_name} that says which part of it was scanned",
            hint=f"if it does, put it beside {store.path.name}: older stores do not know it",
        )
    cut = "only what lies on it counts"
    return on_slide(annotations, store.header.slide_shape, bounds, args.annotation_from, cut=cut)


def _check_labels(annotations: AnnotationSet, labels: list[str] | None, path: Path) -> None:
    known = list(dict.fromkeys(a.label for a in annotations.annotations if a.is_area))
    if not known:
        raise AnnotationError(
            "nothing to compare: the file has no areas",
            path=path,
            found=f"{counted(len(annotations), 'shape')} that cover no area",
        )
    missing = [label for label in labels or [] if label not in known]
    if missing:
        raise AnnotationError(
            "nothing to compare: no area has this class",
            path=path,
            expected=", ".join(known),
            found=", ".join(missing),
        )


def extent_of_store(store: CompressedSlide) -> SlideExtent:
    """Return what annotations need of the slide that a store was made of, all of it if it lies beside it."""
    from napari_nic.annotations import SlideExtent

    with _slide_beside(store) as slide:
        if slide is not None:
            return SlideExtent.of(slide)
    header = store.header
    return SlideExtent(
        header.slide_shape, store.grid.pixel_size, bounds=header.slide_bounds, name=store.slide_name
    )


def path_beside(store: CompressedSlide) -> Path | None:
    """Return the slide that a store was made of, if it lies beside it."""
    with _slide_beside(store) as slide:
        return None if slide is None else slide.path


@contextmanager
def _slide_beside(store: CompressedSlide) -> Iterator[Slide | None]:
    from napari_nic.embeddings import open_slide_of
    from napari_nic.slides import slide_suffixes

    for path in sorted(store.path.parent.glob(f"{glob.escape(store.slide_name)}*")):
        if path == store.path or not path.name.lower().endswith(tuple(slide_suffixes())):
            continue
        try:
            slide = open_slide_of(store.header, path)
        except NicError:
            continue  # some other file of that name
        with slide:
            if slide.fingerprint == store.header.slide_fingerprint:
                yield slide
                return
    yield None
