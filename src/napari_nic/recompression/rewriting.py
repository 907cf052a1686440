"""Write a slide anew with its JPEG tiles packed better, and everything else as it was.

What is written lies in a hidden folder beside the result, until it was read again as a whole.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic import __version__
from napari_nic.disk import replacing, writing_to
from napari_nic.errors import DamagedSlideError, InvalidParameterError, StoreError, UnreadableSlideError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.recompression.codecs import Optimize, TileCodec, load_codec
from napari_nic.recompression.deidentifying import (
    Deidentification,
    check_elsewhere,
    deidentified_file,
    write_deidentified,
)
from napari_nic.recompression.glass import GlassOptions, GlassPlan, plan_glass
from napari_nic.recompression.plan import make_plan, with_painting
from napari_nic.recompression.report import SlideReport
from napari_nic.recompression.restoring import check_whole
from napari_nic.recompression.showing import check_shown, shown_of
from napari_nic.recompression.source import TiffSource
from napari_nic.recompression.unfinished import FinishedTiles, digest, kept_folder
from napari_nic.recompression.workers import threads_for
from napari_nic.recompression.writing import Writing


def recompress(
    slide: Path,
    out: Path,
    mode: str = "repack",
    *,
    glass: GlassOptions | None = None,
    deidentify: Deidentification | None = None,
    workers: int | None = None,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, SlideReport]:
    """Write a slide anew, without any loss but that of its glass, where that is wanted.

    Parameters
    ----------
    slide : Path
        A TIFF of any dialect, such as SVS.
    out : Path
        The file to write; what is there is replaced. If it is the slide itself, the original gives way
        once the result was verified as a whole, and only to one that is smaller.
    mode : {"repack", "optimize", "progressive"}
    glass : GlassOptions, optional
        Leave tiles of glass out, and make the glass of others white; not with the mode "repack". Pixels
        of tissue and of the margin around it stay exactly what they are. By default all glass is kept.
    deidentify : Deidentification, optional
        Leave out label, macro and whatever of the metadata may name somebody. What the mode "repack" gives
        back is then the slide without them. By default all is kept.
    workers : int, optional
        Threads; by default one per core that this process may use.
    token : CancellationToken, optional

    Yields
    ------
    Progress

    Returns
    -------
    SlideReport

    Raises
    ------
    UnreadableSlideError
        If the slide is no TIFF file, or none that can be written anew, or shown once it is repacked.
    DamagedSlideError
        If it is cut off, or changes meanwhile.
    InvalidParameterError
        If glass is to be removed by a mode that gives the original back, or there is no tissue; if a slide
        is to be replaced by one without its names.
    MissingPixelSizeError, UnsupportedPixelsError
        If glass is to be removed of a slide of unknown pixel size, or whose glass is dark.
    StoreError
        If the result cannot be written, or is not what was written once it is read again.
    CancelledError
        If `token` was cancelled. What was finished is kept beside `out`, and the same call goes on with it.
    """
    codec, threads = _codec(mode, glass), threads_for(workers)
    if deidentify is None:
        return (yield from _recompress(slide, out, codec, glass, threads, token))
    check_elsewhere(slide, out)
    with deidentified_file(out) as plain:
        yield from write_deidentified(slide, plain, deidentify, token)
        report = yield from _recompress(plain, out, codec, glass, threads, token, name=out.name)
        return replace(report, source=slide, before=slide.stat().st_size, deidentified=True)


def _recompress(
    slide: Path,
    out: Path,
    codec: TileCodec,
    glass: GlassOptions | None,
    threads: int,
    token: CancellationToken | None,
    *,
    name: str = "",
) -> Generator[Progress, None, SlideReport]:
    """Write a slide anew; `name` is what a file without names is called."""
    with TiffSource(slide) as source:
        shown = shown_of(slide) if codec.keeps_bytes else None
        plans = yield from make_plan(source, codec, workers=threads, token=token)
        removed = yield from _plan_glass(source, glass, threads, token)
        plans = [plan if removed is None else with_painting(plan, removed) for plan in plans]
        is_replaced = out.exists() and out.samefile(slide)
        out = out.resolve() if out.is_symlink() else out
        facts = _facts(source, codec, removed)
        with (
            writing_to(out),
            kept_folder(out) as folder,
            closing(FinishedTiles(folder, out.name, facts)) as finished,
        ):
            writing = Writing(source, codec, plans, threads, token, finished, removed, name)
            with finished.result.open("wb+") as stream:
                yield from writing.run(stream, out)
            source.check_unchanged()
            yield from _read_again(finished.result, out, deep=is_replaced, workers=threads, token=token)
            check_shown(shown, finished.result, out)
            source.check_unchanged()
            report = writing.report(out, finished.result.stat().st_size)
            if is_replaced and report.after >= report.before:
                kept = "the result would not be smaller"
                return SlideReport(codec.mode, slide, out, source.size, source.size, (), kept=kept)
            with replacing(out) as temporary:
                finished.result.rename(temporary)
        return report


def _facts(source: TiffSource, codec: TileCodec, glass: GlassPlan | None) -> dict[str, Any]:
    """Return what decides how the bytes of a tile are packed, beside themselves."""
    tags = [(tag.code, tag.kind, tag.count, tag.data) for one in source.layout.every() for tag in one.tags]
    kept = "" if glass is None else digest(np.packbits(glass.kept.mask).tobytes())
    place = "" if glass is None else repr((glass.kept.mask.shape, glass.kept.placement, glass.fill))
    return {
        "program": __version__,
        "mode": codec.mode,
        "directories": digest(repr((source.layout.form, tags)).encode()),
        "glass": [kept, place],
    }


def try_sample(
    slide: Path,
    out: Path,
    mode: str = "repack",
    *,
    glass: GlassOptions | None = None,
    workers: int | None = None,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, SlideReport]:
    """Say what :func:`recompress` would come to, from a sample of tiles; nothing is written.

    Parameters and errors are the same.
    """
    codec, threads = _codec(mode, glass), threads_for(workers)
    with TiffSource(slide) as source:
        plans = yield from make_plan(source, codec, workers=threads, token=token)
        removed = yield from _plan_glass(source, glass, threads, token)
        pages = [plan.estimate(removed) for plan in plans]
        saved = sum(page.before - page.after for page in pages)
        sampled = sum(plan.sampled for plan in plans)
        size, tissue = source.size - saved, "" if removed is None else removed.method
        return SlideReport(mode, slide, out, source.size, size, pages, sampled, tissue=tissue)


def _codec(mode: str, glass: GlassOptions | None) -> TileCodec:
    codec = load_codec(mode)
    if glass is not None and not isinstance(codec, Optimize):
        raise InvalidParameterError(
            f"the mode {mode} gives the original back, glass too: none can be removed",
            hint="choose the mode optimize or progressive, or keep the glass",
        )
    return codec


def _plan_glass(
    source: TiffSource, glass: GlassOptions | None, workers: int, token: CancellationToken | None
) -> Generator[Progress, None, GlassPlan | None]:
    if glass is None:
        return None
    return (yield from plan_glass(source.path, source.pages, glass, workers=workers, token=token))


def _read_again(
    written: Path, out: Path, *, deep: bool, workers: int, token: CancellationToken | None
) -> Iterator[Progress]:
    """Check a file that was just written, before it gets its name."""
    try:
        yield from check_whole(written, deep=deep, workers=workers, token=token)
    except (DamagedSlideError, UnreadableSlideError) as error:
        raise StoreError(
            "what was written is something else once it is read again; it was not kept",
            path=out,
            found=error.found or error.problem,
            hint="check the disk and the memory of this machine; the slide is as it was",
        ) from error
