"""OME-Zarr labels: written as others read them, and read as others write them."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import shapely
import zarr

from napari_nic.annotations import (
    Annotation,
    AnnotationSet,
    SlideExtent,
    label_image,
    plan_label_image,
    read_annotations,
)
from napari_nic.annotations.label_files import iter_write_label_image, write_label_image
from napari_nic.errors import AnnotationError, CancelledError, StoreError
from napari_nic.geometry import PixelSize
from napari_nic.jobs import CancellationToken

PIXEL = PixelSize(0.25, 0.25)
HOLED = shapely.box(800, 1400, 3600, 2800).difference(shapely.box(1000, 1600, 1400, 2000))
EXTENT = SlideExtent((3000, 4000), PIXEL, name="slide")


@pytest.fixture
def plan():
    shapes = (
        Annotation("Tumour", "polygon", shapely.box(400, 400, 1600, 1200)),
        Annotation("Tumour", "polygon", shapely.box(2000, 400, 2400, 800)),
        Annotation(
            "Stroma",
            "polygon",
            HOLED,
        ),
    )
    drawn = AnnotationSet(shapes, {"Tumour": (200, 1, 2), "Stroma": (3, 100, 4)})
    return plan_label_image(drawn, EXTENT.shape, PIXEL, 0.5)


def attributes(folder, version):
    """The metadata as they lie on the disk, without Zarr's own library."""
    if version == "0.4":
        return json.loads((folder / ".zattrs").read_text())
    return json.loads((folder / "zarr.json").read_text())["attributes"]["ome"]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_pyramid_in_tiles_with_classes_and_colours(plan, tmp_path, version, monkeypatch):
    path = tmp_path / "a.zarr"
    for _ in iter_write_label_image(plan, path, 0.5, version=version):
        pass
    stated = attributes(path, version)
    multiscale = stated["multiscales"][0]
    assert stated["image-label"]["version"] == version
    assert stated["image-label"]["properties"][0] == {"label-value": 1, "class": "Tumour"}
    assert stated["image-label"]["colors"][1] == {"label-value": 2, "rgba": [3, 100, 4, 255]}
    assert multiscale.get("version", stated.get("version")) == version
    assert [axis["name"] for axis in multiscale["axes"]] == ["y", "x"]
    group = zarr.open_group(path, mode="r")
    assert group.metadata.zarr_format == (2 if version == "0.4" else 3)
    shapes = [group[dataset["path"]].shape for dataset in multiscale["datasets"]]
    assert shapes == [(1500, 2000), (750, 1000), (375, 500)]
    assert group["0"].chunks == (512, 512)
    folder = path / "0" / ("0" if version == "0.4" else "c/0")
    assert (folder / "0").is_file(), "chunks lie in nested folders, as OME-Zarr wants them"
    assert not (path / "0" / ("2/3" if version == "0.4" else "c/2/3") / "9").exists()
    finest = group["0"][:]
    for number, dataset in enumerate(multiscale["datasets"]):
        scale, translation = (entry[entry["type"]] for entry in dataset["coordinateTransformations"])
        assert scale == [0.5 * 2**number] * 2
        # From the middle of the slide's first pixel to that of this level's.
        assert translation == pytest.approx([(0.5 * 2**number - 0.25) / 2] * 2)
        step = 2**number
        level = group[dataset["path"]][:]
        rows, cols = level.shape[0] - 1, level.shape[1] - 1
        middles = finest[step // 2 :: step, step // 2 :: step][:rows, :cols]
        np.testing.assert_array_equal(level[:rows, :cols], middles)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_there_and_back(plan, tmp_path, version):
    path = tmp_path / "a.zarr"
    for _ in iter_write_label_image(plan, path, 0.5, version=version):
        pass
    found = read_annotations(path, extent=EXTENT)
    assert found.counts() == {"Tumour": 2, "Stroma": 1}
    assert found.colors == {"Tumour": (200, 1, 2), "Stroma": (3, 100, 4)}
    for label in ("Tumour", "Stroma"):
        ours, theirs = (shapely.union_all(one.polygons(label)) for one in (plan.annotations, found))
        assert shapely.symmetric_difference(ours, theirs).area < 1e-6
    with pytest.raises(AnnotationError, match="no place without their slide"):
        read_annotations(path)
    with pytest.raises(AnnotationError, match="pixel size of the slide is not known"):
        read_annotations(path, extent=SlideExtent(EXTENT.shape))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_into_the_labels_of_a_picture(plan, tmp_path, version):
    picture = tmp_path / "slide.ome.zarr"
    zarr.create_group(picture, zarr_format=2 if version == "0.4" else 3)
    for name in ("annotations", "again", "annotations"):
        write_label_image(plan, picture / "labels" / name, 0.5)
    assert attributes(picture / "labels", version)["labels"] == ["annotations", "again"]
    assert attributes(picture / "labels" / "again", version)["image-label"]["source"] == {"image": "../../"}
    assert read_annotations(picture / "labels" / "again", extent=EXTENT).counts() == {
        "Tumour": 2,
        "Stroma": 1,
    }
    for several in (picture, picture / "labels"):
        with pytest.raises(AnnotationError, match="2 label images"):
            read_annotations(several, extent=EXTENT)
    other = "0.5" if version == "0.4" else "0.4"
    with pytest.raises(StoreError, match="another version of OME-Zarr"):
        list(iter_write_label_image(plan, picture / "labels" / "b", 0.5, version=other))


def test_a_cancelled_write_leaves_what_was_there(plan, tmp_path, monkeypatch):
    path = tmp_path / "a.zarr"
    write_label_image(plan, path, 0.5)
    before = sorted(file.relative_to(path) for file in path.rglob("*"))
    token = CancellationToken()
    writing = iter_write_label_image(plan, path, 0.5, token=token)
    reports = [next(writing), next(writing)]
    assert 0 < reports[0].done < reports[1].done < reports[1].total
    token.cancel()
    with pytest.raises(CancelledError):
        list(writing)
    assert sorted(file.relative_to(path) for file in path.rglob("*")) == before
    assert list(tmp_path.iterdir()) == [path]


def label_of_others(path, picture, *, scale=None, unit="micrometer", translation=None, label=None, axes="yx"):
    """A label image as other programs write it."""
    group = zarr.create_group(path, zarr_format=2)
    chunks = tuple(min(side, 64) for side in picture.shape)
    group.create_array("0", data=picture, chunks=chunks)
    place = [] if scale is None else [{"type": "scale", "scale": [*[1] * (picture.ndim - 2), scale, scale]}]
    if translation is not None:
        place.append({"type": "translation", "translation": [*[0] * (picture.ndim - 2), *translation]})
    listed = [{"name": axis, "type": "space"} | ({"unit": unit} if unit else {}) for axis in axes]
    dataset = {"path": "0"} | ({"coordinateTransformations": place} if place else {})
    group.attrs["multiscales"] = [{"version": "0.4", "axes": listed, "datasets": [dataset]}]
    group.attrs["image-label"] = label or {}
    return path


SPOT = np.zeros((300, 400), np.uint16)
SPOT[10:20, 30:50] = 7


@pytest.mark.parametrize(
    ("options", "bounds"),
    [
        ({"scale": 2.5}, (300, 100, 500, 200)),
        ({"scale": 0.0025, "unit": "millimeter"}, (300, 100, 500, 200)),
        # Half a pixel of its own less half a one of the slide: its corner is the slide's.
        ({"scale": 2.5, "translation": (1.125, 1.125)}, (300, 100, 500, 200)),
        ({"scale": 2.5, "translation": (11.125, 1.125)}, (300, 140, 500, 240)),
    ],
)
def test_what_others_write_lies_in_its_place(tmp_path, options, bounds):
    path = label_of_others(tmp_path / "a.zarr", SPOT, **options)
    (found,) = read_annotations(path, extent=EXTENT).annotations
    assert found.label == "label 7"
    assert found.geometry.bounds == pytest.approx(bounds)


def test_of_the_size_of_the_slide_it_needs_no_unit(tmp_path):
    path = label_of_others(tmp_path / "a.zarr", SPOT, unit=None)
    extent = SlideExtent(SPOT.shape, PIXEL)
    (found,) = read_annotations(path, extent=extent).annotations
    assert found.geometry.bounds == pytest.approx((30, 10, 50, 20))
    with pytest.raises(AnnotationError, match="does not say how large its pixels are"):
        read_annotations(path, extent=EXTENT)


def test_further_axes_of_length_one_and_names(tmp_path):
    label = {
        "properties": [{"label-value": 7, "name": "Gland"}, {"label-value": "x"}, 5],
        "colors": [{"label-value": 7, "rgba": [1, 2, 3, 255]}, {"label-value": 8, "rgba": "red"}],
    }
    path = label_of_others(tmp_path / "a.zarr", SPOT[None, None], scale=2.5, label=label, axes="tzyx")
    found = read_annotations(path, extent=EXTENT)
    assert found.labels() == ("Gland",)
    assert found.colors == {"Gland": (1, 2, 3)}


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.zeros((30, 40), np.float32), "not whole ones"),
        (np.zeros((2, 30, 40), np.uint8), "several planes"),
    ],
)
def test_what_is_no_label_image_is_said(tmp_path, picture, said):
    path = label_of_others(tmp_path / "a.zarr", picture, scale=2.5, axes="zyx"[-picture.ndim :])
    with pytest.raises(AnnotationError, match=said):
        read_annotations(path, extent=EXTENT)


def test_folders_that_hold_none(tmp_path):
    with pytest.raises(AnnotationError, match="a folder holds no annotations"):
        read_annotations(tmp_path, extent=EXTENT)
    zarr.create_group(tmp_path / "a.zarr")
    with pytest.raises(AnnotationError, match="without a label image"):
        read_annotations(tmp_path / "a.zarr", extent=EXTENT)


def test_damaged_chunks_and_metadata_are_errors(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(label_image, "BAND_ROWS", 256)
    path = tmp_path / "a.zarr"
    write_label_image(plan, path, 0.5)
    files = [file for file in path.rglob("*") if file.is_file()]
    for file, share in itertools.product(files[:: max(1, len(files) // 12)], (0.0, 0.5)):
        whole = file.read_bytes()
        file.write_bytes(whole[: int(len(whole) * share)])
        try:
            assert len(read_annotations(path, extent=EXTENT)) <= 3
        except AnnotationError:
            pass
        finally:
            file.write_bytes(whole)
