"""The page of a comparison: complete, escaped, without network; its pictures lie where the slide is."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image
from sklearn.metrics import cohen_kappa_score

from napari_nic.annotations import Annotation, AnnotationSet, SlideExtent
from napari_nic.colors import GREEN
from napari_nic.geometry import PixelSize
from napari_nic.reader_study import CompareOptions, Reading, ReadSlide, compare_readings
from napari_nic.reader_study.pictures import OPACITY, difference_picture
from napari_nic.reader_study.report import ReaderReport, SlideSection, slide_section
from napari_nic.reader_study.units import NOTHING
from napari_nic.reader_study.votes import kappa_of_votes, votes_on
from napari_nic.slides import open_slide

HALF = PixelSize(0.5, 0.5)
EVIL = "<script>alert('x')</script> & \"co\""


def read_slide(name: str, reader: str = "a", **options: object) -> ReadSlide:
    areas = shapely.box(0, 0, 400, 200), shapely.box(200, 0, 600, 200)
    readings = tuple(
        Reading(who, AnnotationSet((Annotation(EVIL, "polygon", area),)))
        for who, area in zip((reader, "b"), areas, strict=True)
    )
    return ReadSlide(name, HALF, readings, SlideExtent((400, 800), HALF), **options)


def section(read: ReadSlide):
    return slide_section(read, compare_readings(read.name, read.readings, read.pixel))


class Checked(HTMLParser):
    """Collects what a page would run or fetch, and whether its tags are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [
            tag,
            *(value or "" for name, value in attrs if name in ("src", "href") or name.startswith("on")),
        ]
        if tag not in ("img", "meta", "br"):
            self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.tags.pop() == tag


def test_the_page_holds_everything_and_runs_nothing() -> None:
    sections = [section(read_slide(name, reader=EVIL)) for name in ("s1", EVIL)]
    report = ReaderReport(EVIL, [(EVIL, "drawn")], CompareOptions(), sections, [(EVIL, EVIL)])
    text = report.to_html()
    page = Checked()
    page.feed(text)
    assert page.tags == []
    assert "script" not in page.found
    assert all(one.startswith("data:image/png;base64,") for one in page.found if ":" in one)
    assert "<script" not in text
    assert text.count("<img") == 2
    assert "mm²" in text
    assert "0.500 (0.500 to 0.500)" in text, "Dice of both slides"
    assert ReaderReport("t", [], CompareOptions(raster_um=2), [], []).to_html().count("raster of 2 um") == 1


def test_kappa_of_all_slides_is_on_the_page() -> None:
    reads = [read_slide("s1"), read_slide("s2")]
    sections = [section(read) for read in reads]
    report = ReaderReport("t", [("a", "drawn"), ("b", "drawn")], CompareOptions(), sections)
    found = report.kappa()
    # Cells of 100 um: one of a alone, one of b alone, one of both; those of nobody do not count.
    units = [votes_on(read).units.classes for read in reads]
    pairs = np.concatenate(units)
    expected = cohen_kappa_score(pairs[:, 0], pairs[:, 1])
    assert found.pairs[0][2].value == pytest.approx(expected)
    assert found.n_units == len(pairs) == 2 * 3
    page = report.to_html()
    assert "Agreement beyond chance (kappa)" in page
    assert "6 cells of 2 slides" in page
    assert re.search(r"a and b</t[dh]>\s*<td[^>]*>-?0\.\d{3}", page)


def test_slides_may_have_different_classes_and_readers_may_be_three() -> None:
    def read(name: str, labels: str) -> ReadSlide:
        areas = [shapely.box(0, 0, 400, 200), shapely.box(200, 0, 600, 200), shapely.box(0, 0, 600, 200)]
        readings = tuple(
            Reading(who, AnnotationSet((Annotation(label, "polygon", area),)))
            for who, label, area in zip("abc", labels, areas, strict=True)
        )
        return ReadSlide(name, HALF, readings, SlideExtent((400, 800), HALF))

    votes = [votes_on(read("s1", "TTS")), votes_on(read("s2", "SSS"))]
    found = kappa_of_votes(votes, list("abc"))
    assert found.classes == (NOTHING, "T", "S")
    names = [np.array(one.classes)[one.units.classes] for one in votes]
    joined = np.concatenate(names)
    for first, second, value in found.pairs:
        a, b = ("abc".index(who) for who in (first, second))
        assert value.value == pytest.approx(cohen_kappa_score(joined[:, a], joined[:, b]))
    sections = [SlideSection("s1", (), (), votes[0]), SlideSection("s2", (), (), votes[1])]
    report = ReaderReport("t", [(who, "") for who in "abc"], CompareOptions(), sections)
    assert "all 3 (Fleiss)" in report.to_html()
    assert kappa_of_votes([], ["a", "b"]) is None
    assert kappa_of_votes(votes, ["a"]) is None


def test_a_difference_lies_on_its_place_of_the_slide(slide_path: Path) -> None:
    with open_slide(slide_path) as slide:
        rows, cols = slide.levels[0].shape
        square = shapely.box(600, 400, 900, 700)
        readings = tuple(Reading(who, AnnotationSet((Annotation("T", "polygon", square),))) for who in "ab")
        extent = SlideExtent((rows, cols), HALF)
        read = ReadSlide("made", HALF, readings, extent, None, slide_path)
        picture = difference_picture(read, readings, "T")
        plain = difference_picture(read, readings, "other")
    scale = picture.shape[1] / cols
    y, x = (
        slice(round(400 * scale) + 2, round(700 * scale) - 2),
        slice(round(600 * scale) + 2, round(900 * scale) - 2),
    )
    expected = plain[y, x] * (1 - OPACITY) + np.array(GREEN) * OPACITY
    np.testing.assert_allclose(picture[y, x], expected, atol=1)
    assert (
        np.abs(picture.astype(int) - plain).sum()
        == np.abs(picture.astype(int) - plain)[
            round(400 * scale) - 2 : round(700 * scale) + 2, round(600 * scale) - 2 : round(900 * scale) + 2
        ].sum()
    )
    # The tissue of the slide is an ellipse in its middle, on white glass.
    assert plain[5, 5].min() > 235
    assert plain[plain.shape[0] // 2, plain.shape[1] // 2].min() < 225


def test_pictures_without_the_slide_are_on_white() -> None:
    (picture,) = section(read_slide("s")).pictures
    data = base64.b64decode(re.sub("^.*,", "", picture.address))
    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image)
    assert pixels.shape == (200, 400, 3)
    assert pixels[-1, -1].tolist() == [255, 255, 255]
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) == 4, "white, both, only one, only the other"
