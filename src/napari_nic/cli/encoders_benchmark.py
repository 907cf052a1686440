"""``napari-nic encoders benchmark``: patches a second of encoders on this machine."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.encoder_use import give_trust
from napari_nic.cli.interrupt import stoppable
from napari_nic.wording import counted

if TYPE_CHECKING:
    from napari_nic.encoders import Encoder
    from napari_nic.encoders.speeds import Speed

REPEATS = 7
CODE_SIZE = 128
DESCRIPTION = """\
Measure how many patches a second encoders manage on this machine: the network alone, no slide is read.

Threads encode side by side, each with one kernel thread, as when a slide is compressed. They warm up first,
and are then measured several times; the table has the median and the quartiles. The figures are remembered
for encoders list. Other work on the machine makes all of them smaller: compare figures of one run.
"""


def add_benchmark(actions: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        actions,
        "benchmark",
        run_benchmark,
        "Measure patches a second on this machine",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "encoders", nargs="*", metavar="NAME", help="name or folder; default: all that are listed"
    )
    parser.add_argument(
        "--architecture",
        action="append",
        default=[],
        metavar="NAME",
        help="an architecture of encoders train with random weights, C = 128; may be repeated",
    )
    parser.add_argument(
        "--threads",
        type=arguments.positive_int,
        metavar="N",
        help="threads side by side; default: the cores that may be used, 1 on a GPU",
    )
    parser.add_argument(
        "--repeats",
        type=arguments.positive_int,
        default=REPEATS,
        metavar="N",
        help="measurements after the warm-up; default: %(default)s",
    )
    arguments.add_device(parser)
    arguments.add_trust(parser)
    arguments.add_json(parser)


def run_benchmark(args: argparse.Namespace, console: Console) -> int:
    """Measure encoders one after the other, print and remember."""
    from napari_nic.encoders.cost import encoder_cost
    from napari_nic.encoders.speeds import measure_speed, remember_cost, remember_speed
    from napari_nic.pipeline import usable_cores

    records: list[dict[str, Any]] = []
    rows: list[tuple[str, ...]] = []
    give_trust(args.encoders, trust=args.trust)
    with stoppable(console, ending="stopped; what was measured before is remembered") as token:
        for encoder in _encoders(args):
            threads = args.threads or (usable_cores() if encoder.device == "cpu" else 1)
            job = measure_speed(encoder, threads=threads, repeats=args.repeats, token=token)
            speed = console.outcome(job, encoder.spec.name)
            cost = encoder_cost(encoder)
            remember_speed(encoder.spec, speed)
            if cost is not None:
                remember_cost(encoder.spec, cost)
            records.append({"name": encoder.spec.name, "multiply_adds": cost, **speed.to_dict()})
            rows.append(_row(encoder, cost, speed))
    if args.json:
        console.json(records)
        return 0
    header = ("name", "MMAC", "patches/s", "quartiles", "batch", "precision", "threads")
    console.table(header, rows)
    if records:
        console.result(
            f"{records[0]['machine']}; {records[0]['versions']}; {counted(args.repeats, 'repeat')}"
        )
    return 0


def _encoders(args: argparse.Namespace) -> Iterator[Encoder]:
    """Load what was asked for, one at a time."""
    from napari_nic.encoders import list_encoders, load_encoder

    names = args.encoders
    if not names and not args.architecture:
        names = [spec.name for spec in list_encoders()]
    for name in names:
        yield load_encoder(name, device=args.device, precision=args.precision)
    for architecture in args.architecture:
        yield _untrained(architecture, args)


def _untrained(architecture: str, args: argparse.Namespace) -> Encoder:
    from napari_nic.device import choose_device, choose_precision
    from napari_nic.encoders.torch_encoder import untrained_encoder

    device = choose_device(args.device)
    precision = choose_precision(args.precision, device)
    return untrained_encoder(architecture, CODE_SIZE, device=device, precision=precision)


def _row(encoder: Encoder, cost: int | None, speed: Speed) -> tuple[str, ...]:
    return (
        encoder.spec.name,
        mmac(cost),
        f"{speed.median:,.0f}",
        f"{speed.low:,.0f} to {speed.high:,.0f}",
        str(speed.batch_size),
        f"{speed.precision}, {speed.device}",
        str(speed.threads),
    )


def mmac(cost: int | None) -> str:
    """Return millions of multiply-adds as a table has them."""
    return "-" if cost is None else f"{cost / 1e6:.1f}"
