"""Free-response ROC: how many lesions are found at how many false positives a slide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely

from napari_nic.geometry import PixelSize
from napari_nic.metrics import Estimate
from napari_nic.reader_study.detections import Detections
from napari_nic.reader_study.kappa import estimate_record, over_slides
from napari_nic.reader_study.lesions import FrocRules, TrueLesion


@dataclass(frozen=True, eq=False)
class SlideHits:
    """What the detections of a slide hit.

    Attributes
    ----------
    slide : str
    found : ndarray of float64, (lesions,)
        Highest score in each lesion that counts; -inf where none is.
    false : ndarray of float64, (m,)
        Scores of detections beside all lesions.
    n_isolated : int
        Lesions that are isolated tumour cells; detections in these count for nothing.
    """

    slide: str
    found: np.ndarray
    false: np.ndarray
    n_isolated: int


@dataclass(frozen=True, eq=False)
class Froc:
    """The curve of a cohort, and its score.

    Attributes
    ----------
    false_positives, sensitivities : ndarray of float64, (k,)
        A slide, and of all lesions; from no detection (0, 0) to all of them.
    at : mapping of float to float
        Sensitivity at each rate of the rules: between two points of the curve on the line that joins them,
        and beyond its end that of the end.
    score : Estimate
        Mean of these, with its interval of 95 % over slides drawn with replacement; NaN without lesions.
    n_slides, n_lesions, n_isolated : int
    """

    false_positives: np.ndarray
    sensitivities: np.ndarray
    at: dict[float, float]
    score: Estimate
    n_slides: int
    n_lesions: int
    n_isolated: int

    def to_dict(self) -> dict[str, Any]:
        """JSON form; None for NaN."""
        return {
            "score": estimate_record(self.score),
            "sensitivity_at": {
                f"{rate:g}": None if value != value else value for rate, value in self.at.items()
            },
            "slides": self.n_slides,
            "lesions": self.n_lesions,
            "isolated": self.n_isolated,
            "curve": {
                "false_positives": self.false_positives.tolist(),
                "sensitivity": [None if value != value else value for value in self.sensitivities.tolist()],
            },
        }


def match_detections(
    slide: str, detections: Detections, lesions: Sequence[TrueLesion], pixel: PixelSize
) -> SlideHits:
    """Sort detections into hits and false positives.

    A detection in a lesion that was hit already is neither: of each lesion the highest score counts.
    """
    points = shapely.points(detections.points_px * (pixel.x, pixel.y))
    areas = np.array([*(lesion.area for lesion in lesions), None], object)[:-1]
    point, lesion = shapely.STRtree(areas).query(points, predicate="intersects")
    best = np.full(len(lesions), -np.inf)
    np.maximum.at(best, lesion, detections.scores[point])
    counts = np.array([not one.is_isolated for one in lesions], bool)
    beside = np.ones(len(points), bool)
    beside[point] = False
    return SlideHits(slide, best[counts], detections.scores[beside], int(np.count_nonzero(~counts)))


def froc(slides: Sequence[SlideHits], rules: FrocRules | None = None) -> Froc:
    """Put the detections of many slides together.

    Parameters
    ----------
    slides : sequence of SlideHits
        Slides without lesions count too: they have false positives only.
    rules : FrocRules, optional
    """
    rules = rules or FrocRules()
    rates = np.array(rules.false_positives)

    def score(chosen: np.ndarray) -> float:
        return float(np.mean(_at(*_curve([slides[k] for k in chosen]), rates)))

    false_positives, sensitivities = _curve(slides)
    at = _at(false_positives, sensitivities, rates)
    return Froc(
        false_positives,
        sensitivities,
        dict(zip(rules.false_positives, at.tolist(), strict=True)),
        over_slides(score, [one.slide for one in slides]),
        len(slides),
        sum(len(one.found) for one in slides),
        sum(one.n_isolated for one in slides),
    )


def _curve(slides: Sequence[SlideHits]) -> tuple[np.ndarray, np.ndarray]:
    """Return false positives a slide and sensitivity, for thresholds from the highest score to the lowest."""
    found = np.concatenate([one.found for one in slides]) if slides else np.empty(0)
    false = np.concatenate([one.false for one in slides]) if slides else np.empty(0)
    hits = found[np.isfinite(found)]
    thresholds = np.unique(np.concatenate([hits, false]))[::-1]
    at_least = [len(own) - np.searchsorted(np.sort(own), thresholds) for own in (false, hits)]
    n_false, n_hits = (np.concatenate([[0], counts]).astype(np.float64) for counts in at_least)
    sensitivity = n_hits / len(found) if len(found) else np.full(len(n_hits), np.nan)
    return n_false / max(1, len(slides)), sensitivity


def _at(false_positives: np.ndarray, sensitivities: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Read the curve at rates; where it rises straight up, its upper end counts."""
    x, first = np.unique(false_positives[::-1], return_index=True)
    return np.asarray(np.interp(rates, x, sensitivities[::-1][first]))
