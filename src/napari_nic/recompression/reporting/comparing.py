"""Compare two files of one slide: what they take, how they look at each magnification, what networks see."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.encoders import list_encoders, load_encoder
from napari_nic.errors import CancelledError, InvalidParameterError, NicError
from napari_nic.jobs import CancellationToken, Progress, checked
from napari_nic.recompression.quality.judging import Measures, measure
from napari_nic.recompression.quality.metrics import ms_ssim
from napari_nic.recompression.reporting.drift import (
    EmbeddingDrift,
    PredictionDrift,
    embedding_drift,
    prediction_drift,
)
from napari_nic.recompression.reporting.stored import StoredLevel, size_of, stored_levels
from napari_nic.recompression.reporting.views import (
    MAGNIFICATIONS,
    SIDE,
    View,
    check_same_frame,
    choose_views,
    plan_sampling,
)
from napari_nic.slides import RgbArray, Slide, open_slide
from napari_nic.tissue import TissueMask, iter_find_tissue

WORST = 6
"""Views that are shown."""

TIMED_TILES = 64
"""Tiles that are decoded to take the time."""


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """What is compared.

    Attributes
    ----------
    views : int
        Places at each magnification, and patches of each encoder, at most.
    encoders : tuple of str, optional
        By default all that are at hand.
    models : tuple of str
        Names or folders of models of slides; both slides are compressed for them, which takes its time.
    mpp : float, optional
        um per pixel of level 0, where the slide does not say.
    """

    views: int = 24
    encoders: tuple[str, ...] | None = None
    models: tuple[str, ...] = ()
    mpp: float | None = None

    def __post_init__(self) -> None:
        if self.views < 1:
            raise InvalidParameterError("at least one view is compared", found=str(self.views))


@dataclass(frozen=True, eq=False)
class ComparedView:
    """A place before and after.

    Attributes
    ----------
    magnification : float
    view : View
    measures : Measures
    ms_ssim : float
    before, after : ndarray of uint8, (side, side, 3)
    """

    magnification: float
    view: View
    measures: Measures
    ms_ssim: float
    before: RgbArray = field(repr=False)
    after: RgbArray = field(repr=False)


@dataclass(frozen=True)
class Quality:
    """The views of one magnification.

    Attributes
    ----------
    magnification, mpp : float
        What was asked for, and um per pixel that came of it.
    views : int
    ssim, ms_ssim, color : (float, float)
        Mean and worst over views; colour: largest distance of local means in CIELAB.
    psnr : (float, float) or None
        Mean and least over views that are not equal, dB; None if all are.
    faulty : int
        Views with a fault of colour or place.
    """

    magnification: float
    mpp: float
    views: int
    ssim: tuple[float, float]
    ms_ssim: tuple[float, float]
    psnr: tuple[float, float] | None
    color: tuple[float, float]
    faulty: int

    @classmethod
    def of(cls, magnification: float, mpp: float, views: Sequence[ComparedView]) -> Quality:
        """Sum views up."""
        from napari_nic.recompression.quality.faults import FaultLimits

        found = [view.measures for view in views]
        ssim, whole = [one.ssim for one in found], [view.ms_ssim for view in views]
        psnr = [one.psnr for one in found if np.isfinite(one.psnr)]
        color, limits = [one.color for one in found], FaultLimits()
        return cls(
            magnification,
            mpp,
            len(views),
            (float(np.mean(ssim)), min(ssim)),
            (float(np.mean(whole)), min(whole)),
            (float(np.mean(psnr)), min(psnr)) if psnr else None,
            (float(np.mean(color)), max(color)),
            sum(bool(one.faults.beyond(limits)) for one in found),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        pairs = {"ssim": self.ssim, "ms_ssim": self.ms_ssim, "psnr": self.psnr, "color": self.color}
        facts = {
            name: None if pair is None else {"mean": pair[0], "worst": pair[1]}
            for name, pair in pairs.items()
        }
        head = {"magnification": self.magnification, "mpp": self.mpp, "views": self.views}
        return head | facts | {"faulty": self.faulty}


@dataclass(frozen=True, eq=False)
class SlideComparison:
    """All that is found of two files.

    Attributes
    ----------
    before, after : Path
    sizes : (int, int)
        Bytes of both.
    levels : (tuple of StoredLevel, tuple of StoredLevel)
    qualities : tuple of Quality
        Finest first; magnifications that the slide is too small or too coarse for are left out.
    worst : tuple of ComparedView
        Of least SSIM.
    drifts : tuple of EmbeddingDrift
    predictions : tuple of PredictionDrift
    decode_ms : (float or None, float or None)
        Mean time to decode a stored tile; None without any.
    left_out : dict of str to str
        Encoders that were not asked, and why.
    tissue : str
        How the tissue was found in which views lie.
    """

    before: Path
    after: Path
    sizes: tuple[int, int]
    levels: tuple[tuple[StoredLevel, ...], tuple[StoredLevel, ...]]
    qualities: tuple[Quality, ...]
    worst: tuple[ComparedView, ...]
    drifts: tuple[EmbeddingDrift, ...]
    predictions: tuple[PredictionDrift, ...]
    decode_ms: tuple[float | None, float | None]
    left_out: dict[str, str]
    tissue: str

    @property
    def saved(self) -> float:
        """Share of the bytes."""
        return 1 - self.sizes[1] / self.sizes[0] if self.sizes[0] else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON; without pictures."""
        return {
            "before": self._file(0),
            "after": self._file(1),
            "saved": self.saved,
            "tissue": self.tissue,
            "quality": [one.to_dict() for one in self.qualities],
            "worst": [_place(one) for one in self.worst],
            "embedding_drift": [one.to_dict() for one in self.drifts],
            "prediction_drift": [one.to_dict() for one in self.predictions],
            "left_out": self.left_out,
        }

    def _file(self, number: int) -> dict[str, Any]:
        return {
            "path": str((self.before, self.after)[number]),
            "bytes": self.sizes[number],
            "levels": [level.to_dict() for level in self.levels[number]],
            "decode_ms_per_tile": self.decode_ms[number],
        }


def compare_slides(
    before: Path,
    after: Path,
    options: ReportOptions | None = None,
    *,
    workers: int = 1,
    token: CancellationToken | None = None,
) -> Generator[Progress, None, SlideComparison]:
    """Compare two files of one slide.

    Parameters
    ----------
    before, after : Path
        Anything that opens as a slide. Views lie where `before` has tissue, off the grid of its tiles.
    options : ReportOptions, optional
    workers : int
        Threads that look for tissue.
    token : CancellationToken, optional

    Yields
    ------
    Progress

    Raises
    ------
    InvalidParameterError
        If they are of different sizes, or there is no tissue.
    MissingPixelSizeError
        If `before` does not say its pixel size, and `options` neither.
    CancelledError
    """
    options = options or ReportOptions()
    with open_slide(before, mpp=options.mpp) as one, open_slide(after) as opened:
        other = opened.with_pixel_size(one.require_pixel_size())
        check_same_frame(one, other)
        tissue = yield from iter_find_tissue(one, workers=workers, token=token)
        if not tissue.mask.any():
            raise InvalidParameterError(
                "no tissue was found on the slide: there is nothing to look at", path=before
            )
        qualities, worst = yield from _all_views(one, other, tissue, options, token)
        left_out: dict[str, str] = {}
        drifts = yield from _drifts(one, other, tissue, options, left_out, token)
        predictions: list[PredictionDrift] = []
        for model in options.models:
            found = yield from prediction_drift(one, other, model, token=token)
            predictions.append(found)
        return SlideComparison(
            before,
            after,
            (size_of(before), size_of(after)),
            (stored_levels(one), stored_levels(other)),
            tuple(qualities),
            tuple(worst),
            tuple(drifts),
            tuple(predictions),
            (_decode_ms(one, token), _decode_ms(other, token)),
            left_out,
            tissue.method,
        )


def _all_views(
    one: Slide, other: Slide, tissue: TissueMask, options: ReportOptions, token: CancellationToken | None
) -> Generator[Progress, None, tuple[list[Quality], list[ComparedView]]]:
    qualities: list[Quality] = []
    worst: list[ComparedView] = []
    for done, magnification in enumerate(MAGNIFICATIONS):
        yield Progress(done, len(MAGNIFICATIONS), "comparing views", "magnifications")
        found = yield from _views_at(magnification, (one, other), tissue, options, token)
        if found is None:
            continue
        qualities.append(found[0])
        ordered = sorted([*worst, *found[1]], key=lambda view: view.measures.ssim)
        worst = [view for view in ordered if view.measures.ssim < 1][:WORST]
    return qualities, worst


def _views_at(
    magnification: float,
    slides: tuple[Slide, Slide],
    tissue: TissueMask,
    options: ReportOptions,
    token: CancellationToken | None,
) -> Generator[Progress, None, tuple[Quality, list[ComparedView]] | None]:
    one, other = slides
    sampling = plan_sampling(one, one.require_pixel_size(), 10 / magnification)
    views = [] if sampling is None else choose_views(one, tissue, sampling, side=SIDE, count=options.views)
    if sampling is None or not views:
        return None
    compared = []
    for done, view in enumerate(checked(views, token)):
        yield Progress(done, len(views), f"comparing views at {magnification:g}x", "views")
        pixels = view.read(one), view.read(other)
        compared.append(
            ComparedView(magnification, view, measure(*pixels), ms_ssim(*pixels), pixels[0], pixels[1])
        )
    return Quality.of(magnification, sampling.mpp, compared), compared


def _drifts(
    one: Slide,
    other: Slide,
    tissue: TissueMask,
    options: ReportOptions,
    left_out: dict[str, str],
    token: CancellationToken | None,
) -> Generator[Progress, None, list[EmbeddingDrift]]:
    """Ask each encoder; one that cannot be had is left out, unless it was named."""
    names = [spec.name for spec in list_encoders()] if options.encoders is None else options.encoders
    drifts = []
    for done, name in enumerate(checked(names, token)):
        yield Progress(done, len(names), "comparing codes", "encoders")
        try:
            encoder = load_encoder(name)
            found = embedding_drift(one, other, tissue, encoder, count=options.views, token=token)
        except NicError as error:
            if options.encoders is not None or isinstance(error, CancelledError):
                raise
            left_out[name] = error.problem
            continue
        if found is None:
            left_out[name] = (
                f"the slide is too coarse or too small for patches of {encoder.spec.patch_size} px"
            )
        else:
            drifts.append(found)
    return drifts


def _decode_ms(slide: Slide, token: CancellationToken | None) -> float | None:
    """Take the time of decoding stored tiles of level 0, spread over it, past all caches."""
    rows, cols = slide.levels[0].tile_grid
    numbers = np.unique(np.linspace(0, rows * cols - 1, TIMED_TILES).astype(int))
    seconds, tiles = 0.0, 0
    for number in checked(numbers, token):
        begin = time.perf_counter()
        if slide.read_stored_tile(0, *divmod(int(number), cols)) is not None:
            seconds, tiles = seconds + time.perf_counter() - begin, tiles + 1
    return 1000 * seconds / tiles if tiles else None


def _place(view: ComparedView) -> dict[str, Any]:
    region = view.view.region
    return {
        "magnification": view.magnification,
        "level": view.view.level,
        "y": region.y,
        "x": region.x,
        "side": region.height,
        "ms_ssim": view.ms_ssim,
        **view.measures.to_dict(),
    }
