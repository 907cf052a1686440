"""Cross-validation: runs, resumes, and finds the planted signal on slides it never saw."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from napari_nic.cohorts import (
    Cohort,
    CohortSlide,
    CohortTraining,
    Plan,
    RunProgress,
    import_foreign,
    read_cohort,
    train_cohort,
)
from napari_nic.cohorts.predictions import read_scores
from napari_nic.cohorts.slides import Imported, open_cohort
from napari_nic.cohorts.training import run_folder
from napari_nic.embeddings import CompressedSlide
from napari_nic.embeddings.dihedral import N_DIHEDRAL, transformed_path
from napari_nic.embeddings.interchange import ImportHints, export_store, import_store
from napari_nic.errors import CancelledError, InvalidParameterError, StoreError, StoreMismatchError
from napari_nic.geometry import PixelSize
from napari_nic.jobs import CancellationToken
from napari_nic.slide_models import LabelledSlide, ModelBundle, StoredSlide, predict
from napari_nic.telling import telling


@pytest.fixture(scope="module")
def cohort(two_classes: Any) -> Cohort:
    return read_cohort(two_classes.table, "classification", stores=two_classes.stores)


@pytest.fixture(scope="module")
def training(toys: Any) -> CohortTraining:
    return CohortTraining(name="toy", width=8, folds=3, settings=toys.settings)


@pytest.fixture(scope="module")
def trained(cohort: Cohort, training: CohortTraining, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    for _ in train_cohort(cohort, out, training, device="cpu"):
        pass
    return out


def test_slides_held_out_are_told_apart(trained: Path, cohort: Cohort) -> None:
    rows = read_scores(trained / "predictions.csv")
    assert sorted(row.slide for row in rows) == sorted(slide.name for slide in cohort.slides)
    assert roc_auc_score([row.label for row in rows], [row.scores[1] for row in rows]) > 0.9


def test_each_run_is_a_bundle_with_its_log(trained: Path, cohort: Cohort, training: CohortTraining) -> None:
    plan = Plan.load(trained)
    assert plan is not None
    assert plan.cohort == cohort
    for fold in plan.folds:
        folder = run_folder(trained, fold.number, training.settings.seed)
        bundle = ModelBundle.load(folder)
        assert bundle.card.metrics["test"]["slides"] == len(fold.test)
        assert bundle.card.crop_size == 14
        with (folder / "log.csv").open(encoding="utf-8") as lines:
            log = list(csv.DictReader(lines))
        assert [int(row["epoch"]) for row in log] == list(range(1, training.settings.epochs + 1))
        assert not (folder / "checkpoint.safetensors").exists()
        rows = read_scores(folder / "predictions.csv")
        slide = cohort.slides[fold.test[0]]
        again = predict(bundle, CompressedSlide.open(slide.store), device="cpu")
        np.testing.assert_allclose(rows[0].scores, again.mean, atol=1e-6)


def test_an_interrupted_training_ends_as_an_undisturbed_one(
    trained: Path, cohort: Cohort, training: CohortTraining, tmp_path: Path
) -> None:
    for stop in (3, 14):
        token = CancellationToken()
        run = train_cohort(cohort, tmp_path, training, device="cpu", token=token)
        for _ in range(stop):
            next(run)
        token.cancel()
        with pytest.raises(CancelledError):
            list(run)
    for _ in train_cohort(cohort, tmp_path, training, device="cpu"):
        pass
    assert (tmp_path / "predictions.csv").read_text() == (trained / "predictions.csv").read_text()
    reports = list(train_cohort(cohort, tmp_path, training, device="cpu"))
    assert len(reports) == 1


def test_a_folder_of_another_plan_is_refused(trained: Path, cohort: Cohort, training: CohortTraining) -> None:
    with pytest.raises(InvalidParameterError, match="settings"):
        list(train_cohort(cohort, trained, replace(training, width=9), device="cpu"))
    smaller = replace(cohort, slides=cohort.slides[:-2])
    with pytest.raises(InvalidParameterError, match="slides"):
        list(train_cohort(smaller, trained, training, device="cpu"))


def test_a_folder_of_an_earlier_version_is_gone_on_with(
    trained: Path, cohort: Cohort, training: CohortTraining, tmp_path: Path
) -> None:
    shutil.copytree(trained, tmp_path / "old")
    file = tmp_path / "old" / "plan.json"
    data = json.loads(file.read_text("utf-8"))
    assert data["settings"]["augmentation"] == "transformed places of codes"
    data["settings"]["augmentation"] = "turned places of codes"
    settings = data["settings"]["training"]
    settings["rate"] = settings.pop("learning_rate")
    settings["least_rate"] = settings.pop("final_learning_rate")
    settings["l2"] = settings.pop("weight_decay") / 2
    file.write_text(json.dumps(data), "utf-8")
    assert len(list(train_cohort(cohort, tmp_path / "old", training, device="cpu"))) == 1


def test_the_papers_network_wants_the_papers_crops(cohort: Cohort, tmp_path: Path) -> None:
    paper = CohortTraining(model="cnn")
    assert paper.network(cohort, 128, 90).crop_size == 400
    with pytest.raises(InvalidParameterError, match="exactly"):
        replace(paper, crop_size=500).network(cohort, 128, 90)
    assert CohortTraining(model="attention").network(cohort, 8, 90).kind == "attention"
    assert CohortTraining().network(cohort, 8, 900).crop_size == 400
    assert CohortTraining(model="cnn-compact").network(cohort, 8, 8).crop_size == 13
    assert CohortTraining().network(cohort, 8, 1).crop_size == 5
    with pytest.raises(InvalidParameterError, match="unknown model"):
        CohortTraining(model="forest")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(InvalidParameterError, match="at least one seed"):
        CohortTraining(seeds=0)


def test_slides_are_held_in_memory_when_they_fit(cohort: Cohort) -> None:
    opened = open_cohort(cohort)
    assert isinstance(opened.slides(cohort, memory_bytes=opened.bytes)[0], LabelledSlide)
    stored = opened.slides(cohort, memory_bytes=opened.bytes - 1)
    assert isinstance(stored[0], StoredSlide)
    assert [slide.label for slide in stored] == [slide.label for slide in cohort.slides]


def test_slides_of_other_encoders_or_without_codes_are_refused(
    cohort: Cohort, toys: Any, tmp_path: Path
) -> None:
    codes, mask = np.zeros((3, 3, toys.code_size)), np.ones((3, 3), bool)
    other = toys.store(tmp_path / "x.nic.zarr", codes, mask, weights_sha256="1" * 64)
    name = cohort.slides[3].name
    with pytest.raises(StoreMismatchError, match="different encoders"):
        open_cohort(cohort.with_stores({name: other}))
    empty = toys.store(tmp_path / "y.nic.zarr", codes, np.zeros((3, 3), bool))
    with pytest.raises(StoreMismatchError, match="no codes"):
        open_cohort(cohort.with_stores({name: empty}))
    wide = np.zeros((3, 20, toys.code_size)), np.ones((3, 20), bool)
    whole = CompressedSlide.open(toys.store(tmp_path / "w.nic.zarr", *wide))
    half = CompressedSlide.create(tmp_path / "half.nic.zarr", whole.header, whole.coverage)
    half.write_block(0, 0, np.zeros((3, 16, toys.code_size)))
    half.close()
    partial = cohort.with_stores({name: half.path})
    with pytest.raises(StoreMismatchError, match="48 encoded"):
        open_cohort(partial)
    assert open_cohort(partial, allow_partial=True).stores[name].encoded().sum() == 48


def test_other_programs_files_are_imported_once(two_classes: Any, tmp_path: Path) -> None:
    source = CompressedSlide.open(two_classes.stores / "s000.nic.zarr")
    for name in ("s000", "s001"):
        export_store(
            CompressedSlide.open(two_classes.stores / f"{name}.nic.zarr"), tmp_path / f"{name}.h5", "trident"
        )
    table = tmp_path / "cohort.csv"
    table.write_text("slide,label\ns000,a\ns001,b\n")
    cohort = read_cohort(table, "classification", stores=tmp_path)
    *_, last = import_foreign(cohort, tmp_path / "out")
    assert isinstance(last, Imported)
    assert last.cohort is not None
    made = last.cohort.slides[0].store
    np.testing.assert_array_equal(CompressedSlide.open(made).read(), source.read())
    before = made.stat().st_mtime_ns
    list(import_foreign(cohort, tmp_path / "out"))
    assert made.stat().st_mtime_ns == before
    open_cohort(last.cohort)


def test_damaged_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        read_scores(tmp_path / "predictions.csv")
    (tmp_path / "plan.json").write_text(json.dumps({"format": 9}))
    with pytest.raises(ValueError, match="damaged"):
        Plan.load(tmp_path)


def test_turned_patches_count_only_if_every_slide_has_them(cohort: Cohort, toys: Any, tmp_path: Path) -> None:
    two = replace(cohort, slides=cohort.slides[:2])
    rng = np.random.default_rng(0)
    made: dict[str, Path] = {}
    for number, slide in enumerate(two.slides):
        mask = np.ones((3, 3), bool)
        made[slide.name] = toys.store(
            tmp_path / f"{slide.name}.nic.zarr", np.zeros((3, 3, toys.code_size)), mask
        )
        for transform in range(1, N_DIHEDRAL - number):
            codes = rng.normal(size=(3, 3, toys.code_size))
            toys.store(
                transformed_path(made[slide.name], transform), codes, mask, options={"turn": transform}
            )
    some = open_cohort(two.with_stores(made))
    assert some.transformed == {}
    toys.store(
        transformed_path(made[two.slides[1].name], N_DIHEDRAL - 1),
        codes,
        mask,
        options={"turn": N_DIHEDRAL - 1},
    )
    every = open_cohort(two.with_stores(made))
    assert every.bytes == N_DIHEDRAL * some.bytes
    for memory in (every.bytes, 0):
        first = every.slides(two, memory_bytes=memory)[0]
        transformed_once = first.crop(0, 0, 3, 1)[0]
        assert not first.crop(0, 0, 3)[0].any()
        np.testing.assert_array_equal(transformed_once, np.rot90(every.transformed[first.name][0].read()))


def test_an_import_is_made_anew_when_the_file_or_what_is_said_of_it_changes(tmp_path: Path) -> None:
    def features(value: float) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["features"] = np.full((4, 3), value, np.float32)
            file["coords"] = np.array([(0, 0), (256, 0), (0, 256), (256, 256)])

    def imported(mpp: float) -> CompressedSlide:
        slide = CohortSlide("a", tmp_path / "a.h5", "a", 1.0)
        *_, last = import_foreign(Cohort("regression", ("x",), (slide,)), tmp_path / "out", mpp=mpp)
        assert isinstance(last, Imported)
        assert last.cohort is not None
        return CompressedSlide.open(last.cohort.slides[0].store)

    features(1)
    first = imported(0.5)
    assert (first.read() == 1).all()
    made = (first.path / "zarr.json").stat().st_mtime_ns
    assert (imported(0.5).path / "zarr.json").stat().st_mtime_ns == made
    features(2)  # extracted anew under the same name
    assert (imported(0.5).read() == 2).all()
    assert imported(0.25).grid.pixel_size.x == 0.25
    (first.path / "zarr.json").write_bytes(b"{")
    assert imported(0.25).is_complete


def test_a_training_is_not_gone_on_with_on_other_codes_of_the_same_names(
    toys: Any, training: CohortTraining, tmp_path: Path
) -> None:
    made = toys.cohort(tmp_path, 16, label=lambda _, share: "x" if share > 0.5 else "y")
    cohort = read_cohort(made.table, "classification", stores=made.stores)
    steps = train_cohort(cohort, tmp_path / "out", training, device="cpu")
    assert any(isinstance(report, RunProgress) for report in steps)
    steps.close()
    store = cohort.slides[0].store
    codes, mask = CompressedSlide.open(store).read(), CompressedSlide.open(store).encoded()
    mask[1] = False
    shutil.rmtree(store)
    toys.store(store, codes * mask[..., None], mask)
    with pytest.raises(InvalidParameterError, match=r"(?s)another plan.*the same codes"):
        list(train_cohort(cohort, tmp_path / "out", training, device="cpu"))


def test_the_codes_of_a_twin_are_not_taken_for_a_slide(
    toys: Any, make_tiff: Any, make_tissue: Any, tmp_path: Path
) -> None:
    make_tiff(tmp_path / "a.tif", make_tissue(300, 300))
    slide = CohortSlide("a", tmp_path / "a.nic.zarr", "a", 1.0, picture=tmp_path / "a.tif")
    toys.store(slide.store, np.ones((3, 3, 4)), np.ones((3, 3), bool))
    with pytest.raises(StoreMismatchError, match="another slide"):
        open_cohort(Cohort("regression", ("x",), (slide,)))


def import_of(folder: Path, name: str, *, slide: str, value: float) -> CohortSlide:
    """A slide whose codes were imported from a file that names no encoder."""
    (folder / "h5_files").mkdir(parents=True, exist_ok=True)
    path = folder / "h5_files" / f"{name}.h5"
    with h5py.File(path, "w") as file:
        file["features"] = np.full((4, 3), value, np.float32)
        file["coords"] = np.array([(x, y) for x in (0, 256) for y in (0, 256)], np.int32)
    hints = ImportHints(
        slide_name=name, slide_fingerprint=slide, pixel_size=PixelSize(0.5, 0.5, "test"), patch_size=256
    )
    store = folder.parent / f"{name}.nic.zarr"
    import_store(path, store, hints=hints).close()
    return CohortSlide(name, store, name, 0.0)


def test_one_file_of_codes_in_two_cases_is_told(tmp_path: Path) -> None:
    slides = [
        import_of(tmp_path / "uni", name, slide=slide, value=value)
        for name, slide, value in (("a", "sha256:a", 1), ("b", "sha256:b", 2), ("c", "sha256:c", 1))
    ]
    told: list[Any] = []
    with telling(told.append):
        open_cohort(Cohort("classification", ("x", "y"), tuple(slides)))
    (event,) = told
    assert "in two cases: a and c" in event.texts[0]


def test_features_of_unnamed_encoders_in_several_folders_are_told(tmp_path: Path) -> None:
    slides = [
        import_of(tmp_path / folder, name, slide=f"sha256:{name}", value=value)
        for value, (folder, name) in enumerate([("uni", "a"), ("uni", "b"), ("resnet", "c")])
    ]
    told: list[Any] = []
    with telling(told.append):
        open_cohort(Cohort("classification", ("x", "y"), tuple(slides)))
    (event,) = told
    assert "several folders: resnet, uni" in event.texts[0]


def test_one_slide_in_two_cases_is_told(tmp_path: Path, toys: Any) -> None:
    mask = np.ones((3, 3), bool)
    slides = []
    for name, case in (("a", "p"), ("b", "p"), ("c", "q")):
        store = toys.store(tmp_path / f"{name}.nic.zarr", np.ones((3, 3, 4)), mask)
        slides.append(CohortSlide(name, store, case, 0.0))
    told: list[Any] = []
    with telling(told.append):
        open_cohort(Cohort("classification", ("x", "y"), tuple(slides[:2])))
        assert told == []
        open_cohort(Cohort("classification", ("x", "y"), tuple(slides)))
    (event,) = told
    assert "one slide under two names, in two cases: a and c" in event.texts[0]
