"""``napari-nic slide-embed``: one vector a slide, by a slide encoder that the user has as a file."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.encoded import open_encoded
from napari_nic.cli.files import check_free
from napari_nic.cli.inputs import find_stores, outputs_for
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.errors import StoreError
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.embeddings import CompressedSlide
    from napari_nic.jobs import CancellationToken
    from napari_nic.slide_vectors import InputForm, SlideVector

    Embed = Callable[[CompressedSlide], SlideVector]

SUFFIX = ".h5"
INPUTS = ("features", "coords", "patch_size")
COORDS = ("level0", "um", "cells")
DTYPES = ("float32", "float16")
DESCRIPTION = """\
Make one vector of each compressed slide: by a slide encoder that you have as a TorchScript (.pt),
torch.export (.pt2) or ONNX (.onnx) file, or as the mean of the patches' codes, which needs no file and is the
floor that a slide encoder has to beat. Written as HDF5 in TRIDENT's form: features (D,). "models train" takes
a folder of them (--stores FOLDER --architecture linear).

Slide encoders differ in what they take. Say it with the options below, or once in a JSON file beside the
network's: {"inputs": ["features", "coords", "patch_size"], "coords": "level0", "features": 768,
"patch_encoder": "conch_v15"}. Nothing is guessed."""


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        commands,
        "slide-embed",
        run,
        "Make one vector of each slide with a slide encoder",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    arguments.add_stores(parser)
    parser.add_argument(
        "--slide-encoder",
        required=True,
        metavar="FILE",
        help="the network's file, or mean: of the codes, without a file",
    )
    arguments.add_trust(parser)
    _add_form(parser)
    arguments.add_out(
        parser,
        "folder (files are called as their slides), or for one slide a file; default: beside the slide's "
        "compressed form",
    )
    parser.add_argument("--allow-partial", action="store_true", help="take unfinished compressions")
    arguments.add_overwrite(parser)
    parser.add_argument("--device", type=arguments.device, default="auto", help=arguments.DEVICE_HELP)
    arguments.add_json(parser)


def _add_form(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what the slide encoder takes")
    group.add_argument(
        "--inputs",
        nargs="+",
        choices=INPUTS,
        help="in the network's order; patch_size is the distance of neighbours at level 0; default: features",
    )
    group.add_argument(
        "--coords",
        choices=COORDS,
        help="places of patches: (x, y) in level-0 pixels or micrometres, or (column, row) of the grid; "
        "default: level0",
    )
    group.add_argument(
        "--no-batch-axis", action="store_true", help="codes are (N, C), without an axis of length 1 before"
    )
    group.add_argument("--dtype", choices=DTYPES, help="of the codes; default: float32")
    group.add_argument(
        "--output", metavar="NAME", help="which of several outputs is the vector: its name, or number from 0"
    )
    group.add_argument("--patch-encoder", metavar="NAME", help="whose codes it was made for; refuse others")


def run(args: argparse.Namespace, console: Console) -> int:
    """Make the vector of each store."""
    from napari_nic.slide_vectors import MEAN

    if args.slide_encoder == MEAN and any(_form_given(args).values()):
        raise arguments.UsageError(
            "the mean of the codes takes no form of input", found="--inputs, --coords or the like"
        )
    paths = find_stores(args.stores)
    arguments.require_folder(args.out, several=len(paths) > 1)
    with stoppable(console, ending=STOPPED) as token:
        name, embed = _opened(args, console, token)
        targets = outputs_for(paths, args.out, suffix=SUFFIX, label=_label(args, name))
        return run_each(paths, lambda path: _embed_one(path, targets[path], embed, args, console), console)


def _label(args: argparse.Namespace, name: str) -> str:
    """What stands before the suffix beside the compressed slide; in a folder, nothing."""
    from napari_nic.slide_vectors import label_of

    return "" if args.out is not None else label_of(name)


def _opened(args: argparse.Namespace, console: Console, token: CancellationToken) -> tuple[str, Embed]:
    """Open the slide encoder once; its name, and what makes a vector of a store."""
    from napari_nic.slide_vectors import MEAN, embed_slide, mean_vector, open_slide_encoder

    if args.slide_encoder == MEAN:
        return MEAN, lambda store: mean_vector(store, token=token)
    form = _form(args)
    encoder = open_slide_encoder(args.slide_encoder, form=form, device=args.device, trust=args.trust)
    console.note(f"{encoder.name} is given: {form.said()}")
    if form.licence:
        console.warning(f"note: licence of {encoder.name}: {form.licence}")
    return encoder.name, lambda store: embed_slide(store, encoder, token=token)


def _form(args: argparse.Namespace) -> InputForm:
    from napari_nic.slide_vectors.forms import read_form

    return read_form(Path(args.slide_encoder)).with_given(**_form_given(args))


def _form_given(args: argparse.Namespace) -> dict[str, Any]:
    output = args.output
    return {
        "inputs": tuple(args.inputs) if args.inputs else None,
        "coords": args.coords,
        "batch_axis": False if args.no_batch_axis else None,
        "dtype": args.dtype,
        "output": int(output) if output is not None and output.isdecimal() else output,
        "patch_encoder": args.patch_encoder,
    }


def _embed_one(
    path: Path, target: Path, embed: Embed, args: argparse.Namespace, console: Console
) -> dict[str, Any]:
    from napari_nic.slide_vectors import write_vector

    check_free(target, overwrite=args.overwrite)
    store = open_encoded(path, console)
    if not store.is_complete and not args.allow_partial:
        raise StoreError(
            "the slide is not compressed completely",
            path=store.path,
            hint="finish the compression, or take what is there (--allow-partial)",
        )
    vector = embed(store)
    write_vector(vector, target)
    patches = vector.origin["patches"]
    numbers = counted(len(vector.values), "number")
    console.result(f"{target}: {numbers} of {patches:,} patches, by {vector.encoder_name}")
    return {
        "slide": vector.name,
        "numbers": len(vector.values),
        "patches": patches,
        "slide_encoder": dict(vector.encoder),
        "files": [str(target)],
    }
