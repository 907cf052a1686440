"""``napari-nic similar``, ``clusters`` and ``anomalies``."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import shapely
import zarr
from PIL import Image

from napari_nic.annotations import Annotation, AnnotationSet, read_annotations, write_annotations
from napari_nic.embeddings import CompressedSlide
from napari_nic.similarity import load_clusters


@pytest.fixture
def cell(store: Path) -> str:
    """An encoded cell in the middle of the tissue."""
    assert CompressedSlide.open(store).encoded()[4, 5]
    return "4,5"


@pytest.fixture
def cohort(cli, store: Path, make_tissue, make_tiff, tmp_path: Path, other_encoder: str) -> Path:
    """A folder of `store`, one of another slide, and one of another encoder's codes."""
    folder, slides = tmp_path / "cohort", tmp_path / "more"
    shutil.copytree(store, folder / store.name)
    slides.mkdir()
    for name, seed, encoder in (("second", 1, "mean-rgb"), ("third", 2, other_encoder)):
        make_tiff(slides / f"{name}.tif", make_tissue(900, 1200, seed=seed), factors=(1, 4))
        assert cli("compress", slides / f"{name}.tif", "--encoder", encoder, "--out", folder).code == 0
    return folder


def test_a_slide_is_searched_for_a_cell(cli, store, cell, tmp_path) -> None:
    table, picture, array = (tmp_path / name for name in ("m.csv", "map.png", "map.npy"))
    outcome = cli(
        "similar", store, "--cell", cell, "--top", 4, "--apart", 0, "--out", table, "--map", picture
    )
    assert outcome.code == 0, outcome.err
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"]
    assert all((row["row"], row["column"]) != ("4", "5") for row in rows)
    assert rows[0]["similarity"][:6] in outcome.out
    encoded = CompressedSlide.open(store).encoded()
    with Image.open(picture) as image:
        assert (np.asarray(image)[::8, ::8, 3] > 0).tolist() == encoded.tolist()
    assert cli("similar", store, "--cell", cell, "--map", array).code == 0
    values = np.load(array)
    assert values[4, 5] == pytest.approx(1)
    assert np.isnan(values[~encoded]).all()
    assert not np.isnan(values[encoded]).any()


def test_a_folder_is_searched_and_other_encoders_are_named(cli, store, cell, cohort, slide) -> None:
    outcome = cli("similar", store, "--cell", cell, "--stores", cohort, "--per-slide", 2, "--json")
    assert outcome.code == 1  # one could not be searched
    assert "third.nic.zarr" in outcome.err
    found = outcome.json
    names = [match["slide"] for match in found["matches"]]
    assert sorted(names) == ["made", "made", "second", "second"]
    assert (found["method"], found["slides"]) == ("exact", 2)
    assert [Path(entry["store"]).name for entry in found["left_out"]] == ["third.nic.zarr"]


def test_pictures_of_matches(cli, store, cell, cohort, slide, tmp_path) -> None:
    shutil.rmtree(cohort / "third.nic.zarr")
    slides, pictures = tmp_path / "more", tmp_path / "pictures"
    options = ("--stores", cohort, "--per-slide", 1, "--thumbnails", pictures)
    outcome = cli("similar", store, "--cell", cell, *options, "--slides", slides)
    assert outcome.code == 1
    assert "the slide made of this compressed slide is not found" in outcome.err
    assert [path.name.split("_")[1] for path in pictures.iterdir()] == ["second"]
    shutil.copy(slide, slides)
    outcome = cli("similar", store, "--cell", cell, *options, "--slides", slides)
    assert outcome.code == 0, outcome.err
    assert len(list(pictures.iterdir())) == 2


def test_a_region_and_annotations_ask_for_the_same_cells(cli, store, tmp_path) -> None:
    file = tmp_path / "a.geojson"
    areas = (
        Annotation("tumour", "polygon", shapely.box(512, 384, 768, 640)),
        Annotation("other", "polygon", shapely.box(640, 640, 900, 900)),
    )
    write_annotations(AnnotationSet(areas), file)
    asked = ("similar", store, "--json", "--top", 3, "--apart", 0)
    region = cli(*asked, "--region", "512,384,256,256").json
    annotated = cli(*asked, "--annotations", file, "--class", "tumour").json
    assert region["query"]["what"] == annotated["query"]["what"] == "4 cells"
    assert region["matches"] == annotated["matches"]
    assert cli(*asked, "--annotations", file).json["query"]["what"] != "4 cells"


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (("--cell", "0,0"), 1, "this cell is empty"),
        (("--cell", "99,0"), 1, "there is no such cell"),
        (("--cell", "1"), 2, "expected 2 whole numbers"),
        (("--region", "1,2,3,x"), 2, "expected 4 whole numbers"),
        (("--region", "0,0,10,10"), 1, "no encoded cell is selected"),
        ((), 2, "required"),
        (("--cell", "4,5", "--class", "a"), 2, "--annotations"),
        (("--cell", "4,5", "--slides", "."), 2, "--thumbnails"),
        (("--cell", "4,5", "--out", "m.txt"), 2, ".csv"),
        (("--cell", "4,5", "--map", "m.jpg"), 2, ".png or .npy"),
        (("--cell", "4,5", "--stores", "nowhere"), 1, "no such folder"),
        (("--annotations", "nowhere.geojson"), 1, "nowhere.geojson"),
    ],
)
def test_what_cannot_be_asked_is_said(cli, store, options, code, says) -> None:
    outcome = cli("similar", store, *options)
    assert outcome.code == code
    assert says in outcome.err


def test_a_table_that_exists_is_kept(cli, store, cell, tmp_path) -> None:
    table = tmp_path / "m.csv"
    table.write_text("mine")
    assert cli("similar", store, "--cell", cell, "--out", table).code == 1
    assert table.read_text() == "mine"
    assert cli("similar", store, "--cell", cell, "--out", table, "--overwrite").code == 0


def test_clusters_of_a_cohort_and_of_a_later_slide(cli, cohort, tmp_path) -> None:
    shutil.rmtree(cohort / "third.nic.zarr")
    out, areas = tmp_path / "out", tmp_path / "areas.csv"
    outcome = cli("clusters", cohort, "-k", 3, "--out", out, "--areas", areas, "--geojson", "--json")
    assert outcome.code == 0, outcome.err
    clusters = load_clusters(out / "all.clusters.json")
    rows = list(csv.DictReader(areas.read_text("utf-8").splitlines()))
    assert len(rows) == 6
    for record in outcome.json:
        encoded = CompressedSlide.open(record["input"]).encoded()
        assert sum(area["cells"] for area in record["areas"]) == encoded.sum()
        outlines = read_annotations(record["files"][1])
        area = sum(a.geometry.area for a in outlines.annotations)
        assert area == pytest.approx(encoded.sum() * 128 * 128)
        assert set(outlines.labels()) <= set(clusters.names)
    again = tmp_path / "again"
    renamed = json.loads((out / "all.clusters.json").read_text("utf-8"))
    del renamed["content_sha256"]
    renamed["names"][0] = "stroma"
    (tmp_path / "named.json").write_text(json.dumps(renamed))
    arguments = ("--clusters", tmp_path / "named.json", "--out", again)
    outcome = cli("clusters", cohort, *arguments, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json[0]["areas"][0]["name"] == "stroma"
    assert [a["cells"] for r in outcome.json for a in r["areas"]] == [int(row["cells"]) for row in rows]
    assert not list(again.glob("*.json"))


def test_clusters_as_an_array_say_where_nothing_is(cli, store, tmp_path) -> None:
    assert cli("clusters", store, "-k", 2, "--out", tmp_path / "x.npy").code == 0
    numbers, encoded = np.load(tmp_path / "x.npy"), CompressedSlide.open(store).encoded()
    assert set(numbers[encoded].tolist()) == {0, 1}
    assert (numbers[~encoded] == -1).all()
    assert (tmp_path / "x.clusters.json").is_file()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("-k", "1"), "2 to 64"),
        (("--save", "a.txt"), "JSON"),
        (("--areas", "a.json"), "no table"),
        (("--clusters", "nowhere.json"), "nowhere.json"),
        (("--clusters", "a.json", "--save", "b.json"), "--save"),
    ],
)
def test_clusters_that_cannot_be_are_refused(cli, store, options, says) -> None:
    outcome = cli("clusters", store, *options)
    assert outcome.code in (1, 2)
    assert says in outcome.err


def test_one_of_another_encoder_is_named_and_the_others_are_sorted(cli, cohort, tmp_path) -> None:
    outcome = cli("clusters", cohort, "-k", 2, "--out", tmp_path / "out")
    assert outcome.code == 1
    assert "third.nic.zarr" in outcome.err
    assert "another encoder" in outcome.err
    assert len(list((tmp_path / "out").glob("*.png"))) == 2


@pytest.mark.parametrize("method", ["knn", "mahalanobis"])
def test_anomalies_find_planted_cells(cli, store, tmp_path, method) -> None:
    group = zarr.open_group(store, mode="r+")
    codes = np.asarray(group["embeddings"])
    codes[4, 5] = [0.01, 0.9, 0.02]  # green: no tissue has this colour
    group["embeddings"][:] = codes
    target = tmp_path / "a.npy"
    outcome = cli("anomalies", store, "--method", method, "--out", target, "--json")
    assert outcome.code == 0, outcome.err
    values, encoded = np.load(target), CompressedSlide.open(store).encoded()
    assert np.nanargmax(values) == np.ravel_multi_index((4, 5), values.shape)
    assert np.isnan(values[~encoded]).all()
    assert outcome.json[0]["cells"] == encoded.sum()


def test_anomalies_against_a_folder(cli, store, cohort, tmp_path) -> None:
    outcome = cli("anomalies", store, "--reference", cohort, "--out", tmp_path / "a.png")
    assert outcome.code == 1
    assert "another encoder than the reference's" in outcome.err
    shutil.rmtree(cohort / "third.nic.zarr")
    outcome = cli("anomalies", store, "--reference", cohort, "--out", tmp_path / "a.png")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "a.png").is_file()
