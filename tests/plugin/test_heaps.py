"""Threads share a few heaps of the C library."""

from __future__ import annotations

import subprocess
import sys

import pytest

from napari_nic.plugin.heaps import most_heaps
from napari_nic.plugin.worker import ThreadRunner

PROGRAM = """
import ctypes, re, sys, threading
from napari_nic.plugin import heaps
if sys.argv[1] == "few":
    heaps.keep_few_heaps()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
together = threading.Barrier(8 * heaps.most_heaps())

def work():
    together.wait()
    for _ in range(100):
        libc.malloc(20_000)
    together.wait()

threads = [threading.Thread(target=work) for _ in range(together.parties)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
path = sys.argv[2].encode()
file = ctypes.c_void_p(libc.fopen(path, b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
print(len(re.findall("<heap nr=", open(path).read())))
"""


def count_heaps(how: str, path: object) -> int:
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, how, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)  # noqa: S603
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc has heaps for threads")
def test_threads_share_a_few_heaps(tmp_path):
    few, many = (count_heaps(how, tmp_path / f"{how}.xml") for how in ("few", "many"))
    assert few <= most_heaps() + 1  # one more where threads ran before
    assert many > few


def test_a_runner_sees_to_it(monkeypatch):
    from napari_nic.plugin import worker

    asked = []
    monkeypatch.setattr(worker, "keep_few_heaps", lambda: asked.append(1))
    ThreadRunner()
    assert asked
