"""A file that crashes the library which reads it is refused, and takes nothing down."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from napari_nic import apart
from napari_nic.apart import check_survives, end_testers
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

def says(path):
    print("this is no answer")
    with path.open("a") as out:
        out.write(f"{os.getpid()}\\n")

def poisons(path):
    global poisoned
    poisoned = True

def crashes_if_poisoned(path):
    if globals().get("poisoned"):
        os.abort()
    says(path)

def hangs_in_c(path):
    import ctypes
    ctypes.PyDLL(None).sleep(600)  # and holds the interpreter, as a library does that runs in circles
"""


@pytest.fixture
def readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "readers_of_the_test.py").write_text(READERS)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield "readers_of_the_test"
    end_testers()


@pytest.mark.parametrize("reader", ["fine", "refuses"])
def test_what_ends_well_or_in_an_error_is_read_here(readers: str, tmp_path: Path, reader: str) -> None:
    check_survives(f"{readers}:{reader}", tmp_path / "readers_of_the_test.py", WeightsError)


def test_a_crash_is_an_error_that_names_the_file(readers: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"a\.h5: this file is damaged so badly"):
        check_survives(f"{readers}:crashes", tmp_path / "a.h5", WeightsError)


@pytest.mark.parametrize("reader", ["hangs", "hangs_in_c"])
def test_reading_without_end_is_an_error(
    readers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    monkeypatch.setattr(apart, "SECONDS", 1)
    with pytest.raises(WeightsError, match="does not end"):
        check_survives(f"{readers}:{reader}", tmp_path / "a.h5", WeightsError)


def _processes(file: Path) -> list[str]:
    return file.read_text().split()


def test_one_process_reads_file_after_file(readers: str, tmp_path: Path) -> None:
    for _ in range(3):
        check_survives(f"{readers}:says", tmp_path / "said", WeightsError)
    processes = _processes(tmp_path / "said")
    assert (len(processes), len(set(processes))) == (3, 1)
    assert int(processes[0]) != os.getpid()


def test_after_a_crash_the_next_file_is_read_by_a_new_process(readers: str, tmp_path: Path) -> None:
    check_survives(f"{readers}:says", tmp_path / "said", WeightsError)
    with pytest.raises(WeightsError, match="exit code -6"):
        check_survives(f"{readers}:crashes", tmp_path / "a.h5", WeightsError)
    check_survives(f"{readers}:says", tmp_path / "said", WeightsError)
    assert len(set(_processes(tmp_path / "said"))) == 2


def test_a_file_is_not_blamed_for_what_another_one_did_to_the_process(readers: str, tmp_path: Path) -> None:
    check_survives(f"{readers}:poisons", tmp_path / "first.h5", WeightsError)
    check_survives(f"{readers}:crashes_if_poisoned", tmp_path / "said", WeightsError)
    assert len(_processes(tmp_path / "said")) == 1


def test_several_threads_have_a_process_each(readers: str, tmp_path: Path) -> None:
    files = [tmp_path / f"said-{number}" for number in range(6)]
    with ThreadPoolExecutor(3) as pool:
        for _ in pool.map(lambda file: check_survives(f"{readers}:says", file, WeightsError), files):
            pass
    assert all(len(_processes(file)) == 1 for file in files)


def test_a_process_that_waited_for_long_has_ended(
    readers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "IDLE_SECONDS", 0.2)
    check_survives(f"{readers}:says", tmp_path / "said", WeightsError)
    os.waitid(os.P_PID, int(_processes(tmp_path / "said")[0]), os.WEXITED | os.WNOWAIT)
    check_survives(f"{readers}:says", tmp_path / "said", WeightsError)
    assert len(set(_processes(tmp_path / "said"))) == 2


def test_processes_end_with_the_program(readers: str, tmp_path: Path) -> None:
    """However it ends: what it started hears no more of it."""
    for last in ("", "os.kill(os.getpid(), signal.SIGKILL)"):
        code = f"""
import os, pathlib, signal
from napari_nic.apart import check_survives
from napari_nic.errors import WeightsError
check_survives("{readers}:says", pathlib.Path({str(tmp_path / "said")!r}), WeightsError)
{last}
"""
        path = os.pathsep.join(entry for entry in sys.path if entry)
        # Whatever holds the pipe is waited for.
        subprocess.run(  # noqa: S603 - our own text
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONPATH": path},
            stdout=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    for process in _processes(tmp_path / "said"):
        _wait_for_end(int(process))


def _wait_for_end(process: int) -> None:
    end = time.monotonic() + 20
    while Path(f"/proc/{process}").exists():
        assert time.monotonic() < end
        os.sched_yield()


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
