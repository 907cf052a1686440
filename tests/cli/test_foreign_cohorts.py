"""``napari-nic models train`` on other programs' own folders of features."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_nic.slide_models import ModelBundle

IN_A_MOMENT = (
    *("--folds", 3, "--epochs", 1, "--steps", 1, "--batch-size", 2),
    *("--architecture", "cnn-compact", "--width", 4, "--device", "cpu", "--quiet"),
)
TCGA = "TCGA-ZZ-0001-01Z-00-DX1.1A2B3C4D-0000-4111-8222-1234567890AB"
SLIDES = f"slide_id,label,mpp\nCMU-1-Small-Region,1,0.499\n{TCGA},2,0.2431\nthree_islands_050,3,0.5025\n"
FOLDERS = ("clam_2025-04_features", "stamp_2.5.0")


@pytest.fixture(autouse=True)
def quick_networks(one_thread):
    """All of these run small networks."""


@pytest.mark.parametrize("program", FOLDERS)
def test_training_starts_on_the_folder_of_a_program(
    cli, tmp_path: Path, data_dir: Path, program: str
) -> None:
    folder = data_dir / "features" / program
    if not folder.is_dir():
        pytest.skip(f"no features at {folder}")
    (tmp_path / "t.csv").write_text(SLIDES)
    line = ("models", "train", tmp_path / "t.csv", "--task", "regression", "--stores", folder)
    outcome = cli(*line, "--out", tmp_path / "models", "--crop", 16, *IN_A_MOMENT)
    assert outcome.code == 0, outcome.err
    assert len(list((tmp_path / "models" / "stores").glob("*.nic.zarr"))) == 3
    assert len([ModelBundle.load(path.parent) for path in (tmp_path / "models").rglob("model.json")]) == 3


def test_training_on_a_job_folder_with_its_slides(cli, tmp_path: Path, slide: Path) -> None:
    rows = ["slide,label"]
    xy = np.array([(x * 64, y * 64) for y in range(14) for x in range(20)])
    stated = {"patch_size": 64, "patch_size_level0": 64, "target_magnification": 20, "overlap": 0}
    features = tmp_path / "job" / "20x_64px_0px_overlap" / "features_uni"
    features.mkdir(parents=True)
    for number in range(6):
        with h5py.File(features / f"s{number}.h5", "w") as file:
            file["features"] = np.random.default_rng(number).normal(size=(len(xy), 4)).astype(np.float32)
            file["coords"] = xy
            file["coords"].attrs.update(stated)
        slide.with_name(f"s{number}.tif").symlink_to(slide)
        rows.append(f"s{number},{number}")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    line = ("models", "train", tmp_path / "t.csv", "--task", "regression", "--stores", tmp_path / "job")
    where = ("--slides", slide.parent, "--out", tmp_path / "models")
    outcome = cli(*line, *where, "--crop", 13, *IN_A_MOMENT)
    assert outcome.code == 0, outcome.err
