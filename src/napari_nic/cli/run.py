"""``napari-nic run``: many slides through the same steps, and how far that is."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.encoder_use import give_trust
from napari_nic.cli.inputs import find_uncompressed
from napari_nic.cli.interrupt import RESUMABLE, stoppable
from napari_nic.cli.run_processes import (
    add_processes,
    check_processes,
    copies_of,
    pool_of,
    print_job_script,
)
from napari_nic.names import exists
from napari_nic.wording import clock, count, counted, duration, was_were

if TYPE_CHECKING:
    from napari_nic.pipeline import GridOptions
    from napari_nic.runs import RunFolder, RunSettings, SlideResult

STATUS = "status"

DESCRIPTION = """\
Take many slides through the same steps, one after the other, into one folder:

  tissue    find the tissue once; small pictures
  compress  one compressed slide by each --encoder
  export    files of other programs, by each --format
  predict   scores of each --model
  saliency  a picture of what each --model looks at
  recompress  the slide anew in fewer bytes without loss, with --recompress
  report    summary.html: all slides, what failed first

What is complete and was made by the same settings from the same slide is left as it is; the same command
goes on after Ctrl-C, a full disk or a crash. A slide that cannot be done is named with its reason, and the
others go on. Several shells, and machines, may work on one folder: no slide is done twice.

'napari-nic run status FOLDER' says how far it is."""

_MOST_LISTED = 20


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        commands,
        "run",
        run,
        "Take many slides through all steps",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "slides",
        nargs="+",
        metavar="SLIDE",
        help="slide, folder of slides, or pattern; or the word status and the folder of a run",
    )
    arguments.add_out(parser, "folder that all is written to")
    parser.add_argument(
        "--steps",
        type=_names,
        metavar="A,B,C",
        help="of those above, and what they build on; default: all that the options name something for",
    )
    parser.add_argument(
        "--format", action="append", default=[], metavar="NAME", help="export format; may be repeated"
    )
    parser.add_argument(
        "--model", action="append", default=[], metavar="NAME", help="slide-level model; may be repeated"
    )
    parser.add_argument(
        "--recompress",
        choices=("repack", "optimize"),
        help="write each slide anew without loss: see 'napari-nic recompress'",
    )
    add_processes(parser)
    _add_encoders(parser)
    arguments.add_grid(parser)
    arguments.add_slide_options(parser)
    arguments.add_json(parser)


def _add_encoders(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("encoders")
    group.add_argument(
        "--encoder",
        action="append",
        default=[],
        metavar="NAME",
        help="name or folder; may be repeated; default: those of the models, else nic-default",
    )
    arguments.add_trust(group)
    arguments.add_device(group)


def run(args: argparse.Namespace, console: Console) -> int:
    """Do the steps for each slide, or say how far a run is."""
    if args.slides[0] == STATUS and len(args.slides) == 2 and not exists(Path(STATUS)):
        return _print_status(Path(args.slides[1]), console)
    if not args.out:
        raise arguments.UsageError("it is not said where to write", expected="--out with a folder")
    from napari_nic.runs import RunFolder, write_summary

    check_processes(args)
    if args.job_script:
        return print_job_script(args, console)
    settings = _settings(args)
    give_trust(settings.encoders, trust=args.trust)
    folder = RunFolder(Path(args.out))
    slides = find_uncompressed(args.slides)
    results: list[SlideResult] = []
    try:
        with stoppable(console, ending=RESUMABLE) as token:
            _run(slides, folder, settings, args, console, results, token)
            if "report" in settings.steps:
                console.result(str(write_summary(folder, token=token)))
    finally:
        if console.as_json:
            console.json([vars(result) for result in results])
    return _sum_up(results, console)


def _run(
    slides: list[Path],
    folder: RunFolder,
    settings: RunSettings,
    args: argparse.Namespace,
    console: Console,
    results: list[SlideResult],
    token: Any,
) -> None:
    """Go through the slides, and say what each came to."""
    from napari_nic.cli.run_table import RunTable
    from napari_nic.runs import Tally, iter_run

    tally = Tally()
    with pool_of(args, console, token) as pool, copies_of(args) as copies, console.live(RunTable(tally)):
        for report in iter_run(
            slides, folder, settings, part=args.shard, pool=pool, copies=copies, token=token
        ):
            tally.add(report)
            if report.result is not None:
                results.append(report.result)
                _tell(report.result, console)


def _tell(result: SlideResult, console: Console) -> None:
    if result.outcome == "failed":
        console.error(f"{result.name}: {result.reason}")
    elif result.worked:
        why = f": {result.reason}" if result.reason else ""
        console.result(f"{result.name}: {result.outcome}{why}, {duration(result.seconds)}")


def _sum_up(results: list[SlideResult], console: Console) -> int:
    """Count what came of the slides, and name those that are not done."""
    counts = Counter(result.outcome for result in results)
    before = sum(not result.worked for result in results if result.outcome in ("done", "empty"))
    parts = [f"{counts[outcome]:,} {outcome}" for outcome in ("done", "empty", "failed") if counts[outcome]]
    already = f"; {before:,} {was_were(before)} done before" if before else ""
    console.result(f"{counted(len(results), 'slide')}: {', '.join(parts) or 'none done'}{already}")
    for outcome, what in (("busy", "are worked on by another run"), ("failed", "failed")):
        named = [result for result in results if result.outcome == outcome]
        if named:
            console.error(f"{len(named):,} {what}: {_listed(result.path for result in named)}")
    return 1 if counts["failed"] or counts["busy"] else 0


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _MOST_LISTED:,} more" if len(names) > _MOST_LISTED else ""
    return ", ".join(names[:_MOST_LISTED]) + more


def _print_status(path: Path, console: Console) -> int:
    """Say how far a run is; 1 if slides failed."""
    from napari_nic.runs import RunFolder, RunWatch

    with stoppable(console) as token:
        view = RunWatch(RunFolder(path)).look(token)
    status = view.status
    if console.as_json:
        rate = {"slides_per_hour": view.per_hour, "seconds_left": view.seconds_left}
        console.json(status.to_dict() | rate)
        return 1 if status.failed else 0
    rows = [(f"{count:,}", state) for state, count in status.counts.items()]
    console.result(f"{path}: {counted(len(status.slides), 'slide')}")
    console.table(("slides", "state"), rows)
    if view.left and view.per_hour is not None and view.seconds_left is not None:
        console.result(f"{count(view.per_hour)} slides/h, about {clock(view.seconds_left)} left")
    named = [slide for slide in status.slides if slide.state in ("running", "stopped")]
    for slide in named[:_MOST_LISTED]:
        console.result(f"{slide.name}: {slide.state}: {slide.reason}")
    if len(named) > _MOST_LISTED:
        console.result(f"and {len(named) - _MOST_LISTED:,} more; --json lists all")
    for slide in status.failed[:_MOST_LISTED]:
        console.error(f"{slide.name}: {slide.reason}")
    if len(status.failed) > _MOST_LISTED:
        console.error(f"and {len(status.failed) - _MOST_LISTED:,} more failed; --json lists all")
    return 1 if status.failed else 0


def _settings(args: argparse.Namespace) -> RunSettings:
    """Return what the options ask for.

    Raises
    ------
    UsageError
        If a step is unknown, or lacks what it is done by.
    """
    from napari_nic.runs import STEPS, RunSettings

    encoders = tuple(dict.fromkeys(args.encoder)) or _encoders_of(args.model)
    given = {"export": args.format, "recompress": args.recompress}
    given |= dict.fromkeys(("predict", "saliency"), args.model)
    steps = args.steps or [step for step in STEPS if step not in given or given[step]]
    for step in steps:
        if step not in STEPS:
            raise arguments.UsageError(f"unknown step {step!r}", expected=", ".join(STEPS))
        if not given.get(step, True):
            option = {"export": "--format NAME", "recompress": "--recompress MODE"}
            raise arguments.UsageError(
                f"the step {step} lacks what it is done by", hint=f"add {option.get(step, '--model NAME')}"
            )
    return RunSettings(
        steps=tuple(steps),
        encoders=encoders,
        models=tuple(dict.fromkeys(args.model)),
        formats=tuple(dict.fromkeys(args.format)),
        recompression=args.recompress or "",
        grid=_grid(args),
        opening=arguments.slide_options(args),
        device=args.device,
        precision=args.precision,
        threads=args.threads,
        trust=args.trust,
    )


def _encoders_of(models: list[str]) -> tuple[str, ...]:
    """Name the encoders whose codes models take; the default one where there are no models."""
    from napari_nic.encoders import DEFAULT_ENCODER
    from napari_nic.slide_models import ModelBundle

    names = [ModelBundle.load(model).card.encoder_name for model in models]
    return tuple(dict.fromkeys(names)) or (DEFAULT_ENCODER,)


def _grid(args: argparse.Namespace) -> GridOptions:
    from napari_nic.pipeline import GridOptions

    options = GridOptions(patch_size=args.patch_size, stride=args.stride, mpp=args.target_mpp)
    if args.no_tissue:
        return replace(options, min_tissue=0.0)
    return options if args.min_tissue is None else replace(options, min_tissue=args.min_tissue)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r}: expected names of steps, for instance tissue,compress")
    return names
