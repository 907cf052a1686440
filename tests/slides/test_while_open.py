"""A slide that is cut off while it is open: errors that name it, never the end of the process."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from napari_nic.slides import READERS

CHILD = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from openslide import OpenSlideCache
from napari_nic.errors import NicError
from napari_nic.slides import open_slide, read_overview

path, reader, size = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
slide = open_slide(path, reader=reader)
if reader == "openslide":  # what it holds in memory already can lose nothing any more
    slide._source._slide.set_cache(OpenSlideCache(0))
jobs = [
    (level, row, col)
    for level, geometry in enumerate(slide.levels)
    for row in range(geometry.tile_grid[0])
    for col in range(geometry.tile_grid[1])
] * 2
files = [path] if path.is_file() else []
files += [file for file in path.parent.rglob("*") if file.is_file()]
seen = set()

def read(number):
    if number == 3:
        for file in files:
            with file.open("r+b") as stream:
                stream.truncate(size if size >= 0 else file.stat().st_size // 2)
    try:
        slide.read_tile(*jobs[number])
    except NicError as error:
        seen.add(type(error).__name__)

with ThreadPoolExecutor(4) as pool:
    list(pool.map(read, range(len(jobs))))
slide._tiles.clear()  # threads may have been so quick that nothing was left to read when it was cut off
for number in range(4, len(jobs)):
    read(number)
others = [lambda name=name: slide.read_associated(name) for name in slide.associated_images]
for what in (lambda: read_overview(slide, 4.0), *others):
    try:
        what()
    except NicError as error:
        seen.add(type(error).__name__)
slide.close()
try:
    slide.read_tile(0, 0, 0)
except NicError as error:
    seen.add(type(error).__name__)
try:
    open_slide(path)
except NicError:
    pass
print(*sorted(seen))
"""


def cut_while_open(path: Path, reader: str, size: int) -> set[str]:
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-X", "faulthandler", "-W", "ignore", "-c", CHILD, str(path), reader, str(size)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return set(done.stdout.split())


def copied(source: Path, folder: Path) -> Path:
    """Copy a slide with what belongs to it into a folder of its own."""
    target = folder / "copy" / source.name
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        target.parent.mkdir()
        shutil.copyfile(source, target)
    return target


@pytest.mark.parametrize("size", [-1, 0, 700], ids=["half", "empty", "700 bytes"])
@pytest.mark.parametrize("reader", READERS.names())
def test_a_slide_that_is_cut_off_while_it_is_open(reader_files, tmp_path, reader, size):
    if reader not in reader_files:
        pytest.skip(f"no file is written for {reader}")
    seen = cut_while_open(copied(reader_files[reader], tmp_path), reader, size)
    assert "InvalidParameterError" in seen  # closed
    # What is held in memory whole can lose nothing any more.
    assert reader == "plain" or "DamagedSlideError" in seen


@pytest.mark.parametrize("size", [-1, 0], ids=["half", "empty"])
@pytest.mark.parametrize("kind", ["mirax", "vms", "hamamatsu", "leica"])
def test_other_kinds_that_openslide_reads(tmp_path, dialects, small_image, kind, size):
    suffix = {"mirax": ".mrxs", "vms": ".vms", "hamamatsu": ".ndpi", "leica": ".scn"}[kind]
    (tmp_path / "slide").mkdir()
    path = dialects[kind](tmp_path / "slide" / f"a{suffix}", small_image[:640, :768])
    assert "DamagedSlideError" in cut_while_open(path, "openslide", size)


@pytest.mark.parametrize("size", [-1, 0, 700], ids=["half", "empty", "700 bytes"])
def test_chunks_that_blosc_packed(tmp_path, make_ome_zarr, small_image, size):
    path = make_ome_zarr(tmp_path / "slide" / "a.zarr", small_image, version="0.4")
    assert "DamagedSlideError" in cut_while_open(path, "omezarr", size)
