"""Slides of other makers are sources of the lossy way; what cannot be packed without loss says so."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_nic.cli.main import main
from napari_nic.errors import UnreadableSlideError
from napari_nic.jobs import result_of
from napari_nic.recompression import recompress
from napari_nic.recompression.lossy import LossyOptions, recompress_lossy
from napari_nic.slides import open_slide

SUFFIXES = {"mirax": ".mrxs", "hamamatsu": ".ndpi", "leica": ".scn", "philips": ".tiff"}
SIDE = 512


@pytest.fixture(scope="session")
def makers() -> dict[str, Callable[..., Path]]:
    """Writers of makers' formats, of the tests of reading."""
    path = Path(__file__).parents[2] / "slides" / "conftest.py"
    spec = importlib.util.spec_from_file_location("slide_writers", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {
        "mirax": module.write_mirax,
        "hamamatsu": module.write_ndpi,
        "leica": module.write_scn,
        "philips": module.write_philips,
    }


@pytest.fixture(scope="session")
def tissue() -> np.ndarray:
    """(512, 512, 3): soft colours, glass in a corner, and a dark square that is at one place alone."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    image = np.stack([190 - 70 * y, 110 + 60 * x, 180 - 40 * x * y], -1) + rng.normal(0, 3, (SIDE, SIDE, 1))
    image[: SIDE // 4, : SIDE // 4] = 243
    image[301:333, 203:227] = (60, 20, 90)
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("container", ["tiff", "ome-zarr"])
@pytest.mark.parametrize("maker", SUFFIXES)
def test_another_makers_slide(makers, tissue: np.ndarray, tmp_path: Path, maker: str, container: str) -> None:
    slide = makers[maker](tmp_path / f"a{SUFFIXES[maker]}", tissue)
    out = tmp_path / "out" / ("a.tif" if container == "tiff" else "a.ome.zarr")
    result_of(recompress_lossy(slide, out, LossyOptions(codec="jpeg", container=container), workers=1))
    with open_slide(slide) as old, open_slide(out) as new:
        region = old.levels[0].region
        assert new.levels[0].shape == old.levels[0].shape
        assert old.pixel_size is not None
        assert new.pixel_size is not None
        assert new.pixel_size.mean == pytest.approx(old.pixel_size.mean, rel=1e-3)
        before, after = old.read_region(0, region).astype(int), new.read_region(0, region).astype(int)
    assert np.abs(before - after).mean() < 3
    # The square is where it was, to the pixel.
    dark = [np.argwhere(pixels.sum(-1) < 270) for pixels in (before, after)]
    assert np.array_equal(dark[0].min(0), dark[1].min(0))
    assert np.array_equal(dark[0].max(0), dark[1].max(0))


@pytest.mark.parametrize(
    ("maker", "mode", "said"),
    [
        ("mirax", "repack", "not a TIFF file"),
        ("mirax", "optimize", "not a TIFF file"),
        ("hamamatsu", "repack", "it cannot be written anew"),
        ("hamamatsu", "optimize", "it cannot be written anew"),
    ],
)
def test_what_cannot_be_packed_without_loss_says_so(
    makers, tissue: np.ndarray, tmp_path: Path, maker: str, mode: str, said: str
) -> None:
    slide = makers[maker](tmp_path / f"a{SUFFIXES[maker]}", tissue)
    before = sorted(entry.name for entry in tmp_path.iterdir())
    with pytest.raises(UnreadableSlideError, match=said):
        result_of(recompress(slide, tmp_path / "b.svs", mode))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == before


def test_a_folder_of_slides(makers, tissue: np.ndarray, tmp_path: Path, capsys) -> None:
    """Each is written; one that is no slide is a sentence, and the others go on."""
    folder, out = tmp_path / "slides", tmp_path / "out"
    folder.mkdir()
    for maker in SUFFIXES:
        makers[maker](folder / f"{maker}{SUFFIXES[maker]}", tissue)
    (folder / "broken.svs").write_bytes(b"II*\0nothing")
    code = main(
        ["recompress", str(folder), "--mode", "lossy", "--codec", "jpeg", "--out", str(out), "--quiet"]
    )
    assert code == 1
    assert sorted(entry.name for entry in out.iterdir()) == sorted(f"{maker}.tif" for maker in SUFFIXES)
    said = capsys.readouterr().err
    assert "broken.svs" in said
    assert "Traceback" not in said
