"""Slides on a server: the same pixels as from a file, of few bytes; else one sentence, never others."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_nic.errors import (
    NicError,
    RemoteError,
    SlideNotFoundError,
    StoreError,
    UnreadableSlideError,
)
from napari_nic.slides import open_slide
from napari_nic.slides.remote import copies, files, folders, mirrors, path_for
from napari_nic.telling import telling

SECRET = "X-Signature=very-secret"  # noqa: S105 - what must never be seen again


@pytest.fixture
def served(server, slide_path: Path) -> Path:
    """The slide of the tests on the server."""
    return Path(shutil.copy(slide_path, server.root / "a slide.tif"))


@pytest.fixture
def address(server, served: Path) -> str:
    return f"{server.url}/a%20slide.tif?{SECRET}"


def read_all(slide) -> list[np.ndarray]:
    """Every tile of every level."""
    source = slide._source
    return [
        source.read_tile(number, row, col)
        for number, level in enumerate(source.info.levels)
        for row in range(level.tile_grid[0])
        for col in range(level.tile_grid[1])
    ]


def same(one, other) -> bool:
    pairs = zip(read_all(one), read_all(other), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs if a is not None or b is not None)


def test_a_tiff_has_the_pixels_of_its_file(server, served, address):
    with open_slide(served) as local, open_slide(address) as remote:
        assert remote.fingerprint == local.fingerprint
        assert remote.pixel_size == local.pixel_size
        assert remote.reader == local.reader == "tiff"
        assert same(remote, local)
        remote.check_unchanged(read=True)
    assert all("if-match" in one.headers for one in server.asked if one.sent > 1)


def test_s3_has_the_pixels_of_its_file(served, s3):
    with open_slide(served) as local, open_slide(f"{s3}/a%20slide.tif") as remote:
        assert remote.fingerprint == local.fingerprint
        assert same(remote, local)
        remote.check_unchanged()


def test_opening_reads_little(server, tmp_path, make_tiff, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", 16 * 2**10)
    noise = np.random.default_rng(0).integers(0, 255, (3000, 4000, 3), np.uint8)
    made = make_tiff(server.root / "big.tif", noise, factors=(1, 4), compression=None)
    with open_slide(f"{server.url}/big.tif") as slide:
        slide.fingerprint  # noqa: B018 - reads
        opened = server.sent
        slide._source._bytes._remote._blocks.clear()
        slide._source.read_tile(0, 3, 3)
        tile = server.sent - opened
    assert made.stat().st_size > 30e6
    assert opened < made.stat().st_size / 3  # most of it tiles that tell whether levels are of one picture
    assert 0 < tile < 2 * 256 * 256 * 3 + 4 * files.BLOCK_BYTES


def test_blocks_are_kept_within_bounds(server, served, address, monkeypatch):
    monkeypatch.setattr(files, "BLOCK_BYTES", 4096)
    monkeypatch.setattr(files, "CACHED_BYTES", 3 * 4096)
    with open_slide(served) as local, open_slide(address) as remote:
        assert same(remote, local)
        blocks = remote._source._bytes._remote._blocks
        assert len(blocks) <= 3
    size = served.stat().st_size
    assert server.sent < 20 * size


def test_many_threads_ask_once(server, served, address):
    with open_slide(address) as slide:
        before = len(server.asked)
        remote = slide._source._bytes._remote
        remote._blocks.clear()
        found: list[bytes] = []
        threads = [threading.Thread(target=lambda: found.append(remote.read(0, 50_000))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [served.read_bytes()[:50_000]] * 8
        assert len(server.asked) == before + 1


@pytest.mark.parametrize("versions", [True, False])
def test_a_server_without_ranges_is_copied_from(server, served, address, versions):
    server.faults.has_ranges, server.faults.has_versions = False, versions
    told = []
    with telling(told.append), open_slide(address) as remote, open_slide(served) as local:
        assert remote.fingerprint == local.fingerprint
        assert same(remote, local)
    assert "copied first" in str(told)
    before = len(server.asked)
    with telling(None), open_slide(address):
        pass
    # Of a version that is known the copy is taken again.
    assert len(server.asked) - before == (1 if versions else 2)


def test_ranges_of_no_version_are_not_believed(server, served, address):
    server.faults.has_versions = False
    with telling(None), open_slide(address) as remote, open_slide(served) as local:
        assert same(remote, local)
    assert [one.sent for one in server.asked if one.sent > 1] == [served.stat().st_size]


def test_weak_tags_are_compared(server, served, address):
    server.faults.is_weak = True
    with open_slide(address) as remote, open_slide(served) as local:
        assert same(remote, local)


def test_what_openslide_must_open_is_copied(server, tmp_path, slide_path):
    """A JPEG is read by libraries that read files."""
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (600, 800, 3), np.uint8)
    Image.fromarray(noise).save(server.root / "p.png")
    told = []
    with telling(told.append), open_slide(f"{server.url}/p.png", mpp=0.5) as remote:
        assert remote.reader == "plain"
        with open_slide(server.root / "p.png", mpp=0.5) as local:
            assert remote.fingerprint == local.fingerprint
    assert "copied first" in str(told)
    assert len(list(copies.copies_folder().glob("*/p.png"))) == 1


def test_copies_are_bounded(server, monkeypatch):
    from PIL import Image

    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 255, (300, 400, 3), np.uint8)
        Image.fromarray(noise).save(server.root / f"{number}.png")
    size = (server.root / "0.png").stat().st_size
    monkeypatch.setattr(copies, "MOST_BYTES", int(2.5 * size))
    for number in range(3):
        with telling(None), open_slide(f"{server.url}/{number}.png", mpp=0.5):
            copies._used.clear()
        for file in copies.copies_folder().glob(f"*/{number}.png"):
            os.utime(file, (number, number))
    assert {file.name for file in copies.copies_folder().glob("*/*")} == {"1.png", "2.png"}
    monkeypatch.setattr(copies, "MOST_BYTES", size // 2)
    with pytest.raises(UnreadableSlideError, match="too large"), telling(None):
        open_slide(f"{server.url}/0.png", mpp=0.5)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (404, SlideNotFoundError, "no such file"),
        (403, UnreadableSlideError, "does not let you read it"),
        (401, UnreadableSlideError, "does not let you read it"),
        (418, RemoteError, "refuses"),
    ],
)
def test_refusals(server, address, status, kind, said):
    server.faults.statuses = [status]
    with pytest.raises(kind, match=said) as caught:
        open_slide(address)
    assert str(status) in str(caught.value)
    assert len(server.asked) == 1


def test_what_may_pass_is_tried_again(server, served, address):
    server.faults.statuses = [503, 429, 500]
    with open_slide(address):
        pass
    server.faults.statuses = [503] * 4
    with pytest.raises(RemoteError, match=r"(?s)status 503, 4 times"):
        open_slide(address)


def test_answers_that_are_cut_off(server, served, address):
    server.faults.cut = 2
    with open_slide(address) as remote, open_slide(served) as local:
        assert same(remote, local)
    server.faults.cut = 100
    with pytest.raises(RemoteError, match=r"(?s)cut off, 4 times"):
        open_slide(address)


def test_ranges_from_elsewhere_are_refused(server, served, address):
    server.faults.shift = 512
    with pytest.raises(RemoteError, match="other bytes than it was asked for"):
        open_slide(address)


@pytest.mark.parametrize("is_weak", [False, True])
def test_a_file_that_changes_while_it_is_open(server, served, address, is_weak):
    server.faults.is_weak = is_weak
    with open_slide(address) as slide:
        slide._source._bytes._remote._blocks.clear()
        other = bytearray(served.read_bytes())
        other[-50:] = bytes(50)
        served.write_bytes(other)
        with pytest.raises(RemoteError, match="changed on the server"):
            slide._source.read_tile(0, 0, 0)
        with pytest.raises(RemoteError, match="changed on the server"):
            slide.check_unchanged()
    with open_slide(address):  # anew, of the version that is there now
        pass


def test_a_file_that_changes_while_it_is_copied(server, served, address):
    server.faults.has_ranges = False
    server.faults.swap = served.read_bytes()[:-10]
    with telling(None), pytest.raises(RemoteError, match="changed on the server"):
        open_slide(address)
    assert not list(copies.copies_folder().glob("*/*.tif"))


def test_a_server_that_is_gone(server, served, address):
    with open_slide(address) as slide:
        slide._source._bytes._remote._blocks.clear()
        server.faults.statuses = [500] * 8
        with pytest.raises(RemoteError, match="does not give what it was asked for"):
            slide._source.read_tile(0, 0, 0)
        server.faults.statuses.clear()
        slide._source.read_tile(0, 0, 0)  # nothing of the failure is kept
    with pytest.raises(RemoteError, match=r"(?s)no connection"):
        open_slide("http://127.0.0.1:9/a.tif")


def test_redirects_never_lead_to_where_nothing_is_encrypted(server, served, address):
    server.faults.lead = "http://example.org/a.tif"
    with pytest.raises(UnreadableSlideError, match=r"(?s)without encryption \(it leads there\)"):
        open_slide(address)
    server.faults.lead = address
    with pytest.raises(RemoteError, match="from address to address"):
        open_slide(address)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("http://example.org/a.svs", "without encryption"),
        ("file:///a.svs", "scheme file are not read"),
        ("ftp://example.org/a.svs", "scheme ftp are not read"),
        ("https://example.org", "names no file"),
        ("https://example.org/", "names no file"),
        ("s3://bucket", "names no file"),
    ],
)
def test_addresses_that_are_not_read(server, given, said):
    with pytest.raises(NicError, match=said):
        open_slide(given)
    assert not server.asked


def test_nothing_secret_is_shown_or_kept(server, served, address, tmp_path, caplog):
    given = address.replace("http://", "http://user:password@")
    texts = []
    with caplog.at_level(logging.DEBUG), telling(lambda event: texts.append(repr(event))):
        for statuses, cut in (([404], 0), ([403], 0), ([500] * 4, 0), ([], 100), ([], 0)):
            server.faults.statuses, server.faults.cut = statuses, cut
            try:
                with open_slide(given) as slide:
                    texts += [str(slide.path), repr(slide), slide.name, str(slide.properties)]
            except NicError as error:
                texts += [str(error), repr(error), repr(error.__cause__), str(error.__dict__)]
                texts += [] if error.__suppress_context__ else [repr(error.__context__)]
    texts += [record.getMessage() for record in caplog.records if record.name.startswith("napari_nic")]
    texts += [f"{file} {file.read_bytes()!r}" for file in (tmp_path / "home").rglob("*") if file.is_file()]
    assert not [text for text in texts if "very-secret" in text or "password" in text]
    assert any("a%20slide.tif" in text for text in texts)


def test_another_process_knows_addresses_without_secrets(server, served, monkeypatch):
    from napari_nic.slides.remote import places

    plain = f"{server.url}/a%20slide.tif"
    with open_slide(plain):
        pass
    monkeypatch.setattr(places, "_places", {})
    with open_slide(path_for(plain)) as again:
        assert again.name
    with open_slide(f"{plain}?{SECRET}") as slide:
        path = slide.path
    monkeypatch.setattr(places, "_places", {})
    with pytest.raises(RemoteError, match="secret part, which is not kept"):
        open_slide(path)


# -- S3 --------------------------------------------------------------------------------------------------


def test_s3_refusals(server, served, s3):
    with pytest.raises(SlideNotFoundError, match="no such file"):
        open_slide(f"{s3}/gone.tif")
    server.faults.statuses = [403]
    with pytest.raises(UnreadableSlideError, match="does not let you read it"):
        open_slide(f"{s3}/a%20slide.tif")
    server.faults.statuses = [503, 500]
    with open_slide(f"{s3}/a%20slide.tif") as slide:
        slide._source._bytes._remote._blocks.clear()
        served.write_bytes(served.read_bytes()[:-5] + b"12345")
        with pytest.raises(RemoteError, match="changed on the server"):
            slide._source.read_tile(0, 0, 0)
    with pytest.raises(UnreadableSlideError, match="a bucket and a key alone"):
        open_slide(f"{s3}/a.tif?versionId=1")


def test_s3_without_encryption_is_for_this_machine(served, s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://example.org")
    with pytest.raises(UnreadableSlideError, match="without encryption"):
        open_slide(f"{s3}/a%20slide.tif")


# -- OME-Zarr --------------------------------------------------------------------------------------------


def write_zarr(folder: Path, *, version: int = 2) -> Path:
    """An OME-Zarr of three levels, some of whose chunks were never written."""
    rng = np.random.default_rng(0)
    group = zarr.open_group(folder, mode="w", zarr_format=version)
    for level, side in enumerate((600, 300, 150)):
        array = group.create_array(str(level), shape=(3, side, side), chunks=(3, 100, 100), dtype="uint8")
        array[:, : side // 2] = rng.integers(1, 255, (3, side // 2, side), np.uint8)
    axes = [
        {"name": "c", "type": "channel"},
        *({"name": n, "type": "space", "unit": "micrometer"} for n in "yx"),
    ]
    datasets = [
        {
            "path": str(n),
            "coordinateTransformations": [{"type": "scale", "scale": [1, 0.5 * 2**n, 0.5 * 2**n]}],
        }
        for n in range(3)
    ]
    said = {"multiscales": [{"version": "0.4", "axes": axes, "datasets": datasets}]}
    group.attrs.update(said if version == 2 else {"ome": {"version": "0.5", **said}})
    return folder


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("by", ["https", "s3"])
def test_a_zarr_has_the_pixels_of_its_folder(server, s3, version, by):
    folder = write_zarr(server.root / "p.zarr", version=version)
    given = f"{server.url}/p.zarr" if by == "https" else f"{s3}/p.zarr"
    with open_slide(folder) as local, open_slide(given) as remote:
        assert remote.fingerprint == local.fingerprint
        assert remote.pixel_size == local.pixel_size
        assert same(remote, local)


def test_of_a_zarr_only_what_is_looked_at_is_fetched(server):
    write_zarr(server.root / "p.zarr", version=3)
    with open_slide(f"{server.url}/p.zarr/") as slide:
        slide.fingerprint  # noqa: B018 - reads
        for mirror in mirrors._mirrors.values():
            mirror._kept.pop("0/c/0/2/4", None)  # in case that opening looked at it
        before = len(server.asked)
        slide._source.read_tile(0, 2, 4)
        asked = [one.path for one in server.asked[before:]]
    assert asked == ["/p.zarr/0/c/0/2/4"] * 2  # its version, and itself


def test_chunks_that_were_written_since_are_refused(server):
    folder = write_zarr(server.root / "p.zarr", version=3)
    with open_slide(f"{server.url}/p.zarr") as slide:
        for key in ("0/c/0/2/4", "0/c/0/2/3"):
            later = (folder / key).stat().st_mtime + 3600
            os.utime(folder / key, (later, later))
            for mirror in mirrors._mirrors.values():
                mirror._kept.pop(key, None)
                mirror._versions.pop(key, None)
            with pytest.raises(RemoteError, match="changed on the server"):
                slide._source.read_tile(0, 2, int(key[-1]))


def test_chunks_that_had_to_go_come_back(server, monkeypatch):
    """Never as background, which a chunk that is missing stands for."""
    folder = write_zarr(server.root / "p.zarr", version=3)
    monkeypatch.setattr(folders, "MOST_BYTES", 0)
    with open_slide(folder) as local, open_slide(f"{server.url}/p.zarr") as remote:
        assert same(remote, local)
        remote.check_unchanged(read=True)


def test_no_zarr_there(server, s3):
    for given in (f"{server.url}/p.zarr", f"{s3}/p.zarr"):
        with pytest.raises(UnreadableSlideError, match="without Zarr metadata"):
            open_slide(given)


def test_what_is_not_a_slide(server):
    (server.root / "a.tif").write_bytes(b"")
    with pytest.raises(UnreadableSlideError, match="empty"):
        open_slide(f"{server.url}/a.tif")
    (server.root / "b.svs").write_bytes(b"<html>login</html>")
    with telling(None), pytest.raises(UnreadableSlideError, match="web page") as caught:
        open_slide(f"{server.url}/b.svs")
    assert f"{server.url}/b.svs" in str(caught.value)


def test_a_tiff_that_is_cut_off_is_named(server, served):
    cut = server.root / "cut.tif"
    cut.write_bytes(served.read_bytes()[: served.stat().st_size // 2])
    with pytest.raises(NicError, match=r"cut\.tif") as caught:
        open_slide(f"{server.url}/cut.tif")
    assert f"{server.url}/cut.tif" in str(caught.value)
    with tifffile.TiffFile(served) as tif:
        assert tif.pages


def test_a_disk_without_room(server, served, address, monkeypatch):
    server.faults.has_ranges = False
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with telling(None), pytest.raises(StoreError, match="no room for a copy"):
        open_slide(address)
