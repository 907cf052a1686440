"""What lies under the name of an output is not lost without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

COMMANDS = {
    "pca": ("pca", "{store}", "--out", "{out}.png"),
    "saliency": ("saliency", "{store}", "--model", "tiny", "--out", "{out}.png"),
    "saliency values": ("saliency", "{store}", "--model", "tiny", "--out", "{out}.npy"),
    "predict": ("predict", "{store}", "--model", "tiny", "--out", "{out}.npy"),
    "export npy": ("export", "{store}", "--format", "npy", "--out", "{out}.npy"),
    "export trident": ("export", "{store}", "--format", "trident", "--out", "{out}.h5"),
    "export clam-pt": ("export", "{store}", "--format", "clam-pt", "--out", "{out}.pt"),
    "export zarr": ("export", "{store}", "--format", "zarr", "--out", "{out}.nic.zarr"),
    "patches": ("patches", "extract", "{slide}", "--size", "64", "--mpp", "1", "--out", "{out}.patches.zarr"),
    "sheet": (
        "patches",
        "sheet",
        "--tiles",
        "{tiles}=0.5",
        "--size",
        "16",
        "--rows",
        "2",
        "--out",
        "{out}.png",
    ),
}
OURS = {"pca", "saliency", "sheet"}
"""Their pictures say whose they are."""


@pytest.fixture
def places(store: Path, slide: Path, tiny_model: Path, tmp_path: Path) -> dict[str, str]:
    tiles = tmp_path / "tiles"
    tiles.mkdir()
    for number in range(2):
        pixels = np.random.default_rng(number).integers(0, 180, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(tiles / f"{number}.png")
    return {
        "store": str(store),
        "slide": str(slide),
        "tiles": str(tiles),
        "out": str(tmp_path / "out" / "mine"),
    }


def _command(name: str, places: dict[str, str]) -> list[str]:
    return [part.format(**places) for part in COMMANDS[name]]


@pytest.mark.parametrize("name", COMMANDS)
def test_what_was_there_stays(cli, places, name: str) -> None:
    command = _command(name, places)
    target = Path(command[-1])
    target.parent.mkdir()
    if name == "export zarr":
        target.mkdir()
        (target / "notes.txt").write_text("mine")
    elif target.suffix == ".png":
        Image.new("RGB", (3, 3)).save(target)
    else:
        target.write_text("mine")
    before = _content(target)
    outcome = cli(*command)
    assert outcome.code == 1
    assert str(target) in outcome.err
    assert "Traceback" not in outcome.err
    assert _content(target) == before
    assert [entry.name for entry in target.parent.iterdir()] == [target.name]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "export zarr"])
def test_it_is_replaced_on_demand(cli, places, name: str) -> None:
    command = _command(name, places)
    assert cli(*command).code == 0
    target = Path(command[-1])
    again = cli(*command)
    assert again.code == (0 if name in OURS else 1), again.err
    assert cli(*command, "--overwrite").code == 0
    assert target.exists()


def test_a_picture_of_others_with_our_name_in_its_pixels_is_not_ours(
    cli, store: Path, tmp_path: Path
) -> None:
    target = tmp_path / "mine.png"
    target.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(600) + b"tEXtSoftware\0napari-nic")
    assert cli("pca", store, "--out", target).code == 1


def test_a_link_that_leads_nowhere_is_something(cli, store: Path, tmp_path: Path) -> None:
    target = tmp_path / "link.png"
    target.symlink_to(tmp_path / "gone.png")
    assert cli("pca", store, "--out", target).code == 1
    assert not (tmp_path / "gone.png").exists()


def _content(path: Path) -> object:
    return (
        {entry.name: entry.read_bytes() for entry in path.iterdir()} if path.is_dir() else path.read_bytes()
    )
