"""``napari-nic annotations rasterize``: annotated areas as pictures of class numbers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from napari_nic.cli import arguments
from napari_nic.cli.annotation_input import add_input, extent_of, read_input
from napari_nic.cli.console import Console
from napari_nic.cli.files import check_all_free
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.errors import AnnotationError

if TYPE_CHECKING:
    from napari_nic.geometry import PixelSize

RASTERIZE = """\
Draw annotated areas as a picture of class numbers over the whole slide: 0 where none is, then 1, 2... in the
order of the classes. A pixel belongs to the area that its centre lies in, the last one where areas overlap.
The numbers are printed, and stand in the file."""


def add_rasterize(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions,
        "rasterize",
        run_rasterize,
        "Draw annotations as pictures of class numbers",
        description=RASTERIZE,
    )
    parser.add_argument("file", metavar="FILE", help="annotation file")
    arguments.add_out(
        parser, "picture: .png, .tif or .zarr (OME-Zarr labels), or labels/NAME in an OME-Zarr", required=True
    )
    parser.add_argument(
        "--pixel", type=arguments.positive, metavar="UM", required=True, help="um/px of the picture"
    )
    parser.add_argument(
        "--ome-zarr",
        choices=("0.4", "0.5"),
        help="version of OME-Zarr; default: that of the picture that the labels are put into, or 0.5",
    )
    parser.add_argument(
        "--label", action="append", metavar="CLASS", help="only this class; may be given again; default: all"
    )
    add_input(parser, slide=True)
    arguments.add_overwrite(parser)
    arguments.add_json(parser)


def run_rasterize(args: argparse.Namespace, console: Console) -> int:
    """Draw the picture and print what the numbers mean."""
    from napari_nic.annotations import plan_label_image
    from napari_nic.annotations.label_files import iter_write_label_image

    out = Path(args.out)
    check_all_free({"--out": out}, overwrite=args.overwrite)
    extent = extent_of(args)
    if extent is None:  # argparse asks for it
        raise arguments.UsageError("the slide is not named", expected="--slide SLIDE")
    with stoppable(console, ending=STOPPED) as token:
        annotations = read_input(Path(args.file), args, extent, token, cut="only what lies on it is drawn")
        pixel = known_pixel(extent.pixel_size, args.slide)
        image = plan_label_image(annotations, extent.shape, pixel, args.pixel, args.label)
        writing = iter_write_label_image(image, out, args.pixel, version=args.ome_zarr, token=token)
        for _ in console.follow(writing, out.name):
            pass
    rows, cols = image.shape
    if args.json:
        console.json({"files": [str(out)], "width": cols, "height": rows, "classes": dict(image.values)})
        return 0
    console.result(f"{out}: {cols:,} x {rows:,} px")
    console.table(("value", "class"), [(value, label) for label, value in image.values.items()])
    return 0


def known_pixel(pixel: PixelSize | None, slide: str) -> PixelSize:
    """Return the pixel size of a slide.

    Raises
    ------
    AnnotationError
        If it is not known.
    """
    if pixel is None:
        raise AnnotationError("the pixel size of the slide is not known", path=slide, hint="state it (--mpp)")
    return pixel
