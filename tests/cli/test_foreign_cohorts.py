"""``napari-nic models train`` on other programs' own folders of features."""

from __future__ import annotations

import runpy
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_nic.embeddings import CompressedSlide
from napari_nic.slide_models import (
    LabelledSlide,
    ModelBundle,
    ModelCard,
    SlideNetConfig,
    TrainingSettings,
    train,
)

IN_A_MOMENT = (
    *("--folds", 3, "--epochs", 1, "--steps", 1, "--batch-size", 2),
    *("--architecture", "cnn-compact", "--width", 4, "--device", "cpu", "--quiet"),
)
TCGA = "TCGA-ZZ-0001-01Z-00-DX1.1A2B3C4D-0000-4111-8222-1234567890AB"
SLIDES = f"slide_id,label,mpp\nCMU-1-Small-Region,1,0.499\n{TCGA},2,0.2431\nthree_islands_050,3,0.5025\n"
MPP = {"CMU-1-Small-Region": 0.499, TCGA: 0.2431, "three_islands_050": 0.5025}
FOLDERS = ("clam_2025-04_features", "stamp_2.5.0", "stamp_2.0.0")
JOINED = (
    "lazyslide_0.13.0/CMU-1-Small-Region.zarr",
    f"slide2vec_7.1.4_hs2p_6.1.0/tile_embeddings/{TCGA}.pt",
    "slide2vec_7.1.4_hs2p_6.1.0/tile_embeddings/three_islands_050.pt",
)
"""Two programs, one encoder: its name, patches and resolution are the same."""

ONE_SLIDE = "there are fewer cases than parts"
LEFT_OUT = {
    "by_spec_slideflow_3.0_bag": (f"{TCGA}.pt", ONE_SLIDE),
    "by_spec_stamp_1.1.1": (f"{TCGA}.h5", ONE_SLIDE),
    "by_spec_trident_like": (f"h_fp16/features_conch_v1/{TCGA}.h5", ONE_SLIDE),
    "by_spec_stamp_slide_level": (f"titan-slide/{TCGA}.h5", ONE_SLIDE),
    "clam_2025-04_patches": ("patches/three_islands_050.h5", "places of 334 patches, no features"),
    "tiatoolbox_2.1.3": (f"{TCGA}.zarr", "at which resolution"),
}
"""Folders of which no cohort can be learned from as they are, one file of each, and why."""


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


def table_of(folder: Path, files: Sequence[Path]) -> Path:
    """A table that names files of features, with the size of their slides' pixels."""
    rows = [
        f"{file},{number},{next(mpp for name, mpp in MPP.items() if file.name.startswith(name))}"
        for number, file in enumerate(files)
    ]
    (folder / "t.csv").write_text("\n".join(["slide,label,mpp", *rows]))
    return folder / "t.csv"


def test_training_starts_on_folders_of_two_programs_and_one_encoder(
    cli, tmp_path: Path, data_dir: Path
) -> None:
    pytest.importorskip("pyarrow")
    table = table_of(tmp_path, [data_dir / "features" / name for name in JOINED])
    line = ("models", "train", table, "--task", "regression", "--out", tmp_path / "models")
    outcome = cli(*line, "--crop", 16, *IN_A_MOMENT)
    assert outcome.code == 0, outcome.err
    assert len([ModelBundle.load(path.parent) for path in (tmp_path / "models").rglob("model.json")]) == 3


@pytest.mark.parametrize("folder", LEFT_OUT)
def test_what_cannot_be_learned_from_is_refused_with_the_reason(
    cli, tmp_path: Path, data_dir: Path, folder: str
) -> None:
    name, why = LEFT_OUT[folder]
    table = table_of(tmp_path, [data_dir / "features" / folder / name])
    line = ("models", "train", table, "--task", "regression", "--out", tmp_path / "models")
    outcome = cli(*line, *IN_A_MOMENT)
    assert (outcome.code, why in outcome.err) == (1, True), outcome.err


def test_every_folder_is_learned_from_or_has_a_reason(data_dir: Path) -> None:
    there = {path.name for path in (data_dir / "features").iterdir() if path.is_dir()}
    assert there == {*FOLDERS, *(name.split("/")[0] for name in JOINED), *LEFT_OUT}


def test_two_slides_are_enough_to_learn_and_validate(cli, tmp_path: Path, data_dir: Path) -> None:
    """A cross-validation needs a third one, to test; TIAToolbox's resolution is said on import."""
    stores = []
    for name, mpp in list(MPP.items())[:2]:
        file = data_dir / "features" / "tiatoolbox_2.1.3" / f"{name}.zarr"
        outcome = cli("import", file, "--out", tmp_path, "--mpp", mpp, "--target-mpp", 0.5)
        assert outcome.code == 0, outcome.err
        stores.append(CompressedSlide.open(tmp_path / f"{name}.nic.zarr"))
    slides = [LabelledSlide.from_store(store, float(number)) for number, store in enumerate(stores)]
    card = ModelCard(
        name="two",
        task="regression",
        class_names=("value",),
        encoder=stores[0].header.encoder,
        network=SlideNetConfig.compact(16, 1, 17, width=4),
        summary="",
        intended_use="",
        not_for="",
    )
    settings = TrainingSettings(epochs=1, steps=1, batch_size=2)
    (*_, last) = train(card, slides[:1], slides[1:], settings=settings, device="cpu")
    assert last.best is not None


def test_folders_of_two_programs_join_by_their_encoder_alone(cli, tmp_path: Path) -> None:
    """TRIDENT's job and LazySlide's folders of the same slides' encoder; a third one of another encoder."""
    writers = runpy.run_path(str(Path(__file__).parents[1] / "embeddings" / "spatial_writers.py"))
    pytest.importorskip("pyarrow")
    xy, features = writers["corners"](), writers["features"]()
    stated = {"patch_size": 224, "patch_size_level0": 448, "target_magnification": 20, "overlap": 0}
    files = []
    for name, encoder in (("a", "uni_v1"), ("b", "uni_v1"), ("e", "conch_v1")):
        files.append(tmp_path / "job" / f"features_{encoder}" / f"{name}.h5")
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(files[-1], "w") as file:
            file["features"], file["coords"] = features + len(files), xy
            file["coords"].attrs.update(stated | {"level0_magnification": 40})
    files += [writers["write_store"](tmp_path / f"{n}.zarr", tables={"uni_v1_tiles": {}}) for n in "cd"]
    rows = [f"{file},{number},0.25" for number, file in enumerate(files)]
    (tmp_path / "all.csv").write_text("\n".join(["slide,label,mpp", *rows]))
    line = ("models", "train", tmp_path / "all.csv", "--task", "regression", "--crop", 13)
    refused = cli(*line, "--out", tmp_path / "none", *IN_A_MOMENT)
    assert refused.code == 1
    assert "compressed by different encoders" in refused.err
    assert "uni_v1" in refused.err
    assert "conch_v1" in refused.err
    del rows[2]
    (tmp_path / "all.csv").write_text("\n".join(["slide,label,mpp", *rows]))
    outcome = cli(*line, "--out", tmp_path / "models", *IN_A_MOMENT)
    assert outcome.code == 0, outcome.err


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


def test_overlaps_of_one_patch_are_one_encoder(cli, tmp_path: Path) -> None:
    """TRIDENT's old rule: the first step is a whole patch, others are shortened. 512 px are another one."""
    cut = {"a": (256, 64), "b": (256, 0), "c": (256, 128), "wide": (512, 256)}
    for name, (side, overlap) in cut.items():
        at = [2 * (side * k - overlap * max(k - 1, 0)) for k in range(7)]
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["features"] = np.random.default_rng(0).normal(size=(49, 4)).astype(np.float32)
            file["features"].attrs["encoder"] = "uni_v1"
            file["coords"] = np.array([(x, y) for x in at for y in at])
            stated = {"patch_size": side, "patch_size_level0": 2 * side, "overlap": overlap}
            file["coords"].attrs.update(stated | {"target_magnification": 20, "level0_magnification": 40})
    rows = [f"{name},{number},0.25" for number, name in enumerate(cut)]
    (tmp_path / "t.csv").write_text("\n".join(["slide,label,mpp", *rows]))
    line = ("models", "train", tmp_path / "t.csv", "--task", "regression", "--stores", tmp_path, "--crop", 13)
    mixed = cli(*line, "--out", tmp_path / "mixed", *IN_A_MOMENT)
    assert (mixed.code, "patch_size" in mixed.err or "patch size" in mixed.err) == (1, True), mixed.err
    (tmp_path / "t.csv").write_text("\n".join(["slide,label,mpp", *rows[:3]]))
    outcome = cli(*line, "--out", tmp_path / "models", *IN_A_MOMENT)
    assert outcome.code == 0, outcome.err
