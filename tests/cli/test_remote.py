"""Commands on slides in the network: results go into the folder of the command, secrets nowhere."""

from __future__ import annotations

import functools
import shutil
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from napari_nic.embeddings import CompressedSlide
from napari_nic.slides import open_slide

SECRET = "token=very-secret"  # noqa: S105 - what must never be seen again


class Quiet(SimpleHTTPRequestHandler):
    """Python's own server: it knows no ranges, so that files are copied first."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(slide: Path, tmp_path: Path) -> Iterator[str]:
    pytest.importorskip("aiohttp", reason="napari-nic[remote] is not installed")
    served = tmp_path / "served"
    served.mkdir()
    shutil.copy(slide, served / "far.tif")
    handler = functools.partial(Quiet, directory=str(served))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/far.tif?{SECRET}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_info_and_compress(cli, address: str, slide: Path, tmp_path: Path, monkeypatch) -> None:
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    said = cli("info", address, "--json")
    assert said.code == 0, said.err
    shown = address.partition("?")[0]
    assert said.json[0]["input"] == said.json[0]["path"] == shown
    with open_slide(slide) as local:
        assert said.json[0]["fingerprint"] == local.fingerprint
    done = cli("compress", address, "--encoder", "mean-rgb")
    assert done.code == 0, done.err
    store = CompressedSlide.open(work / "far.nic.zarr")
    assert store.is_complete
    assert cli("info", address, "--json").json[0]["stores"] == ["far.nic.zarr"]
    again = cli("compress", address, "--encoder", "mean-rgb")
    assert "complete already" in again.out
    with open_slide(slide) as local:
        store.check_slide(local)
    kept = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(b"very-secret" in content for content in kept)
    assert "very-secret" not in said.out + said.err + done.out + done.err


def test_what_cannot_be_read_is_named(cli, address: str, tmp_path: Path) -> None:
    gone = address.replace("far", "gone")
    failed = cli("info", gone, address)
    assert failed.code == 1
    assert f"{gone.partition('?')[0]}: the server has no such file (404)" in failed.err
    assert "1 of 2 failed" in failed.err
    assert "very-secret" not in failed.out + failed.err
    plain = cli("compress", "http://example.org/a.svs", "--encoder", "mean-rgb")
    assert plain.code == 1
    assert "without encryption" in plain.err
    assert "Traceback" not in plain.err
