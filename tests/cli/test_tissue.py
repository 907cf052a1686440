"""``tissue mask`` and ``tissue train``, and masks given to other commands."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from napari_nic.embeddings import CompressedSlide
from napari_nic.pipeline import read_mask
from napari_nic.slides import open_slide


def test_a_mask_is_written_and_given_back(cli, slide: Path, tmp_path: Path) -> None:
    outcome = cli("tissue", "mask", slide)
    assert outcome.code == 0, outcome.err
    mask = slide.with_name(f"{slide.stem}.tissue.png")
    assert str(mask) in outcome.out
    with open_slide(slide) as opened:
        found = read_mask(opened, mask)
    assert found.mask.any()
    again = cli("tissue", "mask", slide)
    assert again.code == 1
    assert "--overwrite" in again.err
    options = ("--mode", "optimize", "--glass", "white", "--mask", mask, "--json")
    (record,) = cli("recompress", slide, *options, "--out", tmp_path / "out").json
    assert record["tissue"].startswith(mask.name)


def test_a_store_records_how_its_tissue_was_found(cli, slide: Path, tmp_path: Path) -> None:
    common = ("compress", slide, "--encoder", "mean-rgb")
    outcome = cli(*common, "--tissue-method", "unet", "--out", tmp_path / "a")
    assert outcome.code == 0, outcome.err
    (path,) = (tmp_path / "a").glob("*.nic.zarr")
    assert CompressedSlide.open(path).header.tissue["method"].startswith("U-Net tissue-unet (")
    painted = tmp_path / "m.png"
    cv2.imwrite(str(painted), np.full((30, 300), 255, np.uint8))
    refused = cli(*common, "--tissue", painted, "--out", tmp_path / "b")
    assert refused.code == 1
    assert "proportions" in refused.err


@pytest.mark.parametrize(
    "arguments",
    [
        (
            "recompress",
            "SLIDE",
            "--mode",
            "optimize",
            "--glass",
            "white",
            "--mask",
            "m.png",
            "--min-piece",
            "5",
        ),
        (
            "recompress",
            "SLIDE",
            "--mode",
            "optimize",
            "--glass",
            "white",
            "--mask",
            "m.png",
            "--network",
            "x",
        ),
        ("recompress", "SLIDE", "--mode", "optimize", "--mask", "m.png"),
        ("tissue", "mask", "SLIDE", "--method", "threshold", "--network", "x"),
        ("compress", "SLIDE", "--tissue", "m.png", "--tissue-method", "unet"),
        ("tissue", "train", "--name", "x", "--slides", "SLIDE"),
        ("tissue", "train", "--name", "x", "--outlines", "o.geojson"),
    ],
)
def test_wrong_usage(cli, slide: Path, arguments: tuple[str, ...]) -> None:
    outcome = cli(*(slide if one == "SLIDE" else one for one in arguments))
    assert outcome.code == 2
    assert "error: " in outcome.err


def test_a_network_is_trained_on_all_kinds_of_data(cli, slide: Path, tmp_path: Path) -> None:
    tiles = tmp_path / "tiles"
    (tiles / "masks").mkdir(parents=True)
    mask = np.zeros((96, 96), np.uint8)
    mask[:, :40] = 255
    for name in "ab":
        cv2.imwrite(str(tiles / f"{name}.png"), np.where(mask[..., None] > 0, 120, 240).repeat(3, 2))
        cv2.imwrite(str(tiles / "masks" / f"{name}.png"), mask)
    outlines = tmp_path / "o.geojson"
    ring = [[0, 0], [600, 0], [600, 400], [0, 400], [0, 0]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": {}}
    outlines.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    command = ("tissue", "train", "--name", "net", "--tiles", f"{tiles}=4", "--slides", slide)
    command += ("--outlines", outlines, "--widths", "2", "2", "--crop", "32", "--batch-size", "2")
    outcome = cli(*command, "--steps", "2", "--validate-every", "1", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    assert "napari-nic tissue mask SLIDE --network net" in outcome.out
    used = cli("tissue", "mask", slide, "--network", "net", "--json", "--out", tmp_path / "m.png")
    assert used.code == 0, used.err
    assert used.json[0]["method"].startswith("U-Net net (")
    without = tiles / "c.png"
    cv2.imwrite(str(without), np.zeros((40, 40, 3), np.uint8))
    refused = cli(*command, "--steps", "2")
    assert refused.code == 1
    assert "no mask" in refused.err


def test_nothing_to_train_on(cli) -> None:
    outcome = cli("tissue", "train", "--name", "x")
    assert outcome.code == 1
    assert "--synthetic" in outcome.err
