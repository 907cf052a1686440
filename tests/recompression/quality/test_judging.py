"""Verdicts on tiles, and what is counted."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_nic.errors import InvalidParameterError
from napari_nic.recompression.lossy.checking import WrittenTile
from napari_nic.recompression.quality import Bounds, QualityCheck, judge

RNG = np.random.default_rng(0)
TILE = np.clip(RNG.normal((180, 120, 170), 25, (64, 64, 3)), 0, 255).astype(np.uint8)
NOISY = np.clip(TILE + RNG.normal(0, 4, TILE.shape), 0, 255).astype(np.uint8)
SWAPPED = np.ascontiguousarray(TILE[..., ::-1])


def written(decoded: np.ndarray, *, col: int = 0, attempt: int = 0, level: int = 0) -> WrittenTile:
    return WrittenTile(level, 0, col, TILE, b"", decoded, attempt)


@pytest.mark.parametrize(
    ("bounds", "kind"),
    [(Bounds(ssim=0.999), "SSIM"), (Bounds(psnr=50), "PSNR"), (Bounds(color=0.01), "colour")],
)
def test_each_bound(bounds: Bounds, kind: str) -> None:
    found = judge(TILE, NOISY, bounds)
    assert not found.keep
    assert [broken.kind for broken in found.broken] == [kind]
    assert judge(TILE, TILE, bounds).keep


def test_faults_are_looked_for_unless_not_wanted() -> None:
    assert [broken.kind for broken in judge(TILE, SWAPPED).broken] == ["swapped channels"]
    assert judge(TILE, SWAPPED, Bounds(faults=None)).keep


def test_tiles_smaller_than_the_window() -> None:
    assert judge(TILE[:5], TILE[:5], Bounds(ssim=1)).keep
    assert not judge(TILE[:5], NOISY[:5], Bounds(ssim=0.1)).keep


@pytest.mark.parametrize(
    "other", [NOISY[:60], NOISY[..., 0], NOISY.astype(np.float32)], ids=["size", "grey", "floats"]
)
def test_what_is_no_tile(other: np.ndarray) -> None:
    with pytest.raises(InvalidParameterError):
        judge(TILE, other)


@pytest.mark.parametrize("options", [{"ssim": 1.2}, {"psnr": -1}, {"color": -0.1}])
def test_bounds_that_cannot_be(options: dict[str, float]) -> None:
    with pytest.raises(InvalidParameterError):
        Bounds(**options)


def test_a_check_counts_what_fell_back_and_measures_what_was_written() -> None:
    check = QualityCheck(Bounds(psnr=45))
    assert check(written(TILE)).keeps
    refused = check(written(NOISY, col=1))
    assert (refused.keeps, refused.why) == (False, "PSNR")
    assert not check(written(NOISY, col=1, attempt=1)).keeps
    assert check(written(TILE, col=1, attempt=2)).keeps
    found = check.to_dict()["0"]
    assert (found["tiles"], found["fell_back"], found["reasons"]) == (2, 1, {"PSNR": 1})
    assert (found["equal"], found["psnr"]) == (2, {"mean": None})
    assert found["ssim"] == pytest.approx({"mean": 1, "least": 1})
    json.dumps(found, allow_nan=False)


def test_another_size_is_sent_back() -> None:
    assert check_one(NOISY[:60]) == (False, "another size")


def check_one(decoded: np.ndarray) -> tuple[bool, str]:
    verdict = QualityCheck()(written(decoded))
    return verdict.keeps, verdict.why


def test_the_worst_tiles_are_named_whichever_thread_saw_them() -> None:
    check = QualityCheck(Bounds(faults=None))
    noise = [np.clip(TILE + RNG.normal(0, 1 + n, TILE.shape), 0, 255).astype(np.uint8) for n in range(20)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: check(written(noise[n], col=n, level=n % 2)), range(20)))
    assert [place for place, _ in check.levels[1].worst] == [(0, n) for n in range(19, 3, -2)]
    assert check.levels[0].tiles == 10
