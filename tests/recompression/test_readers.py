"""Which program opens what, as docs/recompression.md says: those that are run here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
import tiffslide

from napari_nic.jobs import result_of
from napari_nic.recompression import recompress
from napari_nic.slides import open_slide

Read = Callable[[Path], np.ndarray]


def by_napari_nic(path: Path) -> np.ndarray:
    with open_slide(path) as slide:
        return np.asarray(slide.pyramid()[0])


def by_openslide(path: Path) -> np.ndarray:
    with openslide.OpenSlide(path) as slide:
        return np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"))


def by_tiffslide(path: Path) -> np.ndarray:
    with tiffslide.TiffSlide(path) as slide:
        return np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"))


def by_tifffile(path: Path) -> np.ndarray:
    return np.asarray(tifffile.imread(path))


READERS = {
    "napari-nic": by_napari_nic,
    "OpenSlide": by_openslide,
    "tifffile": by_tifffile,
    "tiffslide": by_tiffslide,
}
SHIFTED = {"tifffile", "tiffslide"}


@pytest.fixture
def slides(request: pytest.FixtureRequest, aperio: Path) -> list[Path]:
    """A made slide; and a real one where there is one."""
    found = [aperio]
    try:
        found.append(request.getfixturevalue("cmu_path"))
    except pytest.skip.Exception:
        return found
    return found


@pytest.mark.parametrize("mode", ["optimize", "progressive"])
@pytest.mark.parametrize("name", READERS)
def test_optimised_slides_have_the_same_pixels_everywhere(
    slides: list[Path], tmp_path: Path, name: str, mode: str
) -> None:
    for slide in slides:
        result_of(recompress(slide, tmp_path / "b.svs", mode))
        np.testing.assert_array_equal(READERS[name](tmp_path / "b.svs"), READERS[name](slide))


@pytest.mark.parametrize("name", READERS)
def test_repacked_slides_open_as_stated(slides: list[Path], tmp_path: Path, name: str) -> None:
    for slide in slides:
        result_of(recompress(slide, tmp_path / "b.svs", "repack"))
        if name == "OpenSlide":
            with pytest.raises(openslide.OpenSlideError):
                READERS[name](tmp_path / "b.svs")
            continue
        shift = READERS[name](tmp_path / "b.svs").astype(int) - READERS[name](slide)
        assert np.any(shift) == (name in SHIFTED)
        assert abs(shift.mean()) < 8
