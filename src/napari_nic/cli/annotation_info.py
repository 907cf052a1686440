"""``napari-nic annotations info``: what annotation files hold."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.annotation_input import add_input, extent_of, read_input
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.annotations import AnnotationSet, SlideExtent

INFO = """\
Show the format of annotation files, and of each class its shapes, as what they were drawn, and their area: in
mm2 where the pixel size is known (--slide), else in pixels."""


def add_info(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions, "info", run_info, "Show what annotation files hold", description=INFO
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="annotation file")
    add_input(parser)
    arguments.add_json(parser)


def run_info(args: argparse.Namespace, console: Console) -> int:
    """Print a card and a table for each file."""
    from napari_nic.annotations import FORMATS, format_in

    extent = extent_of(args)

    def describe(path: Path) -> dict[str, Any]:
        """Print what a file holds, and return it."""
        name = args.source_format or format_in(path)
        annotations = read_input(path, args, extent, token)
        found = {"format": name, **facts_of(annotations, extent)}
        shown = {"format": FORMATS.get(name).label, "shapes": found["shapes"]}
        if found["bounds_px"]:
            left, top, right, bottom = found["bounds_px"]
            shown["lie within"] = f"x {left:,.1f} to {right:,.1f}, y {top:,.1f} to {bottom:,.1f} px"
        console.card(path.name, shown)
        rows = [(one["class"], one["shapes"], _kinds(one["kinds"]), _area(one)) for one in found["classes"]]
        console.table(("class", "shapes", "drawn as", "area"), rows)
        return found

    with stoppable(console, ending=STOPPED) as token:
        return run_each([Path(name) for name in args.files], describe, console)


def facts_of(annotations: AnnotationSet, extent: SlideExtent | None) -> dict[str, Any]:
    """Count shapes, kinds and areas of each class; areas of shapes that overlap count twice."""
    import shapely

    pixel = None if extent is None else extent.pixel_size
    classes = []
    for label in annotations.labels():
        own = [annotation for annotation in annotations.annotations if annotation.label == label]
        area = float(sum(annotation.geometry.area for annotation in own))
        record = {
            "class": label,
            "shapes": len(own),
            "kinds": dict(Counter(annotation.kind for annotation in own)),
            "area_px": area,
        }
        classes.append(record | ({} if pixel is None else {"area_mm2": area * pixel.y * pixel.x / 1e6}))
    shapes = [annotation.geometry for annotation in annotations.annotations]
    bounds = shapely.total_bounds(shapes).tolist() if shapes else []
    facts = {"shapes": len(annotations), "bounds_px": bounds, "classes": classes}
    return facts | {"notes": list(annotations.notes)}


def _kinds(kinds: dict[str, int]) -> str:
    words = {"points": "point set", "measurement": "measured line"}
    return ", ".join(counted(number, words.get(kind, kind)) for kind, number in kinds.items())


def _area(record: dict[str, Any]) -> str:
    if record["area_px"] == 0:
        return ""
    return f"{record['area_mm2']:.4g} mm2" if "area_mm2" in record else f"{record['area_px']:,.0f} px"
