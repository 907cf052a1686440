"""A server on this machine that speaks HTTP with ranges, and S3, and can do everything wrong."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from napari_nic.slides.remote import servers

BUCKET = "bucket"


@dataclass
class Faults:
    """What the server does wrong, or otherwise than usual.

    Attributes
    ----------
    statuses : list of int
        Answered to the next requests, one each.
    has_ranges, has_versions, is_weak : bool
        Whether it knows ranges, says which version it has, and by weak tags only.
    cut : int
        So many answers end too early.
    shift : int
        Ranges begin so much later than was asked for.
    swap : bytes
        After the first answer the file is this.
    """

    statuses: list[int] = field(default_factory=list)
    has_ranges: bool = True
    has_versions: bool = True
    is_weak: bool = False
    cut: int = 0
    shift: int = 0
    swap: bytes = b""
    lead: str = ""


@dataclass
class Asked:
    """A request."""

    method: str
    path: str
    headers: dict[str, str]
    sent: int = 0


class Server:
    """Serves a folder.

    Attributes
    ----------
    root : Path
    url, s3 : str
        Of the folder; ``s3`` is an endpoint whose only bucket the folder is.
    faults : Faults
    asked : list of Asked
    """

    def __init__(self, root: Path) -> None:
        self.root, self.faults, self.asked = root, Faults(), []
        self.swapped: dict[Path, bytes] = {}
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.endpoint = f"http://127.0.0.1:{self._http.server_port}"
        self.url = self.endpoint

    @property
    def sent(self) -> int:
        """Bytes of files that were sent."""
        return sum(one.sent for one in self.asked)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    owner: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def _answer(self, *, with_body: bool) -> None:
        owner, faults = self.owner, self.owner.faults
        parts = urlsplit(self.path)
        record = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
        owner.asked.append(record)
        if faults.lead:
            return self._plain(302, {"Location": faults.lead})
        if faults.statuses:
            return self._plain(faults.statuses.pop(0))
        path = unquote(parts.path).lstrip("/")
        is_s3 = path.split("/")[0] == BUCKET
        if is_s3 and "authorization" not in record.headers:
            return self._plain(403)
        inside = path.removeprefix(BUCKET).lstrip("/") if is_s3 else path
        if is_s3 and "list-type" in parse_qs(parts.query):
            return self._list(parse_qs(parts.query).get("prefix", [""])[0])
        file = owner.root / inside
        if not file.is_file():
            return self._plain(404)
        content = owner.swapped.get(file, file.read_bytes())
        if faults.swap:
            owner.swapped[file] = faults.swap
        return self._file(file, content, record, with_body=with_body)

    def _file(self, file: Path, content: bytes, record: Asked, *, with_body: bool) -> None:
        faults = self.owner.faults
        tag = f'"{hashlib.md5(content).hexdigest()}"'  # noqa: S324 - as S3 does
        tag = f"W/{tag}" if faults.is_weak else tag
        headers = {"Accept-Ranges": "bytes" if faults.has_ranges else "none"}
        if faults.has_versions:
            headers |= {"ETag": tag, "Last-Modified": formatdate(file.stat().st_mtime, usegmt=True)}
        wanted = record.headers.get("if-match")
        if wanted is not None and (faults.is_weak or wanted.strip('"') != tag.strip('"')):
            return self._plain(412)
        found = re.fullmatch(r"bytes=(\d+)-(\d+)", record.headers.get("range", ""))
        if found is None or not faults.has_ranges:
            return self._send(200, headers, content, record, with_body=with_body)
        start, stop = int(found[1]), min(len(content), int(found[2]) + 1)
        if start >= len(content):
            return self._plain(416, {"Content-Range": f"bytes */{len(content)}"})
        if stop - start > 1:  # asking for one byte is asking what there is
            start, stop = start + faults.shift, min(len(content), stop + faults.shift)
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        return self._send(206, headers, content[start:stop], record, with_body=with_body)

    def _send(
        self, status: int, headers: dict[str, str], body: bytes, record: Asked, *, with_body: bool
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if not with_body:
            return
        if self.owner.faults.cut and len(body) > 1:
            self.owner.faults.cut -= 1
            body = body[: len(body) // 2]
            self.close_connection = True
        record.sent = len(body)  # before: who has read the last byte may ask at once how many were sent
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True  # who asked has gone

    def _plain(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _list(self, prefix: str) -> None:
        folder = self.owner.root / prefix
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir()) if folder.is_dir() else []
        inner = "".join(f"<CommonPrefixes><Prefix>{prefix}{n}/</Prefix></CommonPrefixes>" for n in names)
        body = (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{BUCKET}</Name><Prefix>{prefix}</Prefix><IsTruncated>false</IsTruncated>{inner}"
            "</ListBucketResult>"
        ).encode()
        self._send(200, {"Content-Type": "application/xml"}, body, Asked("", "", {}), with_body=True)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of ``tmp_path / "served"``; waits between two tries take no time."""
    pytest.importorskip("aiohttp", reason="napari-nic[remote] is not installed")
    monkeypatch.setattr(servers, "WAITS", (0.0, 0.0, 0.0))
    monkeypatch.setenv("NAPARI_NIC_HOME", str(tmp_path / "home"))
    root = tmp_path / "served"
    root.mkdir()
    served = Server(root)
    yield served
    served.close()


@pytest.fixture
def s3(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """``s3://bucket`` on the server, with credentials of the environment."""
    pytest.importorskip("s3fs", reason="napari-nic[remote] is not installed")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEYOFTHETEST")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(server.root / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(server.root / "none"))
    return f"s3://{BUCKET}"
