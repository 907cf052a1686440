"""``napari-nic recompress --report`` and ``recompress report``: a page on what became of a slide."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.files import check_all_free
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.disk import write_text
from napari_nic.names import REPORT_SUFFIXES, has_suffix
from napari_nic.wording import saving

if TYPE_CHECKING:
    from napari_nic.jobs import CancellationToken
    from napari_nic.recompression.reporting import ReportOptions, RunFacts, SlideComparison

REPORT = "report"

HTML, JSON = REPORT_SUFFIXES


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """Add the options about reports."""
    group = parser.add_argument_group("report")
    group.add_argument(
        "--report",
        action="store_true",
        help="write a page beside each result (RESULT.report.html, and .json): bytes, quality at each "
        "magnification, drift of codes, worst places",
    )
    group.add_argument(
        "--views",
        type=arguments.positive_int,
        metavar="N",
        help="places that are compared at each magnification; default: 24",
    )
    group.add_argument(
        "--encoder",
        action="append",
        metavar="NAME",
        help="whose codes are compared; may be given several times; default: all that are at hand",
    )
    group.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="model of slides whose predictions are compared: both files are compressed for it, which takes "
        "minutes; may be given several times",
    )


def report_options(args: argparse.Namespace) -> ReportOptions | None:
    """Return what is compared; None if no report is wanted.

    Raises
    ------
    UsageError
        If there will be nothing to compare, or options were given and no report is wanted.
    """
    if not args.report:
        if args.views or args.encoder or args.model:
            raise arguments.UsageError(
                "options about a report were given, and none is made", hint="add --report"
            )
        return None
    if args.replace or args.dry_run:
        option = "--replace" if args.replace else "--dry-run"
        raise arguments.UsageError(
            f"with {option} there are no two files that a report could compare", hint="give --out"
        )
    return _options(args)


def _options(args: argparse.Namespace) -> ReportOptions:
    from napari_nic.recompression.reporting import ReportOptions

    given = {} if args.views is None else {"views": args.views}
    encoders = None if args.encoder is None else tuple(args.encoder)
    return ReportOptions(encoders=encoders, models=tuple(args.model or ()), mpp=args.mpp, **given)


def run_report(args: argparse.Namespace, console: Console) -> int:
    """Compare two files of one slide."""
    files = [Path(name) for name in args.slides[1:]]
    if len(files) != 2:
        raise arguments.UsageError(
            "a report is of two files", expected="recompress report BEFORE AFTER", found=f"{len(files)}"
        )
    page = None if args.out is None else Path(args.out)
    if page is not None and not has_suffix(page, HTML):
        raise arguments.UsageError("--out is no page", expected=HTML, found=page.name)
    with stoppable(console, ending=STOPPED) as token:
        found = write_report(
            files[0], files[1], _options(args), console, token, overwrite=args.overwrite, page=page
        )
    if console.as_json:
        console.json(found)
    return 0


def write_report(
    before: Path,
    after: Path,
    options: ReportOptions,
    console: Console,
    token: CancellationToken,
    *,
    overwrite: bool,
    page: Path | None = None,
    run: RunFacts | None = None,
) -> dict[str, Any]:
    """Compare two files of one slide, write the page and its numbers; return these.

    Parameters
    ----------
    before, after : Path
    options : ReportOptions
    console : Console
    token : CancellationToken
    overwrite : bool
    page : Path, optional
        Where the page goes; beside `after` by default. The numbers lie beside it.
    run : RunFacts, optional
        What the run that wrote `after` found out.
    """
    from napari_nic.recompression.reporting import compare_slides, report_page

    page = page or after.with_name(f"{after.name}.{REPORT}{HTML}")
    numbers = page.with_suffix(JSON)
    check_all_free({"--report": page, "--report, numbers": numbers}, overwrite=overwrite)
    found = console.outcome(compare_slides(before, after, options, token=token), f"{after.name}: report")
    facts = found.to_dict() | ({} if run is None else run.to_dict())
    write_text(page, report_page(found, run=run))
    write_text(numbers, json.dumps(facts, indent=2, allow_nan=False) + "\n")
    _print(found, console)
    console.result(str(page))
    return facts


def _print(found: SlideComparison, console: Console) -> None:
    rows = [
        (
            f"{one.magnification:g}x",
            str(one.views),
            f"{one.ssim[0]:.4f}",
            f"{one.ssim[1]:.4f}",
            f"{one.ms_ssim[0]:.4f}",
            "equal" if one.psnr is None else f"{one.psnr[0]:.1f}",
            f"{one.color[1]:.1f}",
            str(one.faulty),
        )
        for one in found.qualities
    ]
    header = ("at", "views", "SSIM", "least", "MS-SSIM", "PSNR dB", "colour error", "faulty")
    console.table(header, rows)
    drifts = [(one.encoder, str(one.patches), f"{one.mean:.4f}", f"{one.least:.4f}") for one in found.drifts]
    console.table(("codes of", "patches", "cosine", "least"), drifts)
    saved = saving(found.saved)
    console.result(
        f"{found.before}: {found.sizes[0]:,} bytes; {found.after}: {found.sizes[1]:,} bytes ({saved})"
    )
