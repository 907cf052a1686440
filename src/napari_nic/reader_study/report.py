"""A comparison of readers and models over many slides as one HTML page that needs no other file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

from napari_nic.colors import to_hex
from napari_nic.jobs import CancellationToken, checked
from napari_nic.metrics import Estimate
from napari_nic.notebook import png_address
from napari_nic.pages import page, table, text
from napari_nic.reader_study.cohort import ClassSummary, summarise
from napari_nic.reader_study.difference import difference_legend
from napari_nic.reader_study.kappa import KappaResult
from napari_nic.reader_study.pairs import CompareOptions, PairComparison
from napari_nic.reader_study.pictures import difference_picture
from napari_nic.reader_study.readings import Reading
from napari_nic.reader_study.slides import ReadSlide
from napari_nic.reader_study.votes import CELL_UM, Votes, kappa_of_votes, votes_on
from napari_nic.wording import counted

_STYLE = ".key { display: inline-block; width: .9em; height: .9em; } img { max-width: 100%; }"

_COHORT = (
    *("class", "slides with both, with one", "area, mm²", "in common, mm²"),
    *("Dice", "Jaccard", "sensitivity", "precision"),
)
_MEANS = (
    *("class", "Dice", "mean distance, µm", "95 % (HD95), µm", "largest (Hausdorff), µm"),
    *("surface Dice", "pixel AUC"),
)
_SLIDE = (
    *("class", "area, mm²", "in common, mm²", "Dice", "Jaccard", "sensitivity", "precision"),
    *("distance, µm: mean", "95 %", "largest", "surface Dice", "pixel AUC", "not seen, mm²"),
)


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture of the page: what two readers have of a class.

    Attributes
    ----------
    first, second, label : str
    address : str
        PNG as a data address.
    """

    first: str
    second: str
    label: str
    address: str


@dataclass(frozen=True, eq=False)
class SlideSection:
    """One slide of the page.

    Attributes
    ----------
    name : str
    comparisons : tuple of PairComparison
    pictures : tuple of Picture
    votes : Votes or None
        What readers said of the cells, for kappa.
    """

    name: str
    comparisons: tuple[PairComparison, ...]
    pictures: tuple[Picture, ...]
    votes: Votes | None = None


def slide_section(
    read: ReadSlide,
    comparisons: Sequence[PairComparison],
    labels: Sequence[str] | None = None,
    *,
    token: CancellationToken | None = None,
) -> SlideSection:
    """Paint the pictures of a slide, one for each pair and class that either has areas of.

    `labels` are the classes that count for kappa; all by default.
    """
    pictures = []
    for first, second in combinations(read.readings, 2):
        own = [c for c in comparisons if (c.first, c.second) == (first.name, second.name)]
        for found in checked(own, token):
            if found.areas.n_first or found.areas.n_second:
                rgb = difference_picture(read, (first, second), found.label, token=token)
                pictures.append(Picture(first.name, second.name, found.label, png_address(rgb)))
    votes = votes_on(read, labels, token=token) if any(map(_has_areas, read.readings)) else None
    return SlideSection(read.name, tuple(comparisons), tuple(pictures), votes)


def _has_areas(reading: Reading) -> bool:
    return bool(reading.annotations.polygons())


@dataclass(frozen=True, eq=False)
class ReaderReport:
    """What the page shows.

    Attributes
    ----------
    title : str
    readers : sequence of (str, str)
        Names, and how their areas came about.
    options : CompareOptions
    sections : sequence of SlideSection
    left_out : sequence of (str, str)
        Files and slides that took no part, and why.
    """

    title: str
    readers: Sequence[tuple[str, str]]
    options: CompareOptions
    sections: Sequence[SlideSection]
    left_out: Sequence[tuple[str, str]] = field(default=())

    def to_html(self) -> str:
        """Return the page."""
        comparisons = [one for section in self.sections for one in section.comparisons]
        summaries = summarise(comparisons)
        parts = [
            f"<h1>{text(self.title)}</h1>",
            table(("", "areas"), self.readers),
            f"<p>{counted(len(self.sections), 'slide')}. {text(self._method())}</p>",
            *self._left_out(),
            *(part for pair in _pairs(comparisons) for part in _cohort(pair, summaries)),
            *_kappa(self.kappa()),
            "<h2>Slides</h2>",
            *(part for section in self.sections for part in _section(section)),
            _meaning(),
        ]
        return page(self.title, parts, style=_STYLE)

    def kappa(self) -> KappaResult | None:
        """Return the agreement of all readers on all classes beyond chance, on cells; None without any."""
        votes = [section.votes for section in self.sections if section.votes is not None]
        return kappa_of_votes(votes, [name for name, _ in self.readers])

    def _method(self) -> str:
        options = self.options
        how = (
            f"Exact, from the outlines; boundaries at points {options.step_um:g} um apart at most."
            if options.raster_um is None
            else f"On a raster of {options.raster_um:g} um."
        )
        return f"{how} Surface Dice within {options.tolerance_um:g} um."

    def _left_out(self) -> list[str]:
        if not self.left_out:
            return []
        return ["<h2>Left out</h2>", table(("file or slide", "why"), self.left_out)]


def _pairs(comparisons: Sequence[PairComparison]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((one.first, one.second) for one in comparisons))


def _cohort(pair: tuple[str, str], summaries: Sequence[ClassSummary]) -> list[str]:
    own = [one for one in summaries if (one.first, one.second) == pair]
    pooled = [
        (
            one.label,
            f"{one.n_both}, {one.n_one}",
            f"{one.first_mm2:.3f} and {one.second_mm2:.3f}",
            f"{one.common_mm2:.3f}",
            *(_estimate(one.pooled[name]) for name in ("dice", "jaccard", "sensitivity", "precision")),
        )
        for one in own
    ]
    names = ("dice", "boundary_mean_um", "boundary_p95_um", "boundary_max_um", "surface_dice", "auc")
    means = [(one.label, *(_estimate(one.means[name]) for name in names)) for one in own]
    return [
        f"<h2>{text(pair[0])} (reference) and {text(pair[1])}, {counted(own[0].n_slides, 'slide')}</h2>",
        "<p>All areas of all slides together:</p>",
        table(_COHORT, pooled),
        "<p>Means over the slides on which the number is defined:</p>",
        table(_MEANS, means),
        '<p class="small">In brackets: 95 % of cohorts of as many slides, drawn with replacement; '
        "of one slide there is no interval.</p>",
    ]


def _kappa(found: KappaResult | None) -> list[str]:
    if found is None:
        return []
    rows = [(f"{first} and {second}", _estimate(value)) for first, second, value in found.pairs]
    if len(found.readers) > 2:
        rows.append((f"all {len(found.readers)} (Fleiss)", _estimate(found.fleiss)))
    return [
        "<h2>Agreement beyond chance (kappa)</h2>",
        table(("readers", "kappa"), rows),
        f"<p>On {counted(found.n_units, 'cell')} of {counted(found.n_slides, 'slide')} in the classes "
        f"{text(', '.join(found.classes))}: cells of the compressed slide or, where there is none, of "
        f"{CELL_UM:g} um that somebody annotated. Pairs: Cohen's kappa, without weights.</p>",
    ]


def _section(section: SlideSection) -> list[str]:
    parts = [f"<h3>{text(section.name)}</h3>"]
    for first, second in _pairs(section.comparisons):
        own = [one for one in section.comparisons if (one.first, one.second) == (first, second)]
        pictures = [one for one in section.pictures if (one.first, one.second) == (first, second)]
        parts += [
            f"<p>{text(first)} (reference) and {text(second)}</p>",
            '<div class="row">',
            *(_figure(section.name, one) for one in pictures),
            "</div>",
            table(_SLIDE, [_row(one) for one in own]),
        ]
    return parts


def _figure(slide: str, picture: Picture) -> str:
    keys = " ".join(
        f'<span class="key" style="background:{to_hex(color)}"></span> {text(name)}'
        for name, color in difference_legend(picture.first, picture.second)
    )
    about = text(f"{slide}: {picture.label}")
    return (
        f'<figure><img src="{picture.address}" alt="{about}">'
        f"<figcaption>{text(picture.label)}: {keys}</figcaption></figure>"
    )


def _row(one: PairComparison) -> tuple[str, ...]:
    areas = one.areas
    shares = (areas.dice, areas.jaccard, areas.sensitivity, areas.precision)
    distances = (areas.boundary_mean_um, areas.boundary_p95_um, areas.boundary_max_um)
    return (
        one.label,
        f"{areas.first_mm2:.3f} and {areas.second_mm2:.3f}",
        f"{areas.common_mm2:.3f}",
        *(_number(value, 3) for value in shares),
        *(_number(value, 1) for value in distances),
        _number(areas.surface_dice, 3),
        _number(one.auc, 3),
        f"{one.unseen_mm2:.3f}",
    )


def _number(value: float, digits: int) -> str:
    return "not defined" if value != value else f"{value:.{digits}f}"


def _estimate(found: Estimate) -> str:
    digits = 1 if found.value > 1 else 3
    value = _number(found.value, digits)
    if found.low != found.low:
        return value
    return f"{value} ({_number(found.low, digits)} to {_number(found.high, digits)})"


_TERMS = (
    ("Dice, Jaccard", "twice the common area by the sum of both; the common area by that of either"),
    ("sensitivity, precision", "common area by that of the reference; by that of the other one"),
    (
        "mean distance",
        "of both boundaries from each other, weighed by length (average symmetric surface distance)",
    ),
    ("95 % (HD95), largest (Hausdorff)", "the larger one of both directions"),
    ("surface Dice", "share of both boundaries within the tolerance (Nikolov et al. 2021)"),
    ("kappa", "agreement on the class of each cell, 0 as by chance, 1 in all (Cohen 1960, Fleiss 1971)"),
    ("pixel AUC", "probability that a cell inside has a higher value than one outside; of maps with values"),
    ("not seen", "area where the other one says nothing, such as cells that a model did not see; left out"),
    ("not defined", "a boundary has no distance to nothing: look at how many slides have only one of both"),
)


def _meaning() -> str:
    return "<h2>What the numbers mean</h2>" + table(("", ""), _TERMS)
