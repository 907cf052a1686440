"""What a wheel or sdist lacks, or holds too much, is said."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import check_dist
import pytest

POINTS = "[console_scripts]\na = b:c\n\n[napari.manifest]\na = b:c.yaml\n"


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """A right wheel and sdist, of empty files."""
    names = sorted(check_dist.wanted())
    with zipfile.ZipFile(tmp_path / "a.whl", "w") as wheel:
        for name in names:
            wheel.writestr(name, "")
        wheel.writestr("a.dist-info/entry_points.txt", POINTS)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as sdist:
        sources = sorted(check_dist.wanted() | check_dist.wanted(check_dist.EXPERIMENTS))
        for name in [*check_dist.SDIST, *(f"src/{name}" for name in sources), "tests/test_a.py"]:
            sdist.addfile(tarfile.TarInfo(f"a-1/{name}"))
    return tmp_path


def test_what_is_right_passes(dist: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check_dist.main(dist) == 0
    assert capsys.readouterr().err == ""


def test_what_is_too_much_is_named(dist: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(dist / "a.whl", "a") as wheel:
        wheel.writestr("tests/test_a.py", "")
    assert check_dist.main(dist) == 1
    assert capsys.readouterr().err == "a.whl holds tests/test_a.py\n"


def test_what_is_missing_is_named(dist: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with zipfile.ZipFile(dist / "a.whl", "w") as wheel:
        wheel.writestr("a.dist-info/entry_points.txt", "[console_scripts]\na = b:c\n")
    with tarfile.open(dist / "a.tar.gz", "w:gz"):
        pass
    assert check_dist.main(dist) == 1
    told = capsys.readouterr().err
    for line in (
        "a.whl lacks napari_nic/py.typed",
        "a.whl has no entry point napari.manifest",
        "a.tar.gz lacks src/napari_nic/napari.yaml",
        "a.tar.gz lacks the tests",
    ):
        assert line in told


def test_an_empty_folder_is_wrong(tmp_path: Path) -> None:
    assert check_dist.main(tmp_path) == 1
