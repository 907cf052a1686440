"""The original is never lost, and no half file lies under its final name, whatever happens."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from napari_nic.errors import CancelledError, DamagedSlideError, StoreError, UnreadableSlideError
from napari_nic.jobs import CancellationToken, result_of
from napari_nic.recompression import codecs, recompress, restore, validate, writing
from napari_nic.recompression.recipe import Recipe

SCRIPT = Path(__file__).with_name("kills.py")
MODES = ["repack", "optimize"]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def script(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)  # noqa: S603


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked, which this system cannot")
def test_killed_at_any_moment_the_slide_is_whole(aperio: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    outcome = script("kills", aperio, tmp_path / "work", 10, 1)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "no fault" in outcome.stdout


@pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked, which this system cannot")
def test_a_full_disk_is_one_sentence(aperio: Path, tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    outcome = script("full-disk", aperio, tmp_path / "work")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert outcome.stderr.count("error: ") == 8
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("stage", ["trying", "packing", "reading"])
def test_cancelled_nothing_is_left(aperio: Path, tmp_path: Path, mode: str, stage: str) -> None:
    token, before = CancellationToken(), sha256(aperio)
    with pytest.raises(CancelledError):  # noqa: PT012 - which report comes last is not known
        for report in recompress(aperio, tmp_path / "b.svs", mode, workers=2, token=token):
            if report.stage.startswith(stage):
                token.cancel()
        token.checkpoint()  # nothing comes after the last part that is read again
        raise AssertionError
    if stage != "reading":
        assert [name for name in names(tmp_path) if not name.startswith(".")] == ["aperio.svs"]
    if stage == "trying":
        assert names(tmp_path) == ["aperio.svs"]
    assert sha256(aperio) == before


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("change", ["written", "replaced", "removed", "cut"])
def test_a_slide_that_changes_meanwhile_is_refused(
    aperio: Path, tmp_path: Path, mode: str, change: str
) -> None:
    done = False
    with pytest.raises(DamagedSlideError, match="changed"):  # noqa: PT012 - in the midst of it
        for report in recompress(aperio, tmp_path / "b.svs", mode, workers=1):
            if report.stage.startswith("packing") and not done:
                done = True
                _change(aperio, change)
    assert done
    assert "b.svs" not in names(tmp_path)


def _change(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "written":
        path.write_bytes(content[:-1] + b"x")
        os.utime(path, ns=(0, 0))
    elif how == "replaced":
        other = path.with_name("other")
        other.write_bytes(content)
        other.replace(path)
    elif how == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        path.unlink()


@pytest.mark.parametrize("mode", MODES)
def test_replaced_by_a_smaller_one(aperio: Path, mode: str) -> None:
    original = sha256(aperio)
    aperio.chmod(0o640)
    before = aperio.stat().st_size
    report = result_of(recompress(aperio, aperio, mode, workers=1))
    assert report.after == aperio.stat().st_size < before
    assert aperio.stat().st_mode & 0o777 == 0o640
    assert result_of(validate(aperio)).sha256 == original
    if mode == "repack":
        result_of(restore(aperio, aperio))
        assert sha256(aperio) == original
    assert names(aperio.parent) == ["aperio.svs"]


@pytest.mark.parametrize("mode", MODES)
def test_not_replaced_by_a_larger_one(write_pages, gallery, tmp_path: Path, mode: str) -> None:
    slide = write_pages(tmp_path / "a.svs", gallery["JPEG 2000"]())
    before = slide.read_bytes()
    report = result_of(recompress(slide, slide, mode, workers=1))
    assert report.kept
    assert report.after == report.before
    assert slide.read_bytes() == before
    assert names(tmp_path) == ["a.svs"]


def test_a_codec_that_changes_a_tile_is_found_out(aperio: Path, tmp_path: Path, monkeypatch) -> None:
    """Each tile is unpacked again before it is written: one that differs is copied, and counted."""
    decode, count = codecs.imagecodecs.jpegxl_decode_jpeg, [0]

    def sometimes_wrong(data: bytes, **options: object) -> bytes:
        count[0] += 1
        found = bytes(decode(data, **options))
        return found[:-3] + b"\0" + found[-2:] if count[0] == 40 else found

    monkeypatch.setattr(codecs.imagecodecs, "jpegxl_decode_jpeg", sometimes_wrong)
    out = tmp_path / "b.svs"
    report = result_of(recompress(aperio, out, workers=1))
    monkeypatch.undo()
    assert sum(page.copied.get("not the same afterwards", 0) for page in report.pages) == 1
    assert result_of(validate(out, workers=1)).sha256 == sha256(aperio)


def test_bytes_that_change_on_their_way_to_the_disk_are_found(
    aperio: Path, tmp_path: Path, monkeypatch
) -> None:
    def wrong(self: Any, data: bytes, stream: BinaryIO) -> None:
        self.written.update(data)
        stream.write(data[:-1] + bytes([data[-1] ^ 1]))

    monkeypatch.setattr(writing.Writing, "_write", wrong)
    with pytest.raises(StoreError, match="read again"):
        result_of(recompress(aperio, tmp_path / "b.svs", workers=1))
    assert names(tmp_path) == ["aperio.svs"]


def test_memory_is_bounded_by_the_tiles_in_flight(aperio: Path, monkeypatch) -> None:
    """The reader is never far ahead of the writer."""
    from napari_nic.recompression.workers import AHEAD, in_order

    taken: list[int] = []
    for number, _ in enumerate(in_order(lambda n: n, iter(_noting(taken)), workers=2)):
        assert len(taken) <= number + 2 * AHEAD + 1
    assert taken == list(range(100))


def _noting(taken: list[int]):
    for number in range(100):
        taken.append(number)
        yield number


@pytest.mark.parametrize("name", ["ndpi", "old JPEG", "no lengths"])
def test_files_that_cannot_be_written_anew_are_refused(
    write_pages, gallery, tmp_path: Path, name: str
) -> None:
    page = gallery["aperio"]()[0]
    tags = {
        "ndpi": {65420: (4, (1,))},
        "old JPEG": {259: (3, (6,))},
        "no lengths": {34412: (7, bytes(90))},
    }[name]
    slide = write_pages(tmp_path / "a.svs", [replace(page, tags=page.tags | tags)])
    with pytest.raises(UnreadableSlideError, match="cannot be written anew"):
        result_of(recompress(slide, tmp_path / "b.svs"))
    assert names(tmp_path) == ["a.svs"]


def test_a_slide_that_only_openslide_puts_together_is_not_repacked(
    write_pages, gallery, tmp_path: Path
) -> None:
    page = gallery["aperio"]()[0]
    scan = '<?xml version="1.0"?><EncodeInfo><SlideStitchInfo/></EncodeInfo><iScan></iScan>'
    slide = write_pages(
        tmp_path / "a.tif", [replace(page, tags=page.tags | {700: (1, scan.encode()), 270: (2, b"x\0")})]
    )
    with pytest.raises(UnreadableSlideError, match="once it is repacked") as found:
        result_of(recompress(slide, tmp_path / "b.tif"))
    assert "--mode optimize" in str(found.value)
    assert result_of(recompress(slide, tmp_path / "b.tif", "optimize")).after < slide.stat().st_size


def test_a_recipe_that_lacks_a_part_is_found_before_the_file_has_its_name(
    aperio: Path, tmp_path: Path, monkeypatch
) -> None:
    make = writing.Writing._recipe

    def lacking(self: object, gaps: list[bytes], *others: object) -> Recipe:
        recipe = make(self, gaps, *others)
        last = recipe.gaps[-1].length
        return replace(recipe, gaps=recipe.gaps[:-1], content=recipe.content[:-last])

    monkeypatch.setattr(writing.Writing, "_recipe", lacking)
    with pytest.raises(StoreError, match="read again"):
        result_of(recompress(aperio, tmp_path / "b.svs", workers=1))
    assert names(tmp_path) == ["aperio.svs"]
