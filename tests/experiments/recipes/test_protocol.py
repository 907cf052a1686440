"""Recipes run from the layout to the table beside the paper's numbers, small."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from napari_nic.cli.main import main
from napari_nic.cohorts.predictions import ScoredSlide
from napari_nic.encoders import DEFAULT_ENCODER, load_encoder
from napari_nic.slide_models import TrainingSettings
from napari_nic_experiments.recipes import (
    TABLES,
    SlideRecipe,
    TileRecipe,
    find_tissue9,
    read_camelyon16,
    read_tupac16,
    run_slide_recipe,
    run_tile_recipe,
)
from napari_nic_experiments.recipes.protocol import subset_results
from napari_nic_experiments.recipes.published import markdown

DOCUMENTATION = Path(__file__).parents[3] / "docs" / "slide-models.md"


@pytest.fixture(scope="module")
def encoder():
    return load_encoder("mean-rgb", device="cpu")


def small(recipe):
    """Small networks, two epochs."""
    settings = TrainingSettings(epochs=2, steps=3, batch_size=4)
    training = replace(recipe.training, model="cnn-adaptive", width=8, folds=3, seeds=2, settings=settings)
    return replace(recipe, training=training, device="cpu")


def test_slides_are_opened_as_the_user_says(camelyon, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["experiments", "recipe", "camelyon16", str(camelyon), "--out", str(out), "--set-aside", "1"]
    assert main([*command, "--mpp", "0.25", "--raw-color"]) == 0
    first = (out / "commands.sh").read_text().splitlines()[0]
    assert first.endswith("--raw-color --mpp 0.25")
    sizes = [float(row.split(",")[3] or 0) for row in (out / "cohort.csv").read_text().splitlines()[1:]]
    capsys.readouterr()
    assert main([*command, "--mpp", "0.5"]) == 0
    twice = [float(row.split(",")[3] or 0) for row in (out / "cohort.csv").read_text().splitlines()[1:]]
    assert max(sizes) > 0
    assert twice == pytest.approx([2 * size for size in sizes], abs=1e-3)


def test_camelyon16_by_one_command(camelyon, tmp_path, encoder):
    recipe = small(SlideRecipe(read_camelyon16(camelyon), tmp_path, set_aside=1))
    *_, last = run_slide_recipe(recipe, encoder)
    assert last.results["slides"] == 12
    assert {name: len(values) for name, values in last.results["subsets"].items()} == {
        "All": 2,
        "Test": 2,
        "Macro": 2,
    }
    assert json.loads((tmp_path / "results.json").read_text()) == last.results
    page = (tmp_path / "results.md").read_text()
    assert "| BiGAN | 0.725 | 0.704 | 0.720 |" in page
    assert f"| ours: mean-rgb | {last.results['ours']['All']} |" in page
    assert (tmp_path / "models" / "report.html").is_file()
    *_, again = run_slide_recipe(recipe, encoder)
    assert again.results == last.results


def test_tupac16_scores_the_slides_without_truth(tupac, tmp_path, encoder):
    recipe = small(SlideRecipe(read_tupac16(tupac), tmp_path))
    *_, last = run_slide_recipe(replace(recipe, training=replace(recipe.training, seeds=1)), encoder)
    assert set(last.results["subsets"]) == {"All"}
    name, score = (tmp_path / "submission.csv").read_text().splitlines()[1].split(",")
    assert name == "TUPAC-TE-001"
    assert -2 < float(score) < 2
    assert "| multitask | 0.620 | 0.632 |" in (tmp_path / "results.md").read_text()


def test_tissue9_learns_classes_that_differ(bowel, tmp_path, encoder):
    training, testing = find_tissue9(bowel)
    *_, last = run_tile_recipe(TileRecipe(training, testing, tmp_path, classifier="knn"), encoder)
    assert last.results["tiles"] == {"training": 45, "testing": 18}
    assert last.results["accuracy"] == [1.0, 1.0]
    assert last.results["by_class"]["TUM"] == 1.0
    assert "| ours: mean-rgb | 1.000 (0.000) |" in (tmp_path / "results.md").read_text()


def test_subsets_are_those_of_the_paper(camelyon):
    cohort = read_camelyon16(camelyon)
    # Normal and macro slides are ranked rightly, the micro one last of all.
    truth = {"test_001": 0.9, "test_003": 0.0}
    rows = [
        ScoredSlide(s.name, s.name, 1, 0, float(s.label == "tumor"), True, 1.0, 8, (1 - p, p), (0.0, 0.0))
        for s in cohort.slides
        for p in [truth.get(s.name, 0.5)]
    ]
    found = subset_results(cohort, cohort.slides, rows)
    assert found["Macro"] == [1.0]
    assert found["Test"] == [0.5]


def test_without_run_the_table_and_the_commands_are_written(camelyon, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["experiments", "recipe", "camelyon16", str(camelyon), "-o", out, "--set-aside", "2"]) == 0
    printed = capsys.readouterr().out
    assert "models train" in printed
    assert "--architecture cnn --folds 4 --seeds 2 --classes normal,tumor" in printed
    assert printed.splitlines()[-1].split() == ["ours:", "nic-default", *["not", "run"] * 3]
    assert (tmp_path / "out" / "commands.sh").read_text().startswith("napari-nic compress ")
    assert len((tmp_path / "out" / "cohort.csv").read_text().splitlines()) == 12
    assert len((tmp_path / "out" / "set-aside.csv").read_text().splitlines()) == 3


def test_every_published_table_has_a_number_for_each_column():
    for table in TABLES.values():
        assert all(len(values) == len(table.columns) for values in table.rows.values())
        assert table.beside({}, "x")[-1] == ("ours: x", *["not run"] * len(table.columns))
        last = table.beside({table.columns[0]: "0.5"}, "x")[-1]
        assert last == ("ours: x", "0.5", *["-"] * (len(table.columns) - 1))


@pytest.mark.parametrize("name", ["camelyon16", "tupac16"])
def test_without_a_folder_the_papers_numbers_are_shown_as_in_the_documentation(name, capsys):
    assert main(["experiments", "recipe", name]) == 0
    shown = capsys.readouterr().out
    published = TABLES[name]
    rows = published.beside({}, DEFAULT_ENCODER)
    assert rows[-1] == (f"ours: {DEFAULT_ENCODER}", *["not run"] * len(published.columns))
    assert published.title in shown
    assert all(entry in shown for row in rows for entry in row)
    assert markdown(published.header, rows) in DOCUMENTATION.read_text(encoding="utf-8")


def test_a_folder_needs_a_place_to_write_to(camelyon, tmp_path, capsys):
    assert main(["experiments", "recipe", "camelyon16", str(camelyon)]) == 2
    assert "no --out" in capsys.readouterr().err
    assert main(["experiments", "recipe", "tissue9", "--run", "--out", str(tmp_path)]) == 2
    assert "no FOLDER" in capsys.readouterr().err
