"""``napari-nic recompress --mode lossy``: options, the table of programs, what it came to."""

from __future__ import annotations

import argparse
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.console import Console
from napari_nic.cli.files import check_free
from napari_nic.names import CONTAINER_SUFFIXES, check_apart, is_folder, known_suffix, slide_stem
from napari_nic.wording import counted, saving

if TYPE_CHECKING:
    from napari_nic.jobs import CancellationToken, Progress
    from napari_nic.recompression import GlassOptions
    from napari_nic.recompression.lossy import LossyOptions, LossyReport, Target
    from napari_nic.recompression.quality import QualityCheck

LOSSY = "lossy"
NEURAL = "neural"
_CODECS = ("jpeg", "jpegxl", "jpeg2000", "avif", "webp")
_ONLY_LOSSY = (
    *("codec", "quality", "subsampling", "effort", "container", "tile", "opens_in", "bound_ssim"),
    *("bound_psnr", "quality_encoder"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the mode."""
    group = parser.add_argument_group("with --mode lossy")
    group.add_argument(
        "--codec",
        type=codec_name,
        metavar="NAME",
        help="how tiles are encoded: jpeg, jpegxl, jpeg2000, avif, webp, or neural:NAME with the name or the "
        "folder of a learned codec (napari-nic codecs list); default: jpegxl",
    )
    group.add_argument(
        "--quality",
        metavar="Q",
        help="1 to 100 (jpeg2000: dB), or distance=D of JPEG XL, or what must be reached: ssim=S, psnr=P, or "
        "cosine=C between the codes of --quality-encoder; default: 90, avif 80, jpeg2000 37",
    )
    group.add_argument(
        "--subsampling",
        choices=("4:4:4", "4:2:2", "4:2:0"),
        help="of chroma; default: 4:4:4, of webp 4:2:0, which it knows alone",
    )
    group.add_argument(
        "--effort", type=arguments.positive_int, metavar="N", help="of JPEG XL, 1 to 9; default: 3"
    )
    group.add_argument(
        "--container",
        choices=(*CONTAINER_SUFFIXES, "dicom"),
        help="what kind of file is written; default: told by the name of --out, else tiff",
    )
    group.add_argument(
        "--tile", type=arguments.positive_int, metavar="PX", help="side of tiles; default: the slide's own"
    )
    group.add_argument(
        "--opens-in",
        metavar="NAMES",
        help="programs, separated by commas, that must open the result (openslide, qupath, bioformats, "
        "libvips, tiffslide, tifffile, cucim, fast): chooses codec and container",
    )
    group.add_argument(
        "--bound-ssim",
        type=arguments.share,
        metavar="S",
        help="every tile is at least this similar, or it is encoded better",
    )
    group.add_argument(
        "--bound-psnr", type=arguments.positive, metavar="DB", help="every tile has at least this PSNR"
    )
    group.add_argument(
        "--quality-encoder", metavar="NAME", help="whose codes --quality cosine=C compares; default: bigan"
    )


def codec_name(text: str) -> str:
    """Parse ``--codec``."""
    kind, sign, rest = text.partition(":")
    if text in _CODECS or (kind == NEURAL and sign and rest):
        return text
    raise argparse.ArgumentTypeError(f"{text!r}: expected {', '.join(_CODECS)}, or {NEURAL}:NAME")


def refuse_options(args: argparse.Namespace) -> None:
    """Refuse options of the mode lossy with another mode.

    Raises
    ------
    UsageError
        If there are any.
    """
    given = [name for name in _ONLY_LOSSY if getattr(args, name) is not None]
    if given:
        raise arguments.UsageError(
            f"--{given[0].replace('_', '-')} belongs to --mode lossy",
            found=f"--mode {args.mode}",
            hint="add --mode lossy, or leave it out",
        )


@dataclass(frozen=True)
class LossyPlan:
    """What the command line asks for.

    Attributes
    ----------
    options : LossyOptions
    target : Target or None
        What the quality must reach, where it is no number.
    encoder : str
        For a target of cosine.
    ssim, psnr : float or None
        Bounds of every tile.
    """

    options: LossyOptions
    target: Target | None
    encoder: str
    ssim: float | None
    psnr: float | None

    def check(self) -> QualityCheck:
        """Return a new check of tiles."""
        from napari_nic.recompression.quality import Bounds, QualityCheck

        ssim, psnr = self.ssim, self.psnr
        if self.target is not None and self.target.kind == "ssim":
            ssim = max(self.target.value, ssim or 0.0)
        if self.target is not None and self.target.kind == "psnr":
            psnr = max(self.target.value, psnr or 0.0)
        return QualityCheck(Bounds(ssim=ssim, psnr=psnr))


def read_plan(args: argparse.Namespace, glass: GlassOptions | None, name: str | None) -> LossyPlan:
    """Return what the options ask for.

    Parameters
    ----------
    args : Namespace
    glass : GlassOptions or None
    name : str or None
        Of the result, whose suffix tells the container.

    Raises
    ------
    InvalidParameterError, UnknownNameError, UsageError
        If they contradict each other.
    """
    from napari_nic.recompression.lossy import LossyOptions, choose_options, load_container

    fixed = [word for word in ("codec", "container") if getattr(args, word) is not None]
    container = args.container or _container_of(name)
    options = LossyOptions(
        codec=args.codec or "jpegxl",
        subsampling=args.subsampling,
        effort=args.effort or 3,
        container=container or "tiff",
        tile=args.tile,
        glass=glass,
        deidentify=args.deidentify,
        label_text=args.label_text or "",
        mpp=args.mpp,
    )
    if args.opens_in:
        programs = [word.strip() for word in args.opens_in.split(",") if word.strip()]
        if container is not None and "container" not in fixed:
            fixed.append("container")
        options = choose_options(programs, options, fixed=fixed)
    quality, target = read_quality(args.quality)
    is_bound = args.bound_ssim is not None or args.bound_psnr is not None
    is_bound |= target is not None and target.kind != "cosine"
    options = replace(options, quality=quality, must_pass=is_bound)
    options.load_codec()
    load_container(options.container)
    return LossyPlan(options, target, args.quality_encoder or "bigan", args.bound_ssim, args.bound_psnr)


def _container_of(name: str | None) -> str | None:
    """Tell a container by a file's name; None where nothing tells, or several have the suffix."""
    if name is None:
        return None
    for container in ("ome-tiff", "ome-zarr", "svs", "tiff"):
        if name.lower().endswith(CONTAINER_SUFFIXES[container][:1]):
            return container
    return None


def read_quality(text: str | None) -> tuple[float | None, Target | None]:
    """Read ``--quality``: a number, a distance, or a target.

    Raises
    ------
    UsageError
        If it is none of these.
    """
    from napari_nic.recompression.lossy import Target, quality_of

    if text is None:
        return None, None
    kind, sign, rest = text.partition("=")
    try:
        number = float(rest if sign else text)
    except ValueError as error:
        raise _no_quality(text) from error
    if not sign:
        return number, None
    if kind == "distance":
        return quality_of(number), None
    if kind in ("ssim", "psnr", "cosine"):
        return None, Target(kind, number)  # type: ignore[arg-type] # one of these three
    raise _no_quality(text)


def _no_quality(text: str) -> arguments.UsageError:
    return arguments.UsageError(
        f"--quality {text} is no quality",
        expected="a number, or distance=1.0, ssim=0.97, psnr=38, cosine=0.99",
    )


def targets_of(paths: list[Path], args: argparse.Namespace, container: str) -> dict[Path, Path]:
    """Return what is written for each slide: names end as the container's do.

    Raises
    ------
    UsageError
        If one file was given for several slides.
    StoreError
        If two would be written to one place, or one over a slide.
    """
    arguments.require_folder(args.out, several=len(paths) > 1)
    out, suffix = Path(args.out), CONTAINER_SUFFIXES[container][0]
    is_file = len(paths) == 1 and known_suffix(out.name) and not (is_folder(out) and container != "ome-zarr")
    targets = {path: out if is_file else out / f"{slide_stem(path)}{suffix}" for path in paths}
    check_apart(targets)
    return targets


def work_on(
    path: Path,
    out: Path,
    plan: LossyPlan,
    args: argparse.Namespace,
    console: Console,
    token: CancellationToken,
) -> dict[str, Any]:
    """Write one slide anew, or say what that would come to; return it for JSON."""
    from napari_nic.recompression.lossy import estimate_lossy, recompress_lossy

    if not (args.dry_run or args.replace):
        check_free(out, overwrite=args.overwrite)
    print_programs(plan.options, console)
    options = plan.options
    if plan.target is not None:
        options = console.outcome(_find_quality(path, plan, args.workers, token, console), path.name)
    do = estimate_lossy if args.dry_run else recompress_lossy
    check = plan.check()
    job = do(path, out, options, check=check, workers=args.workers, token=token)
    report = console.outcome(job, path.name)
    print_report(report, console)
    return report.to_dict() | {"programs": _programs(plan.options), "quality_of_tiles": check.to_dict()}


def _find_quality(
    path: Path, plan: LossyPlan, workers: int | None, token: CancellationToken, console: Console
) -> Generator[Progress, None, LossyOptions]:
    """Find the quality that reaches the target on a slide."""
    from napari_nic.recompression.lossy import SourcePicture, find_settings

    assert plan.target is not None  # noqa: S101 -- for the type checker
    codec, settings = plan.options.load_codec()
    with closing(SourcePicture(path, mpp=plan.options.mpp, tile=plan.options.tile)) as picture:
        measure = _measure(plan, picture)
        found = yield from find_settings(
            picture, codec, settings, plan.target, measure, workers=workers, token=token
        )
    kind, value = plan.target.kind, plan.target.value
    console.result(
        f"{path.name}: quality {found.settings.quality:g} of {codec.name} reaches {kind} {value:g}: mean "
        f"{found.mean:.4f}, least {found.least:.4f} of {counted(found.sampled, 'sampled tile')}"
    )
    return replace(plan.options, quality=found.settings.quality)


def _measure(plan: LossyPlan, picture: Any) -> Any:
    from napari_nic.recompression import quality
    from napari_nic.recompression.lossy import CosineMeasure

    if plan.target is not None and plan.target.kind == "cosine":
        from napari_nic.encoders import load_encoder

        pixel = picture.slide.require_pixel_size()
        return CosineMeasure(load_encoder(plan.encoder), (pixel.y + pixel.x) / 2)
    return quality.ssim if plan.target is not None and plan.target.kind == "ssim" else quality.psnr


def _programs(options: LossyOptions) -> dict[str, str]:
    from napari_nic.recompression.lossy import opens_table

    return {
        title: answer.note or ("opens" if answer.opens else "does not open")
        for title, answer in opens_table(options)
    }


def print_programs(options: LossyOptions, console: Console) -> None:
    """Say which programs will open the result."""
    from napari_nic.recompression.lossy import opens_table

    rows = [
        (title, "yes" if answer.opens else "no", answer.note, answer.how)
        for title, answer in opens_table(options)
    ]
    console.table((f"opens {options.codec} in {options.container}", "", "note", "known by"), rows)


def print_report(report: LossyReport, console: Console) -> None:
    """Say what was written, or would be."""
    if report.kept:
        console.warning(f"note: {report.source} stays as it is: {report.kept}")
        return
    rows = [
        (
            f"{level.shape[0]} x {level.shape[1]}",
            f"{level.tiles:,}",
            f"{level.size:,}",
            f"{level.bits_per_pixel:.2f}",
            f"{level.glass:,}",
            ", ".join(f"{count:,} {why}" for why, count in level.better.items()),
        )
        for level in report.levels
    ]
    header = ("rows x columns", "tiles", "bytes", "bits a pixel", "all glass", "encoded better, why")
    console.table(header, rows)
    about, place = ("about ", "") if report.sampled else ("", f" -> {report.out}")
    saved = saving(report.saved)
    how = f"{report.codec} {report.quality:g}, {report.subsampling}"
    console.result(
        f"{report.source}{place}: {report.before:,} bytes, then {about}{report.after:,} ({saved}); {how}"
    )
    if report.codec.startswith(f"{NEURAL}:"):
        fallen = counted(sum(report.better.values()), "tile")
        console.result(f"{fallen} of {report.tiles:,} not good enough by the network: JPEG XL in their place")
    if report.failed:
        which = ", ".join(sorted({why for level in report.levels for why in level.failed}))
        console.warning(
            f"note: {counted(report.failed, 'tile')} did not pass the check ({which}), though encoded with "
            f"the best quality of {report.codec}; look there, or choose --codec jpegxl"
        )
    for note in report.notes:
        console.note(f"note: {note}")
    if report.resumed:
        console.result(f"{counted(report.resumed, 'tile')} of an earlier run were used again")
    if report.sampled:
        console.result(f"estimated from {counted(report.sampled, 'tile')}; nothing was written")
    elif report.after >= report.before:
        console.warning(
            f"note: {report.out} is not smaller than {report.source}, which was packed well already; try a "
            "lower --quality, or --mode repack or optimize, which lose nothing"
        )
