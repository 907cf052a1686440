"""``annotations kappa``, ``consensus`` and ``froc`` on files and folders of readers."""

from __future__ import annotations

from pathlib import Path

import pytest
import shapely

from napari_nic.annotations import Annotation, AnnotationSet, read_annotations, write_annotations

Boxes = list[tuple[str, tuple[float, float, float, float]]]


def write(path: Path, boxes: Boxes) -> Path:
    path.parent.mkdir(exist_ok=True)
    shapes = tuple(Annotation(label, "polygon", shapely.box(*one)) for label, one in boxes)
    write_annotations(AnnotationSet(shapes), path)
    return path


@pytest.fixture
def readers(tmp_path: Path) -> list[Path]:
    """Three readers of two slides; cells of 100 um are 200 px wide."""
    for number in range(2):
        name = f"s{number}.geojson"
        write(tmp_path / "a" / name, [("x", (0, 0, 400, 200)), ("y", (400, 0, 800, 200))])
        write(tmp_path / "b" / name, [("x", (0, 0, 600, 200)), ("y", (600, 0, 800, 200))])
        write(tmp_path / "c" / name, [("x", (0, 0, 400, 200))])
    return [tmp_path / name for name in "abc"]


def test_kappa_of_cells(cli, readers: list[Path]) -> None:
    command = ("annotations", "kappa", *readers, "--mpp", "0.5", "--json")
    found = cli(*command)
    assert found.code == 0, found.err
    document = found.json
    assert document["classes"] == ["nothing", "x", "y"]
    assert (document["units"], document["slides"], document["left_out"]) == (8, 2, 0)
    # a: x x y y, b: x x x y: agreement 3/4, by chance (2*3 + 2*1)/16.
    assert document["cohen"][0]["value"] == pytest.approx((0.75 - 0.5) / 0.5)
    assert document["cohen"][0]["low"] == document["cohen"][0]["value"], "both slides are alike"
    weighted = cli(*command, "--weights", "quadratic", "--order", "nothing,x,y").json
    assert weighted["weights"] == "quadratic"
    assert cli(*command, "--weights", "linear").code == 2
    assert cli(*command, "--order", "x,x").code == 2
    told = cli(*command[:-1])
    assert "8 cells of 2 slides in nothing, x, y; 0 left out" in told.out
    assert "all 3 (Fleiss" in told.out


def test_kappa_of_objects_and_on_a_store_s_cells(
    cli, readers: list[Path], store: Path, tmp_path: Path
) -> None:
    found = cli("annotations", "kappa", *readers[:2], "--mpp", "0.5", "--on", "objects", "--json")
    assert found.json["units"] == 2, "of each slide one object overlaps enough"
    assert found.json["left_out"] == 2
    one = write(tmp_path / "one.geojson", [("x", (500, 300, 900, 800))])
    other = write(tmp_path / "other.geojson", [("x", (500, 300, 900, 700))])
    on_cells = cli("annotations", "kappa", one, other, "--stores", store, "--json").json
    assert on_cells["units"] > 20, "cells with tissue count, annotated or not"
    assert on_cells["fleiss"]["low"] is None
    assert cli("annotations", "kappa", one, "--mpp", "1").code == 2


def test_consensus_files(cli, readers: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = cli("annotations", "consensus", *readers, "--mpp", "0.5", "--out", out, "--json")
    assert found.code == 0, found.err
    assert [one["slide"] for one in found.json] == ["s0", "s1"]
    made = read_annotations(out / "s0.geojson")
    assert {a.label: a.geometry.area for a in made.annotations} == {"x": 400 * 200, "y": 200 * 200}
    assert made.annotations[0].name == "consensus: majority of 3 readers (a, b, c)"
    again = cli("annotations", "consensus", *readers, "--mpp", "0.5", "--out", out)
    assert again.code == 1, "they exist"
    assert (
        cli("annotations", "consensus", *readers, "--mpp", "0.5", "--out", tmp_path / "x.geojson").code == 2
    )


def test_consensus_of_two_files(cli, readers: list[Path], tmp_path: Path) -> None:
    files = [folder / "s0.geojson" for folder in readers[:2]]
    base = ("annotations", "consensus", *files, "--mpp", "0.5", "--overwrite", "--out", tmp_path / "x.xml")
    tied = cli(*base)
    assert tied.code == 0, tied.err
    assert "half of the readers have another 0.0100 mm2" in tied.out
    assert cli(*base, "--ties", "first").code == 0
    assert sum(a.geometry.area for a in read_annotations(tmp_path / "x.xml").annotations) == 800 * 200
    assert cli(*base, "--rule", "reader:b/s0").code == 0
    assert cli(*base, "--rule", "reader:nobody").code == 1
    assert cli(*base, "--rule", "loudest").code == 2


def test_consensus_by_staple(cli, readers: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("SimpleITK")
    files = [folder / "s0.geojson" for folder in readers]
    found = cli(
        "annotations", "consensus", *files, "--mpp", "0.5", "--rule", "staple", "--raster", "10",
        "--out", tmp_path / "x.geojson",
    )  # fmt: skip
    assert found.code == 0, found.err
    assert "STAPLE of 3 readers (a/s0, b/s0, c/s0), raster of 10 um" in found.out
    assert "sensitivity" in found.out


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    write(tmp_path / "truth" / "s0.geojson", [("Tumor", (0, 0, 2000, 2000))])
    write(tmp_path / "truth" / "s1.geojson", [])
    (tmp_path / "found").mkdir()
    (tmp_path / "found" / "s0.csv").write_text("0.9,100,100\n0.5,3000,100\n")
    (tmp_path / "found" / "s1.csv").write_text("")
    return tmp_path / "truth"


def test_froc_of_tables(cli, truth: Path, tmp_path: Path) -> None:
    command = ("annotations", "froc", truth, "--detections", tmp_path / "found", "--mpp", "0.5")
    found = cli(*command, "--json")
    assert found.code == 0, found.err
    assert found.json["score"]["value"] == 1
    assert (found.json["slides"], found.json["lesions"], found.json["isolated"]) == (2, 1, 0)
    assert found.json["curve"]["false_positives"] == [0, 0, 0.5]
    told = cli(*command)
    assert "FROC score 1.000 (" in told.out or "FROC score 1.000:" in told.out
    assert cli(*command, "--least-extent", "5000", "--json").json["isolated"] == 1
    (tmp_path / "found" / "s1.csv").unlink()
    missing = cli(*command)
    assert missing.code == 1
    assert "skipped s1" in missing.err
    assert (
        cli("annotations", "froc", truth, truth, "--detections", tmp_path / "found", "--mpp", "1").code == 2
    )
    one = cli("annotations", "froc", truth, "--detections", tmp_path / "found" / "s0.csv", "--mpp", "0.5")
    assert one.code == 2, "one table for several slides"


def test_froc_of_a_prediction(cli, store: Path, tiny_model: Path, tmp_path: Path) -> None:
    truth = write(tmp_path / "t.geojson", [("Tumor", (500, 300, 1300, 1000))])
    command = ("annotations", "froc", truth, "--prediction", "tiny")
    assert cli(*command, "--mpp", "0.5").code == 2
    found = cli(*command, "--stores", store, "--target", "lesion", "--least", "0", "--json")
    assert found.code == 0, found.err
    assert found.json["lesions"] == 1
    assert len(found.json["curve"]["false_positives"]) > 1


def test_the_doctor_finds_the_object_in_the_wrong_class(cli, store: Path, tmp_path: Path) -> None:
    """On the made slide mean colours tell tissue from glass: one object on glass is called tissue."""
    import numpy as np

    from napari_nic.embeddings import CompressedSlide

    with CompressedSlide.open(store) as opened:
        codes, encoded, grid = opened.read()[..., 1].astype(float), opened.encoded(), opened.grid
    order = np.argsort(np.where(encoded, codes, np.nan), axis=None)[: int(encoded.sum())]
    shapes = []
    for rank, cell in enumerate(order):
        row, col = divmod(int(cell), grid.cols)
        y, x = grid.patch_corner_px(row, col)
        label = "dark" if rank < len(order) / 2 else "light"
        if rank == len(order) - 1:
            label = "dark"
        shapes.append(
            Annotation(label, "polygon", shapely.box(x + 4, y + 4, x + 124, y + 124), id=f"o{rank}")
        )
    file = tmp_path / "made.geojson"
    write_annotations(AnnotationSet(tuple(shapes)), file)
    command = ("annotations", "doctor", file, "--stores", store)
    found = cli(*command, "--json", "--out", tmp_path / "list.csv")
    assert found.code == 0, found.err
    first = found.json["objects"][0]
    assert (first["id"], first["label"], first["looks_like"]) == (f"o{len(order) - 1}", "dark", "light")
    assert first["reason"].startswith("looks like light: ")
    assert found.json["held_out"] == "parts of the slide"
    assert (tmp_path / "list.csv").read_text().count("\n") == len(order) + 1
    told = cli(*command, "--first", "3")
    assert "with parts of the slide held out (chance: 0.500)" in told.out
    assert told.out.count("made") == 3
    assert cli("annotations", "doctor", file, "--mpp", "0.5").code == 2
    assert cli("annotations", "doctor", file, file, "--stores", store).code == 2
    assert cli(*command, "--label", "dark").code == 1, "one class cannot be told from another"
