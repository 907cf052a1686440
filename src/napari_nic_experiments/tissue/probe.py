"""What codes allow: a linear probe that is shown the outlines which weak supervision is not shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_nic.annotations import rasterise, read_annotations
from napari_nic.embeddings import CompressedSlide
from napari_nic.evaluation.classifiers import CodeTable, get_classifier
from napari_nic.metrics import auc
from napari_nic_experiments.tissue.localisation import INSIDE, LESION

CLASSIFIER = "linear"

_SEED = 0
"""Of no effect: there is one group, so that nothing is drawn."""


@dataclass(frozen=True, eq=False)
class OutlinedCells:
    """Encoded cells of a slide, and which belong to the lesion.

    Attributes
    ----------
    name : str
    codes : ndarray of float32, (n, C)
    inside : ndarray of bool, (n,)
    """

    name: str
    codes: np.ndarray
    inside: np.ndarray

    @classmethod
    def read(cls, store: Path, outlines: Path) -> OutlinedCells:
        """Read a slide's codes and rasterise the outlines (level-0 pixels) of its lesion."""
        with CompressedSlide.open(store) as opened:
            codes, mask, grid, name = opened.read(), opened.encoded(), opened.grid, opened.header.slide_name
        inside = rasterise(read_annotations(outlines), grid) >= INSIDE
        return cls(name, codes[mask].astype(np.float32), inside[mask])

    @property
    def is_evaluable(self) -> bool:
        """Whether cells lie inside and outside of the lesion."""
        return bool(self.inside.any() and not self.inside.all())


def probe_cells(training: Iterable[OutlinedCells], slides: Iterable[OutlinedCells]) -> Mapping[str, Any]:
    """Learn lesion cells from outlines, and measure how slides are mapped.

    Parameters
    ----------
    training : iterable of OutlinedCells
        Slides whose outlines are shown.
    slides : iterable of OutlinedCells
        Slides to measure; those without a lesion are left out.

    Returns
    -------
    mapping
        ``training_cells``, ``training_pixel_auc`` over all of these, ``slides``, and over the slides the
        mean ``pixel_auc`` and the ``least_pixel_auc`` (None without a slide).

    Raises
    ------
    MissingDependencyError
        If scikit-learn is not installed.

    Notes
    -----
    The probe is the logistic regression of :func:`napari_nic.evaluation.classifiers.linear_probe`. What it
    misses on other slides is not in the codes, or not in the training slides: a map from labels of slides
    alone can hardly be expected to find it.
    """
    shown = list(training)
    evaluable = [slide for slide in slides if slide.is_evaluable]
    codes, inside = (
        np.concatenate([getattr(slide, what) for slide in shown]) for what in ("codes", "inside")
    )
    table = CodeTable(codes, inside.astype(np.int64), np.zeros(len(codes), np.int64), 2)
    everything = np.concatenate([codes, *(slide.codes for slide in evaluable)])
    scores = get_classifier(CLASSIFIER)(table, everything, _SEED)[:, LESION]
    ends = np.cumsum([len(codes), *(len(slide.codes) for slide in evaluable)])
    learned, *parts = np.split(scores, ends[:-1])
    found = [float(auc(part, slide.inside)) for part, slide in zip(parts, evaluable, strict=True)]
    return {
        "training_cells": len(codes),
        "training_pixel_auc": float(auc(learned, inside)),
        "slides": len(found),
        "pixel_auc": float(np.mean(found)) if found else None,
        "least_pixel_auc": min(found, default=None),
    }
