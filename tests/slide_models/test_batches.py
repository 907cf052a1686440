"""Batches: balanced, the same from memory and from disk, and cut while others are used."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_nic.errors import CancelledError
from napari_nic.jobs import CancellationToken
from napari_nic.slide_models import LabelledSlide, StoredSlide
from napari_nic.slide_models.batches import CropPlan, CropSampler
from napari_nic.slide_models.inputs import N_DIHEDRAL, apply_dihedral


def labels_of(sampler: CropSampler, what: str, seed: int = 0) -> np.ndarray:
    drawn = sampler.draw(np.random.default_rng(seed))
    return np.array([getattr(sampler.slides[plan.slide], what) for plan in drawn])


def test_classes_are_balanced(toys: Any) -> None:
    slides = [planted.slide for planted in toys.plant(20, seed=0)]
    rare = [slide for slide in slides if not slide.label] + [slide for slide in slides if slide.label][:1]
    assert 80 < labels_of(CropSampler(toys.card(), rare, 200), "label").sum() < 120


def test_events_are_balanced(toys: Any) -> None:
    card = toys.card(task="survival", class_names=("risk",))
    slides = [replace(p.slide, label=1.0, event=i < 2) for i, p in enumerate(toys.plant(20, seed=0))]
    assert 80 < labels_of(CropSampler(card, slides, 200), "event").sum() < 120
    certain = [replace(slide, event=True) for slide in slides]
    assert labels_of(CropSampler(card, certain, 50), "event").all()


def test_every_slide_of_a_regression_has_the_same_odds(toys: Any) -> None:
    card = toys.card(task="regression", class_names=("area",))
    slides = [replace(p.slide, label=float(i)) for i, p in enumerate(toys.plant(4, seed=0))]
    counts = np.bincount(labels_of(CropSampler(card, slides, 400), "label").astype(int))
    assert counts.min() > 70


@pytest.fixture
def big(toys: Any, tmp_path: Path) -> tuple[LabelledSlide, StoredSlide]:
    """The same slide of two shards each way, in memory and on disk."""
    rng = np.random.default_rng(0)
    mask = rng.random((70, 90)) > 0.2
    codes = rng.normal(size=(70, 90, toys.code_size)).astype(np.float16)
    codes[~mask] = 0
    store = toys.store(tmp_path / "big.nic.zarr", codes, mask)
    return LabelledSlide("big", codes, mask, 1), StoredSlide.from_store(store, 1)


@pytest.mark.parametrize("corner", [(0, 0), (-9, 60), (50, -30), (-40, -40), (100, 100), (20, 20)])
@pytest.mark.parametrize("side", [24, 130])
def test_crops_from_disk_are_those_from_memory(
    big: tuple[LabelledSlide, StoredSlide], corner: tuple[int, int], side: int
) -> None:
    memory, disk = big
    for transform in (0, 3, 5):
        ours, theirs = memory.crop(*corner, side, transform), disk.crop(*corner, side, transform)
        for a, b in zip(ours, theirs, strict=True):
            assert a.shape[:2] == (side, side)
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(apply_dihedral(memory.crop(*corner, side)[0], transform), ours[0])


def test_strips_are_the_whole_slide(big: tuple[LabelledSlide, StoredSlide]) -> None:
    memory, disk = big
    strips = list(disk.strips())
    assert len(strips) == 2
    np.testing.assert_array_equal(np.concatenate([codes for codes, _ in strips]), memory.codes)
    np.testing.assert_array_equal(np.concatenate([mask for _, mask in strips]), memory.mask)


def test_a_crop_reads_the_shards_it_touches_only(
    big: tuple[LabelledSlide, StoredSlide], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, disk = big
    read: list[tuple[int, int]] = []
    real = disk.store._stored.read_shard
    monkeypatch.setattr(
        disk.store._stored, "read_shard", lambda key, *cells: (read.append(tuple(key)), real(key, *cells))[1]
    )
    disk.crop(5, 70, 15)
    assert read == [(0, 1)]


def test_batches_come_in_the_order_drawn(toys: Any) -> None:
    slides = [planted.slide for planted in toys.plant(6, seed=0)]
    sampler = CropSampler(toys.card(), slides, 3)
    rng = np.random.default_rng(1)
    expected = [sampler.cut(sampler.draw(rng)) for _ in range(4)]
    found = list(sampler.batches(4, np.random.default_rng(1), CancellationToken()))
    assert len(found) == 4
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.codes, theirs.codes)
        np.testing.assert_array_equal(ours.labels, theirs.labels)
    transformed = {plan.transform for _ in range(20) for plan in sampler.draw(rng)}
    assert transformed == set(range(N_DIHEDRAL))
    assert all(isinstance(plan, CropPlan) for plan in sampler.draw(rng))


def test_batches_stop_when_cancelled(toys: Any) -> None:
    slides = [planted.slide for planted in toys.plant(4, seed=0)]
    token = CancellationToken()
    batches = CropSampler(toys.card(), slides, 2).batches(5, np.random.default_rng(0), token)
    next(batches)
    token.cancel()
    with pytest.raises(CancelledError):
        next(batches)


def test_turned_patches_are_used_where_they_are(toys: Any) -> None:
    slide = toys.plant(1, seed=0)[0].slide
    anew = tuple(np.full_like(slide.codes, transform) for transform in range(1, N_DIHEDRAL))
    with_transformed = replace(slide, transformed=anew)
    np.testing.assert_array_equal(with_transformed.crop(0, 0, 9)[0], slide.crop(0, 0, 9)[0])
    for transform in range(1, N_DIHEDRAL):
        codes, mask = with_transformed.crop(0, 0, 9, transform)
        assert (codes == transform).all()
        np.testing.assert_array_equal(mask, slide.crop(0, 0, 9, transform)[1])
