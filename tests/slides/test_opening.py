"""From a path to a slide, or to an error that says what is wrong and what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from napari_nic.errors import (
    InvalidParameterError,
    NicError,
    SlideNotFoundError,
    UnknownNameError,
    UnreadableSlideError,
)
from napari_nic.slides import READERS, open_slide, slide_suffixes
from napari_nic.slides import opening as opening_module


def test_no_such_file(tmp_path):
    with pytest.raises(SlideNotFoundError, match=r"gone\.svs: there is no such file"):
        open_slide(tmp_path / "gone.svs")
    with pytest.raises(FileNotFoundError):  # it is a builtin error too
        open_slide(str(tmp_path / "gone.svs"))


def test_an_empty_file(tmp_path):
    path = tmp_path / "empty.svs"
    path.touch()
    with pytest.raises(UnreadableSlideError, match=r"(?s)the file is empty.*0 bytes"):
        open_slide(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path, slide_path):
    path = Path(shutil.copy(slide_path, tmp_path / "locked.tif"))
    path.chmod(0)
    with pytest.raises(UnreadableSlideError, match="may not be read"):
        open_slide(path)


def test_every_readers_reason_is_listed(tmp_path):
    path = tmp_path / "letter.svs"
    path.write_text("Dear colleague, the slide is on its way.")
    with pytest.raises(UnreadableSlideError) as caught:
        open_slide(path)
    text = str(caught.value)
    assert "letter.svs" in text
    for name in READERS:
        assert f"\n    {name}: " in text
    assert "it starts with b'Dear'" in text


def test_a_folder_that_is_no_slide(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UnreadableSlideError, match="openslide: the folder holds no DICOM slide"):
        open_slide(tmp_path)


def test_the_content_decides_and_not_the_name(tmp_path, slide_path, small_image):
    tiff = shutil.copy(slide_path, tmp_path / "really_a_tiff.jpg")
    png = tmp_path / "really_a_png.svs"
    Image.fromarray(small_image).save(png, "PNG")
    with open_slide(tiff) as slide:
        assert slide.reader == "tiff"
    with open_slide(png) as slide:
        assert slide.reader == "plain"


def test_one_reader_only(slide_path):
    with open_slide(slide_path, reader="openslide") as slide:
        assert slide.reader == "openslide"
    with pytest.raises(UnreadableSlideError) as caught:
        open_slide(slide_path, reader="omezarr")
    assert "tiff:" not in str(caught.value)
    with pytest.raises(UnknownNameError, match="slide reader 'vips'"):
        open_slide(slide_path, reader="vips")


def test_an_absurd_pixel_size_of_the_users(slide_path):
    with pytest.raises(InvalidParameterError, match="out of range"):
        open_slide(slide_path, mpp=250)


def test_a_reader_whose_library_is_missing_is_passed_over(tmp_path, monkeypatch):
    registry = type(READERS)("slide reader")
    registry.register("absent", "napari_nic.no_such_module:open")
    monkeypatch.setattr(opening_module, "READERS", registry)
    (tmp_path / "a.svs").write_text("x")
    with pytest.raises(UnreadableSlideError, match="absent: cannot be used here"):
        open_slide(tmp_path / "a.svs")


def test_suffixes():
    suffixes = slide_suffixes()
    assert {".svs", ".mrxs", ".ndpi", ".zarr", ".png", ".tif"} <= set(suffixes)
    assert list(suffixes) == sorted(set(suffixes))
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)


def test_errors_are_of_one_family(tmp_path):
    with pytest.raises(NicError):
        open_slide(tmp_path / "gone")


def test_importing_the_room_is_light():
    code = (
        "import sys, napari_nic.slides, napari_nic.tissue\n"
        "names = {'torch', 'napari', 'qtpy', 'openslide', 'zarr', 'tifffile', 'dask.array', 'skimage'}\n"
        "sys.exit(', '.join(names & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)  # noqa: S603 - our own code
    assert done.returncode == 0, done.stderr
