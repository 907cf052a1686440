"""The terminal is the command's: libraries are silent, and a reader that goes is no complaint."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

NOISE = """
import logging, os, sys, warnings
from napari_nic.cli.streams import libraries_silenced
with libraries_silenced(debug=len(sys.argv) > 1):
    warnings.warn("by warnings")
    logging.getLogger("tifffile").warning("by the log")
    os.write(2, b"by descriptor 2\\n")
    print("ours", file=sys.stderr)
os.write(2, b"after\\n")
warnings.warn("later")
"""


def run(*command: str, **options) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, *command], check=False, timeout=120, **options)  # noqa: S603


def info(path: object, **options) -> subprocess.CompletedProcess[bytes]:
    return run("-m", "napari_nic.cli", "info", str(path), **options)


def test_what_libraries_print_stays_away():
    said = run("-c", NOISE, stderr=subprocess.PIPE).stderr.decode()
    assert said.startswith("ours\nafter\n")
    assert "by " not in said
    assert "later" in said
    assert "no longer redirected" not in said


def test_debug_shows_it():
    said = run("-c", NOISE, "debug", stderr=subprocess.PIPE).stderr.decode()
    for way in ("by warnings", "by the log", "by descriptor 2", "ours", "after"):
        assert way in said


def test_a_crash_is_told():
    code = (
        "import ctypes\nfrom napari_nic.cli.streams import libraries_silenced\n"
        "with libraries_silenced():\n    ctypes.string_at(0)"
    )
    done = run("-c", code, stderr=subprocess.PIPE)
    assert done.returncode < 0
    assert b"Segmentation fault" in done.stderr


def test_a_programming_error_stays_a_traceback():
    code = "from napari_nic.cli.streams import libraries_silenced\nwith libraries_silenced():\n    1 / 0"
    assert b"ZeroDivisionError" in run("-c", code, stderr=subprocess.PIPE).stderr


@pytest.mark.parametrize(
    "arguments", [("info", "none.svs"), ("--help",), ("info", "--help"), ("info", "."), ()]
)
def test_a_reader_of_both_streams_that_goes(arguments, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = run("-m", "napari_nic.cli", *arguments, stdout=writer, stderr=subprocess.PIPE, cwd=tmp_path)
    os.close(writer)
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


def test_closed_standard_streams(slide_path: Path):
    for closed in ("1>&-", "2>&-", "0<&-", "1>&- 2>&-"):
        command = f'"{sys.executable}" -m napari_nic.cli info "{slide_path}" {closed}'
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, check=False, timeout=120)  # noqa: S603
        assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_full_disk_behind_stdout(slide_path: Path, form):
    with Path("/dev/full").open("wb") as full:
        done = run(
            "-m", "napari_nic.cli", "info", str(slide_path), *form, stdout=full, stderr=subprocess.PIPE
        )
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert b"no space left" in done.stderr.lower()


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_name_that_is_no_text(tmp_path, slide_path: Path, encoding):
    name = os.fsdecode(b"\xff\x1b[31m\xc3\xa9.tif")
    (tmp_path / name).write_bytes(slide_path.read_bytes())
    environment = os.environ | {"PYTHONIOENCODING": encoding}
    done = info(tmp_path / name, capture_output=True, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\x1b" not in done.stdout
    gone = info(tmp_path / f"gone-{name}", capture_output=True, env=environment)
    assert gone.returncode == 1
    assert b"there is no such file" in gone.stderr
    assert b"\x1b" not in gone.stderr
    assert b"Traceback" not in gone.stderr


def test_a_png_with_a_broken_profile_says_nothing_of_libpng(tmp_path):
    metadata = PngImagePlugin.PngInfo()
    metadata.add(b"iCCP", b"broken\0\0garbage")
    Image.new("RGB", (40, 30), (9, 9, 9)).save(tmp_path / "a.png", pnginfo=metadata)
    done = info(tmp_path / "a.png", capture_output=True)
    assert done.stderr == b""


def test_debug_before_the_command_and_after_it(cli, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff\xc0\0\x0b\x0c\0\x10\0\x10\1" + bytes(50))
    plain = cli("info", path)
    assert len(plain.err.splitlines()) == 2
    for arguments in (("--debug", "info", path), ("info", path, "--debug")):
        said = cli(*arguments).err
        assert "Traceback" in said
        assert "  plain: a JPEG of 12 bits a sample" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_listed(cli, tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    assert "may not be read" in cli("info", tmp_path / "closed").err


def test_what_the_system_refuses_is_one_sentence(cli, slide, monkeypatch):
    from napari_nic.cli import info as command

    def refuse(_arguments):
        raise PermissionError(13, "Permission denied", "/secret")

    monkeypatch.setattr(command, "find_slides", refuse)
    outcome = cli("info", slide)
    assert outcome.code == 1
    assert outcome.err.startswith("error: /secret: permission denied\n  what to do: change the permissions")


def test_names_that_are_too_long(cli):
    outcome = cli("info", "x" * 300 + ".svs")
    assert outcome.code == 1
    assert "longer than the file system allows" in outcome.err
    assert len(outcome.err.splitlines()) == 2


def test_one_bad_name_does_not_stop_the_others(cli, slide):
    outcome = cli("info", "x" * 300, "a\0b", slide)
    assert outcome.code == 1
    assert "1500 x 1100 px" in outcome.out
    assert "2 of 3 failed" in outcome.err
