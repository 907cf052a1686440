"""Painted labels on disk: read again, damaged, killed while they were written."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from napari_nic.errors import StoreBusyError, StoreError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import result_of
from napari_nic.painting import PaintedLabels, PaintingFiles, PaintingHeader, Tile, iter_repair, read_header
from napari_nic.painting.tiles import halved

SHAPE = (1300, 1700)
WHOLE = RegionPx(0, 0, *SHAPE)
HEADER = PaintingHeader("slide", "sha256:1", SHAPE, {"tumor": 1}, {"tumor": (200, 0, 0)})


@pytest.fixture
def files(tmp_path):
    made = PaintingFiles.create(tmp_path / "s.painting.zarr", HEADER)
    yield made
    made.close()


def square(labels, level, y, x, side, value=1):
    labels.paint(level, RegionPx(y, x, side, side), np.full((side, side), value, np.uint8))


def save(labels, files):
    files.save(labels.take_unsaved())
    labels.saved(done=True)


def test_what_is_saved_is_read_again_and_only_painted_tiles_are_files(files):
    labels = PaintedLabels(SHAPE, files)
    square(labels, 0, 600, 700, 300)
    square(labels, 2, 10, 10, 100, 2)
    assert not labels.is_saved
    save(labels, files)
    assert labels.is_saved
    assert not files.is_unfinished
    files.set_classes({"tumor": 1, "stroma": 2}, {"tumor": (1, 2, 3)})
    files.close()
    again = PaintingFiles.open(files.path, "sha256:1")
    assert again.known() == labels.tiles
    assert again.header.classes == {"tumor": 1, "stroma": 2}
    assert np.array_equal(PaintedLabels(SHAPE, again).read(0, WHOLE), labels.read(0, WHOLE))
    again.close()


def test_a_tile_that_was_taken_back_is_no_file(files):
    labels = PaintedLabels(SHAPE, files)
    square(labels, 0, 0, 0, 100)
    save(labels, files)
    labels.undo()
    save(labels, files)
    assert files.known() == set()
    labels.redo()
    save(labels, files)
    assert Tile(0, 0, 0) in files.known()


def test_what_could_not_be_saved_is_saved_later_and_newer_strokes_count(files):
    labels = PaintedLabels(SHAPE, files)
    square(labels, 0, 0, 0, 100)
    labels.take_unsaved()
    square(labels, 0, 0, 0, 50, 2)
    labels.saved(done=False)
    assert not labels.is_saved
    seen = labels.read(0, WHOLE)
    assert seen[0, 0] == 2
    assert seen[99, 99] == 1
    save(labels, files)
    assert np.array_equal(PaintedLabels(SHAPE, files).read(0, WHOLE), seen)


def test_coarse_tiles_follow_after_a_writing_that_did_not_end(files):
    labels = PaintedLabels(SHAPE, files)
    square(labels, 0, 0, 0, 300)
    tiles = labels.take_unsaved()
    files.save({tile: picture for tile, picture in tiles.items() if tile.level == 0})
    (files.path / ".unfinished").write_bytes(b"")
    again = PaintedLabels(SHAPE, files)
    assert files.is_unfinished
    assert result_of(iter_repair(again)) > 0
    assert again.tiles == labels.tiles
    assert np.array_equal(again.tile(Tile(2, 0, 0)), labels.tile(Tile(2, 0, 0)))


def test_a_painting_belongs_to_one_slide_and_one_window(files, tmp_path):
    with pytest.raises(StoreBusyError, match="another window"):
        PaintingFiles.open(files.path, "sha256:1")
    files.close()
    with pytest.raises(StoreError, match="another slide"):
        PaintingFiles.open(files.path, "sha256:2")
    with pytest.raises(StoreError, match="already"):
        PaintingFiles.create(files.path, HEADER)


def change_header(files, **changed):
    file = files.path / "zarr.json"
    data = json.loads(file.read_text())
    data["attributes"]["napari_nic_painting"].update(changed)
    file.write_text(json.dumps(data))


def test_damage_is_told_and_not_painted_over(files, tmp_path):
    labels = PaintedLabels(SHAPE, files)
    square(labels, 0, 0, 0, 100)
    save(labels, files)
    chunk = files.path / "0" / "c" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes()[:9])
    with pytest.raises(StoreError, match="damaged"):
        PaintedLabels(SHAPE, files).read(0, WHOLE)
    change_header(files, shape=[7, 7])
    with pytest.raises(StoreError, match="damaged"):
        read_header(files.path)
    for changed in (
        {"classes": {"a": 1, "b": 1}},
        {"classes": {"a": 0}},
        {"colors": {"a": [1, 2]}},
        {"version": 2},
    ):
        change_header(files, content_sha256=None)
        data = json.loads((files.path / "zarr.json").read_text())
        inner = data["attributes"]["napari_nic_painting"]
        inner.pop("content_sha256")
        inner.update(HEADER.to_dict() | changed)
        (files.path / "zarr.json").write_text(json.dumps(data))
        with pytest.raises(StoreError, match="painting"):
            read_header(files.path)
    other = tmp_path / "other.zarr"
    other.mkdir()
    (other / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group", "attributes": {}}')
    with pytest.raises(StoreError, match="no painting"):
        read_header(other)


KILLED = """
import sys
from pathlib import Path
import numpy as np
from napari_nic.geometry import RegionPx
from napari_nic.painting import PaintedLabels, PaintingFiles
files = PaintingFiles.open(Path(sys.argv[1]), "sha256:1")
labels = PaintedLabels((1300, 1700), files)
for number in range(10_000):
    y, x = number * 37 % 1200, number * 91 % 1600
    labels.paint(0, RegionPx(y, x, 90, 90), np.full((90, 90), number % 3 + 1, np.uint8))
    files.save(labels.take_unsaved())
    labels.saved(done=True)
    print(number, flush=True)
"""


@pytest.mark.parametrize("strokes", [2, 5])
def test_a_kill_loses_no_stroke_that_was_saved(files, strokes):
    files.close()
    process = subprocess.Popen(  # noqa: S603 -- our own code
        [sys.executable, "-c", KILLED, str(files.path)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    for _ in range(strokes):
        last = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().split()
    process.wait()
    process.stdout.close()
    last = int(rest[-1]) if rest else last
    again = PaintingFiles.open(files.path, "sha256:1")
    labels = PaintedLabels(SHAPE, again)
    result_of(iter_repair(labels))
    expected = PaintedLabels(SHAPE)
    seen = []
    for number in range(last + 2):  # the next one may be there, wholly or in some of its tiles
        y, x = number * 37 % 1200, number * 91 % 1600
        expected.paint(0, RegionPx(y, x, 90, 90), np.full((90, 90), number % 3 + 1, np.uint8))
        seen.append(expected.read(0, WHOLE))
    found = labels.read(0, WHOLE)
    assert ((found == seen[-2]) | (found == seen[-1])).all()
    for tile in labels.tiles:
        if tile.level == 0:
            assert np.array_equal(labels.tile(tile.parent)[tile.quadrant], halved(labels.tile(tile)))
    again.close()
