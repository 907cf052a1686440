"""Importing encoders: the controller without Qt, then the chooser and its dialog in a window."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_nic.encoders import get_spec
from napari_nic.errors import InvalidParameterError, WeightsError
from napari_nic.plugin.compress_job import EncoderCache
from napari_nic.plugin.controllers.encoders import EncoderController, ImportRequest, card_line, name_for
from napari_nic.plugin.controllers.session import ENCODER_SETTING
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets.encoder_chooser import encoder_card
from napari_nic.plugin.widgets.import_dialog import ImportDialog
from napari_nic.plugin.widgets.nic_dock import NicDock

WIDTH, CODE = 128, 6


@pytest.fixture
def keras_file(tmp_path: Path) -> Path:
    """A Keras file of the published network with drawn weights, C = 6."""
    return write_keras(tmp_path / "bigan 2019.h5", seed=0)


def write_keras(path: Path, *, seed: int) -> Path:
    rng = np.random.default_rng(seed)
    layers, arrays = [], {}
    for index in range(4):
        before = WIDTH if index else 3
        conv = {"kernel_size": [3, 3], "strides": [2, 2], "name": f"conv_{index}"}
        layers += [("Conv2D", conv), ("LeakyReLU", {"alpha": 0.2, "name": f"leak_{index}"})]
        layers.append(("BatchNormalization", {"epsilon": 1e-3, "name": f"norm_{index}"}))
        arrays[f"conv_{index}/kernel:0"] = rng.normal(0, 0.05, (3, 3, before, WIDTH))
        arrays[f"conv_{index}/bias:0"] = np.zeros(WIDTH)
        for name, value in {"gamma": 1, "beta": 0, "moving_mean": 0, "moving_variance": 1}.items():
            arrays[f"norm_{index}/{name}:0"] = np.full(WIDTH, value)
    layers += [("Flatten", {"name": "flat"}), ("Dense", {"name": "code"})]
    arrays |= {"code/kernel:0": rng.normal(0, 0.05, (9 * WIDTH, CODE)), "code/bias:0": np.zeros(CODE)}
    listed = [{"class_name": kind, "config": config} for kind, config in layers]
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": {"layers": listed}})
        for name, value in arrays.items():
            file[f"model_weights/{name}"] = value.astype(np.float32)
    return path


@pytest.fixture
def controller(session, runner) -> EncoderController:
    return EncoderController(session, runner)


def test_imported_encoder_is_listed_and_chosen(session, controller, keras_file):
    controller.import_encoder(ImportRequest(str(keras_file), "bigan"))
    assert session.spec.name == "bigan"
    assert session.spec.code_size == CODE
    assert "bigan" in [spec.name for spec in session.specs]
    assert session.settings.get(ENCODER_SETTING) == "bigan"
    assert controller.importing == ""


def test_while_it_is_imported_no_other_is(controller, runner, keras_file):
    runner.hold = True
    controller.import_encoder(ImportRequest(str(keras_file), "one"))
    assert controller.importing == "one"
    controller.import_encoder(ImportRequest(str(keras_file), "two"))
    assert runner.titles == ["Importing encoder one"]


@pytest.mark.parametrize(
    ("suffix", "name", "kind"),
    [
        (".h5", "x", WeightsError),
        (".txt", "x", InvalidParameterError),
        (".h5", "mean-rgb", InvalidParameterError),
    ],
)
def test_what_cannot_be_imported_is_told(session, controller, answers, tmp_path, suffix, name, kind):
    file = tmp_path / f"other{suffix}"
    file.write_text("nothing of the kind")
    controller.import_encoder(ImportRequest(str(file), name))
    assert [type(error) for error in answers.errors] == [kind]
    assert session.spec.name == "mean-rgb"
    assert controller.why_not() == ""


def test_replacing_asks_first_and_codes_come_from_the_new_one(
    session, controller, keras_file, answers, tmp_path
):
    controller.import_encoder(ImportRequest(str(keras_file), "mine"))
    cache, patches = EncoderCache(), np.full((1, 64, 64, 3), 99, np.uint8)
    before = cache.get("mine", device="cpu", precision="float32").encode(patches)
    old = session.spec
    other = ImportRequest(str(write_keras(tmp_path / "other.h5", seed=1)), "mine")
    controller.import_encoder(other)
    assert "already" in answers.questions[-1]
    assert session.spec == old
    answers.agree = True
    controller.import_encoder(other)
    assert session.spec.weights_sha256 != old.weights_sha256
    assert session.spec == get_spec("mine")
    after = cache.get("mine", device="cpu", precision="float32").encode(patches)
    assert not np.allclose(before, after)


def test_names_and_lines():
    assert name_for("/a/BiGAN (2019).h5") == "BiGAN-2019"
    assert name_for("") == ""
    line = card_line(get_spec("nic-default"))
    for part in ("C = 128", "0.5 \N{MICRO SIGN}m/px", get_spec("nic-default").licence):
        assert part in line


@pytest.fixture
def window(make_napari_viewer, qtbot):
    Settings().set(ENCODER_SETTING, "mean-rgb")
    viewer = make_napari_viewer()
    dock = NicDock(viewer)
    viewer.window.add_dock_widget(dock, name="NIC")
    yield viewer, dock
    dock.shut_down()


@pytest.mark.gui
def test_chooser_shows_the_chosen_encoder(window):
    _, dock = window
    chooser = dock.slide_section.chooser
    assert chooser.line.text().startswith("C = 3")
    assert chooser.line.toolTip() == encoder_card(get_spec("mean-rgb"))
    index = chooser.encoders.findData("nic-default")
    chooser.encoders.setCurrentIndex(index)
    assert chooser.line.text().startswith("C = 128")
    assert "Licence" in chooser.encoders.itemData(index, Qt.ItemDataRole.ToolTipRole)


@pytest.mark.gui
def test_import_through_menu_and_dialog(window, qtbot, keras_file, monkeypatch):
    _, dock = window
    chooser = dock.slide_section.chooser

    def fill(dialog: ImportDialog) -> bool:
        assert not dialog.accept_button.isEnabled()
        dialog.file.line_edit.value = str(keras_file)
        assert dialog.name.value == "bigan-2019"
        assert dialog.accept_button.isEnabled()
        return True

    monkeypatch.setattr(ImportDialog, "exec", fill)
    qtbot.mouseClick(chooser.add, Qt.MouseButton.LeftButton)
    assert chooser.menu.isVisible()
    chooser.menu.hide()
    chooser.import_action.trigger()
    qtbot.waitUntil(lambda: not dock.runner.jobs)
    QApplication.processEvents()
    assert chooser.encoders.currentData() == "bigan-2019"
    assert chooser.line.text().startswith(f"C = {CODE}")


@pytest.mark.gui
def test_name_that_was_typed_stays(window, qtbot):
    _, dock = window
    dialog = ImportDialog(dock)
    dialog.name.value = "mine"
    dialog.file.line_edit.value = "/data/other.h5"
    assert dialog.request() == ImportRequest("/data/other.h5", "mine")
    dialog.name.value = " "
    assert not dialog.accept_button.isEnabled()
    dialog.deleteLater()
