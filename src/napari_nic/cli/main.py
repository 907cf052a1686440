"""``napari-nic``: parse the arguments, run one command, turn errors into messages and exit codes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import nullcontext

import napari_nic
from napari_nic.cli import (
    annotations_,
    anomalies,
    clusters,
    codecs,
    compress,
    demo,
    encoders,
    experiments,
    export,
    import_,
    info,
    models,
    patches,
    pca,
    predict,
    probe,
    recompress,
    restore,
    run,
    saliency,
    similar,
    slide_embed,
    synthetic,
    tissue,
    view,
)
from napari_nic.cli.arguments import DEBUG_HELP, UsageError
from napari_nic.cli.console import Console, of_system
from napari_nic.cli.interrupt import Interrupted, interruptible
from napari_nic.cli.streams import (
    flush_output,
    forget_output,
    libraries_silenced,
    open_standard_streams,
    write_any_name,
)
from napari_nic.errors import NicError
from napari_nic.telling import telling

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2

COMMANDS = (
    info,
    compress,
    run,
    export,
    import_,
    recompress,
    restore,
    tissue,
    pca,
    slide_embed,
    predict,
    saliency,
    similar,
    clusters,
    anomalies,
    view,
    demo,
    patches,
    annotations_,
    encoders,
    models,
    codecs,
    probe,
    synthetic,
    experiments,
)
"""Modules of the commands, in the order of the help text."""

EPILOG = """\
examples:
  napari-nic compress slides/*.svs --out stores/
  napari-nic pca stores/a.nic.zarr --out a.png
  napari-nic export stores/ --format npy --out arrays/
  napari-nic import trident-job/ --slides slides/ --out stores/

exit codes:
  0 all that was asked for was done, 1 something was not (it is named; the rest was done), 2 wrong usage,
  130 interrupted with Ctrl-C
"""


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands; ``args.run`` is the chosen command's function."""
    parser = argparse.ArgumentParser(
        prog="napari-nic",
        description="Neural Image Compression of whole-slide images: compress, view, predict and export.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"napari-nic {napari_nic.__version__}")
    parser.add_argument("--debug", action="store_true", help=DEBUG_HELP)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in COMMANDS:
        module.add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        The exit code. Wrong usage raises ``SystemExit(2)``, as argparse does.
    """
    open_standard_streams()
    write_any_name()
    try:
        args = build_parser().parse_args(argv)
        with libraries_silenced(debug=args.debug):
            return _run(args)
    except BrokenPipeError:  # the reader of our output has gone, as with ``| head``
        forget_output()
        return EXIT_FAILED
    except SystemExit:
        flush_output()  # now, since the interpreter's own flush complains of a reader that has gone
        raise


def _run(args: argparse.Namespace) -> int:
    console = Console(quiet=args.quiet, as_json=getattr(args, "json", False), debug=args.debug)
    try:
        # A window has its own way to end; ``info`` has the notices among its results.
        with (
            nullcontext() if args.run is view.run else interruptible(),
            telling(None if args.run is info.run else console.hear),
        ):
            code: int = args.run(args, console)
        console.sum_up_missed()
        sys.stdout.flush()
    except Interrupted as interrupt:
        console.note(str(interrupt))
        return interrupt.exit_code
    except KeyboardInterrupt:
        console.note("interrupted")
        return Interrupted.exit_code
    except BrokenPipeError:
        raise
    except NicError as error:
        console.error(error)
        flush_output()
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_FAILED
    except OSError as error:
        # What the system refuses comes from outside, wherever it happens: a full disk behind stdout, a folder
        # that may not be listed.
        console.error(of_system(error))
        forget_output()
        return EXIT_FAILED
    return code or (EXIT_FAILED if console.has_missed else EXIT_OK)
