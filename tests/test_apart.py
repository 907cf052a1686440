"""A file that crashes the library which reads it is refused, and takes nothing down."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from napari_nic import apart
from napari_nic.apart import check_survives
from napari_nic.errors import WeightsError

READERS = """
import os, time

def fine(path):
    path.read_bytes()

def refuses(path):
    raise ValueError("damaged")

def crashes(path):
    os.abort()

def hangs(path):
    time.sleep(600)
"""


@pytest.fixture
def readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "readers_of_the_test.py").write_text(READERS)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return "readers_of_the_test"


@pytest.mark.parametrize("reader", ["fine", "refuses"])
def test_what_ends_well_or_in_an_error_is_read_here(readers: str, tmp_path: Path, reader: str) -> None:
    check_survives(f"{readers}:{reader}", tmp_path / "readers_of_the_test.py", WeightsError)


def test_a_crash_is_an_error_that_names_the_file(readers: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"a\.h5: this file is damaged so badly"):
        check_survives(f"{readers}:crashes", tmp_path / "a.h5", WeightsError)


def test_reading_without_end_is_an_error(
    readers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "SECONDS", 2)
    with pytest.raises(WeightsError, match="does not end"):
        check_survives(f"{readers}:hangs", tmp_path / "a.h5", WeightsError)


def test_modules_of_the_working_folder_are_not_loaded(
    readers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may have come with the file."""
    folder = tmp_path / "sent"
    folder.mkdir()
    (folder / "contextlib.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    check_survives(f"{readers}:fine", folder / "contextlib.py", WeightsError)
    assert not (tmp_path / "ran").exists()
