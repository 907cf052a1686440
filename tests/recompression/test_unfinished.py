"""A lossless run that was interrupted goes on with what it had, where that is provably its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_nic.disk import exclusive
from napari_nic.errors import CancelledError, StoreBusyError
from napari_nic.geometry import Placement
from napari_nic.jobs import CancellationToken, result_of
from napari_nic.recompression import (
    Deidentification,
    GlassOptions,
    SlideReport,
    codecs,
    recompress,
    unfinished,
    validate,
)
from napari_nic.recompression.unfinished import unfinished_folder
from napari_nic.tissue import TissueMask

MODES = ["repack", "optimize", "progressive"]


def stopped(slide: Path, out: Path, mode: str, tiles: int, **options) -> None:
    """Stop a run after some tiles."""
    token = CancellationToken()
    with pytest.raises(CancelledError):  # noqa: PT012 - in the midst of it
        for report in recompress(slide, out, mode, workers=1, token=token, **options):
            if report.stage.startswith("packing") and report.done >= tiles:
                token.cancel()
        raise AssertionError


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slides here are small."""
    monkeypatch.setattr(unfinished, "_EVERY", 2)


@pytest.fixture
def work(aperio: Path, tmp_path: Path) -> Callable[..., SlideReport]:
    return lambda mode, name="b.svs", **options: result_of(
        recompress(aperio, tmp_path / name, mode, workers=1, **options)
    )


@pytest.mark.parametrize("mode", MODES)
def test_it_goes_on_to_the_same_bytes(aperio: Path, tmp_path: Path, mode: str, work, monkeypatch) -> None:
    out, whole = tmp_path / "b.svs", tmp_path / "whole" / "b.svs"
    wanted = result_of(recompress(aperio, whole, mode, workers=1))
    stopped(aperio, out, mode, 7)
    assert not out.exists()
    assert unfinished_folder(out).is_dir()
    encoded: list[bytes] = []
    codec = codecs.CODECS[mode]
    encode = codec.encode
    monkeypatch.setattr(
        codec, "encode", lambda self, page, tile: encoded.append(tile) or encode(self, page, tile)
    )
    report = work(mode)
    assert report.resumed >= 6
    assert wanted.resumed == 0
    assert out.read_bytes() == whole.read_bytes()
    sampled = len(encoded)
    encoded.clear()
    result_of(recompress(aperio, tmp_path / "c.svs", mode, workers=1))
    assert sampled == len(encoded) - report.resumed, "tiles that were finished are not packed again"
    assert not unfinished_folder(out).exists()
    result_of(validate(out))


def test_it_may_be_stopped_again_and_again(aperio: Path, tmp_path: Path, work) -> None:
    for tiles in (5, 3, 9, 1):
        stopped(aperio, tmp_path / "b.svs", "repack", tiles)
    assert work("repack").resumed >= 8
    work("repack", "c.svs")
    assert (tmp_path / "b.svs").read_bytes() == (tmp_path / "c.svs").read_bytes()


def test_other_settings_begin_anew(aperio: Path, tmp_path: Path, work) -> None:
    stopped(aperio, tmp_path / "b.svs", "optimize", 7)
    assert work("progressive").resumed == 0
    stopped(aperio, tmp_path / "b.svs", "optimize", 7)
    assert work("optimize", glass=whole_but(0)).resumed == 0
    stopped(aperio, tmp_path / "b.svs", "optimize", 7, glass=whole_but(0))
    assert work("optimize", glass=whole_but(1)).resumed == 0
    stopped(aperio, tmp_path / "b.svs", "optimize", 7, glass=whole_but(0))
    assert work("optimize", glass=whole_but(0)).resumed > 0


def whole_but(corner: int) -> GlassOptions:
    """All is tissue but one corner of the slide."""
    mask = np.ones((13, 13), bool)
    mask[[slice(0, 6), slice(7, 13)][corner], :6] = False
    return GlassOptions(0, mask=TissueMask(mask, Placement((0.0, 0.0), (8.0, 8.0)), "drawn"))


def test_a_slide_that_changed_meanwhile_gives_its_own_tiles(aperio: Path, tmp_path: Path, work) -> None:
    """Bytes of tiles are compared, not names and times: only what is the same is taken over."""
    stopped(aperio, tmp_path / "b.svs", "repack", 9)
    content = bytearray(aperio.read_bytes())
    lines = (unfinished_folder(tmp_path / "b.svs") / "journal").read_text("utf-8").split("\n")
    _, offset, length, *_ = json.loads(lines[3])
    content[offset + length // 2] ^= 1
    aperio.write_bytes(bytes(content))
    report = work("repack")
    assert 0 < report.resumed < len(lines) - 2
    work("repack", "c.svs")
    assert (tmp_path / "b.svs").read_bytes() == (tmp_path / "c.svs").read_bytes()
    result_of(validate(tmp_path / "b.svs"))


@pytest.mark.parametrize("name", ["b.svs", "journal"])
@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "nonsense"])
def test_damage_is_made_anew(aperio: Path, tmp_path: Path, work, name: str, damage: str) -> None:
    stopped(aperio, tmp_path / "b.svs", "repack", 9)
    file = unfinished_folder(tmp_path / "b.svs") / name
    content = file.read_bytes()
    middle = len(content) // 2
    if damage == "gone":
        file.unlink()
    else:
        changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        file.write_bytes({"cut": content[:middle], "changed": changed, "nonsense": b"\xff" * 99}[damage])
    work("repack")
    work("repack", "c.svs")
    assert (tmp_path / "b.svs").read_bytes() == (tmp_path / "c.svs").read_bytes()


def test_without_names_it_goes_on_too(aperio: Path, tmp_path: Path, work) -> None:
    stopped(aperio, tmp_path / "b.svs", "repack", 7, deidentify=Deidentification())
    assert work("repack", deidentify=Deidentification()).resumed >= 6
    assert [entry.name for entry in tmp_path.iterdir() if entry.name.startswith(".")] == []


def test_the_slides_own_place_is_written_last(aperio: Path, work) -> None:
    before = aperio.read_bytes()
    stopped(aperio, aperio, "optimize", 7)
    assert aperio.read_bytes() == before
    assert work("optimize", aperio.name).resumed >= 6
    assert len(aperio.read_bytes()) < len(before)


def test_two_at_once_are_refused(aperio: Path, tmp_path: Path, monkeypatch, work) -> None:
    monkeypatch.setattr("napari_nic.disk.LOCK_SECONDS", 0.05)
    folder = unfinished_folder(tmp_path / "b.svs")
    folder.mkdir()
    with exclusive(folder), pytest.raises(StoreBusyError):
        work("repack")
