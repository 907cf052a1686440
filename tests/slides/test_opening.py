"""From a path to a slide, or to an error that says what is wrong and what to do."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from napari_nic.errors import (
    DamagedSlideError,
    InvalidParameterError,
    MissingDependencyError,
    NicError,
    SlideNotFoundError,
    UnknownNameError,
    UnreadableSlideError,
    UnsupportedPixelsError,
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


def test_a_refusal_has_two_lines_and_keeps_all_reasons(tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(b"\xff\xd8\xff\xc0\0\x0b\x0c\0\x10\0\x10\1" + bytes(50))
    with pytest.raises(UnreadableSlideError) as caught:
        open_slide(path)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{path}: a JPEG of 12 bits a sample")
    assert second.startswith("  what to do: ")
    assert [name for name, _ in caught.value.reasons] == ["plain"]


def test_a_letter_is_no_slide(tmp_path):
    path = tmp_path / "letter.svs"
    path.write_text("Dear colleague, the slide is on its way.")
    with pytest.raises(UnreadableSlideError, match=r"no slide of a kind that is known.*b'Dear col'"):
        open_slide(path)


def test_a_folder_that_is_no_slide(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(UnreadableSlideError, match="neither a DICOM nor an OME-Zarr slide"):
        open_slide(tmp_path)
    (tmp_path / "a.svs").write_text("x")
    with pytest.raises(UnreadableSlideError, match=r"open one of the files in it: a\.svs"):
        open_slide(tmp_path)


def test_after_a_refusal_for_a_reason_nobody_guesses(tmp_path, monkeypatch):
    """Neither another reader of that kind, nor OpenSlide for a TIFF that it would take for a plain one."""

    def refuse(_path):
        raise UnsupportedPixelsError("pixels of a kind that is not shown", hint="convert it")

    registry = type(READERS)("slide reader")
    registry.register("strict", refuse)
    registry.register("lax", "napari_nic.slides.readers.plain:open_plain")
    monkeypatch.setattr(opening_module, "READERS", registry)
    path = tmp_path / "a.png"
    Image.new("RGB", (30, 30)).save(path)
    with pytest.raises(UnsupportedPixelsError, match="pixels of a kind") as caught:
        open_slide(path)
    assert caught.value.hint == "convert it"


def test_openslide_never_guesses_a_tiff(slide_path, monkeypatch):
    def leave(_path):
        raise UnreadableSlideError("left to others")

    registry = type(READERS)("slide reader")
    registry.register("tiff", leave)
    registry.register("openslide", "napari_nic.slides.readers.openslide:open_openslide")
    monkeypatch.setattr(opening_module, "READERS", registry)
    with pytest.raises(UnreadableSlideError, match="left to others"):
        open_slide(slide_path)


@pytest.mark.parametrize("name", ["a.svs", "a.geojson.tif", "a"])
def test_a_pipe_is_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / name)
    for reader in (None, *READERS):
        with pytest.raises(UnreadableSlideError, match=r"(?s)not a regular file.*a pipe"):
            open_slide(tmp_path / name, reader=reader)


def test_a_device_and_a_socket(tmp_path):
    with pytest.raises(UnreadableSlideError, match=r"(?s)not a regular file.*a device"):
        open_slide("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        with pytest.raises(UnreadableSlideError, match=r"(?s)not a regular file.*a socket"):
            open_slide(tmp_path / "s")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("x" * 300 + ".svs", "longer than the file system allows"),
        ("a\0b.svs", "no such file"),
        ("file.txt/a.svs", "no such file"),
        (os.fsdecode(b"\xff\xfe.svs"), "no such file"),
    ],
)
def test_names_that_cannot_be(tmp_path, monkeypatch, name, sentence):
    monkeypatch.chdir(tmp_path)
    Path("file.txt").write_text("x")
    with pytest.raises(SlideNotFoundError, match=sentence):
        open_slide(name)


def test_an_address_is_read_encrypted_or_not_at_all():
    with pytest.raises(UnreadableSlideError, match="would be read without encryption"):
        open_slide("http://example.org/a.svs")


def test_links_that_lead_nowhere(tmp_path):
    (tmp_path / "a.svs").symlink_to(tmp_path / "gone.svs")
    with pytest.raises(SlideNotFoundError, match=r"leads to a file that is not there.*gone\.svs"):
        open_slide(tmp_path / "a.svs")
    (tmp_path / "b.svs").symlink_to(tmp_path / "b.svs")
    with pytest.raises(SlideNotFoundError, match="in a circle"):
        open_slide(tmp_path / "b.svs")


def test_a_file_that_vanishes_or_cannot_be_read(tmp_path, slide_path, monkeypatch):
    def vanish(path):
        raise FileNotFoundError(2, "No such file or directory", str(path))

    def fail(_path):
        raise OSError(5, "Input/output error")

    def nest(_path):
        raise RecursionError

    def fill(_path):
        raise MemoryError

    for opener, error, sentence in [
        (vanish, SlideNotFoundError, "no such file"),
        (fail, DamagedSlideError, "Input/output error"),
        (nest, UnreadableSlideError, "nested too deeply"),
        (fill, UnreadableSlideError, "not enough memory"),
    ]:
        registry = type(READERS)("slide reader")
        registry.register("tiff", opener)
        monkeypatch.setattr(opening_module, "READERS", registry)
        with pytest.raises(error, match=sentence):
            open_slide(slide_path)


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
    with pytest.raises(UnreadableSlideError, match="no slide of a kind") as caught:
        open_slide(tmp_path / "a.svs")
    assert caught.value.reasons[0][0] == "absent"
    assert "cannot be used here" in caught.value.reasons[0][1]


def test_an_extra_that_is_missing_is_named(tmp_path, monkeypatch):
    def need(_path):
        raise MissingDependencyError(
            "a reader for these is not installed", hint="pip install 'napari-nic[x]'"
        )

    registry = type(READERS)("slide reader")
    registry.register("extra", need)
    monkeypatch.setattr(opening_module, "READERS", registry)
    Image.new("RGB", (30, 30)).save(tmp_path / "a.svs", "PNG")
    with pytest.raises(UnreadableSlideError, match=r"(?s)not installed.*pip install"):
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
