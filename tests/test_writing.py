"""Killed while writing, on a full disk, as a user who may not: nothing half, nothing lost, one sentence."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "write_campaign.py"
NOBODY = 65534

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="children are forked, which this system cannot"
)


def campaign(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *arguments]
    # Our own script with our own arguments.
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)  # noqa: S603


def test_killed_at_any_moment_nothing_half_is_left_and_all_goes_on() -> None:
    outcome = campaign("kills", "--count", "9", "--seed", "3")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "9 kills" in outcome.stdout
    assert "no fault" in outcome.stdout


def test_a_full_disk_is_one_sentence_and_harms_nothing() -> None:
    outcome = campaign("full-disk")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "no fault" in outcome.stdout


def test_killed_while_somebody_draws_nothing_drawn_before_is_lost() -> None:
    outcome = campaign("drawing", "--count", "2", "--seed", "5")
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr
    assert "2 kills" in outcome.stdout
    assert "no fault" in outcome.stdout


@pytest.fixture
def as_nobody(tmp_path: Path):
    """``as_nobody("pca", ...)`` runs the command line as a user to whom permissions apply."""
    for parent in (tmp_path, *tmp_path.parents):
        if parent.stat().st_uid == os.getuid() and parent.name.startswith(("pytest-", "test_")):
            parent.chmod(0o755)  # so that another user comes in at all
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o777)
    environment = {**os.environ, "HOME": str(home), "NAPARI_NIC_HOME": str(home)}
    for way in _ways_to_be_nobody():
        with contextlib.suppress(OSError):
            if _run(way, environment, "--version").returncode == 0:
                return partial(_run, way, environment)
    pytest.skip("root cannot give up its rights here, or the program's files are closed to other users")


def _ways_to_be_nobody() -> list[tuple[list[str], dict[str, Any]]]:
    """What comes before a command, and options of subprocess, by which permissions apply to it."""
    if os.getuid():
        return [([], {})]
    ways: list[tuple[list[str], dict[str, Any]]] = [
        ([], {"user": NOBODY, "group": NOBODY, "extra_groups": []})
    ]
    setpriv = shutil.which("setpriv")
    if setpriv:  # root without what lets root pass by permissions, where the interpreter lies in root's home
        ways.append(([setpriv, "--bounding-set=-dac_override,-dac_read_search"], {}))
    return ways


def _run(
    way: tuple[list[str], dict[str, Any]], environment: dict[str, str], *arguments: object
) -> subprocess.CompletedProcess[str]:
    command = [*way[0], sys.executable, "-m", "napari_nic.cli", *map(str, arguments)]
    place: dict[str, Any] = {"env": environment, "cwd": environment["HOME"]}
    return subprocess.run(command, capture_output=True, text=True, check=False, **place, **way[1])  # noqa: S603


@pytest.fixture
def made(tmp_path: Path, slide_path: Path) -> Path:
    """A slide and its store, in a folder that is read-only."""
    from napari_nic.cli.main import main

    folder = tmp_path / "slides"
    folder.mkdir()
    shutil.copy(slide_path, folder / "made.tif")
    assert main(["compress", str(folder / "made.tif"), "--encoder", "mean-rgb", "-q"]) == 0
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)


def one_sentence(outcome: subprocess.CompletedProcess[str]) -> str:
    assert outcome.returncode == 1, outcome.stdout + outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert "error: " in outcome.stderr
    return outcome.stderr


def test_a_read_only_folder_is_said_with_what_to_do(as_nobody, made: Path, tmp_path: Path) -> None:
    slide, store = made / "made.tif", made / "made.nic.zarr"
    for command in (
        ("compress", slide, "--encoder", "mean-rgb", "--overwrite"),
        ("compress", slide, "--encoder", "mean-rgb", "--out", made / "other.nic.zarr"),
        ("pca", store),
        *(("export", store, "--format", name) for name in ("npy", "trident", "clam-pt")),
        ("patches", "extract", slide, "--out", made / "p.patches.zarr"),
    ):
        said = one_sentence(as_nobody(*command, "-q"))
        assert "not allowed" in said
        assert "choose another output" in said
    assert sorted(path.name for path in made.iterdir()) == ["made.nic.zarr", "made.tif"]
    out = tmp_path / "home" / "out"
    for command in (("pca", store), ("export", store, "--format", "zarr")):
        assert as_nobody(*command, "--out", out, "-q").returncode == 0
    assert as_nobody("compress", slide, "--encoder", "mean-rgb", "--out", out / "new", "-q").returncode == 0


def test_a_complete_store_in_a_read_only_folder_is_complete(as_nobody, made: Path, tmp_path: Path) -> None:
    """To find out that nothing is left to do needs no writing."""
    slide, store = made / "made.tif", made / "made.nic.zarr"
    outcome = as_nobody("compress", slide, "--encoder", "mean-rgb")
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert "complete already, nothing to do" in outcome.stdout
    assert as_nobody("info", store).returncode == 0
    other = as_nobody("compress", slide, "--encoder", "mean-rgb", "--stride", "64")
    assert "made with other settings" in one_sentence(other)
    done = store / "done" / "c" / "0" / "0"
    done.chmod(0o644)
    done.unlink()
    assert "damaged" in one_sentence(as_nobody("compress", slide, "--encoder", "mean-rgb"))


def test_what_may_not_be_read_is_said(as_nobody, made: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "a.csv").write_text("slide,label\n")
    closed.chmod(0o000)
    (made / "made.tif").chmod(0o000)
    out = tmp_path / "home" / "out"
    for command in (
        ("compress", made / "made.tif", "--encoder", "mean-rgb", "--out", out),
        ("compress", closed, "--encoder", "mean-rgb", "--out", out),
        ("pca", closed, "--out", out),
        ("models", "train", closed / "a.csv", "--out", out / "t"),
        ("patches", "extract", closed, "--out", out / "p.patches.zarr"),
    ):
        one_sentence(as_nobody(*command, "-q"))
    assert not list(out.rglob("*.zarr"))
