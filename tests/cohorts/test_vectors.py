"""Models on slide vectors: of files, or means of codes; same folds, same reports, and never mixed."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from napari_nic.cohorts import (
    Cohort,
    CohortTraining,
    Plan,
    evaluate_bundle,
    evaluate_folder,
    import_foreign,
    read_cohort,
    read_listing,
    train_cohort,
)
from napari_nic.cohorts.comparison import compare_folders
from napari_nic.cohorts.predictions import read_scores
from napari_nic.cohorts.slides import Imported
from napari_nic.cohorts.training import run_folder
from napari_nic.cohorts.vectors import VectorCohort, open_for
from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import BundleError, InvalidParameterError, StoreError, StoreMismatchError
from napari_nic.slide_models import (
    LabelledSlide,
    ModelBundle,
    ModelCard,
    SlideNetConfig,
    TrainingSettings,
    predict,
    predict_vector,
    train,
)
from napari_nic.slide_vectors import SlideVector, mean_vector, read_vector, write_vector
from napari_nic.slide_vectors.vector import describe_encoder

CONVEX = TrainingSettings(
    epochs=40, steps=10, batch_size=256, learning_rate=0.05, weight_decay=0.02, patience=4, seed=1
)


def trained(cohort: Cohort, out: Path, training: CohortTraining) -> Path:
    for _ in train_cohort(cohort, out, training, device="cpu"):
        pass
    return out


def evaluated(out: Path) -> dict[str, Any]:
    *_, last = evaluate_folder(out, device="cpu")
    return dict(last.results)


def write_means(made: Any, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for path in sorted(made.stores.iterdir()):
        store = CompressedSlide.open(path)
        write_vector(mean_vector(store), folder / f"{store.slide_name}.h5")
    return folder


def imported(cohort: Cohort, out: Path) -> Cohort:
    *_, last = import_foreign(cohort, out)
    assert isinstance(last, Imported)
    assert last.cohort is not None
    return last.cohort


@pytest.fixture(scope="module")
def cohort(two_classes: Any) -> Cohort:
    return read_cohort(two_classes.table, "classification", stores=two_classes.stores)


@pytest.fixture(scope="module")
def vectors(two_classes: Any, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    folder = write_means(two_classes, tmp_path_factory.mktemp("means") / "vectors")
    return imported(read_cohort(two_classes.table, "classification", stores=folder), folder / "out")


@pytest.fixture(scope="module")
def linear(toys: Any) -> CohortTraining:
    return CohortTraining(name="floor", model="linear", folds=3, settings=toys.settings)


@pytest.fixture(scope="module")
def floor(cohort: Cohort, linear: CohortTraining, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models on the mean of the codes, of stores."""
    return trained(cohort, tmp_path_factory.mktemp("floor"), linear)


def test_files_are_left_what_they_are(vectors: Cohort) -> None:
    assert {slide.store.suffix for slide in vectors.slides} == {".h5"}
    opened = open_for(vectors, vectors=True)
    assert isinstance(opened, VectorCohort)
    assert opened.code_size == 4


def test_means_of_stores_and_their_files_give_one_model(
    floor: Path, vectors: Cohort, linear: CohortTraining, tmp_path: Path
) -> None:
    out = trained(vectors, tmp_path / "files", linear)
    assert read_scores(out / "predictions.csv") == read_scores(floor / "predictions.csv")
    first, second = (Plan.load(folder) for folder in (floor, out))
    assert first is not None
    assert second is not None
    assert first.folds == second.folds
    assert first.codes == second.codes


def test_the_planted_signal_is_found(floor: Path) -> None:
    results = evaluated(floor)
    assert results["overall"]["auc"]["value"] > 0.9
    page = (floor / "report.html").read_text("utf-8")
    assert "mean of toy, 4 numbers" in page
    assert "no saliency" in page
    assert "<img" not in page


def test_a_linear_model_is_logistic_regression() -> None:
    """Of balanced classes, with Adam's L2 penalty; what is chosen by is what is learned from."""
    rng = np.random.default_rng(5)
    values = rng.normal(3, 2, (90, 5)).astype(np.float32)
    labels = (values @ np.array([1.0, -2.0, 0.5, 0.0, 1.0]) > 3).astype(int)
    one = np.ones((1, 1), bool)
    slides = [
        LabelledSlide(f"s{number}", vector[None, None], one, label)
        for number, (vector, label) in enumerate(zip(values, labels, strict=True))
    ]
    network = SlideNetConfig.vector("linear", 5, 1)
    card = ModelCard("l", "classification", ("a", "b"), describe_encoder("x", "mean", 5), network)
    before = values.copy()
    *_, last = train(card, slides, slides, settings=CONVEX, device="cpu")
    assert np.array_equal(values, before)
    assert last.best is not None
    scaled = StandardScaler().fit_transform(values.astype(float))
    oracle = LogisticRegression(
        C=1 / (len(labels) * CONVEX.weight_decay), class_weight="balanced", max_iter=5000
    )
    theirs = oracle.fit(scaled, labels).predict_proba(scaled)[:, 1]
    encoder = dict(card.encoder)
    ours = [predict_vector(last.best, SlideVector("s", v, encoder), device="cpu").mean[1] for v in values]
    weights, wanted = last.best.weights["output.weight"][0].astype(float), oracle.coef_[0]
    assert weights @ wanted / (np.linalg.norm(weights) * np.linalg.norm(wanted)) > 0.995
    assert np.linalg.norm(weights) / np.linalg.norm(wanted) == pytest.approx(1, abs=0.1)
    assert np.abs(np.array(ours) - theirs).max() < 0.08


@pytest.mark.parametrize("task", ["regression", "survival"])
@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_values_and_risks(task: Any, model: Any, toys: Any, tmp_path: Path) -> None:
    columns: dict[str, Any] = {"label": lambda _, share: 10 + 5 * share}
    if task == "survival":
        columns = {
            "time": lambda _, share: 1 + 20 * (1 - share),
            "event": lambda index, _: int(index % 3 > 0),
        }
    # One slide a case: a patient has one time.
    made = toys.cohort(tmp_path, 30, seed=3, case=lambda index, _: f"c{index}", **columns)
    cohort = read_cohort(made.table, task, stores=made.stores)
    training = CohortTraining(name="v", model=model, width=8, folds=3, settings=toys.settings)
    overall = evaluated(trained(cohort, tmp_path / "out", training))["overall"]
    assert overall["spearman" if task == "regression" else "c_index"]["value"] > 0.7


def test_a_store_is_predicted_by_its_mean(floor: Path, cohort: Cohort) -> None:
    store = CompressedSlide.open(cohort.slides[0].store)
    plan = Plan.load(floor)
    assert plan is not None
    bundle = ModelBundle.load(run_folder(floor, plan.folds[0].number, 1))
    found = predict(bundle, store)
    by_hand = predict_vector(bundle, mean_vector(store))
    assert found.mean == pytest.approx(by_hand.mean)
    assert found.summary.endswith("(one vector of the slide)")
    assert np.isnan(found.cell_scores).all()
    with pytest.raises(InvalidParameterError, match="no scores of their own"):
        found.of_cells()


def test_a_finished_model_scores_another_cohort(
    floor: Path, vectors: Cohort, cohort: Cohort, tmp_path: Path
) -> None:
    bundle = ModelBundle.load(run_folder(floor, 1, 1))
    for name, given in (("stores", cohort), ("files", vectors)):
        for _ in evaluate_bundle(bundle, given, tmp_path / name, device="cpu"):
            pass
        assert evaluated(tmp_path / name)["slides"] == 40
    one, other = (read_scores(tmp_path / name / "predictions.csv") for name in ("stores", "files"))
    assert one == other


def test_vectors_of_another_slide_encoder_are_refused(
    floor: Path, vectors: Cohort, linear: CohortTraining, tmp_path: Path
) -> None:
    vector = read_vector(vectors.slides[0].store)
    foreign = SlideVector(
        vector.name, vector.values, describe_encoder("titan", "unknown", 4, options={"of": "slides"})
    )
    bundle = ModelBundle.load(run_folder(floor, 1, 1))
    with pytest.raises(BundleError, match=r"(?s)different slide encoders.*mean of toy.*titan"):
        predict_vector(bundle, foreign)
    write_vector(foreign, tmp_path / "t.h5")
    slides = (*vectors.slides[:-1], replace(vectors.slides[-1], store=tmp_path / "t.h5"))
    with pytest.raises(StoreMismatchError, match="different slide encoders"):
        trained(replace(vectors, slides=slides), tmp_path / "out", linear)


def test_stores_and_vectors_do_not_mix(
    cohort: Cohort, vectors: Cohort, linear: CohortTraining, tmp_path: Path
) -> None:
    mixed = replace(vectors, slides=(*vectors.slides[:-1], cohort.slides[-1]))
    with pytest.raises(StoreMismatchError, match=r"(?s)mixes slide vectors.*39 vectors of 40"):
        trained(mixed, tmp_path / "out", linear)
    with pytest.raises(InvalidParameterError, match=r"(?s)no grid.*--architecture linear"):
        trained(vectors, tmp_path / "grids", replace(linear, model="attention"))
    with pytest.raises(InvalidParameterError, match="no crops"):
        trained(vectors, tmp_path / "crops", replace(linear, crop_size=4))


def test_a_slide_encoders_model_wants_the_vector_beside(
    cohort: Cohort, two_classes: Any, linear: CohortTraining, toys: Any, tmp_path: Path
) -> None:
    """The slide encoder here doubles the mean; its file is not needed to learn from its vectors."""
    folder, encoder = tmp_path / "vectors", describe_encoder("twice", "onnx", 4, weights_sha256="2" * 64)
    folder.mkdir()
    for slide in cohort.slides:
        vector = mean_vector(CompressedSlide.open(slide.store))
        doubled = SlideVector(
            vector.name, 2 * vector.values, encoder, vector.slide_fingerprint, vector.origin
        )
        write_vector(doubled, folder / f"{slide.name}.h5")
    given = imported(read_cohort(two_classes.table, "classification", stores=folder), tmp_path)
    out = trained(given, tmp_path / "out", linear)
    bundle = ModelBundle.load(run_folder(out, 1, 1))
    store = CompressedSlide.open(
        toys.store(tmp_path / "s.nic.zarr", np.ones((6, 6, 4), np.float16), np.ones((6, 6), bool))
    )
    with pytest.raises(BundleError, match=r"(?s)takes vectors of a slide encoder.*slide-embed"):
        predict(bundle, store)
    mean = mean_vector(store)
    beside = SlideVector("s", 2 * mean.values, encoder, mean.slide_fingerprint, mean.origin)
    write_vector(beside, tmp_path / "s.twice.vector.h5")
    assert predict(bundle, store).mean == pytest.approx(predict_vector(bundle, beside).mean)


def test_a_slide_without_patches_is_named(toys: Any, linear: CohortTraining, tmp_path: Path) -> None:
    made = toys.cohort(tmp_path, 12, label=lambda index, _: "ab"[index % 2])
    mask = np.zeros((12, 12), bool)
    toys.store(made.stores / "s000.nic.zarr.new", np.zeros((12, 12, 4), np.float16), mask)
    old = made.stores / "s000.nic.zarr"
    old.rename(tmp_path / "old")
    (made.stores / "s000.nic.zarr.new").rename(old)
    cohort = read_cohort(made.table, "classification", stores=made.stores)
    with pytest.raises((StoreError, StoreMismatchError), match=r"no codes|no patch"):
        trained(cohort, tmp_path / "out", linear)


def test_others_vectors_are_learned_from(two_classes: Any, linear: CohortTraining, tmp_path: Path) -> None:
    """TRIDENT's folder of slide features, found by the names of the slides."""
    folder = tmp_path / "job" / "20x_256px_0px_overlap" / "slide_features_titan"
    folder.mkdir(parents=True)
    for path in sorted(two_classes.stores.iterdir()):
        store = CompressedSlide.open(path)
        with h5py.File(folder / f"{store.slide_name}.h5", "w") as file:
            file["features"] = mean_vector(store).values
            file["coords"] = np.zeros((7, 2), np.int64)
            file["features"].attrs["encoder"] = "titan"
    named = read_cohort(two_classes.table, "classification", stores=folder)
    cohort = imported(
        read_cohort(two_classes.table, "classification", stores=tmp_path / "job"), tmp_path / "i"
    )
    assert cohort == named
    out = trained(cohort, tmp_path / "out", linear)
    rows = read_scores(out / "predictions.csv")
    found = [row.scores[int(row.label)] for row in rows]
    assert np.mean(np.array(found) > 0.5) > 0.8
    bundle = ModelBundle.load(run_folder(out, 1, 1))
    assert bundle.card.encoder["name"] == "titan"
    assert not (tmp_path / "i" / "stores").exists()


def test_a_named_folder_of_vectors_is_meant(vectors: Cohort, two_classes: Any, tmp_path: Path) -> None:
    """Also where the table names compressed slides that are there: never the one in silence for the other."""
    table = tmp_path / "table.csv"
    rows = two_classes.table.read_text("utf-8").splitlines()
    named = [rows[0], *(f"{two_classes.stores}/{row.replace('.svs', '.nic.zarr', 1)}" for row in rows[1:])]
    table.write_text("\n".join(named) + "\n")
    folder = vectors.slides[0].store.parent
    found = read_cohort(table, "classification", stores=folder)
    assert {slide.store.suffix for slide in found.slides} == {".h5"}
    assert {slide.store.suffix for slide in read_cohort(table, "classification").slides} == {".zarr"}


def test_one_table_of_grids_attention_and_vectors(
    floor: Path, cohort: Cohort, toys: Any, tmp_path: Path
) -> None:
    attention = CohortTraining(name="a", model="attention", width=8, folds=3, settings=toys.settings)
    other = trained(cohort, tmp_path / "attention", attention)
    for folder in (floor, other):
        evaluated(folder)
    found = compare_folders([other, floor])
    assert {line.architecture for line in found.lines} == {"attention", "linear"}
    assert found.same_folds
    assert found.slides == 40
    values = [line.results["auc"]["value"] for line in found.lines]
    assert values == sorted(values, reverse=True)
    assert found.header[3] == "AUC"
    assert any("mean of toy" in cell for row in found.rows for cell in row)


def test_what_cannot_be_compared_is_refused(
    floor: Path, cohort: Cohort, linear: CohortTraining, tmp_path: Path
) -> None:
    evaluated(floor)
    fewer = trained(replace(cohort, slides=cohort.slides[:24]), tmp_path / "fewer", linear)
    with pytest.raises(StoreError, match="no results are here"):
        compare_folders([floor, fewer])
    evaluated(fewer)
    with pytest.raises(InvalidParameterError, match=r"(?s)same slides.*16 slides otherwise"):
        compare_folders([floor, fewer])
    seeded = replace(linear, settings=replace(linear.settings, seed=9))
    other = trained(cohort, tmp_path / "seeded", seeded)
    evaluated(other)
    assert not compare_folders([floor, other]).same_folds
    with (other / "predictions.csv").open(newline="") as lines:
        rows = list(csv.reader(lines))
    rows[1][4] = str(1 - float(rows[1][4]))
    with (other / "predictions.csv").open("w", newline="") as out:
        csv.writer(out).writerows(rows)
    with pytest.raises(InvalidParameterError, match="same slides with the same labels"):
        compare_folders([floor, other])


def test_the_cohort_browser_lists_them(vectors: Cohort, linear: CohortTraining, tmp_path: Path) -> None:
    out = trained(vectors, tmp_path / "listed", linear)
    listing = read_listing(out)
    assert len(listing.predicted) == 40
    assert all(slide.store is None for slide in listing.slides)
