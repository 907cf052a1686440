"""``napari-nic probe``: from annotation files to a probe, from a probe to maps."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import shapely
import tifffile

from napari_nic.annotations import Annotation, AnnotationSet, read_annotations, write_annotations
from napari_nic.embeddings import CompressedSlide

COLORS = {"glass": (86, 180, 233), "tissue": (230, 159, 0)}


@pytest.fixture
def whole_store(cli, slide: Path) -> Path:
    """Codes of every cell, glass too, and beside them the mask of the tissue as an array."""
    assert cli("compress", slide, "--encoder", "mean-rgb").code == 0
    store = slide.with_name("made.nic.zarr")
    np.save(slide.with_name("tissue.npy"), CompressedSlide.open(store).coverage)
    shutil.rmtree(store)
    assert cli("compress", slide, "--encoder", "mean-rgb", "--no-tissue").code == 0
    return store


@pytest.fixture
def strokes(whole_store: Path) -> Path:
    """Three points on tissue and three on glass."""
    tissue = np.load(whole_store.with_name("tissue.npy"))
    step = CompressedSlide.open(whole_store).grid.stride_px
    shapes = []
    for label, cells in (("tissue", np.argwhere(tissue)), ("glass", np.argwhere(~tissue))):
        for row, col in cells[:: len(cells) // 3][:3]:
            shapes.append(Annotation(label, "point", shapely.Point((col + 0.5) * step, (row + 0.5) * step)))
    path = whole_store.with_name("made.geojson")
    write_annotations(AnnotationSet(tuple(shapes), COLORS), path)
    return path


@pytest.fixture
def probe(cli, whole_store: Path, strokes: Path, tmp_path: Path) -> Path:
    assert cli("probe", "train", whole_store, "--annotations", strokes, "--out", tmp_path / "mine").code == 0
    return tmp_path / "mine"


def test_training_prints_how_well_strokes_are_told_without_them(cli, whole_store, strokes, tmp_path):
    outcome = cli("probe", "train", whole_store, "--annotations", strokes, "--out", tmp_path / "mine")
    assert outcome.code == 0, outcome.err
    assert "leaving one of 6 strokes out" in outcome.out
    assert "All strokes are on one slide" in outcome.err
    shown = cli("probe", "show", tmp_path / "mine", "--json").json
    assert shown["training"]["strokes"] == {"glass": 3, "tissue": 3}
    assert shown["class_colors"] == [list(COLORS["glass"]), list(COLORS["tissue"])]
    assert shown["name"] == "mine"
    assert cli("probe", "train", whole_store, "--annotations", strokes, "--out", tmp_path / "mine").code == 1


def test_maps_are_outlines_a_picture_and_areas(cli, whole_store, probe, tmp_path):
    outcome = cli("probe", "apply", probe, whole_store, "--out", tmp_path / "maps", "--min-area", 0)
    assert outcome.code == 0, outcome.err
    store = CompressedSlide.open(whole_store)
    outlines = read_annotations(tmp_path / "maps" / "made.classes.geojson")
    assert {label: outlines.colors[label] for label in COLORS} == COLORS
    with (tmp_path / "maps" / "areas.csv").open(encoding="utf-8") as file:
        rows = {row["class"]: row for row in csv.DictReader(file)}
    step = store.grid.stride_um[0]
    whole = store.grid.rows * store.grid.cols * step**2 / 1e6
    assert sum(float(row["area_mm2"]) for row in rows.values()) == pytest.approx(whole, abs=1e-5)
    for label, row in rows.items():
        area = sum(shape.geometry.area for shape in outlines.annotations if shape.label == label)
        assert area * store.grid.pixel_size.y**2 / 1e6 == pytest.approx(float(row["area_mm2"]), abs=1e-5)
    with tifffile.TiffFile(tmp_path / "maps" / "made.classes.tif") as picture:
        values = picture.asarray()
        numbers = json.loads(picture.pages[0].description)["classes"]
    tissue = np.load(whole_store.with_name("tissue.npy"))
    found = values[: tissue.shape[0], : tissue.shape[1]] == numbers["tissue"]
    assert (found == tissue).mean() > 0.85


def test_a_class_map_as_json(cli, whole_store, probe, tmp_path):
    outcome = cli("probe", "apply", probe, whole_store, "--out", tmp_path / "maps", "--min-area", 0, "--json")
    (record,) = outcome.json
    assert record["ok"]
    assert record["area_mm2"].keys() == COLORS.keys()
    assert len(record["files"]) == 2


def test_nothing_is_replaced_without_leave(cli, whole_store, probe, tmp_path):
    arguments = ("probe", "apply", probe, whole_store, "--out", tmp_path / "maps", "--min-area", 0)
    assert cli(*arguments).code == 0
    again = cli(*arguments)
    assert again.code == 1
    assert "the output exists" in again.err
    assert cli(*arguments, "--overwrite").code == 0


def test_parts_that_are_all_too_small_are_told(cli, whole_store, probe, tmp_path):
    outcome = cli("probe", "apply", probe, whole_store, "--out", tmp_path / "maps", "--min-area", 1000)
    assert outcome.code == 1
    assert "no part of a class is as large" in outcome.err


def test_codes_of_another_encoder_are_refused(cli, slide, probe, other_encoder, tmp_path):
    store = tmp_path / "other" / "made.nic.zarr"
    assert cli("compress", slide, "--encoder", "other", "--out", store).code == 0
    outcome = cli("probe", "apply", probe, store, "--out", tmp_path / "maps")
    assert outcome.code == 1
    assert "another encoder" in outcome.err


def test_shapes_without_codes_are_told(cli, store, slide, tmp_path):
    """The store holds tissue alone: glass cannot be learned from it."""
    bare = np.argwhere(~CompressedSlide.open(store).coverage)[0]
    step = CompressedSlide.open(store).grid.stride_px
    point = shapely.Point((bare[1] + 0.5) * step, (bare[0] + 0.5) * step)
    write_annotations(AnnotationSet((Annotation("glass", "point", point),)), tmp_path / "a.geojson")
    outcome = cli("probe", "train", store, "--annotations", tmp_path / "a.geojson", "--out", tmp_path / "p")
    assert outcome.code == 1
    assert "glass 1" in outcome.err
    assert "without its tissue mask" in outcome.err
