"""Files appear whole or not at all, and what is no file is refused before it is opened."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from napari_nic.disk import check_regular, replacing, replacing_folder, temporary_sibling
from napari_nic.errors import AnnotationError, StoreError, UnreadableSlideError


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system here")
@pytest.mark.parametrize("kind", [UnreadableSlideError, AnnotationError])
def test_a_pipe_is_refused_without_opening_it(tmp_path, kind):
    pipe = tmp_path / "pipe.svs"
    os.mkfifo(pipe)
    with pytest.raises(kind, match="not a regular file") as caught:
        check_regular(pipe, kind)
    assert caught.value.found == "a pipe"


def test_a_device_is_refused():
    if not Path("/dev/zero").is_char_device():
        pytest.skip("no device of that name on this system")
    with pytest.raises(StoreError, match="not a regular file"):
        check_regular(Path("/dev/zero"), StoreError)


def test_files_folders_and_what_is_not_there_pass(tmp_path):
    (tmp_path / "a").write_text("x")
    for path in (tmp_path, tmp_path / "a", tmp_path / "missing"):
        check_regular(path, StoreError)


def test_a_failed_write_leaves_the_older_file_and_nothing_else(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("older")

    def write_half() -> None:
        with replacing(file) as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(StoreError, match="no space left"):
        write_half()
    assert file.read_text() == "older"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_who_cannot_write_here_is_told_how_to_write_elsewhere(tmp_path, number):
    def write() -> None:
        with replacing(tmp_path / "a.txt"):
            raise OSError(number, os.strerror(number))

    with pytest.raises(StoreError) as caught:
        write()
    assert "--out" in str(caught.value.hint)


def test_the_content_is_synced_before_the_rename(tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr(os, "fsync", lambda _handle: events.append("fsync"))
    monkeypatch.setattr(Path, "replace", lambda *_: events.append("rename"))
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    assert events == ["fsync", "rename", "fsync"]  # the file, and then the folder that holds its name


def _gone() -> int:
    """Return the number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return process.pid


def _left_by_a_killed_run(path: Path, kind: str = "partial") -> Path:
    """A temporary name for `path`, of a process of this machine that has ended."""
    name = temporary_sibling(path, kind).name
    return path.parent / name.replace(f"-{os.getpid()}-", f"-{_gone()}-")


def test_what_a_killed_run_left_is_removed_by_the_next_one(tmp_path):
    file = tmp_path / "a.txt"
    left = _left_by_a_killed_run(file)
    left.write_text("half")
    foreign = [
        tmp_path / name for name in (".a.txt.partial", ".a.txt.mine.partial", ".b.txt.partial", "a.txt.old")
    ]
    for path in foreign:
        path.write_text("of the user")
    with replacing(file) as temporary:
        temporary.write_text("whole")
    assert not left.exists()
    assert file.read_text() == "whole"
    assert all(path.exists() for path in foreign)


def test_what_a_running_process_writes_is_left_alone(tmp_path):
    file = tmp_path / "a.txt"
    with replacing(file) as first:
        first.write_text("first")
        with replacing(file) as second:
            second.write_text("second")
        assert first.read_text() == "first"
    assert file.read_text() == "first"
    other = tmp_path / temporary_sibling(file).name.replace(f"-{os.getpid()}-", "-1-")
    other.write_text("of a process that runs")
    with replacing(file) as temporary:
        temporary.write_text("third")
    assert other.exists()


def test_what_another_machine_left_is_removed_after_a_day(tmp_path):
    file = tmp_path / "a.txt"
    names = (f".a.txt.{'0' * 8}-7-{'1' * 12}.partial", f".a.txt.{'2' * 32}.partial")
    for age, there in ((3600, True), (90_000, False)):
        for name in names:
            (tmp_path / name).write_text("half")
            os.utime(tmp_path / name, (time.time() - age,) * 2)
        with replacing(file) as temporary:
            temporary.write_text("whole")
        assert [(tmp_path / name).exists() for name in names] == [there, there]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_is_replaced_whole(tmp_path, exchange, monkeypatch):
    if not exchange:  # a system without the call that lets two names change places
        monkeypatch.setattr("napari_nic.disk._exchange", lambda *_: False)
    folder = tmp_path / "store"
    for text in ("older", "newer"):
        with replacing_folder(folder) as temporary:
            (temporary / "inner").mkdir(parents=True)
            (temporary / "inner" / "a").write_text(text)
    assert (folder / "inner" / "a").read_text() == "newer"
    assert [entry.name for entry in tmp_path.iterdir()] == ["store"]


def test_a_folder_that_gave_way_when_the_run_was_killed_gets_its_name_back(tmp_path):
    folder = tmp_path / "store"
    left = _left_by_a_killed_run(folder, "old")
    left.mkdir()
    (left / "a").write_text("older")
    with pytest.raises(StoreError), replacing_folder(folder):
        pass  # nothing is made: the older one is not harmed
    assert (folder / "a").read_text() == "older"


def test_a_link_is_written_through_and_never_deleted_through(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.txt").write_text("older")
    (tmp_path / "a.txt").symlink_to("real/a.txt")
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("newer")
    assert (tmp_path / "a.txt").is_symlink()
    assert (tmp_path / "real" / "a.txt").read_text() == "newer"
    (tmp_path / "folder").symlink_to("real")
    with (
        pytest.raises(StoreError, match="a link is in the way"),
        replacing_folder(tmp_path / "folder") as made,
    ):
        made.mkdir()
    assert (tmp_path / "folder" / "a.txt").read_text() == "newer"


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of another kind")
def test_new_files_follow_the_umask_and_replaced_ones_keep_their_mode(tmp_path):
    before = os.umask(0o027)
    try:
        with replacing(tmp_path / "new") as temporary:
            temporary.write_text("x")
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
        (tmp_path / "new").chmod(0o604)
        with replacing(tmp_path / "new") as temporary:
            temporary.write_text("y")
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o604
    finally:
        os.umask(before)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in the file system here")
def test_a_pipe_in_the_way_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match="not a regular file"), replacing(tmp_path / "pipe") as temporary:
        temporary.write_text("x")
    assert (tmp_path / "pipe").is_fifo()


def test_names_as_long_as_the_file_system_takes(tmp_path):
    name = "\u00e9" * 125 + ".txt"
    with replacing(tmp_path / name) as temporary:
        temporary.write_text("x")
    assert [entry.name for entry in tmp_path.iterdir()] == [name]
    with pytest.raises(StoreError, match="too long"), replacing(tmp_path / ("x" * 300)) as temporary:
        temporary.write_text("x")


def test_a_folder_that_another_process_made_meanwhile_stays(tmp_path):
    def make() -> None:
        with replacing_folder(tmp_path / "store") as temporary:
            temporary.mkdir()
            (tmp_path / "store").mkdir()
            (tmp_path / "store" / "a").write_text("theirs")

    with pytest.raises(StoreError, match="another process"):
        make()
    assert (tmp_path / "store" / "a").read_text() == "theirs"
