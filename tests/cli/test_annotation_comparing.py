"""``napari-nic annotations compare``: readers, models, folders of readers."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image

from napari_nic.annotations import Annotation, AnnotationSet, write_annotations


def write(path: Path, *boxes: tuple[float, float, float, float], label: str = "lesion") -> Path:
    path.parent.mkdir(exist_ok=True)
    shapes = tuple(Annotation(label, "polygon", shapely.box(*one)) for one in boxes)
    write_annotations(AnnotationSet(shapes), path)
    return path


def test_three_readers_of_one_slide(cli, tmp_path: Path) -> None:
    files = [
        write(tmp_path / f"{name}.geojson", (0, 0, 100 * side, 100))
        for name, side in (("a", 1), ("b", 2), ("c", 4))
    ]
    found = cli("annotations", "compare", *files, "--mpp", "0.5", "--tolerance", "4", "--json")
    assert found.code == 0
    assert [(one["first"], one["second"], one["precision"]) for one in found.json] == [
        ("a", "b", 0.5),
        ("a", "c", 0.25),
        ("b", "c", 0.5),
    ]
    assert {one["tolerance_um"] for one in found.json} == {4.0}
    told = cli("annotations", "compare", *files, "--mpp", "0.5")
    assert "a (reference) and b" in told.out
    assert "sensitivity" in told.out
    assert cli("annotations", "compare", files[0], "--mpp", "0.5").code == 2


def test_a_model_beside_a_reader(cli, store: Path, tiny_model: Path, slide: Path, tmp_path: Path) -> None:
    reader = write(tmp_path / "reader.geojson", (500, 300, 900, 800), label="Lesion")
    command = ("annotations", "compare", reader, "--prediction", "tiny", "--saliency", "tiny")
    refused = cli(*command, "--mpp", "0.5")
    assert refused.code == 2
    assert "--stores" in refused.err
    found = cli(*command, "--stores", store, "--rename", "Lesion=lesion", "--label", "lesion", "--json")
    assert found.code == 0, found.err
    pairs = {(one["first"], one["second"]): one for one in found.json}
    assert list(pairs) == [
        ("reader", "prediction of tiny"),
        ("reader", "saliency of tiny"),
        ("prediction of tiny", "saliency of tiny"),
    ]
    assert 0 <= pairs["reader", "prediction of tiny"]["auc"] <= 1
    assert pairs["prediction of tiny", "saliency of tiny"]["auc"] is None
    assert cli(*command, "--stores", store, "--target", "none").code == 2
    assert cli(*command, "--stores", store, "--rename", "x").code == 2


def test_pictures_of_differences(cli, tmp_path: Path) -> None:
    first = write(tmp_path / "a.geojson", (0, 0, 200, 100))
    second = write(tmp_path / "b.geojson", (100, 0, 300, 100))
    command = ("annotations", "compare", first, second, "--mpp", "0.5", "--difference")
    assert cli(*command, tmp_path / "d.png").code == 0
    with Image.open(tmp_path / "d.png") as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (100, 300, 4)
    assert len(np.unique(pixels.reshape(-1, 4), axis=0)) == 3
    assert cli(*command, tmp_path / "pictures").code == 0
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["a.lesion.difference.png"]
    write_annotations(
        AnnotationSet((Annotation("x", "polygon", shapely.box(0, 0, 1, 1)), *_set(first))),
        tmp_path / "c.geojson",
    )
    assert (
        cli("annotations", "compare", tmp_path / "c.geojson", second, *command[4:], tmp_path / "e.png").code
        == 2
    )


def _set(path: Path) -> tuple[Annotation, ...]:
    from napari_nic.annotations import read_annotations

    return read_annotations(path).annotations


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    for number, side in enumerate((100, 200, 300)):
        write(tmp_path / "anna" / f"s{number}.geojson", (0, 0, side, 100))
        write(tmp_path / "ben" / f"s{number}.geojson", (0, 0, side / 2, 100))
    write(tmp_path / "ben" / "alone.geojson", (0, 0, 10, 10))
    return [tmp_path / "anna", tmp_path / "ben"]


def test_folders_are_a_cohort(cli, folders: list[Path], tmp_path: Path) -> None:
    found = cli(
        "annotations", "compare", "--folder", *folders, "--mpp", "0.5", "--json", "--out", tmp_path / "t.csv"
    )
    assert found.code == 1, "a file has no counterpart"
    assert "alone.geojson: no file of this slide by anna" in found.err
    document = found.json
    assert document["readers"] == ["anna", "ben"]
    assert [one["slide"] for one in document["slides"]] == ["s0", "s1", "s2"]
    (summary,) = document["cohort"]
    assert summary["pooled"]["sensitivity"]["value"] == pytest.approx(0.5)
    assert summary["mean_over_slides"]["dice"]["value"] == pytest.approx(2 / 3)
    assert summary["slides_with_both"] == 3
    assert [Path(one["file"]).name for one in document["unmatched"]] == ["alone.geojson"]
    with (tmp_path / "t.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [(row["slide"], row["precision"]) for row in rows] == [("s0", "1.0"), ("s1", "1.0"), ("s2", "1.0")]
    (folders[1] / "alone.geojson").unlink()
    told = cli("annotations", "compare", *folders, "--mpp", "0.5")
    assert told.code == 0
    assert "3 slides" in told.out


def test_a_bad_file_of_a_cohort_is_named_and_the_others_compared(cli, folders: list[Path]) -> None:
    (folders[0] / "s1.geojson").write_text("{")
    (folders[1] / "alone.geojson").unlink()
    found = cli("annotations", "compare", *folders, "--mpp", "0.5", "--json")
    assert found.code == 1
    assert "skipped s1" in found.err
    assert [one["slide"] for one in found.json["slides"]] == ["s0", "s2"]
    assert cli("annotations", "compare", *folders).code == 2, "the pixel size is not known"


def test_a_report_of_a_cohort(cli, folders: list[Path], store: Path, slide: Path, tmp_path: Path) -> None:
    (folders[0] / "s1.geojson").write_text("{")
    command = ("annotations", "compare", *folders, "--mpp", "0.5", "--report")
    assert cli(*command, tmp_path / "r.png").code == 2
    assert cli(*command, tmp_path / "r.html").code == 1
    text = (tmp_path / "r.html").read_text("utf-8")
    assert text.count("<img") == 2
    assert "alone.geojson" in text
    assert '<td class="n">s1</td>' in text, "it could not be read, and is named"
    reader = write(tmp_path / "made.geojson", (500, 300, 900, 800))
    other = write(tmp_path / "other.geojson", (500, 300, 900, 700))
    found = cli("annotations", "compare", reader, other, "--stores", store, "--report", tmp_path / "one.html")
    assert found.code == 0, found.err
    slide.unlink()
    again = cli(
        "annotations", "compare", reader, other, "--stores", store, "--report", tmp_path / "codes.html"
    )
    assert again.code == 0, again.err
    texts = [(tmp_path / name).read_text("utf-8") for name in ("one.html", "codes.html")]
    assert all(one.count("<img") == 1 for one in texts)
    assert texts[0] != texts[1], "the slide, and its codes as colours"
