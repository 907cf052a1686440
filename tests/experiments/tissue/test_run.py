"""The experiment from tiles to tables, small."""

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_nic.cli.main import main
from napari_nic.errors import UnknownNameError
from napari_nic.explain import SaliencyMap
from napari_nic.patches.tiles import TileFolder
from napari_nic_experiments.tissue import TissueExperiment, get_preset, run_tissue
from napari_nic_experiments.tissue import run as run_module
from napari_nic_experiments.tissue.localisation import (
    MAPS,
    METHODS,
    ExplainedSlide,
    choose_area,
    measure_maps,
)
from napari_nic_experiments.tissue.probe import OutlinedCells, probe_cells
from napari_nic_experiments.tissue.report import tables, write_plots

TINY = get_preset("tiny")
LEARNS = replace(
    TINY,
    training=replace(TINY.training, settings=replace(TINY.training.settings, epochs=8, learning_rate=1e-2)),
)


@pytest.fixture(scope="module")
def done(tmp_path_factory, tissue_folders, tumour_folder):
    """The results of an experiment whose tumour is told by its colour."""
    out = tmp_path_factory.mktemp("experiment")
    regions = TileFolder(tumour_folder.path, 0.5)
    experiment = TissueExperiment(LEARNS, out, "mean-rgb", tissue_folders, regions, "cpu")
    *_, last = run_tissue(experiment)
    return out, last.results


def test_a_tumour_of_another_colour_is_found_by_labels_alone(done):
    _, results = done
    assert results["scores"]["auc"]["value"] >= 0.9
    assert results["scores"]["auc_of_large_lesions"] >= 0.9
    assert results["saliency"]["cell scores"]["slides"] == 3
    assert max(results["saliency"][method]["pixel_auc"] for method in METHODS) > 0.8


def test_the_results_are_kept_and_told(done):
    out, results = done
    assert json.loads((out / "tissue.json").read_text()) == results
    assert (out / "models" / "report.html").is_file()
    rows = {table.title: table for table in tables(results)}
    assert len(rows) == 6
    assert all(len(row) == len(table.header) for table in rows.values() for row in table.rows)
    assert len(rows["real regions"].rows) == 6
    assert all(file.read_text().startswith("<svg") for file in write_plots(results, out))


def test_outlines_show_what_the_codes_allow(done):
    _, results = done
    assert results["probe"]["slides"] == 3
    assert results["probe"]["training_pixel_auc"] > 0.9
    assert results["probe"]["pixel_auc"] > 0.9
    assert results["regions"]["probe"]["slides"] == 6


def test_a_probe_finds_what_lies_in_the_codes_and_nothing_else():
    rng = np.random.default_rng(0)

    def cells(shift, count=4):
        made = []
        for index in range(count):
            inside = rng.random(200) < (0.3 if index else 0)
            made.append(
                OutlinedCells(f"{index}", rng.normal(0, 1, (200, 5)) + shift * inside[:, None], inside)
            )
        return made

    found = probe_cells(cells(2), cells(2))
    assert found["slides"] == 3  # the first has no lesion
    assert found["training_cells"] == 800
    assert found["least_pixel_auc"] > 0.95
    assert 0.4 < probe_cells(cells(0), cells(0))["pixel_auc"] < 0.6
    assert probe_cells(cells(2), cells(2, 1))["pixel_auc"] is None


def saliency_slide(share, rng):
    """A slide whose map is 1 in the lesion and noise elsewhere."""
    mask, inside = np.ones((12, 12), bool), np.zeros((12, 12), bool)
    inside[3:8, 3:9] = True
    values = inside + 0.3 * rng.random((12, 12))
    saliency = SaliencyMap(values.astype(np.float32), "lesion", 1, "Grad-CAM", 0, "m", mask)
    return ExplainedSlide("s", share, 0.9, dict.fromkeys(MAPS, saliency), inside)


def test_the_threshold_of_an_area_is_chosen_on_other_slides():
    rng = np.random.default_rng(0)
    chosen_on, evaluated = ([saliency_slide(0.2, rng) for _ in range(3)] for _ in range(2))
    options = choose_area(chosen_on, "Grad-CAM")
    assert 0.3 < options.threshold <= 1.3
    found = measure_maps(chosen_on, evaluated)["Grad-CAM"]
    assert found["pixel_auc"] == 1
    assert found["best_jaccard"] == 1
    assert 0.7 < found["jaccard"] <= 1
    without = measure_maps([], evaluated)["Grad-CAM"]
    assert without["jaccard"] is None
    assert without["best_jaccard"] == 1


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(UnknownNameError, match="standard"):
        get_preset("huge")


def test_the_command_prints_the_tables(tmp_path, tumour_folder, monkeypatch, capsys):
    made = {}

    def run(experiment, *, token):
        made["experiment"] = experiment
        each = {"slide": "a", "share": 0.2, "pixel_auc": 0.8, "jaccard": 0.5, "best_jaccard": 0.6}
        maps = {"slides": 1, "pixel_auc": 0.8, "least_pixel_auc": 0.8, "jaccard": 0.5, "best_jaccard": 0.6}
        interval = {"value": 0.97, "low": 0.9, "high": 1.0}
        size = {"low": 0.1, "high": 0.2, "slides": 1, "auc": 0.97, "found": 1.0}
        results = {
            "scores": {
                "auc": interval,
                "auc_of_large_lesions": 0.99,
                "balanced_accuracy": interval,
                "by_size": [size],
            },
            "saliency": dict.fromkeys(MAPS, maps | {"each": [each]}),
            "probe": {"slides": 1, "training_pixel_auc": 0.9, "pixel_auc": 0.8, "least_pixel_auc": 0.8},
        }
        yield run_module.TissueDone(1, 1, results=results)

    monkeypatch.setattr(run_module, "run_tissue", run)
    tiles = f"{tumour_folder.path}=0.5"
    assert main(["experiments", "tissue", "-o", str(tmp_path), "--preset", "tiny", "--tumour", tiles]) == 0
    out = capsys.readouterr().out
    assert "0.970 [0.900, 1.000]" in out
    assert "auc-by-size.svg" in out
    assert made["experiment"].preset.name == "tiny"
    assert made["experiment"].folders.tumour[0].mpp == 0.5
