"""Names of stores."""

from __future__ import annotations

from pathlib import Path

from napari_nic.embeddings import CompressedSlide, default_store_path, find_stores


def test_store_lies_beside_the_slide(tmp_path):
    assert default_store_path(tmp_path / "a.svs") == tmp_path / "a.nic.zarr"
    assert default_store_path("x/a.ome.tif", "out") == Path("out/a.nic.zarr")
    assert default_store_path("x/a.svs", encoder_name="timm:uni/v2") == Path("x/a.timm_uni_v2.nic.zarr")


def test_slides_that_are_folders(tmp_path):
    dicom = tmp_path / "1.2.840.10008"
    dicom.mkdir()
    assert default_store_path(dicom) == tmp_path / "1.2.840.10008.nic.zarr"
    ngff = tmp_path / "b.ome.zarr"
    ngff.mkdir()
    assert default_store_path(ngff) == tmp_path / "b.nic.zarr"


def test_stores_of_a_slide_are_found(tmp_path, coverage, toy):
    slide = tmp_path / "a[1].svs"
    paths = [default_store_path(slide), default_store_path(slide, encoder_name="toy")]
    for path in paths:
        CompressedSlide.create(path, toy.header(slide_name="a[1]"), coverage)
    # The store of another slide whose name begins alike, one that is damaged, and something else.
    CompressedSlide.create(tmp_path / "a[1].b.nic.zarr", toy.header(slide_name="a[1].b"), coverage)
    (tmp_path / "a[1].broken.nic.zarr").mkdir()
    (tmp_path / "a[1].zip").write_bytes(b"")
    assert sorted(find_stores(slide)) == sorted(paths)
    assert find_stores(tmp_path / "a.svs") == []
    assert find_stores("nowhere/a.svs") == []
