"""The annotation doctor: planted errors come first, and what cannot be scored is said."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from napari_nic.annotations import Annotation, AnnotationSet
from napari_nic.embeddings import ResidentCodes, StoreHeader
from napari_nic.errors import InvalidParameterError
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid
from napari_nic.reader_study.discriminant import calibrated, discriminant_scores, folds_of_groups
from napari_nic.reader_study.doctor import DoctorSlide, examine
from napari_nic.reader_study.object_codes import ObjectCodes, object_codes

CLASSES = ("tumour", "stroma", "glands")


def made_up(name: str, seed: int, count: int = 90, share: float = 0.05) -> tuple[DoctorSlide, np.ndarray]:
    """Objects whose codes are around their true class's mean, with some wrong labels."""
    rng = np.random.default_rng(seed)
    truth = np.arange(count) % len(CLASSES)
    means = np.random.default_rng(99).normal(0, 1.2, (len(CLASSES), 16))
    codes = (means[truth] + rng.normal(0, 1, (count, 16)) + rng.normal(0, 0.5, 16)).astype(np.float32)
    wrong = rng.random(count) < share
    labels = np.where(wrong, (truth + rng.integers(1, len(CLASSES), count)) % len(CLASSES), truth)
    places = rng.uniform(0, 5000, (count, 2))
    shapes = tuple(
        Annotation(CLASSES[k], "point", shapely.Point(*place), id=f"{name}-{n}")
        for n, (k, place) in enumerate(zip(labels, places, strict=True))
    )
    return DoctorSlide(name, AnnotationSet(shapes), ObjectCodes(codes, np.ones(count, int), places)), wrong


@pytest.mark.parametrize("count", [1, 6])
def test_planted_errors_come_first(count: int) -> None:
    slides, marks = zip(*(made_up(f"s{k}", k) for k in range(count)), strict=True)
    found = examine(slides)
    planted = [bool(marks[int(one.slide[1:])][one.index]) for one in found.suspects]
    total = sum(planted)
    assert len(planted) == 90 * count
    assert sum(planted[: len(planted) // 10]) >= 0.8 * total
    assert found.held_out == ("slides" if count > 1 else "parts of the slide")
    assert found.balanced_accuracy > 0.8
    first = found.suspects[0]
    assert first.looks_like != first.label
    assert first.reason == f"looks like {first.looks_like}: {first.likeliest:.2f}"
    assert first.own < first.likeliest
    last = found.suspects[-1]
    assert last.looks_like == last.label
    assert "as it is labelled" in last.reason
    assert first.to_dict()["object"] == first.index + 1
    assert examine(slides).suspects == found.suspects, "the same list every time"


def test_probabilities_mean_what_they_say() -> None:
    """Among many objects, those with a probability of about p for the likeliest class have it so often."""
    slides, marks = zip(*(made_up(f"s{k}", k, count=600, share=0) for k in range(5)), strict=True)
    found = examine(slides)
    assert not np.concatenate(marks).any()
    sure = np.array([one.likeliest for one in found.suspects])
    right = np.array([one.looks_like == one.label for one in found.suspects])
    for low, high in ((0.5, 0.8), (0.8, 0.95), (0.95, 1.0)):
        inside = (sure >= low) & (sure <= high)
        assert right[inside].mean() == pytest.approx(sure[inside].mean(), abs=0.1)


def test_scores_are_those_of_scikit_learns_analysis() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(120) % 3
    codes = rng.normal(0, 1, (120, 5)) + labels[:, None] * [1, 0, -0.5, 0, 2]
    ours = discriminant_scores(codes, labels, codes, 3, shrinkage=0)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", priors=[1 / 3] * 3).fit(codes, labels)
    # Theirs divides by n, ours by n - K.
    expected = theirs.decision_function(codes) * (120 - 3) / 120
    expected -= (np.log(1 / 3)) * (120 - 3) / 120
    difference = ours - expected
    np.testing.assert_allclose(difference - difference[:, :1], 0, atol=1e-8)
    assert np.isneginf(discriminant_scores(codes, labels, codes, 4)[:, 3]).all()


def test_a_temperature_does_not_change_who_is_likeliest() -> None:
    rng = np.random.default_rng(2)
    scores, labels = rng.normal(0, 30, (200, 3)), rng.integers(0, 3, 200)
    found = calibrated(scores, labels)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_array_equal(found.argmax(axis=1), scores.argmax(axis=1))
    assert found.max() < 0.6, "scores that know nothing are not sure of anything"


def test_groups_stay_together() -> None:
    groups = np.array(list("aaaabbbccdee"))
    folds = folds_of_groups(groups, 3)
    assert all(len(set(folds[groups == g])) == 1 for g in "abcde")
    assert set(folds) == {0, 1, 2}
    assert np.bincount(folds).max() <= 5


def test_what_cannot_be_scored_is_said() -> None:
    slide, _ = made_up("s", 3)
    shapes = list(slide.annotations.annotations)
    shapes[0] = Annotation("unique", "point", shapes[0].geometry)
    codes = slide.objects.codes.copy()
    codes[1] = np.nan
    changed = DoctorSlide(
        "s", AnnotationSet(tuple(shapes)), ObjectCodes(codes, slide.objects.n_cells, slide.objects.centers_px)
    )
    found = examine([changed])
    assert found.left_out == (
        ("s", 0, "too few others of its class"),
        ("s", 1, "none of its cells is encoded"),
    )
    assert len(found.suspects) == 88
    assert set(found.classes) == set(CLASSES)
    for few in (AnnotationSet(), AnnotationSet(tuple(shapes[:1]))):
        centers = slide.objects.centers_px[: len(few)]
        objects = ObjectCodes(codes[: len(few)], slide.objects.n_cells, centers)
        with pytest.raises(InvalidParameterError, match="not two classes"):
            examine([DoctorSlide("s", few, objects)])
    with pytest.raises(InvalidParameterError, match="not two classes"):
        examine([])


def test_codes_of_objects(tmp_path) -> None:
    """Cells of 16 px; the code of cell (r, c) is (r, c)."""
    grid = PatchGrid.plan([LevelGeometry(160, 240)], PixelSize(0.5, 0.5), patch_size=16, mpp=0.5)
    rows, cols = np.mgrid[: grid.rows, : grid.cols]
    encoded = np.ones(grid.shape, bool)
    encoded[0] = False
    codes = np.stack([rows, cols], axis=-1).astype(np.float32)[encoded]
    header = StoreHeader.__new__(StoreHeader)
    object.__setattr__(header, "grid", grid)
    resident = ResidentCodes.of_array(header, codes, encoded)
    shapes = (
        Annotation("a", "polygon", shapely.box(32, 32, 64, 64)),  # four cells
        Annotation("a", "polygon", shapely.box(33, 33, 39, 39)),  # within cell (2, 2), beside its centre
        Annotation("a", "point", shapely.Point(100, 100)),  # in cell (6, 6)
        Annotation(
            "a", "line", shapely.LineString([(32, 40), (64, 40)])
        ),  # through centres of cells of row 2
        Annotation("a", "polygon", shapely.box(0, 0, 30, 10)),  # where nothing is encoded
        Annotation("a", "point", shapely.Point(-5, 5)),  # beside the slide
    )
    found = object_codes(AnnotationSet(shapes), resident)
    np.testing.assert_allclose(found.codes[:4], [[2.5, 2.5], [2, 2], [6, 6], [2, 2.5]])
    assert found.n_cells.tolist() == [4, 1, 1, 2, 0, 0]
    assert np.isnan(found.codes[4:]).all()
    assert found.centers_px[2].tolist() == [100, 100]
    assert len(object_codes(AnnotationSet(), resident).codes) == 0
