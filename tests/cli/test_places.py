"""Where outputs may go: never over an input, into a slide or a store, or wherever one happens to be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def picture(cli: Any, tmp_path: Path) -> Path:
    """A slide that is a PNG, with its store beside it."""
    path = tmp_path / "plain" / "picture.png"
    path.parent.mkdir()
    rgb = np.full((512, 512, 3), 245, np.uint8)
    rgb[64:448, 64:448] = np.random.default_rng(0).integers(90, 180, (384, 384, 3))
    Image.fromarray(rgb).save(path)
    assert cli("compress", path, "--mpp", 0.5, "--encoder", "mean-rgb", "--no-tissue").code == 0
    return path


@pytest.mark.parametrize("given", ["slide", "store"])
@pytest.mark.parametrize("named", ["itself", "link"])
def test_a_picture_is_not_written_over_the_slide(cli: Any, picture: Path, given: str, named: str) -> None:
    before = picture.read_bytes()
    out = picture
    if named == "link":
        out = picture.with_name("link.png")
        out.symlink_to(picture)
    outcome = cli("pca", picture if given == "slide" else picture.with_suffix(".nic.zarr"), "--out", out)
    assert outcome.code == 1
    assert "the output is" in outcome.err
    assert picture.read_bytes() == before


def test_another_picture_of_that_name_is_replaced(cli: Any, picture: Path) -> None:
    for _ in range(2):
        assert cli("pca", picture, "--out", picture.with_name("new.png")).code == 0


@pytest.mark.parametrize(
    "argv",
    [
        ("compress", "{slide}", "--mpp", "0.5", "--encoder", "mean-rgb", "--out", "{zarr}"),
        ("pca", "{slide}", "--out", "{zarr}/0/a.png"),
        ("pca", "{slide}", "--out", "{zarr}"),
        ("export", "{slide}", "--format", "npy", "--out", "{zarr}"),
        ("export", "{slide}", "--format", "npy", "--out", "{store}/a.npy"),
    ],
)
def test_nothing_is_written_into_a_slide_or_a_store(
    cli: Any, picture: Path, tmp_path: Path, argv: tuple[str, ...]
) -> None:
    image = tmp_path / "other.ome.zarr"
    (image / "0").mkdir(parents=True)
    (image / ".zgroup").write_text('{"zarr_format": 2}')
    store = picture.with_suffix(".nic.zarr")
    before = sorted(tmp_path.rglob("*"))
    outcome = cli(*(word.format(slide=picture, zarr=image, store=store) for word in argv))
    assert outcome.code == 1
    assert "inside a slide or a store" in outcome.err
    assert sorted(tmp_path.rglob("*")) == before


def test_empty_names_are_wrong_usage(cli: Any, picture: Path) -> None:
    for argv in (
        ("compress", ""),
        ("pca", picture, "--out", ""),
        ("export", picture, "--format", "npy", "--out", ""),
    ):
        outcome = cli(*argv)
        assert outcome.code == 2
        assert "an empty name" in outcome.err


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
@pytest.mark.parametrize("name", ["npy", "trident", "clam", "stamp", "zarr"])
def test_exports_to_a_full_place_leave_nothing(picture: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "full"
    limited = "import resource,sys;resource.setrlimit(resource.RLIMIT_FSIZE,(300,300));"
    code = limited + "from napari_nic.cli.main import main;sys.exit(main(sys.argv[1:]))"
    store = str(picture.with_suffix(".nic.zarr"))
    argv = ["export", store, "--format", name, "--out", str(out)]
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", code, *argv], capture_output=True, text=True, timeout=120, env=os.environ
    )
    assert done.returncode == 1, done.stderr
    assert "larger than is allowed" in done.stderr
    assert len(done.stderr) < 1000
    assert not [path for path in out.rglob("*") if path.is_file()]
