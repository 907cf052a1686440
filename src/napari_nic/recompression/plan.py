"""Which pages of a slide are packed anew: tried on a sample of their tiles."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field, replace

from napari_nic.errors import UnreadableSlideError
from napari_nic.jobs import CancellationToken, Progress
from napari_nic.recompression.codecs import SMALL_ALREADY, TileCodec
from napari_nic.recompression.glass import GlassPlan, Verdict
from napari_nic.recompression.layout import Segment
from napari_nic.recompression.recipe import TAG, recipe_of
from napari_nic.recompression.report import PageReport
from napari_nic.recompression.source import Page, TiffSource
from napari_nic.recompression.workers import in_order

NOT_SMALLER = "would not become smaller"
"""Why all tiles of a page are copied."""

SAMPLE = 48
"""Tiles of a page that are tried."""

MAX_TILE_BYTES = 2**26
"""Larger JPEG streams are copied: they would be in memory several times over."""


@dataclass(frozen=True)
class PagePlan:
    """What is done with a page.

    Attributes
    ----------
    page : Page
    copied : str
        Why all its tiles are copied; empty if they are packed anew.
    ratio : float
        Size of the sample's tiles after and before.
    sampled : int
        Tiles that were tried.
    reasons : Counter of str
        Tiles of the sample that would be copied, by why.
    """

    page: Page
    copied: str = ""
    ratio: float = 1.0
    sampled: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def estimate(self, glass: GlassPlan | None = None) -> PageReport:
        """Return what the whole page would come to, if all its tiles are like the sample.

        Tiles that are left out are known, and count exactly; what painting saves is not counted.
        """
        there = {s for s in self.page.segments if s.length}
        is_left = {s: glass is not None and glass.verdict(self.page, s) is Verdict.EMPTY for s in there}
        segments = {segment for segment in there if not is_left[segment]}
        before, kept = self.page.stored_bytes(), sum(segment.length for segment in segments)
        copied: Counter[str] = Counter()
        if self.copied:
            copied[self.copied] = len(segments)
        elif self.sampled:
            share = len(segments) / self.sampled
            copied.update({reason: round(count * share) for reason, count in self.reasons.items()})
        report = PageReport.of(self.page, before, round(kept * self.ratio), len(segments), copied)
        if glass is None:
            return report
        counts = glass.counts(self.page)
        return replace(report, emptied=counts[Verdict.EMPTY], painted=counts[Verdict.PAINT])


def make_plan(
    source: TiffSource, codec: TileCodec, *, workers: int = 1, token: CancellationToken | None = None
) -> Generator[Progress, None, list[PagePlan]]:
    """Try a sample of each page's tiles.

    A page that would not become smaller is copied, and so are pages whose tiles are no JPEG.

    Raises
    ------
    UnreadableSlideError
        If the file is one that the program has written already.
    """
    if recipe_of(source.layout, source.path) is not None or _has_tag(source):
        raise UnreadableSlideError(
            "the slide was packed anew already",
            path=source.path,
            hint="bring the original back first (napari-nic restore), or leave it as it is",
        )
    plans: list[PagePlan] = []
    for page in source.pages:
        yield Progress(len(plans), len(source.pages), "trying a sample of tiles", "pictures")
        plans.append(_plan_page(source, page, codec, workers, token))
    return plans


def with_painting(plan: PagePlan, glass: GlassPlan) -> PagePlan:
    """Have all tiles of a page coded, where some are painted.

    Tiles that are coded bring tables of their own, and all of a page must then; see `Optimize.encode`.
    """
    is_small = plan.copied in (NOT_SMALLER, SMALL_ALREADY)
    return replace(plan, copied="") if is_small and glass.counts(plan.page)[Verdict.PAINT] else plan


def _has_tag(source: TiffSource) -> bool:
    return any(page.directory.tag(TAG) is not None for page in source.pages)


def _plan_page(
    source: TiffSource, page: Page, codec: TileCodec, workers: int, token: CancellationToken | None
) -> PagePlan:
    if page.not_jpeg:
        return PagePlan(page, page.not_jpeg)
    chosen = sample_of(page)
    if not chosen:
        return PagePlan(page, "missing or too large")
    before = after = 0
    reasons: Counter[str] = Counter()
    tiles = (source.read(segment.offset, segment.length) for segment in chosen)
    for tile, coded in in_order(
        lambda tile: (tile, codec.encode(page, tile)), tiles, workers=workers, token=token
    ):
        before, after = before + len(tile), after + len(coded.data)
        if coded.copied:
            reasons[coded.copied] += 1
    if sum(reasons.values()) == len(chosen) or after >= before:
        why = reasons.most_common(1)[0][0] if reasons.total() == len(chosen) else NOT_SMALLER
        return PagePlan(page, why, 1.0, len(chosen))
    return PagePlan(page, "", after / before, len(chosen), reasons)


def sample_of(page: Page) -> list[Segment]:
    """Return tiles of a page, drawn at random but the same ones every time.

    Evenly spaced ones would all lie in a few columns, of which some are glass from top to bottom.
    """
    there = sorted(
        {s for s in page.segments if 0 < s.length <= MAX_TILE_BYTES}, key=lambda segment: segment.offset
    )
    if len(there) <= SAMPLE:
        return there
    return sorted(random.Random(len(there)).sample(there, SAMPLE), key=lambda segment: segment.offset)  # noqa: S311 -- no secret
