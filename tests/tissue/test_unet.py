"""The network: its shape, windows that blend without seams, a slide looked at piece by piece, damage told."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save

from napari_nic.errors import (
    CancelledError,
    DamagedSlideError,
    UnknownNameError,
    UnsupportedPixelsError,
    WeightsError,
)
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken, Outcome, result_of
from napari_nic.slides import open_slide
from napari_nic.tissue import TissueOptions, find_tissue
from napari_nic.tissue.unet import (
    SPEC_FILE,
    WEIGHTS_FILE,
    UnetSpec,
    find_unet,
    list_unets,
    read_unet,
    spec_text,
)
from napari_nic.tissue.unet import windows as windows_module
from napari_nic.tissue.unet.net import TissueUnet, load_net
from napari_nic.tissue.unet.predict import Predictor, iter_find
from napari_nic.tissue.unet.windows import Grid, starts, weights

WIDTHS = (4, 4)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("NAPARI_NIC_HOME", str(tmp_path / "home"))


@pytest.fixture(autouse=True)
def quick_networks(one_thread):
    """All of these run small networks."""


@pytest.fixture
def folder(tmp_path):
    """A network whose logit is its input's darkness: tissue where the mean of RGB is below 127.5."""
    net = darkness()
    content = save({name: value.contiguous() for name, value in net.state_dict().items()})
    made = tmp_path / "dark"
    made.mkdir()
    spec = UnetSpec("dark", WIDTHS, 4.0, hashlib.sha256(content).hexdigest())
    (made / WEIGHTS_FILE).write_bytes(content)
    (made / SPEC_FILE).write_text(spec_text(spec))
    return made


def darkness() -> TissueUnet:
    net = TissueUnet(WIDTHS).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        for block in (net.down[0], net.up[-1]):
            for module in block.modules():
                if isinstance(module, torch.nn.BatchNorm2d):
                    module.weight.fill_(1)
        first, second = (m for m in net.down[0] if isinstance(m, torch.nn.Conv2d))
        first.weight[0, :, 1, 1] = -1.0  # darkness, cut off at grey
        second.weight[0, 0, 1, 1] = 1.0
        up = [m for m in net.up[-1] if isinstance(m, torch.nn.Conv2d)]
        up[0].weight[0, WIDTHS[1], 1, 1] = 1.0  # what was passed across
        up[1].weight[0, 0, 1, 1] = 1.0
        net.last.weight[0, 0] = 8.0
        net.last.bias.fill_(-4.0)
    return net


@pytest.fixture
def slide_file(tmp_path):
    """1000 x 1400 px at 2 um/px: bright, with a dark square and a dark strip."""
    image = np.full((1000, 1400, 3), 240, np.uint8)
    image[200:500, 300:700] = 20
    image[600:900, 900:1000] = 20
    image += np.random.default_rng(0).integers(0, 3, image.shape, dtype=np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        image,
        tile=(128, 128),
        photometric="rgb",
        compression="zlib",
        resolution=(5000, 5000),
        resolutionunit="CENTIMETER",
    )
    return path


def test_the_published_network_has_its_two_million_parameters():
    net = TissueUnet()
    assert sum(parameter.numel() for parameter in net.parameters()) == 1_994_881
    assert net(torch.zeros(1, 3, 64, 96)).shape == (1, 64, 96)


@given(size=st.integers(1, 2000), window=st.integers(32, 600))
def test_windows_cover_an_axis_and_their_weights_are_never_nothing(size, window):
    firsts = starts(size, window)
    total = np.zeros(size)
    for first in firsts:
        side = min(window, size)
        total[first : first + side] += weights(side, window)
    assert firsts == sorted(set(firsts))
    assert firsts[-1] + min(window, size) == size
    assert total.min() > 0


def test_a_whole_slide_is_what_one_look_at_it_would_give(folder, slide_file, monkeypatch):
    predictor = Predictor.load(str(folder), device="cpu")
    with open_slide(slide_file) as slide:
        monkeypatch.setattr("napari_nic.tissue.unet.predict.WINDOW", 128)
        mask, grid, damaged = result_of(iter_find(slide, predictor))
        picture = grid.read(RegionPx(0, 0, *grid.shape))
    assert mask.shape == (500, 700)
    assert damaged == 0
    np.testing.assert_array_equal(mask, picture.mean(2) < 64)
    assert grid.placement.step_um == pytest.approx((4.0, 4.0))


def test_pieces_of_a_large_window_are_the_window(slide_file, monkeypatch):
    with open_slide(slide_file) as slide:
        grid = Grid.near(slide, 4.0)
        whole = grid.read(RegionPx(20, 30, 200, 300))
        monkeypatch.setattr(windows_module, "PIECE_PIXELS", 5000)
        np.testing.assert_array_equal(grid.read(RegionPx(20, 30, 200, 300)), whole)


def test_the_method_is_recorded_and_small_pieces_go(folder, slide_file):
    options = TissueOptions(method="unet", network=str(folder), min_area_um2=200_000.0)
    with open_slide(slide_file) as slide:
        found = find_tissue(slide, options=options)
    assert found.area_um2 == pytest.approx(600 * 800, rel=0.02), "the strip is below the least area"
    assert found.method.startswith("U-Net dark (")
    assert found.method.endswith("at 4 um/px")


def test_damaged_tiles_are_taken_for_tissue(folder, slide_file, monkeypatch):
    monkeypatch.setattr("napari_nic.tissue.unet.predict.WINDOW", 256)
    whole = Grid.read

    def broken(self, window):
        if window.x == 0 and window.y == 0:
            raise DamagedSlideError("a tile")
        return whole(self, window)

    monkeypatch.setattr(Grid, "read", broken)
    options = TissueOptions(method="unet", network=str(folder))
    with open_slide(slide_file) as slide:
        found = find_tissue(slide, options=options)
        assert found.mask[:200, :200].all()
        assert "1 unreadable" in found.method
        monkeypatch.setattr(Grid, "read", lambda *_: (_ for _ in ()).throw(DamagedSlideError("all")))
        with pytest.raises(DamagedSlideError):
            find_tissue(slide, options=options)


def test_it_stops_when_it_is_told_to(folder, slide_file, monkeypatch):
    monkeypatch.setattr("napari_nic.tissue.unet.predict.WINDOW", 128)
    token = CancellationToken()
    with open_slide(slide_file) as slide:
        job = Outcome(iter_find(slide, Predictor.load(str(folder), device="cpu"), token=token))
        reports = iter(job)
        for _ in range(3):
            next(reports)
        token.cancel()
        with pytest.raises(CancelledError):
            next(reports)


def test_light_on_black_is_refused(folder, slide_file, monkeypatch):
    with open_slide(slide_file) as slide:
        monkeypatch.setattr(slide, "is_fluorescence", True)
        with pytest.raises(UnsupportedPixelsError, match="light on black"):
            find_tissue(slide, options=TissueOptions(method="unet", network=str(folder)))


def test_weights_that_are_not_those_described_are_refused(folder, tmp_path):
    spec = read_unet(folder)
    file = folder / WEIGHTS_FILE
    good = file.read_bytes()
    file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(WeightsError, match="not the weights"):
        load_net(folder, spec)
    file.write_bytes(good)
    with pytest.raises(WeightsError, match="do not fit"):
        load_net(folder, replace(spec, widths=(4, 8)))
    file.unlink()
    with pytest.raises(WeightsError, match="missing"):
        load_net(folder, spec)


@pytest.mark.parametrize(
    "change",
    [{"widths": []}, {"widths": [4, 2**40]}, {"mpp": 0}, {"mpp": "4"}, {"name": "a\nb"}, {"more": 1}],
)
def test_descriptions_of_other_things_are_refused(folder, change):
    data = json.loads((folder / SPEC_FILE).read_text())
    data.pop("content_sha256")
    (folder / SPEC_FILE).write_text(json.dumps(data | change))
    with pytest.raises(WeightsError):
        read_unet(folder)


def test_an_unknown_network_is_named():
    with pytest.raises(UnknownNameError, match="tissue-unet"):
        find_unet("nobody")
    assert "tissue-unet" in list_unets()


def test_the_shipped_network_knows_tissue_from_glass(make_tissue):
    predictor = Predictor.load("tissue-unet", device="cpu")
    picture = make_tissue(256, 320, seed=1)
    assert predictor.share(picture).shape == (256, 320)
    size = (find_unet("tissue-unet") / WEIGHTS_FILE).stat().st_size
    assert size < 5_000_000
