"""``napari-nic recompress``: smaller slide files, without loss but of glass, and whether a file is whole."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments, recompress_lossy
from napari_nic.cli.batch import run_each
from napari_nic.cli.console import Console
from napari_nic.cli.files import check_free
from napari_nic.cli.inputs import find_slides
from napari_nic.cli.interrupt import STOPPED, stoppable
from napari_nic.cli.recompress_compare import COMPARE, add_compare_options, run_compare
from napari_nic.cli.recompress_lossy import LOSSY
from napari_nic.cli.recompress_report import (
    REPORT,
    add_report_options,
    report_options,
    run_report,
    write_report,
)
from napari_nic.cli.tissue_masks import add_method, tissue_options
from napari_nic.names import check_apart, exists, is_folder, known_suffix
from napari_nic.wording import counted, saving

if TYPE_CHECKING:
    from napari_nic.recompression import CheckReport, Deidentification, GlassOptions, SlideReport
    from napari_nic.recompression.reporting import ReportOptions

VALIDATE = "validate"

DESCRIPTION = """\
Write slides anew in fewer bytes. The modes but for lossy pack the JPEG tiles of any TIFF, such as SVS, better
and lose nothing: every tile is decoded and compared before it is written, and all other tiles, tags and
pictures are copied.

  repack    tiles become JPEG XL that gives the JPEG's very bytes back: the smallest. napari-nic shows the
            same pixels; 'napari-nic restore' makes the original file again, byte for byte. Few other programs
            open it.
  optimize  tiles stay JPEG, with better Huffman tables: programs that opened the slide open the result. With
            --glass white tiles without tissue are left out, and the glass of others is made an even white;
            the pixels of tissue, and of a margin around it, stay exactly what they are.
  progressive
            as optimize, but tiles become progressive JPEG: smaller again, with the same pixels, and slower to
            open. Programs that read slides by libjpeg (OpenSlide, tifffile) take it.
  lossy     tiles of any slide are encoded by another codec, into TIFF, SVS, OME-TIFF or OME-Zarr; each is
            decoded again and compared, and encoded better where it is not as good as asked. First a table
            says which programs will open the result. A run that was stopped goes on with the same command.

'napari-nic recompress validate FILE' checks a written file: all tiles, and whether the original can be had
back.
'napari-nic recompress report BEFORE AFTER' compares any two files of one slide: bytes, quality at each
magnification, what encoders see of the difference, and the worst places as pictures.
'napari-nic recompress compare SLIDES' compares codecs on tiles of tissue, at each magnification."""


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        commands,
        "recompress",
        run,
        "Write slides anew in fewer bytes, with or without loss",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "slides",
        nargs="+",
        metavar="SLIDE",
        help="slide, folder of slides, or pattern; with the word validate before them: files to check; "
        "with the word report: a slide before and after; with the word compare: slides to compare codecs on",
    )
    parser.add_argument(
        "--mode",
        choices=("repack", "optimize", "progressive", LOSSY),
        default="repack",
        help="what is done; default: %(default)s",
    )
    parser.add_argument(
        "--glass",
        choices=("keep", "white", "empty"),
        default="keep",
        help="not with --mode repack: white puts one white tile for all tiles without tissue, empty leaves "
        "them out (some programs show black there), and both make the glass of other tiles white; pixels of "
        "tissue stay exactly what they are; default: %(default)s",
    )
    add_method(parser, "--tissue-method")
    parser.add_argument(
        "--mask",
        metavar="PATH",
        help="tissue as you painted or outlined it, instead of what is found: a picture of the whole slide "
        "(PNG, TIFF: not 0 on tissue), outlines, or a folder with one of them for each slide",
    )
    parser.add_argument(
        "--margin",
        type=arguments.not_negative,
        metavar="UM",
        help="glass nearer to tissue is kept; default: 100",
    )
    parser.add_argument(
        "--min-piece",
        type=arguments.not_negative,
        metavar="UM2",
        help="smaller pieces of tissue count as dust; default: 100",
    )
    parser.add_argument(
        "--mpp",
        type=arguments.positive,
        metavar="UM",
        help="um per pixel of level 0, where the slide does not say: glass is found by sizes",
    )
    parser.add_argument(
        "--deidentify",
        action="store_true",
        help="leave out label, macro (which shows the label), names, dates and numbers; with --mode repack "
        "'napari-nic restore' gives back the slide without them",
    )
    parser.add_argument("--label-text", metavar="TEXT", help="with --deidentify: what a new label says")
    recompress_lossy.add_options(parser)
    parser.add_argument(
        "--against", metavar="SLIDE", help="with validate: the slide that the file was made of"
    )
    arguments.add_out(parser, "folder, or for one slide a file")
    parser.add_argument(
        "--replace",
        action="store_true",
        help="put the result in the slide's place, once all of it was verified and if it is smaller",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="write nothing: say what a sample of the tiles would save"
    )
    parser.add_argument(
        "--workers", type=arguments.positive_int, metavar="N", help="threads; default: one per core"
    )
    add_report_options(parser)
    add_compare_options(parser)
    arguments.add_overwrite(parser)
    arguments.add_json(parser)


def run(args: argparse.Namespace, console: Console) -> int:
    """Write each slide anew, or check each file."""
    if args.slides[0] == VALIDATE and len(args.slides) > 1 and not exists(Path(VALIDATE)):
        return _run_checks(args, console)
    if args.slides[0] == REPORT and len(args.slides) > 1 and not exists(Path(REPORT)):
        return run_report(args, console)
    if args.slides[0] == COMPARE and len(args.slides) > 1 and not exists(Path(COMPARE)):
        return run_compare(args, console)
    from napari_nic.recompression import recompress, try_sample

    _check_words(args)
    glass, report_of = _glass(args), report_options(args)
    paths = find_slides(args.slides)
    arguments.require_own("--mask", args.mask, several=len(paths) > 1)
    if args.mode == LOSSY:
        return _run_lossy(paths, glass, report_of, args, console)
    recompress_lossy.refuse_options(args)
    names = _deidentification(args)
    targets = targets_of(paths, args, needed=not args.dry_run)

    def work(path: Path) -> dict[str, Any]:
        """Write one slide anew; return what it came to."""
        out = targets[path]
        if not (args.dry_run or args.replace):
            check_free(out, overwrite=args.overwrite)
        if args.dry_run and names is not None:
            console.warning("note: the sample counts label and macro too, which are left out then")
        if args.dry_run:
            job = try_sample(path, out, args.mode, glass=glass, workers=args.workers, token=token)
        else:
            job = recompress(
                path, out, args.mode, glass=glass, deidentify=names, workers=args.workers, token=token
            )
        report = console.outcome(job, path.name)
        _print(report, console)
        if report_of is None:
            return report.to_dict()
        found = write_report(path, out, report_of, console, token, overwrite=args.overwrite)
        return report.to_dict() | {"report": found}

    with stoppable(console, ending=STOPPED) as token:
        return run_each(paths, work, console)


def _check_words(args: argparse.Namespace) -> None:
    if args.against is not None:
        raise arguments.UsageError(
            "--against belongs to validate", hint="napari-nic recompress validate RESULT --against SLIDE"
        )


def _run_lossy(
    paths: list[Path],
    glass: GlassOptions | None,
    report_of: ReportOptions | None,
    args: argparse.Namespace,
    console: Console,
) -> int:
    """Write each slide by a lossy codec."""
    if args.replace and args.out is not None:
        raise arguments.UsageError("both --out and --replace were given", hint="give one of them")
    name = paths[0].name if args.replace else args.out
    plan = recompress_lossy.read_plan(args, glass, name if len(paths) == 1 else None)
    if args.replace or (args.dry_run and args.out is None):
        targets = {path: path for path in paths}
    elif args.out is None:
        raise arguments.UsageError(
            "it is not said where to write", expected="--out with a file or a folder, or --replace"
        )
    else:
        targets = recompress_lossy.targets_of(paths, args, plan.options.container)

    def work(path: Path) -> dict[str, Any]:
        """Write one slide anew; return what it came to."""
        done = recompress_lossy.work_on(path, targets[path], plan, args, console, token)
        if report_of is None or done["kept"]:
            return done
        from napari_nic.recompression.reporting import RunFacts

        found = write_report(
            path,
            targets[path],
            report_of,
            console,
            token,
            overwrite=args.overwrite,
            run=RunFacts.of(done["quality_of_tiles"], done["encode_seconds"]),
        )
        return done | {"report": found}

    with stoppable(console) as token:
        return run_each(paths, work, console)


def _glass(args: argparse.Namespace) -> GlassOptions | None:
    """Return what is taken for glass; None if it is kept.

    Raises
    ------
    UsageError
        If options about glass were given, and none is removed; or if the mode keeps all.
    """
    from napari_nic.recompression import GlassOptions

    given: dict[str, Any] = {"margin_um": args.margin, "min_piece_um2": args.min_piece, "mpp": args.mpp}
    given["mask"] = None if args.mask is None else Path(args.mask)
    if args.method or args.network:
        look = tissue_options(args)
        given |= {"method": look.method, "network": look.network}
    options = {name: value for name, value in given.items() if value is not None}
    looked_for = [name for name in ("min_piece_um2", "method") if name in options]
    if args.mask is not None and looked_for:
        raise arguments.UsageError(
            "a mask of the tissue was given, and how to look for it too", hint="leave one of them out"
        )
    if args.glass == "keep":
        if set(options) - ({"mpp"} if args.mode == LOSSY else set()):
            raise arguments.UsageError(
                "options about glass were given, and it is kept", hint="add --glass white"
            )
        return None
    if args.mode == "repack":
        raise arguments.UsageError(
            f"--mode {args.mode} gives the original back, glass too: none can be removed",
            hint="add --mode optimize or --mode progressive",
        )
    return GlassOptions(fill=args.glass, **options)


def _deidentification(args: argparse.Namespace) -> Deidentification | None:
    from napari_nic.recompression import Deidentification

    if not args.deidentify:
        if args.label_text:
            raise arguments.UsageError(
                "a text for a new label was given, and the old one is kept", hint="add --deidentify"
            )
        return None
    if args.replace:
        raise arguments.UsageError(
            "a slide is not replaced by one without its names: its label would lie on the disk unseen",
            hint="give --out; look at the result, then delete the slide as your place wants it done",
        )
    return Deidentification(args.label_text or "")


def targets_of(paths: list[Path], args: argparse.Namespace, *, needed: bool = True) -> dict[Path, Path]:
    """Return what is written for each input, by ``--out`` and ``--replace``.

    Raises
    ------
    UsageError
        If neither or both were given, or one file for several inputs.
    StoreError
        If two would be written to one place, or one over an input.
    """
    if args.replace and args.out is not None:
        raise arguments.UsageError("both --out and --replace were given", hint="give one of them")
    if args.replace or (args.out is None and not needed):
        return {path: path for path in paths}
    if args.out is None:
        raise arguments.UsageError(
            "it is not said where to write", expected="--out with a file or a folder, or --replace"
        )
    arguments.require_folder(args.out, several=len(paths) > 1)
    out = Path(args.out)
    is_file = len(paths) == 1 and known_suffix(out.name) and not is_folder(out)
    targets = {path: out if is_file else out / path.name for path in paths}
    check_apart(targets)
    return targets


def _run_checks(args: argparse.Namespace, console: Console) -> int:
    from napari_nic.recompression import validate
    from napari_nic.recompression.lossy import record_in, validate_lossy

    against = None if args.against is None else Path(args.against)

    def _check_lossy(path: Path) -> dict[str, Any]:
        job = validate_lossy(path, against, workers=args.workers, token=token)
        found = console.outcome(job, path.name)
        record, name = found.record, found.record.source or "a slide without a name"
        compared = (
            f"; {found.mean_error:.2f} grey levels from {found.against} on average, at most "
            f"{found.worst_error:.2f} in a tile"
            if found.against
            else ""
        )
        console.result(
            f"{path}: whole; {counted(found.tiles, 'tile')} of {record.codec} {record.quality:g}, made of "
            f"{name}{compared}"
        )
        return {"mode": LOSSY, "tiles": found.tiles, "record": asdict(record)} | (
            {"mean_error": found.mean_error, "worst_error": found.worst_error} if found.against else {}
        )

    def check(path: Path) -> dict[str, Any]:
        """Check one file; return what was found."""
        if record_in(path) is not None:
            return _check_lossy(path)
        if against is not None:
            raise arguments.UsageError(
                "--against is for results of --mode lossy",
                hint="others say themselves what they were made of",
            )
        report = console.outcome(validate(path, workers=args.workers, token=token), path.name)
        console.result(described(report))
        return facts_of(report)

    with stoppable(console, ending=STOPPED) as token:
        return run_each(find_slides(args.slides[1:]), check, console)


def described(report: CheckReport) -> str:
    """Say in a sentence what was found of a file."""
    original = f"{report.name} ({report.size:,} bytes, SHA-256 {report.sha256})"
    if report.is_deidentified:
        original = f"the slide without its names {original}"
    tiles = counted(report.tiles, "tile")
    if report.can_restore:
        return f"{report.path}: whole; {tiles}; gives back {original}"
    return f"{report.path}: whole; {tiles}; made of {original}, whose bytes it does not keep"


def facts_of(report: CheckReport) -> dict[str, Any]:
    """Return what was found of a file, for JSON."""
    return {
        "mode": report.mode,
        "tiles": report.tiles,
        "original": {"name": report.name, "size": report.size, "sha256": report.sha256},
        "can_restore": report.can_restore,
        "deidentified": report.is_deidentified,
    }


def _print(report: SlideReport, console: Console) -> None:
    if report.kept:
        console.warning(f"note: {report.source} stays as it is: {report.kept}")
        return
    rows = [
        (
            page.number,
            f"{page.shape[0]} x {page.shape[1]}",
            f"{page.tiles:,} {page.cut}",
            f"{page.before:,}",
            f"{page.after:,}",
            f"{_saved(page.before, page.after)} %",
            ", ".join(f"{count:,} {why}" for why, count in page.copied.items()),
            *((f"{page.emptied:,}", f"{page.painted:,}") if report.tissue else ()),
        )
        for page in report.pages
    ]
    glass = ("all glass", "glass made white") if report.tissue else ()
    console.table(("picture", "rows x columns", "parts", "bytes", "then", "saved", "copied", *glass), rows)
    place = "" if report.sampled else f" -> {report.out}"
    about = "about " if report.sampled else ""
    console.result(
        f"{report.source}{place}: {report.before:,} bytes, then {about}{report.after:,} "
        f"({saving(1 - report.after / report.before if report.before else 0)})"
    )
    if report.resumed:
        console.result(f"{counted(report.resumed, 'tile')} of an earlier run were used again")
    if report.sampled:
        tiles = counted(report.tiles, "part")
        console.result(f"estimated from a sample of {report.sampled:,} of {tiles}; nothing was written")
    elif report.after >= report.before:
        console.warning(f"note: {report.out} is not smaller than {report.source}")


def _saved(before: int, after: int) -> str:
    return f"{100 * (1 - after / before):.1f}" if before else "0.0"
