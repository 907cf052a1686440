"""Features of other programs, dropped on the slide that they were cut from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from napari.settings import get_settings
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication

from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import CancelledError, InvalidParameterError
from napari_nic.plugin.annotation_jobs import at_once
from napari_nic.plugin.annotation_layers import annotation_tag
from napari_nic.plugin.controllers.importing import ImportController
from napari_nic.plugin.features import looks_like_features
from napari_nic.plugin.readers import get_reader, read_features

XY = np.array([(x * 128, y * 128) for y in range(1, 6) for x in range(2, 8)])


def write(path: Path, count: int = len(XY), **attributes: Any) -> Path:
    """Features in TRIDENT's form of the made slide."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stated = {"patch_size": 128, "patch_size_level0": 128, "target_magnification": 20, "overlap": 0}
    with h5py.File(path, "w") as file:
        file["features"] = np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32)
        file["coords"] = XY[:count]
        file["coords"].attrs.update(stated | attributes)
    return path


@pytest.fixture
def importing(opened) -> ImportController:
    return ImportController(opened, at_once)


def test_features_become_the_opened_store_of_the_slide(importing, opened, answers, tmp_path):
    importing.import_features(write(tmp_path / "made.h5"))
    assert not answers.errors
    assert opened.store.path == opened.slide.path.with_name("made.nic.zarr")
    opened.store.check_slide(opened.slide)
    assert opened.store.encoded().sum() == len(XY)
    assert answers.notices == [f"made.nic.zarr: {len(XY)} patches imported"]


def test_outlines_of_tissue_beside_the_features_are_shown(opened, answers, tmp_path):
    shown: list[Path] = []
    importing = ImportController(opened, at_once, shown.append)
    importing.import_features(write(tmp_path / "job" / "20x" / "features_uni" / "made.h5"))
    assert shown == []
    outlines = tmp_path / "job" / "contours_geojson" / "made.geojson"
    outlines.parent.mkdir()
    outlines.write_text("{}")
    importing.import_features(tmp_path / "job" / "20x" / "features_uni" / "made.h5")
    assert shown == [outlines]


def test_what_was_imported_is_opened_and_changes_are_asked_about(importing, opened, answers, tmp_path):
    file = write(tmp_path / "made.h5")
    importing.import_features(file)
    importing.import_features(file)
    assert not answers.questions
    assert "imported before" in answers.notices[1]
    write(file, 12)
    importing.import_features(file)
    assert "made.nic.zarr was made of other features" in answers.questions[0]
    assert opened.store.encoded().sum() == len(XY)
    answers.agree = True
    importing.import_features(file)
    assert opened.store.encoded().sum() == 12


def test_what_was_compressed_is_never_replaced(importing, opened, answers, tmp_path, compress_file):
    compressed = compress_file(opened.slide.path)
    importing.import_features(write(tmp_path / "made.h5"))
    assert not answers.questions
    assert opened.store.path.name == "made.trident.nic.zarr"
    assert CompressedSlide.open(compressed.path).header.encoder_name == "mean-rgb"


def test_another_name_is_asked_about(importing, opened, answers, tmp_path):
    file = write(tmp_path / "other.h5")
    importing.import_features(file)
    assert "called after another slide" in answers.questions[0]
    assert opened.store is None
    answers.agree = True
    importing.import_features(file)
    assert opened.store.header.slide_name == "made"


def test_features_of_another_slide_and_damaged_ones_are_told(importing, opened, answers, tmp_path):
    importing.import_features(write(tmp_path / "made.h5", level0_width=9, level0_height=9))
    (tmp_path / "b" / "made.h5").parent.mkdir()
    (tmp_path / "b" / "made.h5").write_bytes(b"\x89HDF\r\n\x1a\nfeatures")
    importing.import_features(tmp_path / "b" / "made.h5")
    assert "another slide" in str(answers.errors[0])
    assert "no HDF5 file that can be read" in str(answers.errors[1])
    assert not list(opened.slide.path.parent.glob("*.nic.zarr"))


def test_a_cancelled_import_leaves_nothing(opened, answers, tmp_path):
    def wait(title: str, work: Any) -> Any:
        if not title.startswith("Importing"):
            return at_once(title, work)

        def cancelled(token: Any) -> Any:
            token.cancel()
            with pytest.raises(CancelledError):
                work(token)

        return at_once(title, cancelled)

    ImportController(opened, wait).import_features(write(tmp_path / "made.h5"))
    assert not answers.errors
    assert [path.name for path in opened.slide.path.parent.iterdir()] == ["made.tif"]


def test_without_a_slide_it_is_asked_for(session, answers, tmp_path, monkeypatch):
    ImportController(session, at_once).import_features(write(tmp_path / "made.h5"))
    assert "open the slide first" in str(answers.errors[0])
    monkeypatch.setattr("napari.current_viewer", lambda: session.viewer)
    with pytest.raises(InvalidParameterError, match="open the slide first"):
        read_features(tmp_path / "made.h5")


def test_files_of_others_are_left_to_others(tmp_path):
    with h5py.File(tmp_path / "keras.h5", "w") as file:
        file["model_weights"] = np.zeros(3)
    np.save(tmp_path / "picture.npy", np.zeros((5, 5)))
    np.savez(tmp_path / "arrays.npz", a=np.zeros(3))
    (tmp_path / "net.pt").write_bytes(b"PK\x03\x04")
    (tmp_path / "text.h5").write_text("features")
    (tmp_path / "table.csv").write_text("axis-0,axis-1\n")
    for path in tmp_path.iterdir():
        assert not looks_like_features(path), path
        assert get_reader(str(path)) is None, path


def test_features_are_told_by_a_few_bytes(tmp_path):
    np.save(tmp_path / "made_features.npy", np.zeros((3, 4, 4), np.float16))
    folder = tmp_path / "made.zarr"
    for name in (".", "features", "coordinates"):
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "zarr.json").write_text(json.dumps({"node_type": "group"}))
    for path in (write(tmp_path / "made.h5"), tmp_path / "made_features.npy", folder):
        assert looks_like_features(path)
        assert get_reader(str(path)) is not None


def test_every_real_file_is_known(data_dir):
    folder = data_dir / "features"
    names = ("clam_2025-04_features/h5_files/*", "stamp_2.*/*/*.h5", "lazyslide*/*", "tiatoolbox*/*")
    others = ("slide2vec*/tile_embeddings/*.pt", "by_spec_slideflow*/*.pt", "by_spec_trident_like/*/f*/*.h5")
    found = [path for pattern in (*names, *others) for path in folder.glob(pattern)]
    if not found:
        pytest.skip(f"no features at {folder}")
    assert [path for path in found if not looks_like_features(path)] == []


def test_drop_on_the_window(with_slide, qtbot, tmp_path):
    """A file of a TRIDENT job, beside which the tissue is outlined."""
    viewer, dock = with_slide
    file = write(tmp_path / "20x_128px_0px_overlap" / "features_uni" / "made.h5")
    outlines = tmp_path / "contours_geojson" / "made.geojson"
    outlines.parent.mkdir()
    ring = [[256, 128], [1024, 128], [1024, 768], [256, 768], [256, 128]]
    outlines.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    get_settings().plugins.extension2reader = {"*.h5": "napari-nic"}
    canvas = viewer.window._qt_viewer
    files = QMimeData()
    files.setUrls([QUrl.fromLocalFile(str(file))])
    place, action, left = QPointF(canvas.rect().center()), Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    none = Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(canvas, QDragEnterEvent(place.toPoint(), action, files, left, none))
    QApplication.sendEvent(canvas, QDropEvent(place, action, files, left, none))
    qtbot.waitUntil(lambda: dock.session.store is not None, timeout=60_000)
    assert dock.session.store.path.name == "made.nic.zarr"
    dock.overlays.show("pca", on=True)
    qtbot.waitUntil(lambda: dock.overlays.is_ready("pca"), timeout=60_000)
    text = dock.compress_section.text.text()
    assert text == f"{len(XY)} of {len(XY)} tissue cells, codes of uni"
    qtbot.waitUntil(lambda: len(dock.annotating.layers()) == 1, timeout=60_000)
    (layer,) = dock.annotating.layers()
    assert layer.data[0].shape[0] in (4, 5)
    assert annotation_tag(layer).path == outlines
