"""``napari-nic models check-saliency``: do maps depend on what a model learned?"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.encoded import open_encoded
from napari_nic.cli.inputs import find_stores
from napari_nic.cli.interrupt import stoppable
from napari_nic.cli.saliency import target_number

if TYPE_CHECKING:
    from napari_nic.explain import Randomised
    from napari_nic.jobs import CancellationToken
    from napari_nic.slide_models import ModelBundle

CHECK = """\
Make a model's layers random one after the other, from its output down, and explain each slide by what is left
(Adebayo et al. 2018, "Sanity checks for saliency maps"). A map that stays the same shows the slide, and
nothing of what the model learned. Printed are rank correlations with the model's own map, mean and standard
deviation over draws of random weights: of the signed maps, and of their sizes."""


def add_check(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions, "check-saliency", run_check, "Compare maps with those of random weights", description=CHECK
    )
    arguments.add_stores(parser)
    arguments.add_model(parser)
    parser.add_argument("--target", metavar="CLASS", help="name or number; default: the model's last class")
    parser.add_argument(
        "--layer", type=arguments.natural, default=0, metavar="N", help="convolution, from 0 (default)"
    )
    parser.add_argument(
        "--method",
        choices=("Grad-CAM", "LayerCAM", "HiResCAM"),
        default="Grad-CAM",
        help="default: Grad-CAM",
    )
    parser.add_argument(
        "--draws",
        type=arguments.positive_int,
        default=5,
        metavar="N",
        help="of random weights; default: %(default)s",
    )
    parser.add_argument(
        "--seed", type=arguments.natural, default=0, metavar="N", help="of the first draw; default: 0"
    )
    parser.add_argument("--device", type=arguments.device, default="auto", help=arguments.DEVICE_HELP)
    arguments.add_json(parser)


def run_check(args: argparse.Namespace, console: Console) -> int:
    """Check the maps of each store."""
    from napari_nic.slide_models import ModelBundle

    paths = find_stores(args.stores)
    with stoppable(console, ending="stopped") as token:
        bundle = ModelBundle.load(args.model)
        target = target_number(bundle.card, args.target)
        return run_each(paths, lambda path: _check_one(path, bundle, target, args, console, token), console)


def _check_one(
    path: Path,
    bundle: ModelBundle,
    target: int,
    args: argparse.Namespace,
    console: Console,
    token: CancellationToken,
) -> dict[str, Any]:
    from napari_nic.explain import randomise_layers

    store = open_encoded(path, console)
    bundle.check_store(store)
    job = randomise_layers(
        bundle,
        store.read(token=token),
        store.encoded(),
        target=target,
        layer=args.layer,
        method=args.method,
        seeds=range(args.seed, args.seed + args.draws),
        device=args.device,
        token=token,
    )
    found = console.outcome(job, store.header.slide_name)
    _tell(store.header.slide_name, found, console)
    return found.to_dict()


def _tell(name: str, found: Randomised, console: Console) -> None:
    console.result(name)
    rows = [
        (stage, *(f"{values.mean():.2f} \N{PLUS-MINUS SIGN} {values.std():.2f}" for values in pair))
        for stage, *pair in zip(found.stages, found.signed, found.sizes, strict=True)
    ]
    console.table(("random from the top to", "signed maps", "sizes"), rows)
    console.result(found.line)
