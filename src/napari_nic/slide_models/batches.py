"""Which crops a training step sees, and how they come from their slides while the step before is computed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from napari_nic.jobs import CancellationToken
from napari_nic.slide_models.card import ModelCard
from napari_nic.slide_models.inputs import N_DIHEDRAL, crop_odds, draw_corner
from napari_nic.slide_models.sources import TrainingSlide

AHEAD = 2
"""Batches in memory at once: one is learned from while the next is read."""


@dataclass(frozen=True)
class CropPlan:
    """A crop that will be cut: of which slide, from which cell on, and how it is transformed."""

    slide: int
    top: int
    left: int
    transform: int


@dataclass(frozen=True, eq=False)
class CropBatch:
    """Crops with what is known of their slides.

    Attributes
    ----------
    codes : ndarray of float, (B, R, R, C)
    mask : ndarray of bool, (B, R, R)
    labels : ndarray of float32, (B,)
    events : ndarray of bool, (B,)
    slides : ndarray of int64, (B,)
        Numbers of the slides.
    """

    codes: np.ndarray
    mask: np.ndarray
    labels: np.ndarray
    events: np.ndarray
    slides: np.ndarray


class CropSampler:
    """Draws balanced batches of crops.

    A group is drawn (a class; with or without an event; all slides of a regression), then one of its slides,
    then a cell of it by the distance map, all with replacement. So every class has the same odds, and half
    the cases of a survival batch have an event.

    Parameters
    ----------
    card : ModelCard
        Its task and crop size.
    slides : sequence of TrainingSlide
    batch_size : int
    """

    def __init__(self, card: ModelCard, slides: Sequence[TrainingSlide], batch_size: int) -> None:
        self.slides, self.side, self.batch_size = slides, card.crop_size, batch_size
        self._groups = groups_of(card, slides)
        masks = [slide.mask for slide in slides]
        # Thousands of generated slides may share one mask: its odds are kept once.
        odds = {key: crop_odds(mask) for key, mask in {id(mask): mask for mask in masks}.items()}
        self._odds = [odds[id(mask)] for mask in masks]

    def draw(self, rng: np.random.Generator) -> tuple[CropPlan, ...]:
        """Draw one batch; everything random comes from `rng`."""
        return tuple(self._draw_one(rng) for _ in range(self.batch_size))

    def cut(self, plans: Sequence[CropPlan]) -> CropBatch:
        """Cut what was drawn."""
        crops = [self.slides[p.slide].crop(p.top, p.left, self.side, p.transform) for p in plans]
        chosen = [self.slides[p.slide] for p in plans]
        return CropBatch(
            np.stack([codes for codes, _ in crops]),
            np.stack([mask for _, mask in crops]),
            np.array([slide.label for slide in chosen], np.float32),
            np.array([slide.event for slide in chosen], bool),
            np.array([plan.slide for plan in plans], np.int64),
        )

    def batches(self, steps: int, rng: np.random.Generator, token: CancellationToken) -> Iterator[CropBatch]:
        """Yield so many batches; the next one is cut while the caller uses this one."""
        pool = ThreadPoolExecutor(1, thread_name_prefix="crops")
        waiting: deque[Future[CropBatch]] = deque()
        try:
            for _ in range(steps):
                waiting.append(pool.submit(self.cut, self.draw(rng)))
                if len(waiting) == AHEAD:
                    token.checkpoint()
                    yield waiting.popleft().result()
            while waiting:
                token.checkpoint()
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _draw_one(self, rng: np.random.Generator) -> CropPlan:
        group = self._groups[int(rng.integers(len(self._groups)))]
        index = int(group[int(rng.integers(len(group)))])
        top, left = draw_corner(self._odds[index], self.side, rng)
        return CropPlan(index, top, left, int(rng.integers(N_DIHEDRAL)))


def groups_of(card: ModelCard, slides: Sequence[TrainingSlide]) -> list[np.ndarray]:
    """Indices of the slides of each class, or with and without an event; one group for regression."""
    if card.task == "regression":
        return [np.arange(len(slides))]
    if card.task == "survival":
        events = np.array([slide.event for slide in slides], bool)
        groups = [np.flatnonzero(events), np.flatnonzero(~events)]
        return [group for group in groups if len(group)]
    labels = np.array([slide.label for slide in slides])
    return [np.flatnonzero(labels == number) for number in range(len(card.class_names))]
