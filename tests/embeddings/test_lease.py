"""Who is writing a store: one run at a time, seen by others, forgotten when it was killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time

import pytest

from napari_nic.embeddings import CompressedSlide, lease
from napari_nic.embeddings.lease import LEASE_FILE, WriterInfo, writer_of
from napari_nic.errors import StoreBusyError

HOLDER = """
    import sys
    from napari_nic.embeddings import CompressedSlide
    store = CompressedSlide.open(sys.argv[1], mode="r+")
    with store.writing():
        print("holding", flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def other_process(store):
    """Another process that writes the store until it is told to end."""
    command = [sys.executable, "-c", textwrap.dedent(HOLDER), str(store.path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:  # noqa: S603 - our own lines, above
        assert process.stdout.readline() == "holding\n"
        yield process
        process.stdin.close()
        process.wait(30)


def test_nobody_writes_a_store_that_lies_there(store):
    assert store.writer() is None
    assert writer_of(store.path / "not there") is None


def test_another_process_is_named_and_keeps_ours_out(store, other_process):
    writer = store.writer()
    assert (writer.pid, writer.is_here, writer.is_this_process) == (other_process.pid, True, False)
    assert f"process {other_process.pid}" in str(writer)
    with pytest.raises(StoreBusyError, match=f"process {other_process.pid}"), store.writing():
        pass
    with pytest.raises(StoreBusyError):
        CompressedSlide.create(store.path, store.header, store.coverage, overwrite=True)
    CompressedSlide.open(store.path).read()  # reading is free


def test_it_is_over_when_the_other_ends(store, other_process):
    other_process.stdin.close()
    other_process.wait(30)
    assert store.writer() is None
    assert not (store.path / LEASE_FILE).exists()
    with store.writing():
        assert store.writer() is None  # our own
        assert CompressedSlide.open(store.path).writer().is_this_process


def test_a_killed_run_is_forgotten_at_once(store, other_process):
    other_process.kill()
    other_process.wait(30)
    assert (store.path / LEASE_FILE).exists()
    assert store.writer() is None
    with store.writing():
        assert json.loads((store.path / LEASE_FILE).read_text())["pid"] == os.getpid()
    assert not (store.path / LEASE_FILE).exists()


def test_two_windows_of_one_process_are_two_runs(store):
    twin = CompressedSlide.open(store.path, mode="r+")
    with store.writing():
        assert "this program" in str(twin.writer())
        with pytest.raises(StoreBusyError), twin.writing():
            pass
        assert twin.writer() is not None  # whoever was refused took nothing away
    with twin.writing():
        pass


def test_whoever_writes_first_learns_what_was_stored_since_it_opened(store, codes, toy):
    late = CompressedSlide.open(store.path, mode="r+")
    toy.fill(store, codes)
    store.flush()
    with late.writing():
        assert late.is_complete


@pytest.mark.parametrize("content", [b"", b"{", b'{"pid": "x"}', b"[1]"])
def test_a_holder_that_says_nothing_of_use_is_a_holder(store, content):
    twin = CompressedSlide.open(store.path, mode="r+")
    with store.writing():
        (store.path / LEASE_FILE).write_bytes(content)
        assert twin.writer() == lease.UNKNOWN_WRITER
        with pytest.raises(StoreBusyError, match="another machine"), twin.writing():
            pass


class TestWithoutLocks:
    """On file systems that have none, what the file says decides."""

    @pytest.fixture(autouse=True)
    def no_locks(self, monkeypatch):
        monkeypatch.setattr(lease, "_try_lock", lambda *_: None)

    def leave(self, store, **changes):
        own = {"pid": os.getpid(), "host": WriterInfo.own().host, "since": "2026-01-01T00:00:00+00:00"}
        (store.path / LEASE_FILE).write_text(json.dumps(own | changes))

    def test_a_process_of_this_machine_that_is_gone_is_nobody(self, store):
        with subprocess.Popen([sys.executable, "-c", ""]) as gone:
            gone.wait(30)
        self.leave(store, pid=gone.pid)
        assert store.writer() is None
        with store.writing():
            pass

    def test_a_process_of_this_machine_that_lives_writes(self, store):
        self.leave(store)
        assert store.writer().pid == os.getpid()
        with pytest.raises(StoreBusyError), store.writing():
            pass

    def test_another_machine_writes_until_it_gives_no_sign_of_life(self, store):
        self.leave(store, host="elsewhere")
        assert "on elsewhere" in str(store.writer())
        with pytest.raises(StoreBusyError, match="elsewhere"), store.writing():
            pass
        old = time.time() - lease.SIGN_OF_LIFE_SECONDS - 10
        os.utime(store.path / LEASE_FILE, (old, old))
        assert store.writer() is None
        other = lease.Lease(store.path)
        other.sign_of_life()
        assert store.writer() is None, "it does not write"
        other.is_held = True
        other.sign_of_life()
        assert store.writer() is not None
