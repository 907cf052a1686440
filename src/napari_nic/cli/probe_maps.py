"""``napari-nic probe apply``: maps of classes as outlines, pictures of class numbers and a table of areas."""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.encoded import open_encoded
from napari_nic.cli.files import check_all_free
from napari_nic.cli.inputs import find_stores, outputs_for
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.disk import replacing
from napari_nic.errors import InvalidParameterError

if TYPE_CHECKING:
    from napari_nic.annotations import AnnotationSet
    from napari_nic.embeddings import CompressedSlide
    from napari_nic.jobs import CancellationToken
    from napari_nic.probe import ClassMap, Probe

DESCRIPTION = """\
Classify every patch of compressed slides by a probe. Of each slide the outlines of the classes are written
(GeoJSON, as QuPath reads it) and a picture of class numbers (TIFF), of all slides together a table of areas
in mm2 (areas.csv). Parts smaller than --min-area go to the class around them, and small holes are filled."""

OUTLINES = ".geojson"
PICTURE = ".tif"
TABLE = "areas.csv"
COLUMNS = ("slide", "class", "area_mm2", "share", "parts")


@dataclass(frozen=True)
class _Task:
    """What the slides of one command share."""

    args: argparse.Namespace
    console: Console
    probe: Probe
    token: CancellationToken
    outlines: dict[Path, Path]
    pictures: dict[Path, Path]
    rows: list[tuple[object, ...]]


def add_apply(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions, "apply", run_apply, "Map the classes of a probe", description=DESCRIPTION
    )
    parser.add_argument("probe", metavar="PROBE", help="folder of the probe")
    arguments.add_stores(parser)
    arguments.add_out(parser, "folder for what is written", required=True)
    arguments.add_overwrite(parser)
    parser.add_argument(
        "--min-area",
        type=arguments.not_negative,
        metavar="MM2",
        help="smaller parts of a class go to what is around them, in mm2; 0 keeps all; default: 0.05",
    )
    parser.add_argument(
        "--holes",
        type=arguments.not_negative,
        metavar="MM2",
        help="enclosed holes that are smaller are filled, in mm2; 0 fills none; default: as --min-area",
    )
    arguments.add_json(parser)


def run_apply(args: argparse.Namespace, console: Console) -> int:
    """Map each slide, then write the table of all that were mapped."""
    from napari_nic.probe import load_probe

    paths = find_stores(args.stores)
    out = Path(args.out)
    arguments.require_folder(args.out, several=True)
    outlines = outputs_for(paths, args.out, suffix=OUTLINES, label="classes")
    pictures = outputs_for(paths, args.out, suffix=PICTURE, label="classes")
    named = {str(path): path for path in (*outlines.values(), *pictures.values(), out / TABLE)}
    check_all_free(named, overwrite=args.overwrite)
    with stoppable(console, ending=STOPPED) as token:
        task = _Task(args, console, load_probe(args.probe), token, outlines, pictures, [])
        code = run_each(paths, lambda path: _map_one(path, task), console)
        if task.rows:
            _write_table(task.rows, out / TABLE)
            console.result(str(out / TABLE))
    return code


def _map_one(path: Path, task: _Task) -> dict[str, Any]:
    store = open_encoded(path, task.console)
    whole = _class_map(store, task)
    outlines = whole.outlines(token=task.token)
    if not len(outlines):
        raise InvalidParameterError(
            "no part of a class is as large as was asked for",
            expected=f"{_least(task.args):g} mm2 or more",
            hint="choose a smaller --min-area",
        )
    written = _write(whole, outlines, store, path, task)
    areas, counts = whole.areas_mm2(), outlines.counts()
    known = sum(areas.values())
    for label, area in areas.items():
        row = (store.slide_name, label, f"{area:.6f}", f"{area / known:.4f}", counts.get(label, 0))
        task.rows.append(row)
        task.console.result(f"  {label}: {area:.3f} mm2 ({area / known:.1%})")
    return {"probe": task.probe.card.name, "files": written, "area_mm2": areas}


def _least(args: argparse.Namespace) -> float:
    from napari_nic.probe import LEAST_MM2

    return LEAST_MM2 if args.min_area is None else float(args.min_area)


def _class_map(store: CompressedSlide, task: _Task) -> ClassMap:
    from napari_nic.embeddings import ResidentCodes
    from napari_nic.probe import ClassMap, apply_probe

    task.probe.check_header(store.header)
    resident = ResidentCodes.load(store, token=task.token)
    found = apply_probe(task.probe, resident, token=task.token)
    least = _least(task.args)
    holes = least if task.args.holes is None else task.args.holes
    return ClassMap.of(found).cleaned(least_mm2=least, hole_mm2=holes, token=task.token)


def _write(
    whole: ClassMap, outlines: AnnotationSet, store: CompressedSlide, path: Path, task: _Task
) -> list[str]:
    """Write the outlines and the picture of one slide; return their names."""
    from napari_nic.annotations import plan_label_image, write_annotations
    from napari_nic.annotations.label_files import write_label_image

    target, picture = task.outlines[path], task.pictures[path]
    target.parent.mkdir(parents=True, exist_ok=True)
    for note in write_annotations(outlines, target, "geojson", token=task.token):
        task.console.warning(f"note: {target.name}: {note}")
    mpp = min(store.grid.stride_um)
    labels = [label for label in whole.class_names if label in outlines.labels()]
    image = plan_label_image(outlines, store.header.slide_shape, store.grid.pixel_size, mpp, labels)
    write_label_image(image, picture, mpp, token=task.token)
    for file in (target, picture):
        task.console.result(str(file))
    return [str(target), str(picture)]


def _write_table(rows: list[tuple[object, ...]], path: Path) -> None:
    lines = StringIO()
    csv.writer(lines, lineterminator="\n").writerows([COLUMNS, *rows])
    with replacing(path) as temporary:
        temporary.write_text(lines.getvalue(), "utf-8")
