"""``napari-nic saliency``, with a small network of random weights."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image

from napari_nic.annotations import (
    Annotation,
    AnnotationSet,
    SlideExtent,
    read_annotations,
    write_annotations,
)
from napari_nic.embeddings import CompressedSlide
from napari_nic.embeddings.layout import replace_header
from napari_nic.geometry import RegionPx


@pytest.fixture
def outline(slide: Path) -> Path:
    """A rectangle in the middle of the slide, and another label, beside the slide under its name."""
    shapes = (
        Annotation("Lesion", "polygon", shapely.box(500, 300, 900, 800)),
        Annotation("Fold", "polygon", shapely.box(600, 300, 700, 400)),
    )
    path = slide.with_suffix(".geojson")
    write_annotations(AnnotationSet(shapes, {}, source="test"), path)
    return path


def test_array_is_signed_and_empty_on_glass(cli, store: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.npy"
    outcome = cli("saliency", store, "--model", "tiny", "--out", out)
    assert outcome.code == 0
    assert outcome.out.startswith(f"{out}\n")
    encoded = CompressedSlide.open(store).encoded()
    np.testing.assert_array_equal(np.isnan(np.load(out)), ~encoded)


def test_each_map_has_its_verdict(cli, store: Path, tiny_model: Path, tmp_path: Path) -> None:
    command = ("saliency", store, "--model", "tiny", "--out", tmp_path / "x.npy", "--fold", "tiny")
    outcome = cli(*command)
    found = cli(*command, "--overwrite", "--json").json[0]["reliability"]
    assert found["verdict"] in ("reliable", "uncertain", "not reliable")
    assert f"Saliency of 'lesion' is {found['verdict']}: {found['reason']}" in outcome.out
    assert found["folds"] == pytest.approx(1), "the other fold is the model itself"
    assert found["deletion"]["scores"][0] == pytest.approx(found["score"])
    assert len(found["deletion"]["random"]) > 1


def test_maps_are_not_checked_where_that_is_not_asked_for(
    cli, store: Path, tiny_model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "x.npy"
    for option in ("--no-check", "--method=integrated-gradients"):
        outcome = cli("saliency", store, "--model", "tiny", "--out", out, option)
        assert (outcome.code, outcome.out) == (0, f"{out}\n")
        out.unlink()


def test_two_classes_are_opposite(cli, store: Path, tiny_model: Path, tmp_path: Path) -> None:
    for target in ("healthy", "lesion", "0"):
        out = tmp_path / f"{target}.npy"
        assert cli("saliency", store, "--model", "tiny", "--target", target, "--out", out).code == 0
    healthy, lesion, first = (np.load(tmp_path / f"{name}.npy") for name in ("healthy", "lesion", "0"))
    np.testing.assert_allclose(healthy, -lesion, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(healthy, first)


def test_picture_beside_the_store(cli, store: Path, tiny_model: Path) -> None:
    assert cli("saliency", store, "--model", "tiny", "--cell-px", "1").code == 0
    with Image.open(store.with_name("made.saliency.png")) as image:
        assert image.size == CompressedSlide.open(store).grid.shape[::-1]


def test_unknown_target_is_wrong_usage(cli, store: Path, tiny_model: Path) -> None:
    for target in ("tumour", "2", "-1"):
        outcome = cli("saliency", store, "--model", "tiny", f"--target={target}")
        assert outcome.code == 2
        assert "0 (healthy), 1 (lesion)" in outcome.err


@pytest.mark.parametrize("as_folder", [False, True])
def test_agreement_with_an_annotation(
    cli, store: Path, tiny_model: Path, outline: Path, *, as_folder: bool
) -> None:
    command = ("saliency", store, "--model", "tiny", "--annotation", outline.parent if as_folder else outline)
    outcome = cli(*command, "--label", "Lesion")
    assert outcome.code == 0
    assert "against Lesion: pixel AUC " in outcome.out
    found = cli(*command, "--label", "Lesion", "--json").json[0]["agreement"]
    assert 0 <= found["auc"] <= 1
    assert 0 < found["jaccard"] <= 1
    assert found["labels"] == ["Lesion"]
    assert cli(*command, "--json").json[0]["agreement"]["labels"] == ["Lesion", "Fold"]


def test_the_area_of_a_map_follows_its_options(cli, store: Path, tiny_model: Path, outline: Path) -> None:
    command = ("saliency", store, "--model", "tiny", "--annotation", outline, "--label", "Lesion")
    outcome = cli(*command)
    assert " as an area, " in outcome.out
    usual = cli(*command, "--json").json[0]
    assert 0 <= usual["area"]["jaccard"] <= usual["area"]["dice"] <= 1
    best = ("--smooth", 0, "--least-cells", 0, f"--threshold={usual['agreement']['threshold']!r}")
    as_best = cli(*command, *best, "--json").json[0]
    assert as_best["area"]["jaccard"] == pytest.approx(as_best["agreement"]["jaccard"])
    nothing = cli(*command, "--threshold", 1e9, "--json").json[0]
    assert nothing["area"]["jaccard"] == 0
    assert cli(*command, "--smooth", "-1").code == 2


def test_integrated_gradients_are_a_method(cli, store: Path, tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.npy"
    options = ("--method", "integrated-gradients", "--out", out)
    record = cli("saliency", store, "--model", "tiny", *options, "--json").json[0]
    assert record["method"] == "integrated gradients"
    assert np.isfinite(np.load(out)).sum() == CompressedSlide.open(store).encoded().sum()


def test_one_annotation_is_of_one_slide(cli, store: Path, tiny_model: Path, outline: Path) -> None:
    shutil.copytree(store, store.with_name("b.nic.zarr"))
    outcome = cli("saliency", store.parent, "--model", "tiny", "--annotation", outline)
    assert (outcome.code, "one file was given to --annotation" in outcome.err) == (2, True)


def test_annotation_that_is_none(cli, store: Path, tiny_model: Path, slide: Path, tmp_path: Path) -> None:
    for path, problem in ((slide, "not recognised"), (tmp_path, "no annotation of this slide")):
        outcome = cli("saliency", store, "--model", "tiny", "--annotation", path)
        assert outcome.code == 1
        assert problem in outcome.err


def annotation_file(path: Path, *shapes: Annotation) -> Path:
    write_annotations(AnnotationSet(shapes), path)
    return path


@pytest.mark.parametrize(
    ("geometry", "options", "problem"),
    [
        (None, (), "nothing to compare: the file has no areas"),
        (shapely.Point(600, 500), (), "nothing to compare: the file has no areas"),
        (shapely.box(500, 300, 900, 800), ("--label", "lesoin"), "expected: Lesion"),
        (shapely.box(-9, -9, 9999, 9999), (), "every encoded cell is annotated"),
        (shapely.box(0, 0, 3, 3), (), "no encoded cell is annotated"),
        (shapely.box(9e4, 9e4, 9e4 + 9, 9e4 + 9), (), "outside of the slide"),
    ],
)
def test_what_cannot_be_compared_is_said(
    cli, store: Path, tiny_model: Path, tmp_path: Path, geometry, options, problem: str
) -> None:
    kind = "polygon" if getattr(geometry, "area", 0) else "point"
    shapes = [] if geometry is None else [Annotation("Lesion", kind, geometry)]
    file = annotation_file(tmp_path / "a.geojson", *shapes)
    outcome = cli("saliency", store, "--model", "tiny", "--annotation", file, *options)
    assert outcome.code == 1
    assert problem in outcome.err
    assert "nan" not in outcome.out


def test_what_an_annotation_file_lacks_is_told(
    cli, store: Path, tiny_model: Path, outline: Path, tmp_path: Path
) -> None:
    document = outline.read_text().replace("[700.0", "[1e300", 1)
    (tmp_path / "a.geojson").write_text(document)
    command = ("saliency", store, "--model", "tiny", "--annotation", tmp_path / "a.geojson")
    outcome = cli(*command, "--label", "Lesion")
    assert outcome.code == 0
    assert "1 damaged shape was left out: feature 1" in outcome.err


def test_the_scanned_part_is_known_by_the_store_alone(
    cli, store: Path, tiny_model: Path, tmp_path: Path
) -> None:
    alone = Path(shutil.copytree(store, tmp_path / "alone" / store.name))
    header = CompressedSlide.open(alone).header
    assert header.slide_bounds is None
    replace_header(alone, replace(header, slide_bounds=RegionPx(400, 500, 320, 400)))
    file = annotation_file(
        tmp_path / "a.geojson", Annotation("Lesion", "polygon", shapely.box(100, 100, 380, 300))
    )
    outcome = cli("saliency", alone, "--model", "tiny", "--annotation", file)
    assert outcome.code == 1
    assert "count from the scanned part" in outcome.err
    moved = ("saliency", alone, "--model", "tiny", "--annotation", file, "--annotation-from", "scan")
    assert cli(*moved).code == 0
    converted = ("annotations", "convert", file, "--out", tmp_path / "b.geojson", "--slide", alone)
    assert cli(*converted).code == 1
    assert cli(*converted, "--annotation-from", "scan").code == 0
    assert read_annotations(tmp_path / "b.geojson").polygons()[0].bounds == (600, 500, 880, 700)


def test_annotations_of_the_scanned_part(
    cli, store: Path, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_nic.cli import annotated
    from napari_nic.geometry import RegionPx

    file = annotation_file(
        tmp_path / "a.geojson", Annotation("Lesion", "polygon", shapely.box(100, 100, 380, 300))
    )
    command = ("saliency", store, "--model", "tiny", "--annotation", file)
    assert cli(*command, "--annotation-from", "scan").code == 1, "the slide has no scanned part of its own"
    shape = CompressedSlide.open(store).header.slide_shape
    extent = SlideExtent(shape, bounds=RegionPx(400, 500, 320, 400))
    monkeypatch.setattr(annotated, "extent_of_store", lambda _store: extent)
    outcome = cli(*command)
    assert outcome.code == 1
    assert "count from the scanned part" in outcome.err
    assert "--annotation-from scan" in outcome.err
    moved = cli(*command, "--annotation-from", "scan", "--json").json[0]["agreement"]
    written = annotation_file(
        tmp_path / "b.geojson", Annotation("Lesion", "polygon", shapely.box(600, 500, 880, 700))
    )
    there = cli("saliency", store, "--model", "tiny", "--annotation", written, "--json").json[0]["agreement"]
    assert moved == there
