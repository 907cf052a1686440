"""The jobs of shrinking a slide: a preview, what the whole file would come to, the run with its report."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from napari_nic.disk import write_text
from napari_nic.errors import NicError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken, Outcome, Progress
from napari_nic.names import REPORT_SUFFIXES
from napari_nic.plugin.shrink_form import ShrinkForm
from napari_nic.plugin.worker import throttled
from napari_nic.recompression import recompress, try_sample
from napari_nic.recompression.glass import GlassOptions, KeptArea, iter_kept_area
from napari_nic.recompression.lossy import recompress_lossy
from napari_nic.recompression.quality import QualityCheck
from napari_nic.recompression.reporting import ReportOptions, RunFacts, compare_slides, report_page
from napari_nic.recompression.reporting.preview import Preview, SizeEstimate, estimate_size, preview
from napari_nic.slides import Slide
from napari_nic.tissue import TissueMask

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Asked:
    """What is to be done with a slide.

    Attributes
    ----------
    slide : Slide
    form : ShrinkForm
    mpp : float, optional
        um per pixel, where the file does not say and the user did.
    mask : TissueMask, optional
        The tissue as the user painted it.
    """

    slide: Slide
    form: ShrinkForm
    mpp: float | None = None
    mask: TissueMask | None = None

    @property
    def glass(self) -> GlassOptions | None:
        """What is taken for glass."""
        return self.form.glass(self.mpp, self.mask)


@dataclass(frozen=True, eq=False)
class Tried:
    """A preview and what the whole file would come to.

    Attributes
    ----------
    preview : Preview or None
        None with the second report, which brings the size.
    kept : KeptArea or None
        What is no glass, for the next preview.
    size : SizeEstimate or None
    """

    preview: Preview | None = None
    kept: KeptArea | None = None
    size: SizeEstimate | None = None


@dataclass(frozen=True)
class Shrunk:
    """A slide that was written anew.

    Attributes
    ----------
    out : Path
    before, after : int
        Bytes.
    tried_anew : int
        Tiles that were not as good as asked.
    page : Path or None
        The report.
    problem : str
        Why there is no report, where one was asked for.
    """

    out: Path
    before: int
    after: int
    tried_anew: int = 0
    page: Path | None = None
    problem: str = ""

    @property
    def saved(self) -> float:
        """Share of the bytes."""
        return 1 - self.after / self.before if self.before else 0.0


def try_job(
    asked: Asked, seen: RegionPx, level: int, kept: KeptArea | None, token: CancellationToken
) -> Generator[Tried, None, None]:
    """Show what is seen before and after, then say what the whole file would come to."""
    options, through = asked.glass, asked.form.through()
    if options is not None and kept is None:
        finding = Outcome(iter_kept_area(asked.slide, options, token=token))
        for _ in finding:
            pass
        kept = finding.value[0]
    used = None if options is None else kept
    yield Tried(preview(asked.slide, seen, level, through, used, token=token), used)
    yield Tried(size=_sized(asked, used, token))


def _sized(asked: Asked, kept: KeptArea | None, token: CancellationToken) -> SizeEstimate:
    through, slide = asked.form.through(), asked.slide
    if through is not None:
        return _result(estimate_size(slide, through, kept, token=token))
    sample = try_sample(slide.path, slide.path, asked.form.mode, glass=asked.glass, workers=1, token=token)
    found = _result(sample)
    return SizeEstimate(found.before, found.after, found.sampled, found.tiles)


def _result(job: Generator[Any, None, T]) -> T:
    outcome = Outcome(job)
    for _ in outcome:
        pass
    return outcome.value


def shrink_job(asked: Asked, out: Path, token: CancellationToken) -> Generator[Progress, None, Shrunk]:
    """Write the slide anew, and the report beside it; yields progress now and then."""
    job = Outcome(_shrink(asked, out, token))
    yield from throttled(job, lambda _, newer: newer)
    return job.value


def _shrink(asked: Asked, out: Path, token: CancellationToken) -> Generator[Progress, None, Shrunk]:
    form, slide, check = asked.form, asked.slide, QualityCheck(asked.form.bounds())
    run: RunFacts | None = None
    if form.is_lossy:
        lossy = yield from recompress_lossy(
            slide.path, out, form.lossy(asked.mpp, asked.mask), check=check, token=token
        )
        run = RunFacts.of(check.to_dict(), lossy.encode_seconds)
        done = Shrunk(out, lossy.before, lossy.after, sum(tally.fell_back for tally in check.levels.values()))
    else:
        packed = yield from recompress(slide.path, out, form.mode, glass=asked.glass, token=token)
        done = Shrunk(out, packed.before, packed.after)
    if not form.report:
        return done
    try:
        page = yield from _report(asked, out, run, token)
    except NicError as error:
        if token.cancelled:
            return done  # the slide is written, which was what was asked for
        return Shrunk(done.out, done.before, done.after, done.tried_anew, problem=error.problem)
    return Shrunk(done.out, done.before, done.after, done.tried_anew, page)


def _report(
    asked: Asked, out: Path, run: RunFacts | None, token: CancellationToken
) -> Generator[Progress, None, Path]:
    options = ReportOptions(mpp=asked.mpp)
    found = yield from compare_slides(asked.slide.path, out, options, token=token)
    page, numbers = (out.with_name(f"{out.name}.report{suffix}") for suffix in REPORT_SUFFIXES)
    write_text(page, report_page(found, run=run))
    facts = found.to_dict() | ({} if run is None else run.to_dict())
    write_text(numbers, json.dumps(facts, indent=2, allow_nan=False) + "\n")
    return page
