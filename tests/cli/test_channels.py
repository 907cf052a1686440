"""``--channels``, ``--scene``, ``--z``, ``--t``: what is said without them, and what they do to a store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile


@pytest.fixture
def light(tmp_path: Path, make_tissue) -> Path:
    """Three stained channels of 16 bits on black."""
    tissue = 255 - make_tissue(600, 700, seed=1).astype(np.uint16)
    path = tmp_path / "slides" / "light.ome.tif"
    path.parent.mkdir()
    metadata = {"axes": "CYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    metadata |= {"Channel": {"Name": ["DAPI", "FITC", "Cy3"]}}
    tifffile.imwrite(
        path, np.moveaxis(tissue, -1, 0) * 16, photometric="minisblack", tile=(128, 128), metadata=metadata
    )
    return path


def test_info_lists_channels_and_says_what_to_choose(cli, light):
    outcome = cli("info", light)
    assert outcome.code == 0
    assert "1 DAPI, 2 FITC, 3 Cy3" in outcome.out
    assert "nothing yet: choose up to 3 of them, for instance --channels DAPI,FITC,Cy3" in outcome.out
    (record,) = cli("info", light, "--json").json
    assert record["channels"] == ["DAPI", "FITC", "Cy3"]
    assert record["choice"] == {}


def test_info_tells_colours_and_windows_of_a_choice(cli, light):
    outcome = cli("info", light, "--channels", "cy3,1")
    assert "Cy3 in #ff0000 from" in outcome.out
    assert "DAPI in #00ff00 from" in outcome.out
    assert "note: shown from black to full colour: Cy3 " in outcome.out
    (record,) = cli("info", light, "--channels", "3,1", "--json").json
    assert [channel["name"] for channel in record["choice"]["channels"]] == ["Cy3", "DAPI"]


def test_compress_refuses_channels_that_nobody_chose(cli, light):
    outcome = cli("compress", light, "--encoder", "mean-rgb")
    assert outcome.code == 1
    assert "3 separate channels, no RGB picture (1 DAPI, 2 FITC, 3 Cy3)" in outcome.err
    assert "--channels DAPI,FITC,Cy3" in outcome.err
    assert "Traceback" not in outcome.err
    assert list(light.parent.iterdir()) == [light]


def test_a_store_of_some_channels_is_not_resumed_with_others(cli, light):
    options = ("--encoder", "mean-rgb", "--no-tissue")
    assert cli("compress", light, "--channels", "DAPI,Cy3", *options).code == 0
    store = light.with_name("light.nic.zarr")
    before = sorted((p, p.read_bytes()) for p in store.rglob("*") if p.is_file())
    for other in ("DAPI,FITC", "Cy3,DAPI", "DAPI"):
        outcome = cli("compress", light, "--channels", other, *options)
        assert outcome.code == 1
        assert "made of other channels" in outcome.err
    assert sorted((p, p.read_bytes()) for p in store.rglob("*") if p.is_file()) == before
    again = cli("compress", light, "--channels", "1,3", *options)
    assert again.code == 0
    assert "complete already" in again.out
    (record,) = cli("info", store, "--json").json
    names = [channel["name"] for channel in record["header"]["color"]["choice"]["channels"]]
    assert names == ["DAPI", "Cy3"]
    assert "DAPI in #ff0000" in cli("info", store).out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--channels", "DAPI,TRITC"), "no channel 'TRITC'"),
        (("--channels", "DAPI,DAPI"), "named twice"),
        (("--scene", "2", "--channels", "1"), "cannot be chosen"),
        (("--z", "2", "--channels", "1"), "it has no focus planes"),
    ],
)
def test_a_choice_that_cannot_be(cli, light, options, words):
    outcome = cli("info", light, *options)
    assert outcome.code == 1
    assert words in outcome.err
    assert "what to do" in outcome.err


@pytest.mark.parametrize("options", [("--channels", "DAPI,,Cy3"), ("--z", "0"), ("--t", "one")])
def test_wrong_usage(cli, light, options):
    assert cli("info", light, *options).code == 2


def test_patches_are_of_the_channels_that_were_chosen(cli, light, tmp_path):
    out = tmp_path / "a.patches.zarr"
    options = ("--size", "64", "--min-tissue", "0", "-o", out)
    refused = cli("patches", "extract", light, *options)
    assert refused.code == 1
    assert "3 separate channels" in refused.err
    assert not out.exists()
    assert cli("patches", "extract", light, "--channels", "FITC", *options).code == 0
    assert out.exists()


def test_a_slide_in_colours_has_no_channels(cli, slide):
    outcome = cli("compress", slide, "--channels", "1", "--encoder", "mean-rgb")
    assert outcome.code == 1
    assert "no channels to choose from" in outcome.err


@pytest.mark.parametrize("command", [("pca",), ("export", "--format", "npy"), ("predict", "--model", "tiny")])
def test_a_slide_of_channels_stands_for_its_store(cli, light, tiny_model, command):
    options = ("--encoder", "mean-rgb", "--no-tissue", "--channels", "DAPI,Cy3")
    assert cli("compress", light, *options).code == 0
    outcome = cli(command[0], light, *command[1:])
    assert outcome.code == 0, outcome.err
