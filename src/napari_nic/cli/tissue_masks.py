"""``napari-nic tissue mask``: find the tissue of slides, and write it as pictures to paint in."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.files import check_free
from napari_nic.cli.inputs import find_slides, outputs_for
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.names import has_suffix

if TYPE_CHECKING:
    from napari_nic.tissue import TissueOptions

DESCRIPTION = """\
Find the tissue of slides and write it as SLIDE.tissue.png: white on tissue. Paint in it with any program and
give it to 'napari-nic recompress --mask' or 'napari-nic compress --tissue'."""


def add_method(parser: argparse._ActionsContainer, option: str = "--method") -> None:
    """Add how tissue is found."""
    parser.add_argument(
        option,
        dest="method",
        choices=("threshold", "unet"),
        help="how tissue is found: by a threshold on stain, or by a small network; default: threshold",
    )
    parser.add_argument(
        "--network",
        metavar="NAME",
        help="name or folder of a network that 'napari-nic tissue train' made; default: the shipped one",
    )


def tissue_options(args: argparse.Namespace, **given: Any) -> TissueOptions:
    """Return what the options of :func:`add_method` mean.

    Raises
    ------
    UsageError
        If a network was named, and another method was chosen.
    """
    from napari_nic.tissue import TissueOptions

    if args.network is not None and args.method == "threshold":
        raise arguments.UsageError("a network was named, and the threshold was chosen")
    if args.network is not None:
        return TissueOptions(method="unet", network=args.network, **given)
    return TissueOptions(method=args.method or "threshold", **given)


def add_mask(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions,
        "mask",
        run_mask,
        "Write the tissue of slides as pictures",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_slides(parser)
    add_method(parser)
    arguments.add_out(parser, "folder, or for one slide a PNG; default: beside the slide")
    arguments.add_overwrite(parser)
    arguments.add_json(parser)


def run_mask(args: argparse.Namespace, console: Console) -> int:
    """Find the tissue of each slide, and write it."""
    from napari_nic.pipeline import MASK_SUFFIX, write_mask
    from napari_nic.slides import open_slide
    from napari_nic.tissue import iter_find_tissue

    options = tissue_options(args)
    paths = find_slides(args.slides)
    arguments.require_folder(args.out, several=len(paths) > 1)
    is_file = len(paths) == 1 and args.out is not None and has_suffix(args.out, ".png")
    targets = {paths[0]: Path(args.out)} if is_file else outputs_for(paths, args.out, suffix=MASK_SUFFIX)

    def work(path: Path) -> dict[str, Any]:
        """Write one mask; return what was found."""
        check_free(targets[path], overwrite=args.overwrite)
        with open_slide(path, **arguments.slide_options(args)) as slide:
            job = iter_find_tissue(slide, options=options, token=token)
            tissue = console.outcome(job, slide.name)
            write_mask(tissue, slide, targets[path])
        area_mm2 = tissue.area_um2 / 1e6
        console.result(f"{targets[path]}: {area_mm2:.4g} mm2 of tissue by {tissue.method}")
        return {"mask": str(targets[path]), "area_mm2": round(area_mm2, 6), "method": tissue.method}

    with stoppable(console, ending=STOPPED) as token:
        return run_each(paths, work, console)
