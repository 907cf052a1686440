"""``napari-nic annotations``: convert, validate, rasterize, compare, formats."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import shapely
import tifffile
from PIL import Image

from napari_nic.annotations import Annotation, AnnotationSet, SlideExtent, read_annotations, write_annotations
from napari_nic.annotations.format_table import format_table
from napari_nic.cli import annotations_
from napari_nic.cli.main import main
from napari_nic.geometry import PixelSize, RegionPx

HOLED = shapely.box(100, 100, 300, 300).difference(shapely.box(150, 150, 200, 200))


@pytest.fixture
def file(tmp_path):
    shapes = (
        Annotation("Tumour", "polygon", HOLED, "nest", "id-1"),
        Annotation("Stroma", "rectangle", shapely.box(350, 100, 450, 200)),
    )
    path = tmp_path / "a.geojson"
    write_annotations(AnnotationSet(shapes, {"Tumour": (200, 0, 0), "Stroma": (0, 100, 0)}), path)
    return path


@pytest.fixture
def cropped(monkeypatch):
    """A slide whose scanned part begins at x 512, y 768."""
    extent = SlideExtent((2048, 2048), PixelSize(0.5, 0.5), bounds=RegionPx(768, 512, 1024, 1024))
    monkeypatch.setattr(annotations_, "extent_of", lambda args: extent if args.slide else None)
    return "cropped.tif"


def test_info_says_what_a_file_holds(file, slide_path, capsys):
    assert main(["annotations", "info", str(file)]) == 0
    out = capsys.readouterr().out
    assert "QuPath GeoJSON" in out
    assert f"{HOLED.area:,.0f} px" in out
    assert main(["annotations", "info", str(file), "--slide", str(slide_path), "--mpp", "0.5", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["format"], found["shapes"]) == ("geojson", 2)
    tumour, stroma = found["classes"]
    assert (tumour["class"], tumour["shapes"], tumour["area_px"]) == ("Tumour", 1, HOLED.area)
    assert tumour["area_mm2"] == pytest.approx(HOLED.area * 0.25 / 1e6)
    assert sum(stroma["kinds"].values()) == 1
    assert main(["annotations", "info", str(file), str(file.with_name("none.geojson"))]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_convert_tells_what_is_lost_before_it_writes(file, tmp_path, capsys):
    assert main(["annotations", "convert", str(file), "--to", "asap"]) == 0
    out, err = capsys.readouterr()
    assert out.strip() == str(tmp_path / "a.xml")
    assert "note: a.xml: ASAP XML has no holes: 1 area is cut into pieces that have none" in err
    assert "ASAP XML has no ids: 2 shapes are written without" in err
    again = read_annotations(tmp_path / "a.xml")
    assert sum(shapely.area(again.polygons("Tumour"))) == pytest.approx(HOLED.area)


def test_convert_strictly_writes_nothing_that_is_lost(file, tmp_path, capsys):
    assert main(["annotations", "convert", str(file), "--to", "asap", "--strict"]) == 1
    assert "cannot hold all of it" in capsys.readouterr().err
    assert not (tmp_path / "a.xml").exists()
    assert main(["annotations", "convert", str(file), "--out", str(tmp_path / "a.csv"), "--strict"]) == 0


def test_convert_several_goes_on_after_a_bad_one(file, tmp_path, capsys):
    bad = tmp_path / "bad.geojson"
    bad.write_text("{")
    out = tmp_path / "out"
    code = main(["annotations", "convert", str(bad), str(file), "--to", "dsa", "--out", str(out), "--json"])
    assert code == 1
    records = json.loads(capsys.readouterr().out)
    assert [record["ok"] for record in records] == [False, True]
    assert records[1]["shapes"] == 2
    assert [path.name for path in out.iterdir()] == ["a.json"]


def test_convert_replaces_nothing_unasked(file, tmp_path, capsys):
    (tmp_path / "a.xml").write_text("mine")
    assert main(["annotations", "convert", str(file), "--to", "asap"]) == 1
    assert (tmp_path / "a.xml").read_text() == "mine"
    assert main(["annotations", "convert", str(file)]) == 2
    assert "--to NAME" in capsys.readouterr().err


def test_frames_of_a_slide_that_was_scanned_in_part(tmp_path, cropped, capsys):
    """QuPath counts from the scanned part: recognised, named, and both ways."""
    drawn = AnnotationSet((Annotation("T", "polygon", shapely.box(10, 10, 60, 60)),))
    source, target = tmp_path / "qupath.geojson", tmp_path / "whole.geojson"
    write_annotations(drawn, source)
    base = ["annotations", "convert", str(source), "--slide", cropped, "--out", str(target)]
    assert main(base) == 1
    assert "count from the scanned part" in capsys.readouterr().err
    assert main([*base, "--annotation-from", "scan"]) == 0
    assert read_annotations(target).annotations[0].geometry.bounds == (522, 778, 572, 828)
    back = tmp_path / "back.geojson"
    code = main(
        [
            "annotations",
            "convert",
            str(target),
            "--slide",
            str(cropped),
            "--out",
            str(back),
            "--count-from",
            "scan",
        ]
    )
    assert code == 0
    assert read_annotations(back).annotations[0].geometry.bounds == (10, 10, 60, 60)
    assert main(["annotations", "convert", str(source), "--to", "asap", "--annotation-from", "scan"]) == 1
    assert "name the slide" in capsys.readouterr().err


def test_validate_names_file_object_and_fault(file, tmp_path, slide_path, capsys):
    assert main(["annotations", "validate", str(file)]) == 0
    bad = tmp_path / "bad.geojson"
    bowtie = [[[0, 0], [10, 10], [10, 0], [0, 10], [0, 0]]]
    shapes = [
        {"type": "Feature", "id": "x", "geometry": {"type": "Polygon", "coordinates": bowtie}},
        {"type": "Feature", "id": "x", "geometry": {"type": "Point", "coordinates": [1, 2]}},
        {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1e6, 2]}},
        {"type": "Feature", "geometry": {"type": "Circle"}},
    ]
    bad.write_text(json.dumps(shapes))
    broken = tmp_path / "broken.xml"
    broken.write_text("<ASAP_Annotations><Annotations>")
    capsys.readouterr()
    names = [str(file), str(bad), str(broken)]
    assert main(["annotations", "validate", *names, "--slide", str(slide_path), "--json"]) == 1
    found = [(one["file"], one["object"], one["fault"]) for one in json.loads(capsys.readouterr().out)]
    assert found[:4] == [
        (str(bad), "feature 0", "an outline that crosses itself (repaired)"),
        (str(bad), "feature 3", "geometry of unknown type 'Circle' (left out)"),
        (str(bad), "id x", "2 shapes have it"),
        (str(bad), "shape 2 (unclassified)", "lies off the slide"),
    ]
    assert found[4][:2] == (str(broken), "file")
    assert "not a readable XML" in found[4][2]
    assert main(["annotations", "validate", str(bad)]) == 1
    assert "feature 3" in capsys.readouterr().out


@pytest.fixture
def reaching_out(tmp_path, slide_path):
    """Shapes on a slide, a little over its edge, far over it, and beside it."""
    from napari_nic.slides import open_slide

    with open_slide(slide_path) as slide:
        rows, cols = slide.levels[0].shape
    boxes = {
        "on": (10, 10, 60, 60),
        "edge": (-cols * 0.005, 10, 60, 60),
        "far": (10, 10, 60, rows * 1.5),
        "farther": (-9e4, -9e4, 9e4, 9e4),
        "beside": (9e4, 10, 9e4 + 50, 60),
    }
    path = tmp_path / "reaching.geojson"
    shapes = (Annotation(name, "polygon", shapely.box(*edges)) for name, edges in boxes.items())
    write_annotations(AnnotationSet(tuple(shapes)), path)
    return path


def test_what_reaches_far_beyond_the_slide_is_told_once_where_it_is_cut(
    reaching_out, tmp_path, slide_path, capsys
):
    out = str(tmp_path / "labels.png")
    base = ["annotations", "rasterize", str(reaching_out), "--slide", str(slide_path)]
    assert main([*base, "--pixel", "4", "--out", out]) == 0
    told = capsys.readouterr().err
    assert told.count("2 of 5 shapes reach far beyond the slide: only what lies on it is drawn") == 1
    assert told.count("1 of 5 shapes lies outside of the slide") == 1
    assert main(["annotations", "validate", str(reaching_out), "--slide", str(slide_path), "--json"]) == 1
    found = {one["object"]: one["fault"] for one in json.loads(capsys.readouterr().out)}
    assert found == {
        "shape 2 (far)": "reaches far beyond the slide",
        "shape 3 (farther)": "reaches far beyond the slide",
        "shape 4 (beside)": "lies off the slide",
    }


def test_rasterize(file, tmp_path, slide_path, capsys):
    from napari_nic.slides import open_slide

    with open_slide(slide_path) as slide:
        rows, cols = slide.levels[0].shape
        mpp = slide.require_pixel_size().mean
    out = tmp_path / "labels.png"
    base = ["annotations", "rasterize", str(file), "--slide", str(slide_path), "--pixel", f"{2 * mpp}"]
    assert main([*base, "--out", str(out), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["classes"] == {"Tumour": 1, "Stroma": 2}
    assert (told["width"], told["height"]) == (-(-cols // 2), -(-rows // 2))
    with Image.open(out) as picture:
        values = np.asarray(picture)
    assert (values == 1).sum() == 100 * 100 - 25 * 25
    assert (values == 2).sum() == 50 * 50
    assert main([*base, "--out", str(out)]) == 1, "it exists"
    assert main([*base, "--out", str(tmp_path / "b.tif"), "--label", "Stroma"]) == 0
    assert tifffile.imread(tmp_path / "b.tif").max() == 1
    assert main([*base, "--out", str(tmp_path / "c.tif"), "--label", "Necrosis"]) == 1
    labels, again = tmp_path / "labels.zarr", tmp_path / "again.geojson"
    assert main([*base, "--out", str(labels), "--ome-zarr", "0.4"]) == 0
    assert (labels / ".zattrs").is_file()
    back = ["annotations", "convert", str(labels), "--slide", str(slide_path), "--out", str(again)]
    assert main(back) == 0
    areas = read_annotations(again)
    assert sum(shapely.area(areas.polygons("Stroma"))) == pytest.approx(100 * 100)


def test_compare(file, tmp_path, capsys):
    other = tmp_path / "b.geojson"
    write_annotations(
        AnnotationSet((Annotation("Stroma", "polygon", shapely.box(350, 100, 450, 150)),)), other
    )
    base = ["annotations", "compare", str(file), str(other), "--mpp", "0.5"]
    assert main([*base, "--json", "--out", str(tmp_path / "t.csv")]) == 0
    tumour, stroma = json.loads(capsys.readouterr().out)
    assert stroma["dice"] == pytest.approx(2 / 3)
    assert stroma["jaccard"] == pytest.approx(0.5)
    assert stroma["first_mm2"] == pytest.approx(0.0025)
    assert stroma["boundary_max_um"] == pytest.approx(25)
    assert (tumour["dice"], tumour["n_second"], tumour["boundary_mean_um"]) == (0, 0, None)
    with (tmp_path / "t.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [row["label"] for row in rows] == ["Tumour", "Stroma"]
    assert float(rows[1]["jaccard"]) == pytest.approx(0.5)
    assert main(base) == 0
    assert "0.6667" in capsys.readouterr().out
    assert main(base[:-2]) == 2
    assert main([*base, "--out", "t.png"]) == 2


def test_formats(capsys):
    assert main(["annotations", "formats", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in told] == [row[1] for row in format_table()[1]]
    assert main(["annotations", "formats"]) == 0
    assert "Hamamatsu NDPA" in capsys.readouterr().out
