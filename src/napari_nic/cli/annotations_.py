"""``napari-nic annotations``: info, convert, validate, rasterize, compare and join annotation files."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import (
    annotation_comparing,
    annotation_consensus,
    annotation_doctor,
    annotation_froc,
    annotation_info,
    annotation_kappa,
    annotation_pictures,
    arguments,
)
from napari_nic.cli.annotated import SCAN, SLIDE
from napari_nic.cli.annotation_input import Formats, add_input, extent_of, read_input
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.errors import AnnotationError, NicError, StoreError
from napari_nic.names import check_apart
from napari_nic.telling import telling
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.annotations import AnnotationSet, SlideExtent
    from napari_nic.jobs import CancellationToken

CONVERT = """\
Write annotation files in another program's format. What the format cannot hold is told before anything is
written; docs/formats.md has the table."""

VALIDATE = """\
Read annotation files and name each object that is damaged or had to be repaired, ids that several objects
have, and objects off their slide. Exit code 1 if there is any."""


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command and its own commands."""
    parser = commands.add_parser(
        "annotations", help="Convert, check, draw and compare annotations, and what models say"
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    annotation_info.add_info(actions)
    _add_convert(actions)
    _add_validate(actions)
    annotation_pictures.add_rasterize(actions)
    annotation_comparing.add_compare(actions)
    annotation_kappa.add_kappa(actions)
    annotation_consensus.add_consensus(actions)
    annotation_froc.add_froc(actions)
    annotation_doctor.add_doctor(actions)
    _add_formats(actions)


def _add_convert(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(
        actions, "convert", run_convert, "Write annotations in other formats", description=CONVERT
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="annotation file")
    parser.add_argument(
        "--to", metavar="NAME", choices=Formats(written=True), help="one of %(choices)s; default: by suffix"
    )
    arguments.add_out(parser, "file, or folder for several; default: beside the file")
    add_input(parser)
    parser.add_argument(
        "--count-from",
        choices=(SLIDE, SCAN),
        default=SLIDE,
        help="what the new file counts from: the slide's corner (default), or that of its scanned part, as "
        "QuPath does",
    )
    parser.add_argument(
        "--strict", action="store_true", help="write nothing that the format cannot hold completely"
    )
    arguments.add_overwrite(parser)
    arguments.add_json(parser)


def run_convert(args: argparse.Namespace, console: Console) -> int:
    """Convert each file."""
    paths = [Path(name) for name in args.files]
    targets = {path: _target(path, args, several=len(paths) > 1) for path in paths}
    check_apart({path: (target,) for path, target in targets.items()})
    extent = extent_of(args)

    def convert(path: Path) -> dict[str, Any]:
        """Write one file; return what was lost."""
        annotations = read_input(path, args, extent, token)
        lost = _write(annotations, targets[path], args, extent, console, token)
        console.result(str(targets[path]))
        return {"files": [str(targets[path])], "shapes": len(annotations), "lost": list(lost)}

    with stoppable(console, ending=STOPPED) as token:
        return run_each(paths, convert, console)


def _target(path: Path, args: argparse.Namespace, *, several: bool) -> Path:
    from napari_nic.annotations import FORMATS

    out = None if args.out is None else Path(args.out)
    if out is not None and not several and not out.is_dir() and out.suffix:
        return out
    if args.to is None:
        raise arguments.UsageError("the format is not said", expected="--to NAME, or a file name as --out")
    return (out or path.parent) / f"{path.stem}{FORMATS.get(args.to).suffixes[0]}"


def _write(
    annotations: AnnotationSet,
    target: Path,
    args: argparse.Namespace,
    extent: SlideExtent | None,
    console: Console,
    token: CancellationToken,
) -> tuple[str, ...]:
    from napari_nic.annotations import format_of, losses, write_annotations

    name = args.to or format_of(target)
    _check_free(target, overwrite=args.overwrite)
    lost = losses(annotations, name, extent=extent)
    for text in lost:
        console.warning(f"note: {target.name}: {text}")
    if lost and args.strict:
        raise AnnotationError(
            "the format cannot hold all of it", path=target, found="; ".join(lost), hint="leave --strict out"
        )
    moved = _counted_from(annotations, args.count_from, extent, target)
    target.parent.mkdir(parents=True, exist_ok=True)
    notes = write_annotations(moved, target, name, token=token, extent=extent)
    for text in notes[len(lost) :]:
        console.warning(f"note: {target.name}: {text}")
    return notes


def _counted_from(
    annotations: AnnotationSet, frame: str, extent: SlideExtent | None, target: Path
) -> AnnotationSet:
    if frame == SLIDE:
        return annotations
    if extent is None or extent.bounds is None:
        raise AnnotationError(
            "it is not known where the scanned part of the slide begins",
            path=target,
            expected="a slide that says which part of it was scanned (--slide)",
        )
    return annotations.shifted(-extent.bounds.x, -extent.bounds.y)


def _check_free(path: Path, *, overwrite: bool) -> None:
    if not overwrite and (path.exists() or path.is_symlink()):
        raise StoreError("the output exists", path=path, hint="choose another name (--out), or --overwrite")


def _add_validate(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(
        actions, "validate", run_validate, "Find what is wrong in annotation files", description=VALIDATE
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="annotation file")
    add_input(parser)
    arguments.add_json(parser)


def run_validate(args: argparse.Namespace, console: Console) -> int:
    """Check each file; print a line for each object that something is wrong with."""
    extent = extent_of(args)
    records: list[dict[str, Any]] = []
    with stoppable(console, ending=STOPPED) as token, telling(None):
        for name in args.files:
            records += _faults_of(Path(name), args, extent, token)
    if console.as_json:
        console.json(records)
    elif records:
        rows = [(one["file"], one["object"], one["fault"]) for one in records]
        console.table(("file", "object", "fault"), rows)
    if not records:
        console.note(f"nothing is wrong with {counted(len(args.files), 'file')}")
    return 1 if records else 0


def _faults_of(
    path: Path, args: argparse.Namespace, extent: SlideExtent | None, token: CancellationToken
) -> list[dict[str, Any]]:
    try:
        annotations = read_input(path, args, extent, token)
    except (AnnotationError, OSError) as error:
        text = _sentence(error) if isinstance(error, NicError) else str(error)
        return [_record(path, "file", text)]
    found = [
        _record(
            path, fault.where, f"{fault.text} (repaired)" if fault.repaired else f"{fault.text} (left out)"
        )
        for fault in annotations.faults
    ]
    ids = Counter(annotation.id for annotation in annotations.annotations if annotation.id)
    found += [
        _record(path, f"id {identity}", f"{number:,} shapes have it")
        for identity, number in ids.items()
        if number > 1
    ]
    return found + _off_slide(path, annotations, extent)


def _off_slide(path: Path, annotations: AnnotationSet, extent: SlideExtent | None) -> list[dict[str, Any]]:
    from napari_nic.annotations.frames import is_outside, reaches_beyond

    if extent is None:
        return []
    found = []
    outside, beyond = (check(annotations, extent.shape).tolist() for check in (is_outside, reaches_beyond))
    for number, (shape, is_off) in enumerate(zip(annotations.annotations, outside, strict=True)):
        if is_off or beyond[number]:
            name = f", {shape.name!r}" if shape.name else ""
            fault = "lies off the slide" if is_off else "reaches far beyond the slide"
            found.append(_record(path, f"shape {number} ({shape.label}{name})", fault))
    return found


def _record(path: Path, where: str, fault: str) -> dict[str, Any]:
    return {"file": str(path), "object": where, "fault": fault}


def _sentence(error: NicError) -> str:
    return error.problem if error.found is None else f"{error.problem}: {error.found}"


def _add_formats(actions: arguments.Subparsers) -> None:
    parser = arguments.add_command(
        actions, "formats", run_formats, "Show which formats there are and what each can hold"
    )
    arguments.add_json(parser)


def run_formats(args: argparse.Namespace, console: Console) -> int:
    """Print the table of formats."""
    from napari_nic.annotations.format_table import format_table

    header, rows = format_table()
    if args.json:
        console.json([dict(zip(header, row, strict=True)) for row in rows])
        return 0
    for row in rows:
        facts = {word: value for word, value in zip(header[1:], row[1:], strict=True) if value}
        console.card(row[0], facts)
    return 0
