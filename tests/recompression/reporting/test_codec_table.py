"""Codecs against each other: sums, equal terms, plots, and how well a model still orders slides."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_nic.errors import InvalidParameterError, UnknownNameError
from napari_nic.jobs import result_of
from napari_nic.recompression.reporting.codec_page import codec_page, plots, row_texts
from napari_nic.recompression.reporting.codec_table import CodecTable, compare_codecs
from napari_nic.recompression.reporting.contenders import contender, default_contenders
from napari_nic.recompression.reporting.recoded import ORIGINAL, aucs_of, open_recoded
from napari_nic.slides import open_slide

TRIED = (contender("jpeg", 60, "4:4:4"), contender("jpegxl", 80))


@pytest.fixture(scope="module")
def found(slide_path: Path) -> CodecTable:
    return result_of(compare_codecs([slide_path], TRIED, views=2))


def test_both_baselines_take_part_and_save_nothing_against_themselves(found: CodecTable) -> None:
    rows = {row.name: row for row in found.rows()}
    assert list(rows) == ["jpeg 4:2:0, 90", "jpeg 4:4:4, 90", "jpeg 4:4:4, 60", "jpegxl 4:4:4 effort 3, 80"]
    assert rows["jpeg 4:4:4, 90"].saved == (0, 0, 0)
    assert rows["jpeg 4:2:0, 90"].saved_of_paper == 0
    assert rows["jpeg 4:4:4, 60"].saved[0] > 0.2
    assert rows["jpeg 4:4:4, 60"].ssim[0] < rows["jpeg 4:4:4, 90"].ssim[0]


def test_sums_are_those_of_the_tiles(found: CodecTable) -> None:
    results = [one for one in found.results if one.contender == "jpeg 4:4:4, 60"]
    row = next(row for row in found.rows() if row.name == "jpeg 4:4:4, 60")
    assert row.tiles == len(results)
    assert row.size == sum(one.size for one in results)
    assert row.bits_per_pixel == pytest.approx(8 * row.size / (row.tiles * 256 * 256))
    assert row.ssim[1:] == (min(one.ssim for one in results), max(one.ssim for one in results))
    by = [part for m in found.magnifications for part in found.rows(m) if part.name == row.name]
    assert sum(part.size for part in by) == row.size
    seen = [one.cosine for one in results if one.magnification == 20]
    assert np.isfinite(seen).all()
    assert row.cosine == pytest.approx(np.mean(seen))
    assert not any(np.isfinite(one.cosine) for one in results if one.magnification != 20)


def test_the_page_and_its_plots(found: CodecTable) -> None:
    page = codec_page(found, "Codecs <on> tiles")
    assert "Codecs &lt;on&gt; tiles" in page
    assert page.count("<svg") == 2
    for row in found.rows():
        for text in row_texts(row):
            assert text in page
    found.aucs = {"jpeg 4:4:4, 60": 0.8}
    assert list(plots(found)) == ["Size against SSIM", "Size against cosine of codes", "Size against AUC"]
    found.aucs = {}
    json.dumps(found.to_dict(), allow_nan=False)


def test_the_codecs_of_the_paper_are_tried_by_default() -> None:
    names = [one.name for one in default_contenders()]
    assert len(names) == len(set(names))
    for name in ("jpegxl 4:4:4 effort 7, 90", "jpeg2000 4:4:4, 37 dB", "jpeg 4:2:0, 90"):
        assert name in names
    with pytest.raises(UnknownNameError):
        contender("gif")


def test_without_tissue_there_is_nothing_to_compare(make_tiff: Callable[..., Path], tmp_path: Path) -> None:
    glass = make_tiff(tmp_path / "glass.tif", np.full((600, 700, 3), 240, np.uint8))
    with pytest.raises(InvalidParameterError, match="no slide"):
        result_of(compare_codecs([glass], TRIED))


def test_a_recoded_slide_is_the_slide_after_the_codec(slide_path: Path) -> None:
    with open_recoded(slide_path, None) as one, open_recoded(slide_path, TRIED[0]) as other:
        assert other.levels == one.levels
        assert other.pixel_size == one.pixel_size
        tile = one.read_tile(0, 1, 1)
        np.testing.assert_array_equal(other.read_tile(0, 1, 1), TRIED[0].decode(TRIED[0].encode(tile)))


def test_aucs(slide_path: Path, make_tiff: Callable[..., Path], tmp_path: Path, one_thread: None) -> None:
    with open_slide(slide_path) as slide:
        picture = np.asarray(slide.pyramid()[0])
    other = make_tiff(tmp_path / "other.tif", np.ascontiguousarray(picture[::-1, :, ::-1]))
    labels = {slide_path: "no lesion", other: "lesion"}
    aucs = result_of(aucs_of(labels, [TRIED[0]], "lesion-demo"))
    assert list(aucs) == [ORIGINAL, TRIED[0].name]
    assert set(aucs.values()) <= {0.0, 0.5, 1.0}
    with pytest.raises(InvalidParameterError, match="labels"):
        result_of(aucs_of({slide_path: "no class of it"}, [], "lesion-demo"))
