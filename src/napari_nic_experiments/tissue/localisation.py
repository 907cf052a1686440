"""How well saliency shows a lesion whose outline training never saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np

from napari_nic.annotations import agreement, rasterise, read_annotations
from napari_nic.embeddings import CompressedSlide
from napari_nic.explain import AreaOptions, CamMethod, SaliencyMap, compare_area, grad_cam, salient_area
from napari_nic.slide_models import ModelBundle, predict_codes

METHODS: tuple[CamMethod, ...] = get_args(CamMethod)
CELL_SCORES = "cell scores"
MAPS = (*METHODS, CELL_SCORES)

LESION = 1
INSIDE = 0.5
"""A cell belongs to the lesion when at least this share of it does."""

SIGMAS, SPECKS = (0.0, 1.0, 2.0), (1, 4)
QUANTILES = (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.94, 0.97)
"""What validation slides choose among: cells, cells, and thresholds as quantiles of their values."""


@dataclass(frozen=True, eq=False)
class ExplainedSlide:
    """A slide's score, its maps and its lesion.

    Attributes
    ----------
    name : str
    share : float or None
        Of the tissue that is lesion; None where it is not known.
    score : float
        Probability of a lesion.
    maps : mapping of str to SaliencyMap
        By method; ``cell scores`` are the head of the network at each cell.
    inside : ndarray of bool, (rows, cols)
        Encoded cells of the lesion.
    """

    name: str
    share: float | None
    score: float
    maps: Mapping[str, SaliencyMap]
    inside: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """Encoded cells, bool (rows, cols)."""
        return self.maps[METHODS[0]].mask

    @property
    def is_evaluable(self) -> bool:
        """Whether cells lie inside and outside of the lesion."""
        return bool(self.inside.any() and (self.mask & ~self.inside).any())


def explain_slide(
    bundle: ModelBundle, store: Path, outlines: Path, *, share: float | None = None, device: str = "auto"
) -> ExplainedSlide:
    """Score a slide and map what speaks for a lesion.

    Parameters
    ----------
    bundle : ModelBundle
    store : Path
        Its codes.
    outlines : Path
        Of the lesion, in level-0 pixels.
    share : float, optional
        Of the tissue that is lesion.
    device : str
    """
    with CompressedSlide.open(store) as opened:
        bundle.check_store(opened)
        codes, mask, grid = opened.read(), opened.encoded(), opened.grid
        name = opened.header.slide_name
    lesion = rasterise(read_annotations(outlines), grid) >= INSIDE
    prediction = predict_codes(bundle, codes, mask, grid.placement, device=device)
    maps: dict[str, SaliencyMap] = {
        method: grad_cam(bundle, codes, mask, target=LESION, method=method, device=device)
        for method in METHODS
    }
    maps[CELL_SCORES] = replace(maps[METHODS[0]], values=prediction.cell_scores[..., LESION])
    return ExplainedSlide(name, share, float(prediction.mean[LESION]), maps, lesion & mask)


def choose_area(slides: Sequence[ExplainedSlide], method: str) -> AreaOptions:
    """Choose how a map becomes an area, by the highest mean Jaccard index on validation slides.

    Parameters
    ----------
    slides : sequence of ExplainedSlide
        With a lesion, not of the test part.
    method : str
        Of ``MAPS``.

    Notes
    -----
    The threshold is one raw value for all slides: a slide without a lesion shall have no salient area.
    """
    pooled = np.concatenate([slide.maps[method].values[slide.mask] for slide in slides])
    thresholds = [float(value) for value in np.quantile(pooled, QUANTILES)]
    candidates = [AreaOptions(*numbers) for numbers in product(SIGMAS, thresholds, SPECKS)]
    return max(candidates, key=lambda options: _mean_jaccard(slides, method, options))


def measure_maps(
    chosen_on: Sequence[ExplainedSlide], slides: Sequence[ExplainedSlide]
) -> dict[str, dict[str, Any]]:
    """Measure every kind of map on slides with a lesion.

    Parameters
    ----------
    chosen_on : sequence of ExplainedSlide
        Validation slides with a lesion; without any, no area is chosen.
    slides : sequence of ExplainedSlide
        Test slides with a lesion.

    Returns
    -------
    dict of str to dict
        By map: ``pixel_auc`` (mean), ``least_pixel_auc``, ``jaccard`` of the area as it was chosen on
        validation slides, ``best_jaccard`` at the best threshold of each slide (optimistic, since the lesion
        chooses it), the ``area``'s options, and ``each`` slide.
    """
    return {method: _measure(chosen_on, slides, method) for method in MAPS}


def _measure(
    chosen_on: Sequence[ExplainedSlide], slides: Sequence[ExplainedSlide], method: str
) -> dict[str, Any]:
    area = choose_area(chosen_on, method) if chosen_on else None
    found = [agreement(slide.maps[method].values, slide.inside, slide.mask) for slide in slides]
    jaccards = [None if area is None else _jaccard(slide, method, area) for slide in slides]
    return {
        "slides": len(slides),
        "pixel_auc": _mean([one.auc for one in found]),
        "least_pixel_auc": min((one.auc for one in found), default=None),
        "jaccard": _mean([value for value in jaccards if value is not None]),
        "best_jaccard": _mean([one.jaccard for one in found]),
        "area": None if area is None else asdict(area),
        "each": [
            {
                "slide": slide.name,
                "share": slide.share,
                "pixel_auc": one.auc,
                "jaccard": jaccard,
                "best_jaccard": one.jaccard,
            }
            for slide, one, jaccard in zip(slides, found, jaccards, strict=True)
        ],
    }


def _jaccard(slide: ExplainedSlide, method: str, options: AreaOptions) -> float:
    area = salient_area(slide.maps[method], options)
    return compare_area(area, slide.inside, slide.mask).jaccard


def _mean_jaccard(slides: Sequence[ExplainedSlide], method: str, options: AreaOptions) -> float:
    return float(np.mean([_jaccard(slide, method, options) for slide in slides]))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
