"""The slide that benchmarks are measured on has the colours of the one that it was made of."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import imagecodecs
import numpy as np
import openslide
import pytest
import tifffile

from napari_nic.slides import open_slide

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gigapixel.py"


@pytest.fixture
def gigapixel(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    pytest.importorskip("skimage", reason="the script averages with scikit-image")
    spec = importlib.util.spec_from_file_location("gigapixel", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gigapixel", module)  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("is_rgb", [True, False], ids=["RGB tiles, as Aperio writes them", "YCbCr tiles"])
def test_every_level_has_the_colours_of_the_source(tmp_path, make_tissue, gigapixel, is_rgb):
    image = make_tissue(480, 480, seed=5)
    source, out = tmp_path / "source.tif", tmp_path / "made.tif"
    if is_rgb:
        tiles = [
            without_adobe(
                imagecodecs.jpeg8_encode(
                    np.ascontiguousarray(image[y : y + 240, x : x + 240]),
                    level=95,
                    colorspace="RGB",
                    outcolorspace="RGB",
                )
            )
            for y in (0, 240)
            for x in (0, 240)
        ]
        options = {"shape": image.shape, "dtype": np.uint8, "compressionargs": {"outcolorspace": "rgb"}}
        tifffile.imwrite(
            source,
            iter(tiles),
            photometric="rgb",
            compression="jpeg",
            tile=(240, 240),
            metadata=None,
            **options,
        )
    else:
        tifffile.imwrite(source, image, photometric="rgb", compression="jpeg", tile=(240, 240), metadata=None)
    height, width = gigapixel.make_gigapixel(source, out, 900)
    assert (height, width) == (960, 960)
    with open_slide(source) as small, open_slide(out) as slide, openslide.OpenSlide(out) as oracle:
        pixels = small.read_region(0, small.levels[0].region)
        twice = np.tile(pixels, (2, 2, 1)).astype(int)
        assert not slide.notices
        np.testing.assert_array_equal(slide.read_region(0, slide.levels[0].region), twice)
        seen = np.asarray(oracle.read_region((0, 0), 0, (960, 960)).convert("RGB"))
        np.testing.assert_array_equal(seen, twice)
        for index, level in enumerate(slide.levels[1:], start=1):
            coarse = slide.read_region(index, level.region).mean((0, 1))
            assert np.abs(coarse - twice.mean((0, 1))).max() < 6


def without_adobe(stream: bytes) -> bytes:
    """Leave out the marker that says RGB: Aperio's tiles have none."""
    at = stream.index(b"\xff\xee")
    length = 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
    return stream[:at] + stream[at + length :]
