"""``napari-nic models train`` and ``evaluate`` on small slides, from the picture to the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_nic.embeddings import CompressedSlide
from napari_nic.embeddings.dihedral import open_transformed
from napari_nic.slide_models import ModelBundle

QUICK = (
    "--folds",
    3,
    "--epochs",
    1,
    "--steps",
    2,
    "--batch-size",
    4,
    "--width",
    4,
    "--device",
    "cpu",
    "--quiet",
)


@pytest.fixture(autouse=True)
def quick_networks(one_thread):
    """All of these run small networks."""


@pytest.fixture
def table(
    cli, make_tissue: Callable[..., np.ndarray], make_tiff: Callable[..., Path], tmp_path: Path
) -> Path:
    """Six slides, every second one redder, compressed beside themselves, in a table."""
    folder = tmp_path / "cohort"
    folder.mkdir()
    lines = ["slide,patient,grade,months,dead"]
    for index in range(6):
        image = make_tissue(800, 900, seed=index).astype(int)
        image[..., 0] += 40 * (index % 2)
        make_tiff(folder / f"s{index}.tif", np.clip(image, 0, 255).astype(np.uint8))
        lines.append(f"s{index}.tif,p{index},{'high' if index % 2 else 'low'},{index + 1},{index % 3 > 0:d}")
    (folder / "table.csv").write_text("\n".join([*lines, "s9.tif,p9,,,"]) + "\n")
    assert cli("compress", folder, "--encoder", "mean-rgb", "--quiet").code == 0
    return folder / "table.csv"


def test_train_evaluate_and_use_a_model(cli, table: Path, tmp_path: Path) -> None:
    out = tmp_path / "models"
    columns = ("--columns", "label=grade", "case=patient", "--classes", "low,high")
    trained = cli("models", "train", table, "--out", out, *columns, *QUICK)
    assert trained.code == 0, trained.err
    assert trained.out.startswith("AUC: ")
    assert trained.out.rstrip().endswith(str(out / "report.html"))
    card = ModelBundle.load(out / "fold1-seed0").card
    assert (card.name, card.class_names) == ("models-fold1-seed0", ("low", "high"))
    # The slides lie where the table says, so that they are shown themselves.
    assert (out / "report.html").read_text().count("data:image/png") == 12
    again = cli("models", "evaluate", out, "--device", "cpu", "--quiet", "--json").json
    assert (again["slides"], again["models"]) == (6, 3)
    predicted = cli(
        "predict", table.parent / "s0.nic.zarr", "--model", out / "fold1-seed0", "--device", "cpu"
    )
    assert predicted.code == 0
    evaluated = cli(
        *("models", "evaluate", table, "--model", out / "fold2-seed0", "--out", tmp_path / "evaluated"),
        *("--columns", "label=grade", "--device", "cpu", "--json"),
    )
    assert evaluated.json["slides"] == 6
    assert "left out, having no label: 1 slide" in evaluated.err


def test_survival_with_attention(cli, table: Path, tmp_path: Path) -> None:
    outcome = cli(
        *(
            "models",
            "train",
            table,
            "--out",
            tmp_path / "models",
            "--task",
            "survival",
            "--model",
            "attention",
        ),
        *("--columns", "time=months", "event=dead", *QUICK),
    )
    assert outcome.code == 0, outcome.err
    assert "concordance index" in outcome.out
    shown = cli("models", "show", tmp_path / "models" / "fold1-seed0").out
    assert "survival: risk" in shown


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--columns", "label"), "KIND=NAME"),
        (("--columns", "colour=x"), "KIND=NAME"),
    ],
)
def test_columns_that_cannot_be_read_are_wrong_usage(
    cli, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    outcome = cli("models", "train", tmp_path / "t.csv", "--out", tmp_path / "out", *arguments)
    assert outcome.code == 2
    assert words in outcome.err


def test_what_evaluate_needs(cli, tmp_path: Path) -> None:
    assert cli("models", "evaluate", tmp_path, "--model", "x").code == 2
    assert cli("models", "evaluate", tmp_path / "t.csv", "--model", "x").code == 2
    nothing = cli("models", "evaluate", tmp_path)
    assert nothing.code == 1
    assert "napari-nic models train" in nothing.err


def test_a_table_that_is_not_there(cli, tmp_path: Path) -> None:
    outcome = cli("models", "train", tmp_path / "none.csv", "--out", tmp_path / "out")
    assert outcome.code == 1
    assert "none.csv" in outcome.err
    assert not (tmp_path / "out").exists()


def test_compressing_with_transformed_patches(cli, slide: Path) -> None:
    outcome = cli("compress", slide, "--encoder", "mean-rgb", "--augment", 8, "--quiet")
    assert outcome.code == 0, outcome.err
    store = CompressedSlide.open(slide.with_name("made.nic.zarr"))
    transformed = open_transformed(store)
    assert len(transformed) == 7
    # The mean colour of a patch does not change when it is rotated.
    np.testing.assert_array_equal(transformed[4].read(), store.read())


@pytest.fixture
def features(tmp_path: Path) -> Path:
    """A table as a clinic and STAMP have it: two tables, other names, a slide that is not there."""
    folder = tmp_path / "lab"
    folder.mkdir()
    for index in range(6):
        (folder / f"s{index}.h5").touch()
    clinical = [f"p{index},{'MSIH' if index % 2 else 'MSS'}\n" for index in range(8)]
    (folder / "clini.csv").write_text("PATIENT,isMSIH\n" + "".join(clinical))
    slides = [f"p{index},s{index}.h5\n" for index in range(7)]
    (folder / "slides.csv").write_text("PATIENT,FILENAME\n" + "".join(slides))
    (folder / "splits_0.csv").write_text(",train,val,test\n0,s0,s2,s4\n1,s1,s3,\n")
    return folder


def joined(folder: Path, *more: object) -> tuple[object, ...]:
    return (
        *("models", "train", folder / "clini.csv", "--slides-table", folder / "slides.csv"),
        *("--columns", "label=isMSIH", "--stores", folder, *more),
    )


def test_a_dry_run_says_what_was_understood_and_does_nothing(cli, features: Path, tmp_path: Path) -> None:
    said = cli(*joined(features, "--dry-run", "--folds", 3, "--out", tmp_path / "out"))
    assert said.code == 0, said.err
    lines = {" ".join(line.split()) for line in said.out.splitlines()}
    assert lines >= {
        "columns slide = FILENAME (slides.csv), case = PATIENT (clini.csv), label = isMSIH (clini.csv)",
        "task classification: MSIH, MSS; positive: MSS",
        "slides 6 of 6 cases",
        "compressed slides 0 of napari-nic, 6 to import",
        "left out, no compressed slide found 1: s6.h5",
        "patients without a slide 1: p7",
        "MSIH 3 3",
        "3 2 2 2",
    }
    assert said.err == ""
    assert not (tmp_path / "out").exists()
    parts = cli(*joined(features, "--dry-run", "--splits", features / "splits_0.csv", "--json")).json
    assert parts["facts"]["parts"] == "train 2, validation 2, test 1"
    assert parts["facts"]["left out, not in the splits"] == "2: s5.h5, s6.h5"
    assert parts["classes"][0] == {"name": "MSIH", "slides": 2, "cases": 2}
    assert [len(parts["folds"][0][name]) for name in ("train", "validation", "test")] == [2, 2, 1]


def test_a_dry_run_fails_where_the_training_would(cli, features: Path) -> None:
    strict = cli(*joined(features, "--dry-run", "--strict"))
    assert (strict.code, "1 of 7 slides cannot be found" in strict.err) == (1, True)
    folds = cli(*joined(features, "--dry-run", "--folds", 9))
    assert (folds.code, "fewer cases than parts" in folds.err) == (1, True)
    text = (features / "splits_0.csv").read_text()
    (features / "one.csv").write_text("train,val,test\ns0.h5,s1.h5,s2.h5\n")
    one = cli(*joined(features, "--dry-run", "--splits", features / "one.csv"))
    assert (one.code, "the model of fold 1 would learn from no slide with" in one.err) == (1, True), text
    assert cli(*joined(features)).code == 2  # without --out and --dry-run
    alone = cli("models", "train", features / "clini.csv", "--dry-run", "--slides-sheet", "x")
    assert (alone.code, "--slides-table" in alone.err) == (2, True)


def test_missing_slides_are_left_out_told_and_recorded(cli, table: Path, tmp_path: Path) -> None:
    rows = table.read_text().splitlines()
    table.write_text(
        "\n".join([rows[0].replace("slide", "file_name"), *rows[1:-1], "s7.tif,p7,high,1,1"]) + "\n"
    )
    columns = ("--columns", "label=grade")
    out = tmp_path / "models"
    trained = cli("models", "train", table, "--out", out, *columns, *QUICK, "--json")
    assert trained.code == 0, trained.err
    assert "left out: 1 slide of 7 with a label: no compressed slide was found: s7.tif" in trained.err
    assert trained.json["left_out"]["missing"] == ["s7.tif"]
    assert "1: s7.tif" in (out / "report.html").read_text()
    stopped = cli("models", "train", table, "--out", tmp_path / "o", *columns, *QUICK, "--strict")
    assert (stopped.code, (tmp_path / "o").exists()) == (1, False)


def test_a_workbook_without_the_library_is_one_sentence(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.xlsx").write_bytes(b"PK\x03\x04")
    monkeypatch.setattr("napari_nic.extras.find_spec", lambda _: None)
    outcome = cli("models", "train", tmp_path / "t.xlsx", "--dry-run")
    assert outcome.code == 1
    assert 'pip install "napari-nic[tables]"' in outcome.err


@pytest.mark.parametrize("word", ["none", "Unknown", "[Not Available]", "-"])
def test_a_class_that_may_mean_no_label_is_told(cli, store: Path, tmp_path: Path, word: str) -> None:
    table = tmp_path / "cohort.csv"
    table.write_text(f"slide,label\n{store},x\n{store.with_name('made.svs')},{word}\n")
    outcome = cli("models", "train", table, "--out", tmp_path / "out", "-q")
    assert outcome.code == 1  # it names one slide twice
    table.write_text(f"slide,label\n{store},{word}\na,x\n")
    store.with_name("a.nic.zarr").symlink_to(store)
    outcome = cli("models", "train", table, "--stores", store.parent, "--out", tmp_path / "out", "-q")
    assert f"{word!r} is taken for a class, of 1 slide" in outcome.err
