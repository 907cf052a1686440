"""``napari-nic codecs train`` and ``distil``: networks that encode tiles, and light decoders for them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.interrupt import stoppable
from napari_nic.cli.trainings import add_result, add_seed_and_device, add_steps, print_end

if TYPE_CHECKING:
    from napari_nic.jobs import CancellationToken
    from napari_nic.recompression.codec_training import CodecRecipe, DistilRecipe, LoadedPatches

NETWORKS = ("bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018-mean", "elic2022")

TRAIN_DESCRIPTION = """\
Train a network that encodes tiles, with the published losses: lambda x 255^2 x MSE + bits a pixel, or
lambda x (1 - MS-SSIM) + bits a pixel. An interrupted run goes on from its checkpoint when the same command is
given again. Tiles keep their own resolution; crops of them are mirrored, blurred and jittered, each at one
half.

--quality 1 to 8 chooses the published lambda (mse: 0.0018, 0.0035, 0.0067, 0.013, 0.025, 0.0483, 0.0932,
0.18; ms-ssim: 2.4, 4.58, 8.73, 16.64, 31.73, 60.5, 115.37, 220) and the published sizes N and M. The
published training is 130 epochs of batches of 16 crops of 256 px: days on a processor, hours on a GPU.

--start components begins with a linear transform instead of random weights: principal components of blocks
of the tiles, and the spread of their symbols. It packs about as well as JPEG before the first step, so that
an hour or so of a processor is worth while. For bmshj2018-factorized and bmshj2018-hyperprior, M at most 4 N.

Use the folder with: napari-nic recompress SLIDE --mode lossy --codec neural:FOLDER"""

DISTIL_DESCRIPTION = """\
Train a light decoder for a codec that is there: its streams stay what they are, and can be decoded in two
ways. The light one is quick, for looking; the full one is exact. An interrupted run goes on from its
checkpoint when the same command is given again. At the end both are compared on tiles that were held out, and
timed on one core."""


def add_train(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions,
        "train",
        run_train,
        "Train a learned codec on tiles",
        description=TRAIN_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_data(parser)
    add_result(parser, "codec")
    group = parser.add_argument_group("network")
    group.add_argument(
        "--network", choices=NETWORKS, default=NETWORKS[0], help="which one; default: %(default)s"
    )
    group.add_argument(
        "--quality", type=int, choices=range(1, 9), default=6, help="1 to 8, see above; default: 6"
    )
    group.add_argument("--loss", choices=("mse", "ms-ssim"), default="mse", help="default: %(default)s")
    group.add_argument(
        "--lambda",
        type=arguments.positive,
        dest="weight",
        metavar="X",
        help="weight of the distortion; default: that of the quality",
    )
    group.add_argument(
        "--filters", type=arguments.positive_int, metavar="N", help="default: those of the quality"
    )
    group.add_argument(
        "--channels", type=arguments.positive_int, metavar="M", help="default: those of the quality"
    )
    group.add_argument(
        "--start",
        choices=("random", "components"),
        default="random",
        help="weights before the first step, see above; default: %(default)s, as published",
    )
    _add_protocol(parser, rate="0.0001, as published")


def add_distil(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions,
        "distil",
        run_distil,
        "Train a light decoder for a learned codec",
        description=DISTIL_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("codec", metavar="NAME", help="name or folder of the codec")
    _add_data(parser)
    group = parser.add_argument_group("decoder")
    group.add_argument(
        "--width",
        type=arguments.positive_int,
        default=48,
        metavar="N",
        help="channels at a quarter of the resolution; default: 48",
    )
    group.add_argument(
        "--blocks", type=arguments.positive_int, default=4, metavar="N", help="of them; default: 4"
    )
    _add_protocol(parser, rate="0.001")


def _add_data(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("data")
    arguments.add_data(
        group,
        tiles="folder of picture tiles and their um per pixel; may be given several times",
        patches="store made by napari-nic patches extract; may be given several times",
        group="what in a tile's file name tells the slide or patient, so that none is in training and"
        " validation both",
    )
    group.add_argument(
        "--crop", type=arguments.positive_int, default=256, metavar="PX", help="side of crops; default: 256"
    )


def _add_protocol(parser: argparse.ArgumentParser, *, rate: str) -> None:
    group = parser.add_argument_group("protocol")
    add_steps(group, rate=rate, batch=16, batch_help="crops a step; default: 16")
    group.add_argument(
        "--schedule",
        choices=("plateau", "cosine", "constant"),
        help="of the learning rate: plateau ends early, cosine falls over all steps; default: plateau",
    )
    group.add_argument(
        "--patience",
        type=arguments.positive_int,
        metavar="N",
        help="validations without gain before the learning rate falls; default: 8",
    )
    group.add_argument(
        "--validate-every",
        type=arguments.natural,
        metavar="N",
        help="steps between validations; default: 250",
    )
    add_seed_and_device(group)


def run_train(args: argparse.Namespace, console: Console) -> int:
    """Train a codec and save it."""
    recipe = make_recipe(args)
    with stoppable(console) as token:
        from napari_nic.recompression.codec_training.train import train_codec

        patches = _patches(args, recipe, token)
        reports = list(console.follow(train_codec(recipe, patches, token=token), recipe.name))
    print_end(reports, recipe.out, console)
    name = args.out or args.name
    console.result(f"use it with: napari-nic recompress SLIDE --mode lossy --codec neural:{name}")
    return 0


def run_distil(args: argparse.Namespace, console: Console) -> int:
    """Train a light decoder and add it to the codec."""
    from napari_nic.recompression.codec_training import DistilRecipe
    from napari_nic.recompression.learned import find_codec

    recipe = DistilRecipe(
        find_codec(args.codec),
        args.width,
        args.blocks,
        size=args.crop,
        device=args.device,
        options=_options(args),
    )
    with stoppable(console) as token:
        from napari_nic.recompression.codec_training.distil import compare_decoders, distil

        patches = _patches(args, recipe, token)
        reports = list(console.follow(distil(recipe, patches, token=token), "light decoder"))
        compared = console.outcome(compare_decoders(recipe.codec, patches, token=token), "comparing")
    print_end(reports, recipe.codec, console)
    rows = [
        (one.name, f"{one.psnr:.2f}", f"{one.ssim:.4f}", f"{one.kmacs:.1f}", f"{one.tiles_per_second:.0f}")
        for one in compared
    ]
    console.table(("decoder", "PSNR dB", "SSIM", "kMAC a pixel", "tiles of 256 px a second"), rows)
    return 0


def make_recipe(args: argparse.Namespace) -> CodecRecipe:
    """Return what the arguments ask for."""
    from napari_nic.recompression.codec_training import CodecRecipe
    from napari_nic.recompression.learned import user_codecs_folder

    return CodecRecipe(
        args.name,
        Path(args.out) if args.out else user_codecs_folder() / args.name,
        args.network,
        args.filters,
        args.channels,
        args.quality,
        args.loss,
        args.weight,
        args.start,
        size=args.crop,
        device=args.device,
        card={"data": args.data_note, "licence": args.licence, "summary": args.summary},
        options=_options(args),
    )


def _options(args: argparse.Namespace) -> Any:
    from napari_nic.training import TrainOptions

    names = ("steps", "batch_size", "learning_rate", "schedule", "patience", "validate_every", "seed")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return TrainOptions(**given)


def _patches(
    args: argparse.Namespace, recipe: CodecRecipe | DistilRecipe, token: CancellationToken
) -> LoadedPatches:
    from napari_nic.recompression.codec_training import load_patches

    return load_patches(
        arguments.read_tiles(args, args.tiles),
        [Path(store) for store in args.patches],
        size=recipe.size,
        held_out=recipe.held_out,
        seed=recipe.options.seed,
        token=token,
    )
