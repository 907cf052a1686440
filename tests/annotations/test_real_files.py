"""Files that other programs wrote."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import shapely

from napari_nic.annotations import rasterise, read_annotations, write_annotations
from napari_nic.geometry import LevelGeometry, PixelSize
from napari_nic.grid import PatchGrid

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def folder(data_dir):
    path = data_dir / "annotations"
    if not path.is_dir():
        pytest.skip(f"{path} is not there")
    return path


def test_qupath_samples(folder):
    kinds = {
        path.stem.removeprefix("qupath-"): read_annotations(path).annotations[0].kind
        for path in (folder / "wsidicom_samples" / "qupath_geojson").glob("*.json")
    }
    assert kinds == {
        "brush": "polygon",
        "ellipse": "polygon",
        "line": "line",
        "multipoint": "points",
        "point": "point",
        "polygon": "polygon",
        "polyline": "line",
        "rectangle": "rectangle",
        "wand": "polygon",
    }


def test_qupath_cells_with_classes(folder):
    file = folder / "wsidicom_samples" / "qupath_geojson_advanced" / "qupath-polygon-cell-classified.json"
    found = read_annotations(file)
    assert found.counts() == {"Cell": 2, "Nucleus": 2}
    assert found.colors == {"Cell": (127, 220, 58), "Nucleus": (184, 115, 67)}


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("Annotations_CMU-1.json", ("Tissue", "Makrophage", "Tumor_vital", "mark", "Cyst")),
        ("Annotations_JP2K-33003-1.json", ("ROI",)),
        ("Annotations-Geojson_JP2K-33003-1.geojson", ("ROI",)),
    ],
)
def test_qupath_projects(folder, tmp_path, name, labels):
    path = folder / "PathoPatcher" / name
    found = read_annotations(path)
    assert found.labels() == labels
    document = json.loads(path.read_text())
    features = document["features"] if isinstance(document, dict) else document
    for annotation, feature in zip(found.annotations, features, strict=True):
        assert annotation.geometry.is_valid
        assert annotation.geometry.area == pytest.approx(shapely.geometry.shape(feature["geometry"]).area)
        assert found.colors[annotation.label] == tuple(feature["properties"]["classification"]["color"])
    write_annotations(found, tmp_path / "a.xml")
    again = read_annotations(tmp_path / "a.xml")
    for label in labels:
        ours, theirs = (shapely.union_all(one.polygons(label)).area for one in (found, again))
        assert theirs == pytest.approx(ours)


def test_asap_samples(folder):
    kinds = {
        path.stem: read_annotations(path).annotations[0].kind
        for path in (folder / "wsidicom_samples" / "asap").glob("*.xml")
    }
    assert kinds == {"asap-dot": "point", "asap-pointset": "points", "asap-polygon": "polygon"}


def test_asap_projects(folder):
    counts = {path.stem: read_annotations(path).counts() for path in (folder / "wsiprocess").glob("*.xml")}
    assert counts == {
        "CMU-1_classification": {"malignant": 2, "benign": 3},
        "CMU-1_detection": {"malignant": 22, "benign": 1, "cell": 1},
        "CMU-1_segmentation": {"malignant": 2, "benign": 2},
    }


@pytest.mark.parametrize("name", ["TCGA-21-5784-01Z-00-DX1.xml", "TCGA-21-5786-01Z-00-DX1.xml"])
def test_imagescope_nuclei(folder, name):
    path = folder / "monuseg_xml" / name
    found = read_annotations(path)
    regions = re.findall(r"<Region .*?</Region>", path.read_text(), re.DOTALL)
    with_area = [region for region in regions if region.count("<Vertex ") > 2]
    assert len(found) == len(with_area)
    assert all(annotation.geometry.is_valid for annotation in found.annotations)
    # ImageScope's own areas, which it gives with one digit; they belong to the outlines as drawn.
    stated = np.array([float(re.search(r' Area="([\d.]+)"', region).group(1)) for region in with_area])
    ours = np.array([annotation.geometry.area for annotation in found.annotations])
    assert np.median(np.abs(ours / stated - 1)) < 0.02


def test_outline_over_the_small_region_is_clipped_to_it(folder):
    found = read_annotations(folder / "CMU-1-Small-Region-tissue.geojson")
    grid = PatchGrid.plan([LevelGeometry(2967, 2220)], PixelSize(0.499, 0.499))
    share = rasterise(found, grid, "Tissue")
    assert share.shape == grid.shape
    side = grid.stride_px
    frame = shapely.box(0, 0, grid.cols * side, grid.rows * side)
    expected = shapely.union_all(found.polygons("Tissue")).intersection(frame).area
    assert 0.3 < share.mean() < 1
    assert share.sum(dtype=float) * side**2 == pytest.approx(expected, rel=1e-6)
