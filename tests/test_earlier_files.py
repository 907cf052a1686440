"""What an earlier version wrote is opened, used and gone on with by this one.

The archive was written by ``scripts/write_earlier_files.py`` with the version before names were changed
(``f4b39cf``); the numbers beside are what that version said.
"""

from __future__ import annotations

import csv
import json
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import napari_nic as nic
from napari_nic.cohorts import CohortTraining, Plan, read_cohort, train_cohort
from napari_nic.cohorts.predictions import read_scores
from napari_nic.embeddings import CompressedSlide, export_store, import_store
from napari_nic.embeddings.dihedral import open_transformed
from napari_nic.encoders import load_encoder
from napari_nic.errors import InvalidParameterError
from napari_nic.patches import PatchStore
from napari_nic.slide_models import ModelBundle, TrainingSettings
from napari_nic.training.options import TrainOptions
from napari_nic.training.recipe import TrainRecipe
from napari_nic.training.sets import StoreSet
from napari_nic.training.train import train_encoder

ARCHIVE = Path(__file__).parent / "fixtures" / "earlier_files.zip"
TRAINING = CohortTraining(
    name="earlier",
    width=4,
    seeds=2,
    settings=TrainingSettings(epochs=5, steps=3, batch_size=4, patience=1, seed=1),
)
"""What the earlier version was told to learn."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files, unpacked; plans and tables name them where they are now. Do not change them."""
    folder = tmp_path_factory.mktemp("earlier")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture
def earlier(kept: Path, tmp_path: Path) -> Path:
    """A copy of the files that may be changed."""
    folder = shutil.copytree(kept, tmp_path / "earlier")
    root = expected(kept)["root"]
    for name in ("finished", "stopped"):
        plan = folder / name / "plan.json"
        plan.write_text(plan.read_text("utf-8").replace(root, folder.as_posix()), "utf-8")
    return folder


def expected(folder: Path) -> dict[str, Any]:
    """What the earlier version said."""
    answer: dict[str, Any] = json.loads((folder / "expected.json").read_text("utf-8"))
    return answer


@pytest.mark.parametrize(("store", "shape"), [("mean-rgb", (9, 9, 3)), ("nic-default", (4, 4, 128))])
def test_a_store_opens_and_gives_the_same_score(kept: Path, store: str, shape: tuple[int, ...]) -> None:
    said = expected(kept)
    model = kept / said["model"] if store == "mean-rgb" else "lesion-demo"
    opened = nic.open_compressed(kept / f"{store}.nic.zarr")
    assert opened.read().shape == shape
    answer = nic.predict(opened, model)
    np.testing.assert_allclose(answer.mean, said["scores"][store], atol=1e-6)
    assert np.isfinite(nic.saliency(opened, model).data[opened.encoded()]).all()


def test_codes_of_dihedral_transforms_are_found(kept: Path) -> None:
    with CompressedSlide.open(kept / "mean-rgb.nic.zarr") as store:
        assert len(open_transformed(store)) == 7


def test_a_store_that_was_begun_is_gone_on_with(earlier: Path) -> None:
    with CompressedSlide.open(earlier / "begun.nic.zarr") as store:
        assert not store.encoded().any()
        begun = store.header.created
    codes = nic.compress(earlier / "slide.tif", "mean-rgb", out=earlier / "begun.nic.zarr")
    assert codes.encoded().sum() == 15
    assert codes.header.created == begun


def test_a_finished_store_has_nothing_to_do(earlier: Path) -> None:
    reports: list[Any] = []
    nic.compress(
        earlier / "slide.tif", "nic-default", out=earlier / "nic-default.nic.zarr", progress=reports.append
    )
    assert not any(report.stage == "compressing" and report.done for report in reports)


@pytest.mark.parametrize("form", ["npy", "trident"])
def test_a_store_is_exported_as_it_was(kept: Path, tmp_path: Path, form: str) -> None:
    with CompressedSlide.open(kept / "mean-rgb.nic.zarr") as store:
        written = export_store(store, tmp_path, form)
        codes = store.read()[store.encoded()]
    if form == "npy":
        for file in (kept / "exports").glob("*.npy"):
            np.testing.assert_array_equal(np.load(file), np.load(tmp_path / file.name))
    (old,) = (kept / "exports").rglob("*.h5" if form == "trident" else "*_features.npy")
    assert written
    import_store(old, tmp_path / "imported.nic.zarr")
    with CompressedSlide.open(tmp_path / "imported.nic.zarr") as store:
        np.testing.assert_allclose(store.read()[store.encoded()], codes, atol=1e-3)


@pytest.mark.parametrize("name", ["home/encoders/tiny", "trained"])
def test_an_encoder_gives_the_same_codes(kept: Path, name: str) -> None:
    patch = np.arange(64 * 64 * 3, dtype=np.uint32).reshape(1, 64, 64, 3) * 7919 % 251
    encoder = load_encoder(str(kept / name), device="cpu", precision="float32")
    codes = encoder.encode(patch.astype(np.uint8))[0]
    np.testing.assert_allclose(codes, expected(kept)["codes"][name], atol=1e-5)


def test_a_finished_cohort_is_finished(earlier: Path) -> None:
    cohort = read_cohort(earlier / "cohort" / "cohort.csv", "classification")
    plan = Plan.load(earlier / "finished")
    assert plan is not None
    # Sizes that are not known are NaN, which is equal to nothing.
    assert [slide.to_dict() for slide in plan.cohort.slides] == [slide.to_dict() for slide in cohort.slides]
    assert replace(plan.cohort, slides=()) == replace(cohort, slides=())
    assert len(list(train_cohort(cohort, earlier / "finished", TRAINING, device="cpu"))) == 1


def test_a_stopped_cohort_goes_on_and_ends_as_an_undisturbed_one(earlier: Path) -> None:
    cohort = read_cohort(earlier / "cohort" / "cohort.csv", "classification")
    run = earlier / "stopped" / "fold1-seed2"
    assert (run / "checkpoint.safetensors").is_file()
    for _ in train_cohort(cohort, earlier / "stopped", TRAINING, device="cpu"):
        pass
    found, undisturbed = (read_scores(earlier / name / "predictions.csv") for name in ("stopped", "finished"))
    assert [row.slide for row in found] == [row.slide for row in undisturbed]
    np.testing.assert_allclose([row.scores for row in found], [row.scores for row in undisturbed], atol=1e-5)
    with (run / "log.csv").open(encoding="utf-8") as lines:
        log = list(csv.DictReader(lines))
    assert [row["epoch"] for row in log] == [*"12345"]
    with (earlier / "finished" / "fold1-seed2" / "log.csv").open(encoding="utf-8") as lines:
        right = list(csv.DictReader(lines))
    assert [row["learning_rate"] for row in log] == [row["rate"] for row in right]


def test_another_training_is_still_another(earlier: Path) -> None:
    cohort = read_cohort(earlier / "cohort" / "cohort.csv", "classification")
    other = replace(TRAINING, settings=replace(TRAINING.settings, steps=4))
    with pytest.raises(InvalidParameterError, match="another plan"):
        list(train_cohort(cohort, earlier / "stopped", other, device="cpu"))


def test_patches_are_read(kept: Path) -> None:
    store = PatchStore.open(kept / "made.patches.zarr")
    assert (len(store), store.size, store.mpp) == (8, 80, 1.0)
    assert set(store.class_names) == {"benign", "tumour"}


def test_a_stopped_training_of_an_encoder_goes_on(earlier: Path) -> None:
    options = TrainOptions(steps=6, batch_size=4, validate_every=2, architecture="nic-64", code_size=4)
    out = earlier / "training-stopped"
    recipe = TrainRecipe(
        "training-stopped",
        "supervised",
        [StoreSet(earlier / "made.patches.zarr")],
        out,
        {"licence": "MIT"},
        "cpu",
        options,
    )
    steps = [report.done for report in train_encoder(recipe) if report.unit == "steps"]
    assert steps[0] == 4
    assert steps[-1] == 6
    assert load_encoder(str(out), device="cpu").spec.code_size == 4


def test_a_model_says_what_it_was_trained_with(kept: Path) -> None:
    model = ModelBundle.load(kept / "finished" / "fold1-seed1")
    settings = model.card.training["settings"]
    assert (settings["learning_rate"], settings["final_learning_rate"]) == (0.01, 1e-5)
    assert settings["weight_decay"] == 2e-5
