"""Two shells on one folder: no slide is computed twice, and what a killed one left is done by the next."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from napari_nic.embeddings import CompressedSlide
from napari_nic.runs import RunFolder, read_status

LINE = ("--encoder", "mean-rgb", "--threads", "1", "--json", "--steps", "compress")


@pytest.fixture
def slides(small_slide: Path, tmp_path: Path) -> Path:
    """A folder of six slides."""
    place = tmp_path / "slides"
    place.mkdir()
    for number in range(6):
        shutil.copy(small_slide, place / f"s{number}.tif")
    return place


def start(slides: Path, out: Path, *more: object, own_group: bool = False) -> subprocess.Popen[str]:
    words = ["run", slides, "--out", out, *LINE, *more]
    command = [sys.executable, "-m", "napari_nic.cli", *map(str, words)]
    return subprocess.Popen(  # noqa: S603
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=own_group,
    )


def worked_on(process: subprocess.Popen[str]) -> list[str]:
    out, _ = process.communicate(timeout=200)
    return [record["name"] for record in json.loads(out) if record["worked"]]


@pytest.mark.parametrize("shards", [((), ()), (("--shard", "1/2"), ("--shard", "2/2"))])
def test_two_shells_share_the_slides(slides: Path, tmp_path: Path, shards) -> None:
    out = tmp_path / "out"
    both = [start(slides, out, *shard) for shard in shards]
    done = [name for process in both for name in worked_on(process)]
    assert sorted(done) == [f"s{number}" for number in range(6)]
    assert read_status(RunFolder(out)).counts == {"done": 6}


def test_a_killed_shell_leaves_nothing_half_and_nothing_twice(slides: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "out")
    process = start(slides, folder.root)
    while process.poll() is None and not _compressing(folder):
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = {state.name for state in read_status(folder).slides if state.state == "done"}
    assert before
    times = {name: written(folder, name) for name in before}
    again = worked_on(start(slides, folder.root))
    assert not set(again) & before
    assert {name: written(folder, name) for name in before} == times
    assert read_status(folder).counts == {"done": 6}
    codes = [CompressedSlide.open(path).read().tobytes() for path in folder.stores.iterdir()]
    assert len(codes) == 6
    assert len(set(codes)) == 1
    assert not list((folder.root / "slides").rglob("claim-*"))


def written(folder: RunFolder, name: str) -> int:
    return (folder.stores / f"{name}.mean-rgb.nic.zarr" / "zarr.json").stat().st_mtime_ns


def _compressing(folder: RunFolder) -> bool:
    """Whether the second slide is being compressed."""
    try:
        return "compress:mean-rgb" in folder.read("s1").tasks
    except OSError:
        return False


def test_ctrl_c_is_for_the_one_that_hands_slides_out(slides: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "out")
    process = start(slides, folder.root, "--workers", "2", own_group=True)
    # A slide's place stays, while a claim may have come and gone between two looks.
    while process.poll() is None and not any((folder.root / "slides").glob("*")):
        pass
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=200)
    assert process.returncode == 130
    assert "the same command goes on from there" in err
    assert not list(folder.root.rglob("claim-*"))
    before = {state.name for state in read_status(folder).slides if state.state == "done"}
    assert not set(worked_on(start(slides, folder.root))) & before
    assert read_status(folder).counts == {"done": 6}
