"""Files appear whole or not at all, and what is no file is refused before it is opened."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from napari_nic.disk import check_regular, replacing
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


def test_the_content_is_synced_before_the_rename(tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr(os, "fsync", lambda _handle: events.append("fsync"))
    monkeypatch.setattr(Path, "replace", lambda *_: events.append("rename"))
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    assert events == ["fsync", "rename"]
