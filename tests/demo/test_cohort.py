"""The cohort: balanced, repeatable, and with the lesion only where the label says."""

from __future__ import annotations

import pytest

from napari_nic.demo import cohort_specs, compress_cohort
from napari_nic.demo.cohort import LESION_SHARES, SIDES
from napari_nic.encoders import load_encoder
from napari_nic.errors import CancelledError
from napari_nic.jobs import CancellationToken


def finish(generator):
    """Run a generator to its end: (reports, returned value)."""
    reports = []
    while True:
        try:
            reports.append(next(generator))
        except StopIteration as end:
            return reports, end.value


def test_half_of_the_slides_have_a_lesion_of_every_size():
    specs = cohort_specs(200, seed=1)
    shares = [spec.lesions[0].share for spec in specs if spec.lesions]
    assert len(shares) == 100
    assert LESION_SHARES[0] <= min(shares) < 0.04
    assert 0.3 < max(shares) <= LESION_SHARES[1]
    sides = {side for spec in specs for side in (spec.height, spec.width)}
    assert (min(sides), max(sides)) == (SIDES[0] * 128, SIDES[1] * 128)
    assert len({spec.seed for spec in specs}) == 200


def test_classes_differ_in_nothing_but_the_lesion():
    specs = cohort_specs(400, seed=2)
    for name in ("height", "width", "coverage", "fat", "lymphoid", "gland_spacing_um"):
        with_lesion, without = (
            [getattr(spec, name) for spec in specs if bool(spec.lesions) is has] for has in (True, False)
        )
        spread = max(with_lesion) - min(with_lesion)
        assert abs(sum(with_lesion) - sum(without)) / 200 < 0.1 * spread, name


def test_specs_repeat_and_seeds_differ():
    assert cohort_specs(6, seed=3) == cohort_specs(6, seed=3)
    assert not set(cohort_specs(6, seed=3)) & set(cohort_specs(6, seed=4))


def test_slides_are_compressed_with_their_lesions(tmp_path):
    specs = cohort_specs(2, seed=5, sides=(8, 9))
    reports, slides = finish(compress_cohort(specs, load_encoder("mean-rgb"), folder=tmp_path))
    assert [report.done for report in reports] == [0, 1, 2]
    assert [slide.label for slide in slides] == [0, 1]
    for slide, spec in zip(slides, specs, strict=True):
        assert slide.codes.shape == (spec.height // 128, spec.width // 128, 3)
        assert slide.lesion.shape == slide.mask.shape == slide.codes.shape[:2]
        assert 0.2 < slide.mask.mean() < 1
    assert not slides[0].lesion.any()
    # The outline as a share of the tissue that was found, up to the cells at the borders.
    found = slides[1].lesion.sum() / slides[1].mask.sum()
    assert found == pytest.approx(specs[1].lesions[0].share, rel=0.5)
    assert not list(tmp_path.iterdir())


def test_cancelling_leaves_nothing(tmp_path):
    token = CancellationToken()
    run = compress_cohort(cohort_specs(2, seed=5), load_encoder("mean-rgb"), folder=tmp_path, token=token)
    next(run)
    token.cancel()
    with pytest.raises(CancelledError):
        next(run)
    assert not list(tmp_path.iterdir())
