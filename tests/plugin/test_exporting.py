"""Export of the embedding array: names, questions, results."""

from __future__ import annotations

import numpy as np
import pytest

from napari_nic.embeddings import CompressedSlide
from napari_nic.geometry import RegionPx
from napari_nic.pipeline import GridOptions
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.exporting import ExportController
from napari_nic.plugin.controllers.tissue import TissueController


@pytest.fixture
def exporting(opened, runner):
    compressing = CompressController(opened, runner, TissueController(opened, runner))
    return ExportController(opened, compressing, runner)


@pytest.fixture
def complete(opened, exporting, compress_file) -> ExportController:
    compress_file(opened.slide.path)
    opened.find_store(any_encoder=True)
    return exporting


def test_nothing_to_export(exporting, tmp_path, runner):
    assert "Compress the slide first" in exporting.why_not()
    exporting.export(tmp_path / "x.npy", "npy")
    assert runner.titles == []


def test_npy(complete, opened, answers, tmp_path):
    assert complete.why_not() == ""
    complete.export(tmp_path / "made_features.npy", "npy")
    array = np.load(tmp_path / "made_features.npy")
    assert array.shape == (3, *opened.store.grid.shape)
    assert "made_features.npy" in answers.notices[0]
    assert not complete.busy


@pytest.mark.parametrize("name", ["npy", "trident", "zarr"])
def test_default_names_work(complete, opened, name):
    path = complete.default_path(name)
    assert path != opened.store.path
    complete.export(path, name)
    assert path.exists()


def test_copy_is_a_store(complete):
    path = complete.default_path("zarr")
    complete.export(path, "zarr")
    assert CompressedSlide.open(path).is_complete


def test_existing_file_is_asked_for(complete, answers, tmp_path):
    path = tmp_path / "made_features.npy"
    path.write_text("mine")
    complete.export(path, "npy")
    assert "exists" in answers.questions[0]
    assert path.read_text() == "mine"
    answers.agree = True
    complete.export(path, "npy")
    assert np.load(path).ndim == 3


def test_missing_cells_are_asked_for(exporting, opened, compress_file, answers, tmp_path):
    # The middle of the slide is tissue; with a stride of 32 px it is one block of several.
    middle = RegionPx(500, 700, 10, 10)
    compress_file(opened.slide.path, first=middle, options=GridOptions(stride=32))
    opened.find_store(any_encoder=True)
    exporting.export(tmp_path / "a.npy", "npy")
    assert "Only" in answers.questions[0]
    assert not (tmp_path / "a.npy").exists()
    answers.agree = True
    exporting.export(tmp_path / "a.npy", "npy")
    assert (tmp_path / "a.npy").exists()


def test_wrong_suffix_and_bad_folder_are_told(complete, answers, tmp_path):
    complete.export(tmp_path / "x.png", "npy")
    assert "does not fit" in str(answers.errors[0])
    (tmp_path / "file").write_text("")
    complete.export(tmp_path / "file" / "x.npy", "npy")
    assert len(answers.errors) == 2
    assert not complete.busy


def test_what_was_written_is_named_first(complete, answers, tmp_path):
    """A notice shows the first words of a line, and a folder may be long."""
    complete.export(tmp_path / "made_features.npy", "npy")
    assert answers.notices[0].startswith("Exported made_features.npy, with made_features")
    assert answers.notices[0].endswith(f" to {tmp_path}")
    complete.export(tmp_path / "made.h5", "trident")
    assert answers.notices[1] == f"Exported made.h5 to {tmp_path}"
