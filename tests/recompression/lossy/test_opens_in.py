"""What is said of programs fits what they do, for those that are installed here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
import tiffslide

from napari_nic.errors import InvalidParameterError, UnknownNameError
from napari_nic.jobs import result_of
from napari_nic.names import CONTAINER_SUFFIXES
from napari_nic.recompression import GlassOptions
from napari_nic.recompression.lossy import (
    CONTAINERS,
    PIXEL_CODECS,
    PROGRAMS,
    LossyOptions,
    choose_options,
    opens_table,
    recompress_lossy,
)
from napari_nic.recompression.lossy.opens_in import answer_of, form_name, opens_page, parse_form_name

TIFFS = ("tiff", "svs", "ome-tiff")


def by_openslide(path: Path) -> np.ndarray:
    with openslide.OpenSlide(str(path)) as slide:
        return np.asarray(slide.read_region((300, 300), 0, (200, 200)))[..., :3]


def by_tiffslide(path: Path) -> np.ndarray:
    with tiffslide.TiffSlide(str(path)) as slide:
        return np.asarray(slide.read_region((300, 300), 0, (200, 200)))[..., :3]


def by_tifffile(path: Path) -> np.ndarray:
    with tifffile.TiffFile(path) as tif:
        return tif.series[0].levels[0].asarray()[300:500, 300:500]


@pytest.mark.parametrize("container", TIFFS)
@pytest.mark.parametrize("codec", [*PIXEL_CODECS.names(), "neural"])
def test_programs_do_what_is_said(
    plain_slide: Path, tmp_path: Path, container: str, codec: str, request: pytest.FixtureRequest
) -> None:
    if codec == "neural":
        codec = f"neural:{request.getfixturevalue('learned_folder')}"
    out = tmp_path / f"a{CONTAINER_SUFFIXES[container][0]}"
    result_of(recompress_lossy(plain_slide, out, LossyOptions(codec=codec, container=container), workers=1))
    meant = tifffile.imread(plain_slide)[300:500, 300:500].astype(int)
    readers = {"openslide": by_openslide, "tiffslide": by_tiffslide, "tifffile": by_tifffile}
    for program, read in readers.items():
        said = answer_of(program, container, codec)
        assert said is not None
        if said.opens:
            assert np.abs(read(out) - meant).mean() < 6, program
        else:
            with pytest.raises(Exception, match=r"60001|60205|[Cc]ompression|Unsupported"):
                read(out)


def test_settings_are_chosen_that_programs_open() -> None:
    chosen = choose_options(["openslide", "qupath"], LossyOptions())
    assert (chosen.codec, chosen.container) == ("jpeg", "tiff")
    assert choose_options(["fast", "tifffile"], LossyOptions()).codec == "jpegxl"
    kept = choose_options(["openslide"], LossyOptions(codec="jpeg2000"), fixed=["codec"])
    assert kept.container == "svs"
    assert choose_options(["napari-nic"], LossyOptions()).codec == "jpegxl"


def test_what_cannot_be_had_is_said() -> None:
    with pytest.raises(InvalidParameterError, match="no settings"):
        choose_options(["openslide"], LossyOptions(codec="avif"), fixed=["codec"])
    left_out = LossyOptions(glass=GlassOptions(fill="empty"))
    with pytest.raises(InvalidParameterError, match="no settings"):
        choose_options(["tiffslide"], left_out)
    with pytest.raises(UnknownNameError, match="openslide"):
        choose_options(["photoshop"], LossyOptions())


def test_every_program_has_an_answer_for_everything() -> None:
    for container in CONTAINERS.names():
        for codec in [*PIXEL_CODECS.names(), "neural:any"]:
            table = opens_table(LossyOptions(codec=codec, container=container))
            assert len(table) == len(PROGRAMS)
            assert all(answer.opens or answer.note for _, answer in table)
            assert parse_form_name(form_name(container, codec, "keep") + ".x") == (container, codec, "keep")


def test_the_page_of_the_documentation_says_the_same() -> None:
    page = Path(__file__).parents[3] / "docs" / "which-program-opens-what.md"
    assert opens_page() in page.read_text("utf-8")
