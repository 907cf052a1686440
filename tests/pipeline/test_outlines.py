"""Tissue by the outlines of other programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely

from napari_nic.encoders import load_encoder
from napari_nic.errors import AnnotationError, InvalidParameterError
from napari_nic.pipeline import GridOptions, plan_coverage, plan_grid, prepare_store, read_tissue
from napari_nic.slides import open_slide

PIECE = shapely.Polygon(
    shapely.box(128, 128, 1024, 896).exterior, [shapely.box(384, 384, 640, 640).exterior.coords]
)


def trident(path: Path, *pieces: shapely.Polygon) -> Path:
    """As GeoPandas writes it for TRIDENT, with a coordinate system that means nothing."""
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::3857"}}
    features = [
        {
            "type": "Feature",
            "properties": {"tissue_id": number},
            "geometry": json.loads(shapely.to_geojson(piece)),
        }
        for number, piece in enumerate(pieces)
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": features}))
    return path


@pytest.fixture
def slide(slide_path):
    with open_slide(slide_path) as opened:
        yield opened


def test_cells_are_those_inside_and_holes_are_left_out(slide, tmp_path):
    tissue = read_tissue(slide, trident(tmp_path / "made.geojson", PIECE))
    grid = plan_grid(slide, load_encoder("mean-rgb").spec, GridOptions(patch_size=128))
    expected = np.zeros(grid.shape, bool)
    expected[1:7, 1:8] = True
    expected[3:5, 3:5] = False
    coverage, record = plan_coverage(slide, grid, tissue=tissue)
    np.testing.assert_array_equal(coverage, expected)
    assert record == {"method": "1 outline of made.geojson", "min_fraction": 0.25}
    assert tissue.cells(grid, min_fraction=1).sum() == expected.sum()
    with pytest.raises(InvalidParameterError):
        tissue.cells(grid, min_fraction=2)


def test_a_store_goes_on_with_the_same_outlines_only(slide, tmp_path):
    tissue = read_tissue(slide, trident(tmp_path / "made.geojson", PIECE))
    encoder = load_encoder("mean-rgb")
    path = tmp_path / "s.nic.zarr"
    prepare_store(slide, encoder, path=path, tissue=tissue).close()
    prepare_store(slide, encoder, path=path, tissue=tissue).close()
    other = read_tissue(slide, trident(tmp_path / "b.geojson", shapely.box(0, 0, 500, 500)))
    with pytest.raises(ValueError, match="the tissue mask"):
        prepare_store(slide, encoder, path=path, tissue=other)


def test_folder_of_outlines_by_the_slides_name(slide, tmp_path):
    folder = tmp_path / "contours_geojson"
    trident(folder / "made2.geojson", PIECE)
    with pytest.raises(AnnotationError, match=r"(?s)no outlines of this slide.*made.geojson"):
        read_tissue(slide, folder)
    trident(folder / "made.geojson", PIECE)
    assert "made.geojson" in read_tissue(slide, folder).method


def test_outlines_of_another_slide_or_of_nothing_are_refused(slide, tmp_path):
    far = trident(tmp_path / "far.geojson", shapely.box(5000, 5000, 9000, 9000), PIECE)
    with pytest.raises(AnnotationError, match=r"(?s)not of this slide.*1 of 2 outlines"):
        read_tissue(slide, far)
    with pytest.raises(AnnotationError, match="no outlines of tissue"):
        read_tissue(slide, trident(tmp_path / "none.geojson"))
    with pytest.raises(AnnotationError, match="no such file"):
        read_tissue(slide, tmp_path / "nowhere.geojson")
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(AnnotationError, match=r"(?s)in this folder.*shapes.parquet"):
        read_tissue(slide, tmp_path / "a.zarr")
