"""Two files of one slide compared: bytes, quality by magnification, drift, worst views, the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from napari_nic.encoders import load_encoder
from napari_nic.errors import InvalidParameterError, MissingPixelSizeError, UnknownNameError
from napari_nic.geometry import Placement
from napari_nic.jobs import result_of
from napari_nic.recompression.reporting import (
    ReportOptions,
    RunFacts,
    SlideComparison,
    compare_slides,
    report_page,
    stored_levels,
)
from napari_nic.recompression.reporting.drift import cosines, drift_of, fitted
from napari_nic.recompression.reporting.page import MAP_FULL, difference_map
from napari_nic.recompression.reporting.views import choose_views, plan_sampling
from napari_nic.slides import open_slide
from napari_nic.tissue import TissueMask

FEW = ReportOptions(views=4, encoders=("nic-default", "mean-rgb"))
Make = Callable[..., Path]


@pytest.fixture(scope="module")
def coarse(slide_image: np.ndarray, make_tiff: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same picture, with a fault in one place: a block whose colours are swapped."""
    picture = cv2.GaussianBlur(slide_image, (0, 0), 0.6)
    picture[500:560, 700:760] = picture[500:560, 700:760, ::-1]
    return make_tiff(tmp_path_factory.mktemp("coarse") / "coarse.tif", picture, factors=(1, 4, 16))


@pytest.fixture(scope="module")
def found(slide_path: Path, coarse: Path) -> SlideComparison:
    return result_of(compare_slides(slide_path, coarse, FEW))


def test_bytes_of_levels_and_of_all_else_are_those_of_the_file(slide_path: Path) -> None:
    with open_slide(slide_path) as slide:
        levels = stored_levels(slide)
        assert [level.shape for level in levels] == [*(level.shape for level in slide.levels), None]
    assert sum(level.size for level in levels) == slide_path.stat().st_size
    assert [level.codec for level in levels] == ["JPEG"] * 3 + [""]
    assert levels[0].tiles == 5 * 6
    assert levels[0].bits_per_pixel == pytest.approx(8 * levels[0].size / (1100 * 1500))


def test_quality_by_magnification(found: SlideComparison) -> None:
    assert [one.magnification for one in found.qualities] == [20, 10, 5]
    for one in found.qualities:
        assert 0 < one.ssim[1] <= one.ssim[0] < 1
        assert one.ms_ssim[0] > one.ssim[0]
        assert one.psnr is not None
        assert one.mpp == pytest.approx(10 / one.magnification)
    ssim = [one.ssim[0] for one in found.qualities]
    assert ssim == sorted(ssim), "averaging hides the blur"


def test_drift_of_embeddings(found: SlideComparison) -> None:
    assert [one.encoder for one in found.drifts] == ["nic-default", "mean-rgb"]
    for one in found.drifts:
        assert -1 <= one.least <= one.p5 <= one.mean <= 1
        assert one.others is not None
        assert one.others < one.mean


def test_equal_files_are_equal(slide_path: Path) -> None:
    found = result_of(compare_slides(slide_path, slide_path, FEW))
    assert {one.psnr for one in found.qualities} == {None}
    assert {one.ssim for one in found.qualities} == {(1.0, 1.0)}
    assert [one.mean for one in found.drifts] == pytest.approx([1, 1])
    assert found.worst == ()
    assert found.saved == 0


class Reader(HTMLParser):
    """Which tags are open, and how many pictures there are."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(str(dict(attrs)["src"]))
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_holds_everything_and_needs_nothing(found: SlideComparison) -> None:
    checks = {
        "0": {
            "tiles": 30,
            "fell_back": 2,
            "reasons": {"SSIM": 2},
            "ssim": {"mean": 0.99, "least": 0.96},
            "color": {"largest": 3.0},
        }
    }
    page = report_page(found, run=RunFacts.of(checks, 0.3))
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert len(reader.images) == 3 * len(found.worst) > 0
    assert all(image.startswith("data:image/png;base64,") for image in reader.images)
    for text in (
        "SSIM",
        "MS-SSIM",
        "bits a pixel",
        "Drift of embeddings",
        "nic-default",
        "2 SSIM",
        "20x",
        "10.00 ms",
    ):
        assert text in page


def test_numbers_are_plain_json(found: SlideComparison) -> None:
    facts = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert facts["before"]["bytes"] == found.before.stat().st_size
    assert facts["quality"][0]["ssim"]["mean"] == found.qualities[0].ssim[0]
    worst = [place["ssim"] for place in facts["worst"]]
    assert worst == sorted(worst)


def test_a_model_of_slides_is_asked_about_both(slide_path: Path, coarse: Path, one_thread: None) -> None:
    options = ReportOptions(views=1, encoders=(), models=("lesion-demo",))
    found = result_of(compare_slides(slide_path, coarse, options))
    json.dumps(found.to_dict(), allow_nan=False)
    (drift,) = found.predictions
    assert sum(drift.before) == pytest.approx(1, abs=1e-3)
    assert drift.largest_cell > 0
    assert "Drift of predictions" in report_page(found)


def test_what_cannot_be_compared(
    slide_path: Path, make_tiff: Make, make_tissue: Make, tmp_path: Path
) -> None:
    other = make_tiff(tmp_path / "other.tif", make_tissue(600, 700))
    with pytest.raises(InvalidParameterError, match="different sizes"):
        result_of(compare_slides(slide_path, other, FEW))
    glass = make_tiff(tmp_path / "glass.tif", np.full((600, 700, 3), 240, np.uint8))
    with pytest.raises(InvalidParameterError, match="no tissue"):
        result_of(compare_slides(glass, glass, FEW))
    silent = make_tiff(tmp_path / "silent.tif", make_tissue(600, 700), mpp=None)
    with pytest.raises(MissingPixelSizeError):
        result_of(compare_slides(silent, silent, FEW))
    with pytest.raises(UnknownNameError):
        result_of(compare_slides(slide_path, slide_path, ReportOptions(views=1, encoders=("no such",))))
    with pytest.raises(InvalidParameterError):
        ReportOptions(views=0)


def test_views_are_of_tissue_inside_the_slide_and_off_its_grid(slide_path: Path) -> None:
    with open_slide(slide_path) as slide:
        mask = np.zeros((110, 150), bool)
        mask[40:80, 60:140] = True
        tissue = TissueMask(mask, Placement((0, 0), (5, 5)), "made")
        sampling = plan_sampling(slide, slide.require_pixel_size(), 0.5)
        assert sampling is not None
        views = choose_views(slide, tissue, sampling, side=128, count=50)
        assert views == choose_views(slide, tissue, sampling, side=128, count=50)
        for view in views:
            region = view.region
            assert (region.y % 128, region.x % 128) == (3, 5)
            inside = mask.repeat(10, 0).repeat(10, 1)[region.y : region.bottom, region.x : region.right]
            assert inside.shape == (128, 128)
            assert inside.mean() >= 0.5
        assert choose_views(slide, tissue, sampling, side=1200, count=1) == []
        assert plan_sampling(slide, slide.require_pixel_size(), 0.25) is None


def test_cosines() -> None:
    one = np.array([[1.0, 0], [0, 2], [0, 0], [0, 0], [3, 3]])
    other = np.array([[2.0, 0], [0, -1], [0, 0], [0, 1], [1, 0]])
    np.testing.assert_allclose(cosines(one, other), [1, -1, 1, 0, np.sqrt(0.5)])


def test_drift_grows_with_the_damage(make_tissue: Make) -> None:
    encoder = load_encoder("nic-default")
    picture = make_tissue(512, 512)[128:384, 128:384]
    patches = np.stack([picture[y : y + 128, x : x + 128] for y in (0, 128) for x in (0, 128)])
    rng = np.random.default_rng(0)
    means = []
    for noise in (0, 8, 60):
        noisy = np.clip(patches + rng.normal(0, noise, patches.shape), 0, 255).astype(np.uint8)
        fit = [np.stack([fitted(patch, 64) for patch in one]) for one in (patches, noisy)]
        means.append(drift_of(encoder, fit[0], fit[1], 0.5).mean)
    assert means[0] == pytest.approx(1)
    assert means[0] > means[1] > means[2]
    with pytest.raises(InvalidParameterError):
        fitted(picture, 100)


def test_the_difference_map_is_black_where_nothing_differs() -> None:
    one = np.full((64, 64, 3), 180, np.uint8)
    other = one.copy()
    other[20:40, 20:40] = (20, 20, 20)
    found = difference_map(one, other).astype(int).sum(axis=-1)
    assert found[30, 30] > 500
    assert found[:8].max() < 10
    assert MAP_FULL > 0
