"""``napari-nic import``: other programs' features in, compressed slides out."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_nic.cli import arguments
from napari_nic.cli.batch import describe
from napari_nic.cli.console import Console, of_system
from napari_nic.cli.inputs import expand
from napari_nic.cli.interrupt import RESUMABLE, stoppable
from napari_nic.errors import NicError, SlideNotFoundError, StoreError
from napari_nic.names import STORE_SUFFIX, check_apart, has_suffix, is_folder, safe_name, slide_stem

if TYPE_CHECKING:
    from napari_nic.embeddings import ImportHints
    from napari_nic.embeddings.interchange import FeatureImport, ImportedStore
    from napari_nic.jobs import CancellationToken
    from napari_nic.slides import SlideFolder

DESCRIPTION = """\
Make compressed slides of features that another program wrote: TRIDENT, CLAM, STAMP, LazySlide, slide2vec,
TIAToolbox and others, by file or by the program's own folder. With the slide at hand (--slides) each patch is
placed where it was cut. A file that was imported before is not imported again."""

HEADER = ("file", "format", "patches", "grid", "largest shift", "left out", "slide", "store")


def add_parser(commands: arguments.Subparsers) -> None:
    """Add the command."""
    parser = arguments.add_command(
        commands, "import", run, "Make compressed slides of other programs' features", description=DESCRIPTION
    )
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="of features, a folder of them, a program's job folder, a pattern",
    )
    arguments.add_out(parser, f"folder, or for one file a name ending in {STORE_SUFFIX}", required=True)
    parser.add_argument(
        "--slides", metavar="FOLDER", help="in which, or below which, the slides lie; or the one slide"
    )
    arguments.add_slide_options(parser)
    _add_tables(parser)
    parser.add_argument(
        "--jobs",
        type=arguments.positive_int,
        default=1,
        metavar="N",
        help="files that are imported at a time; default: 1",
    )
    arguments.add_overwrite(parser, "import again what is there")
    arguments.add_json(parser)


def _add_tables(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("features", "what their files do not say")
    group.add_argument("--format", metavar="NAME", help="default: recognised from the file")
    group.add_argument(
        "--features", metavar="NAME", help="which, where a folder or a file holds those of several encoders"
    )
    group.add_argument(
        "--coords",
        metavar="PATH",
        help="file of the patches' places, or the folder of these files, where it is not beside the features",
    )
    group.add_argument("--patch-size", type=arguments.positive_int, metavar="PX", help="side of a patch")
    group.add_argument("--stride", type=arguments.positive_int, metavar="PX", help="distance of patches")
    group.add_argument(
        "--target-mpp", type=arguments.positive, metavar="UM", help="um per pixel of patch and stride"
    )


def run(args: argparse.Namespace, console: Console) -> int:
    """Import each file."""
    from napari_nic.embeddings.interchange import IMPORTERS

    if args.format is not None:
        IMPORTERS.get(args.format)  # says which there are
    with stoppable(console, ending=RESUMABLE) as token:
        task = _Task(args, console, token)
        jobs = task.jobs()
        try:
            task.run(jobs)
        finally:
            task.sum_up()
    return 1 if task.failed else 0


@dataclass
class _Task:
    """The files of one command, and what became of them."""

    args: argparse.Namespace
    console: Console
    token: CancellationToken
    records: list[dict[str, Any]] = field(default_factory=list)
    rows: list[tuple[object, ...]] = field(default_factory=list)
    failed: list[Path] = field(default_factory=list)

    def jobs(self) -> list[FeatureImport]:
        """Find files, slides and places; what has no slide is told."""
        sources = _sources(self.args, self.token)
        arguments.require_folder(self.args.out, several=len(sources) > 1)
        arguments.require_own("--coords", self.args.coords, several=len(sources) > 1)
        slides = _slides(self.args, self.token)
        found: list[FeatureImport] = []
        for path, features in sources.items():
            try:
                found.append(_job(path, features, slides, self.args, several=len(sources) > 1))
            except NicError as error:
                self._fail(path, error)
        self._tell_other_name(found, slides)
        check_apart({job.source: job.target for job in found})
        return found

    def _tell_other_name(self, jobs: Sequence[FeatureImport], slides: SlideFolder | None) -> None:
        """Say that the one slide that was named is not the one that the features are called after."""
        from napari_nic.embeddings.interchange import slide_name_of

        if slides is None or slides.only is None or len(jobs) != 1:
            return
        source, slide = jobs[0].source, slides.only
        if slides.find(slide_name_of(source)) is None:
            self.console.warning(f"note: {source.name} is called after another slide than {slide.name}")

    def run(self, jobs: Sequence[FeatureImport]) -> None:
        """Import them."""
        from napari_nic.embeddings.interchange import import_each
        from napari_nic.slides import open_slide

        opener = partial(open_slide, **arguments.slide_options(self.args))
        options = {"overwrite": self.args.overwrite, "workers": self.args.jobs, "token": self.token}
        reports = import_each(jobs, opener=opener, **options)
        for report in self.console.follow(reports, "importing"):
            if report.job is not None and report.imported is not None:
                self._done(report.job, report.imported)
            elif report.job is not None and report.error is not None:
                self._fail(report.job.source, report.error)

    def sum_up(self) -> None:
        """Print what was imported, and what was not."""
        if self.console.as_json:
            self.console.json(self.records)
        elif self.rows:
            self.console.table(HEADER, self.rows)
        if self.failed and len(self.records) > 1:
            names = ", ".join(str(path) for path in self.failed)
            self.console.error(f"{len(self.failed)} of {len(self.records)} failed: {names}")

    def _done(self, job: FeatureImport, made: ImportedStore) -> None:
        grid, header = made.header.grid, made.header
        if outlines := header.tissue.get("outlines"):
            self.console.note(f"{job.source.name}: tissue is outlined in {outlines}")
        state = "" if made.is_new else " (complete already)"
        self.rows.append(
            (
                *(job.source.name, made.format, f"{made.encoded:,}", f"{grid.rows} x {grid.cols}"),
                _shift(made),
                f"{made.left_out:,}" if made.left_out else "none",
                job.slide.name if job.slide else "not given",
                f"{job.target.name}{state}",
            )
        )
        self.records.append({"input": str(job.source), "ok": True} | _record(job, made))

    def _fail(self, path: Path, failure: NicError | OSError) -> None:
        error = failure if isinstance(failure, NicError) else of_system(failure, path)
        self.console.error(error)
        self.failed.append(path)
        self.records.append({"input": str(path), "ok": False, "error": describe(error)})


def _record(job: FeatureImport, made: ImportedStore) -> dict[str, Any]:
    header = made.header
    return {
        "store": str(job.target),
        "new": made.is_new,
        "format": made.format,
        "slide": job.slide and str(job.slide),
        "encoder": header.encoder_name,
        "code_size": header.code_size,
        "patches": made.encoded,
        "left_out": made.left_out,
        "rows": header.grid.rows,
        "cols": header.grid.cols,
        "stride_px": header.grid.stride_px,
        "largest_shift_px": made.largest_shift_px,
        "tissue_outlines": header.tissue.get("outlines"),
    }


def _shift(made: ImportedStore) -> str:
    if not made.largest_shift_px:
        return "none"
    step = made.header.grid.stride_px * made.header.grid.downsample[0]
    return f"{made.largest_shift_px:.4g} px ({made.largest_shift_px / step:.2f} of a step)"


def _sources(args: argparse.Namespace, token: CancellationToken) -> dict[Path, str | None]:
    """File of features -> what is to be chosen within it."""
    found: dict[Path, tuple[Path, str | None]] = {}
    for given in (path for argument in args.files for path in expand(argument)):
        for path, features in _within(given, args.features, token):
            found.setdefault(Path(os.path.abspath(path)), (path, features))  # noqa: PTH100 - links keep names
    return dict(found.values())


def _within(given: Path, features: str | None, token: CancellationToken) -> Iterator[tuple[Path, str | None]]:
    from napari_nic.embeddings.interchange import find_feature_files

    if not is_folder(given) or has_suffix(given, ".zarr"):
        yield given, features
        return
    files = find_feature_files(given, features, token=token)
    if not files.paths:
        raise StoreError(
            "no files of features in this folder",
            path=given,
            expected=".h5, .pt, .npz, .npy, .h5ad, .parquet, or .zarr folders",
            hint="name the folder that the other program wrote its features to",
        )
    yield from ((path, files.features) for path in files.paths)


def _slides(args: argparse.Namespace, token: CancellationToken) -> SlideFolder | None:
    from napari_nic.slides import SlideFolder

    return None if args.slides is None else SlideFolder.of(Path(args.slides), token)


def _job(
    path: Path, features: str | None, slides: SlideFolder | None, args: argparse.Namespace, *, several: bool
) -> FeatureImport:
    from napari_nic.embeddings.interchange import FeatureImport, slide_stem_of

    slide, scene = (None, "") if slides is None else _slide_of(path, slides, several=several)
    name = f"{slide_stem(slide)}{scene}" if slide else slide_stem_of(path)
    out = Path(args.out)
    target = out if has_suffix(out, STORE_SUFFIX) else out / f"{safe_name(name)}{STORE_SUFFIX}"
    return FeatureImport(path, target, slide, _hints(features, args, slide), args.format)


def _slide_of(path: Path, slides: SlideFolder, *, several: bool) -> tuple[Path, str]:
    """Find the slide that features are called after; of one of its scenes, with what the name adds."""
    from napari_nic.embeddings.interchange import scene_of, slide_name_of

    name = slide_name_of(path)
    if slides.only and not several:
        return slides.only, ""
    slide, scene = slides.find(name), scene_of(name)
    if slide is None and scene is not None and (whole := slides.find(scene[0])) is not None:
        return whole, scene[1]
    if slide is None:
        raise SlideNotFoundError(
            "no slide of this name",
            path=path,
            expected=f"{name} in {slides.path}, or below it",
            hint="name another folder, or the slide itself (--slides)",
        )
    return slide, ""


def _hints(features: str | None, args: argparse.Namespace, slide: Path | None) -> ImportHints:
    from napari_nic.embeddings import ImportHints
    from napari_nic.geometry import GIVEN, PixelSize

    given = args.mpp if slide is None else None
    return ImportHints(
        pixel_size=None if given is None else PixelSize(given, given, GIVEN),
        patch_size=args.patch_size,
        stride=args.stride,
        mpp=args.target_mpp,
        features=features,
        coords=None if args.coords is None else Path(args.coords),
    )
