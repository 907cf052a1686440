"""Files that other programs wrote."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import shapely

from napari_nic.annotations import (
    FORMATS,
    SlideExtent,
    losses,
    rasterise,
    read_annotations,
    writable_formats,
    write_annotations,
)
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


@pytest.fixture(scope="module")
def samples(folder, dicom_slide):
    """All files, read once; slides that only their annotations are here of get a made extent."""
    extent = SlideExtent((40_000, 50_000), PixelSize(0.5, 0.5), centre_nm=(0, 0), path=dicom_slide)
    files = sorted(path for path in folder.rglob("*.*") if path.is_file())
    return extent, {path: read_annotations(path, extent=extent) for path in files}


def test_every_sample_is_read_whole(samples):
    _, found = samples
    assert len(found) > 27
    assert all(len(one) for one in found.values())
    # ImageScope's files of nuclei hold regions of one or two points, which cover nothing.
    without_area = {fault.text for one in found.values() for fault in one.faults if not fault.repaired}
    assert without_area <= {"no extent"}
    assert {path.parent.name for path, one in found.items() if one.faults} <= {"monuseg_xml"}


def test_sectra_and_cytomine_state_the_same_sizes(samples):
    """Their own numbers are the oracle: areas and lengths that the programs wrote beside the shapes."""
    extent, found = samples
    by_name = {path.name: (path, one.annotations[0]) for path, one in found.items()}
    path, polygon = by_name["cytomine-polygon.txt"]
    stated = json.loads(path.read_text())["annotation"]
    assert polygon.geometry.area == pytest.approx(stated["area"], rel=1e-3)
    centre = polygon.geometry.centroid
    assert (centre.x, extent.shape[0] - centre.y) == pytest.approx(
        tuple(stated["centroid"].values()), rel=1e-3
    )
    (_, area), (_, line) = by_name["pathologycore-area.json"], by_name["pathologycore-polyline.json"]
    # One width of the slide explains both: 5.33 mm2 and 5.93 mm, each as Sectra rounds it.
    width_mm = 5.93 / (line.geometry.length / extent.shape[1])
    assert area.geometry.area / extent.shape[1] ** 2 * width_mm**2 == pytest.approx(5.33, rel=2e-3)


@pytest.mark.parametrize("name", writable_formats())
def test_every_sample_survives_a_round_trip(samples, tmp_path, name):
    extent, found = samples
    step_px = FORMATS.get(name).step / (1 if FORMATS.get(name).unit == "px" else 500)
    for number, (source, ours) in enumerate(found.items()):
        path = tmp_path / f"{number}{FORMATS.get(name).suffixes[0]}"
        notes = write_annotations(ours, path, name, extent=extent)
        announced = losses(ours, name, extent=extent)
        assert notes[: len(announced)] == announced, source
        theirs = read_annotations(path, format=name, extent=extent)
        assert theirs.labels() == ours.labels() or set(theirs.labels()) == set(ours.labels()), source
        for label in ours.labels():
            before, after = (np.array(one.polygons(label), object) for one in (ours, theirs))
            slack = 1e-6 * shapely.area(before).sum() + step_px * shapely.length(before).sum() + 1e-3
            assert shapely.area(after).sum() == pytest.approx(shapely.area(before).sum(), abs=slack), source
            if len(before):
                ours_box, theirs_box = (shapely.total_bounds(one) for one in (before, after))
                np.testing.assert_allclose(theirs_box, ours_box, atol=step_px + 1e-6)
            if len(before) == len(after):  # each in its own place, and not only all together
                far = shapely.hausdorff_distance(before, after)
                assert far.max(initial=0) <= 2 * step_px + 1e-6, source
            assert_lines_and_points_lie_there(ours, theirs, label, 2 * step_px + 1e-6, name)


def assert_lines_and_points_lie_there(ours, theirs, label, slack, name):
    """What covers no ground has no area to be compared."""
    for dimension in (0, 1):
        before, after = (
            shapely.union_all(
                [g for g in geometries_of(one, label) if shapely.get_dimensions(g) == dimension]
            )
            for one in (ours, theirs)
        )
        if before.is_empty:
            continue
        if "lines" in FORMATS.get(name).instead and dimension == 1:  # only their corners are there
            kept = shapely.union_all(shapely.points(shapely.get_coordinates(geometries_of(theirs, label))))
            corners = shapely.points(shapely.get_coordinates(before))
            assert shapely.distance(corners, kept).max() <= slack
        else:
            assert shapely.hausdorff_distance(before, after) <= slack


def geometries_of(annotations, label):
    return [one.geometry for one in annotations.annotations if one.label == label]


def test_shapes_of_spatialdata_lie_on_their_tiles(data_dir):
    path = data_dir / "features/lazyslide_0.13.0/CMU-1-Small-Region.zarr/shapes"
    if not path.is_dir():
        pytest.skip(f"{path} is not there")
    pytest.importorskip("pyarrow")
    tiles = read_annotations(path / "tiles" / "shapes.parquet")
    tissue = read_annotations(path / "tissues" / "shapes.parquet")
    left, top, right, bottom = shapely.total_bounds(tiles.polygons())
    assert 0 <= left < right <= 2220 + 512
    assert 0 <= top < bottom <= 2967 + 512
    covered = shapely.union_all(tissue.polygons()).buffer(512)
    assert covered.covers(shapely.union_all([shapely.centroid(tile) for tile in tiles.polygons()]))
