"""Arguments that several commands share, and the checks that argparse makes of them."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from napari_nic.cli.console import Console
from napari_nic.errors import InvalidParameterError
from napari_nic.names import exists, has_suffix, is_folder, known_suffix

if TYPE_CHECKING:
    from napari_nic.patches import TileFolder

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
Run: TypeAlias = Callable[[argparse.Namespace, Console], int]

CELL_PX = 8
"""Side of a cell in a picture: a grid of 100 x 100 cells then fills a screen."""

DEBUG_HELP = "show the traceback of an error, each reader's reason, and what libraries print"

DEVICE_HELP = "where networks run: auto (default), cpu, cuda, cuda:N or mps"

SEED_HELP = "of the random numbers; default: 0"

TILES_HELP = "folder of picture tiles and their um per pixel; may be given several times"


class UsageError(InvalidParameterError):
    """Arguments that do not fit together; found after parsing, but wrong usage all the same."""


def add_command(
    commands: Subparsers, name: str, run: Run, summary: str, **options: Any
) -> argparse.ArgumentParser:
    """Add a command with the options that every command has.

    Parameters
    ----------
    commands : action
        What ``add_subparsers`` returned.
    name : str
    run : callable
        ``(args, console) -> exit code``.
    summary : str
        One line, for the list of commands; ``description`` and other options go to the parser.
    """
    parser = commands.add_parser(name, help=summary, **({"description": f"{summary}."} | options))
    parser.set_defaults(run=run)
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bars and notes")
    # Suppressed, since a default of the command's own would undo ``napari-nic --debug COMMAND``.
    parser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=DEBUG_HELP)
    return parser


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of text")


def add_slides(parser: argparse.ArgumentParser) -> None:
    """Add the slides, and how they are opened."""
    parser.add_argument("slides", nargs="+", metavar="SLIDE", help="slide, folder of slides, or pattern")
    add_slide_options(parser)


def add_slide_options(parser: argparse.ArgumentParser) -> None:
    """Add how slides are opened."""
    parser.add_argument(
        "--mpp",
        type=positive,
        metavar="UM",
        help="micrometres per pixel of level 0, when the file is silent or wrong",
    )
    add_look(parser)


def add_look(parser: argparse.ArgumentParser) -> None:
    """Add which picture is taken of a slide that holds several, and how its colours are read."""
    parser.add_argument("--raw-color", action="store_true", help="do not apply an embedded colour profile")
    group = parser.add_argument_group("slides of channels, scenes or planes")
    group.add_argument(
        "--channels",
        type=channel_names,
        metavar="A,B,C",
        help="up to three channels by name or number; info lists them",
    )
    group.add_argument("--scene", metavar="NAME", help="scene by name or number")
    group.add_argument("--z", type=positive_int, metavar="N", help="plane of depth, from 1")
    group.add_argument("--t", type=positive_int, metavar="N", help="time point, from 1")


def slide_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return what :func:`~napari_nic.slides.open_slide` is given for the options of a command."""
    return {"mpp": args.mpp, **look(args)}


def look(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the options of :func:`add_look` mean to those who open slides."""
    from napari_nic.slides import Selection

    selection = Selection(args.scene, args.z, args.t)
    return {
        "color": "raw" if args.raw_color else "srgb",
        "channels": None if args.channels is None else tuple(args.channels),
        "selection": None if selection == Selection() else selection,
    }


def add_stores(parser: argparse.ArgumentParser) -> None:
    """Add the compressed slides."""
    parser.add_argument(
        "stores",
        nargs="+",
        metavar="STORE",
        help="compressed slide (.nic.zarr), its slide, a folder, or a pattern",
    )


def add_device(parser: argparse._ActionsContainer) -> None:
    """Add where networks run, and in which precision."""
    parser.add_argument("--device", type=device, default="auto", help=DEVICE_HELP)
    parser.add_argument(
        "--precision",
        choices=("auto", "float32", "bfloat16"),
        default="auto",
        help="of the encoder; auto takes bfloat16 where it is faster, and goes on as a store was begun",
    )


def add_trust(parser: argparse._ActionsContainer) -> None:
    """Add the consent to run an encoder that is a program."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="let an encoder run that is a program (TorchScript, torch.export): it can do all that you can; "
        "remembered for exactly this file",
    )


def add_out(parser: argparse.ArgumentParser, text: str, *, required: bool = False) -> None:
    """Add ``--out``."""
    parser.add_argument("-o", "--out", metavar="PATH", required=required, help=text)


def add_overwrite(parser: argparse._ActionsContainer, text: str = "replace files that exist") -> None:
    """Add ``--overwrite``."""
    parser.add_argument("--overwrite", action="store_true", help=text)


def add_grid(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add which patches are encoded; return the group of these options."""
    group = parser.add_argument_group("grid", "what is not given comes from the encoder")
    group.add_argument("--patch-size", type=positive_int, metavar="PX", help="side of a patch")
    group.add_argument(
        "--stride", type=positive_int, metavar="PX", help="distance of patches; default: their side"
    )
    group.add_argument("--target-mpp", type=positive, metavar="UM", help="um per pixel of patch and stride")
    tissue = group.add_mutually_exclusive_group()
    tissue.add_argument(
        "--min-tissue",
        type=share,
        metavar="SHARE",
        help="least share of tissue in a patch; default: 0.25",
    )
    tissue.add_argument("--no-tissue", action="store_true", help="take every cell, glass too")
    return group


def add_cell_px(parser: argparse.ArgumentParser) -> None:
    """Add the size of a cell in pictures."""
    parser.add_argument(
        "--cell-px",
        type=positive_int,
        default=CELL_PX,
        metavar="PX",
        help="side of a cell in the picture; default: %(default)s",
    )


class _EarlierName(argparse.Action):
    """An option under the name that it had in an earlier version: it works, and says what to write now."""

    def __init__(
        self,
        option_strings: Sequence[str],
        dest: str,
        *,
        now: argparse.Action,
        factor: int = 1,
    ) -> None:
        super().__init__(
            option_strings,
            dest,
            nargs=now.nargs,
            default=argparse.SUPPRESS,
            type=now.type if callable(now.type) else None,
            choices=now.choices,
            help=argparse.SUPPRESS,
        )
        self._now, self._factor = now, factor

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option: Any = None
    ) -> None:
        """Take the value as the option of today's name does."""
        name = self._now.option_strings[0]
        if self._factor == 1:
            print(f"note: {option} is called {name} now", file=sys.stderr)
        else:
            values *= self._factor
            print(f"note: {option} is called {name} now, and is {values:g} by its measure", file=sys.stderr)
        self._now(parser, namespace, values, option)


def add_earlier(
    parser: argparse._ActionsContainer, now: argparse.Action, earlier: str, *, factor: int = 1
) -> None:
    """Let an option go on working under an earlier name, which no help lists.

    Parameters
    ----------
    parser : ArgumentParser or group of one
    now : Action
        What ``add_argument`` returned for today's name.
    earlier : str
        With its dashes.
    factor : int
        What a number given by the earlier name is multiplied by, where that meant it in another measure.
    """
    parser.add_argument(earlier, dest=now.dest, action=_EarlierName, now=now, factor=factor)


_OPTIONS = {"mpp": "--target-mpp", "task": "--labelled-tiles"}
"""Options of :func:`add_data` that are called otherwise than their argument: ``--mpp`` is of level 0."""


def add_data(parser: argparse._ActionsContainer, **texts: str | None) -> None:
    """Add options that say which patches are taken, and how.

    Parameters
    ----------
    parser : ArgumentParser or group of one
    **texts : str or None
        The options wanted, in the order of the help, and the help of each: of ``tiles``, ``task`` (labelled
        tiles), ``patches``, ``group``, ``labelled``, ``size``, ``mpp``, ``seed``.
    """
    for name, text in texts.items():
        option = _OPTIONS.get(name, f"--{name}")
        action = parser.add_argument(option, dest=name, help=text, **_data_options()[name])
        if name in _OPTIONS:
            add_earlier(parser, action, f"--{name}")


def _data_options() -> dict[str, dict[str, Any]]:
    folders = {"type": tile_folder, "action": "append", "default": [], "metavar": "FOLDER=UM"}
    return {
        "tiles": folders,
        "task": folders,
        "patches": {"action": "append", "default": [], "metavar": "STORE"},
        "group": {"type": regex, "default": "", "metavar": "REGEX"},
        "labelled": {"action": "store_true"},
        "size": {"type": positive_int, "metavar": "PX"},
        "mpp": {"type": positive, "metavar": "UM"},
        "seed": {"type": natural, "metavar": "N"},
    }


def read_tiles(
    args: argparse.Namespace, folders: Iterable[tuple[str, float]], *, labelled: bool = False
) -> list[TileFolder]:
    """Return the folders of tiles that an option names, grouped by ``--group`` where there is one.

    Parameters
    ----------
    args : Namespace
    folders : iterable of (str, float)
        ``args.tiles`` or ``args.task``: paths and um per pixel.
    labelled : bool
        Whether sub-folders are classes.
    """
    from napari_nic.patches import TileFolder

    group = getattr(args, "group", "")
    return [TileFolder(Path(path), mpp, labelled=labelled, group=group) for path, mpp in folders]


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the slide-level model."""
    parser.add_argument("--model", required=True, metavar="NAME", help="name or folder of a model")


def require_folder(out: str | None, *, several: bool) -> None:
    """Raise :class:`UsageError` if ``--out`` names one file for several inputs, or nothing."""
    if out == "":  # a variable of the shell that is not set: never the folder that one happens to be in
        raise UsageError("an empty name was given to --out", expected="a file or a folder")
    if several and out is not None and known_suffix(Path(out).name) and not is_folder(Path(out)):
        raise UsageError(
            "one output file was named for several inputs",
            path=out,
            expected="a folder",
            hint="give a folder to --out, or one input",
        )


def require_own(option: str, given: str | None, *, several: bool) -> None:
    """Raise :class:`UsageError` if one file was given that each of several inputs has one of its own of."""
    if given is None or not several or not exists(Path(given)):
        return
    if not is_folder(Path(given)) or has_suffix(given, ".zarr"):
        raise UsageError(
            f"one file was given to {option} for several inputs",
            path=given,
            expected="a folder of files that are called as the inputs are",
            hint="name the folder, or one input",
        )


def positive(text: str) -> float:
    """Parse a number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def not_negative(text: str) -> float:
    """Parse a number, 0 or above."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number, 0 or above")
    return value


def positive_int(text: str) -> int:
    """Parse a whole number above 0."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number above 0")
    return value


def natural(text: str) -> int:
    """Parse a whole number, 0 or above."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is below 0")
    return value


def share(text: str) -> float:
    """Parse a number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def channel_names(text: str) -> list[str]:
    """Parse names or numbers of channels, separated by commas."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r}: expected names or numbers, for instance DAPI,Cy3 or 1,3")
    return names


def device(text: str) -> str:
    """Parse the name of a device."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no device: choose auto, cpu, cuda, cuda:N or mps")
    return text


def tile_folder(text: str) -> tuple[str, float]:
    """Parse ``FOLDER=UM``: a folder of tiles and their um per pixel."""
    folder, separator, mpp = text.rpartition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r}: expected FOLDER=UM, for instance tiles/=0.5")
    return folder, positive(mpp)


def regex(text: str) -> str:
    """Parse a regular expression."""
    try:
        re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None
    return text
