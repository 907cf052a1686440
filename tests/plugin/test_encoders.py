"""Importing encoders: the controller without Qt, then the chooser and its dialog in a window."""

from __future__ import annotations

import hashlib
import json
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication

from napari_nic.encoders import get_spec
from napari_nic.errors import InvalidParameterError, WeightsError
from napari_nic.plugin.compress_job import EncoderCache
from napari_nic.plugin.controllers.compressing import CompressController
from napari_nic.plugin.controllers.encoders import EncoderController, ImportRequest, card_line, name_for
from napari_nic.plugin.controllers.session import ENCODER_SETTING
from napari_nic.plugin.controllers.tissue import TissueController
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


@pytest.fixture
def torchscript_file(tmp_path: Path) -> Path:
    """A program that gives the mean colour of a patch of 32 px, C = 3; its resolution stands nowhere."""
    import torch

    net = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # makers are asked to leave this format
        torch.jit.save(torch.jit.trace(net, torch.zeros(2, 3, 32, 32)), tmp_path / "net.pt")
    return tmp_path / "net.pt"


def test_program_is_opened_only_after_a_warning(session, controller, answers, torchscript_file):
    request = ImportRequest(str(torchscript_file), "net", mpp=0.5, input_size=32)
    controller.import_encoder(request)
    assert "runs with your rights" in answers.questions[-1]
    assert hashlib.sha256(torchscript_file.read_bytes()).hexdigest() in answers.questions[-1]
    assert session.spec.name == "mean-rgb", "the answer was no"
    assert controller.why_not() == ""
    answers.agree = True
    controller.import_encoder(request)
    assert (session.spec.name, session.spec.code_size, session.spec.mpp) == ("net", 3, 0.5)
    assert "network of others" in answers.notices[-1]


def test_what_a_file_does_not_say_is_asked_for(controller, answers, torchscript_file):
    answers.agree = True
    controller.import_encoder(ImportRequest(str(torchscript_file), "net"))
    assert isinstance(answers.errors[0], InvalidParameterError)
    assert "input_size" in str(answers.errors[0])


def test_timm_model_with_weights_of_a_file(session, controller, answers, tmp_path):
    import timm
    from safetensors.torch import save_file

    file = tmp_path / "w.safetensors"
    save_file(timm.create_model("test_vit", pretrained=False).state_dict(), file)
    request = ImportRequest("timm:test_vit", "small-vit", weights=str(file))
    controller.import_encoder(request)
    assert "apache-2.0" in answers.questions[-1]
    assert session.spec.name == "mean-rgb", "the answer was no"
    answers.agree = True
    controller.import_encoder(request)
    assert session.spec.name == "small-vit"
    assert answers.errors == []


def test_nothing_is_downloaded_unasked(controller, answers):
    controller.import_encoder(ImportRequest("timm:test_vit", "small-vit"))
    assert "where the weights come from" in str(answers.errors[0])


def test_names_and_lines():
    assert name_for("/a/BiGAN (2019).h5") == "BiGAN-2019"
    assert name_for("") == ""
    assert name_for("timm:resnet18") == "resnet18"
    assert name_for("timm:hf-hub:owner/UNI") == "UNI"
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
    assert chooser.line.toolTip().endswith(encoder_card(get_spec("mean-rgb")))
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
        assert dialog.name.text() == "bigan-2019"
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
    qtbot.keyClicks(dialog.name, "mine")
    dialog.file.line_edit.value = "/data/other.h5"
    assert dialog.request() == ImportRequest("/data/other.h5", "mine")
    dialog.name.selectAll()
    qtbot.keyClick(dialog.name, Qt.Key.Key_Delete)
    assert dialog.name.text() == ""
    assert not dialog.accept_button.isEnabled()
    dialog.deleteLater()


@pytest.mark.gui
def test_dialog_for_a_network_of_timm(window):
    _, dock = window
    dialog = ImportDialog(dock)
    dialog.from_timm.setChecked(True)
    dialog.model.setText("timm:resnet18")
    assert dialog.name.text() == "resnet18"
    assert not dialog.accept_button.isEnabled(), "nobody said where the weights come from"
    dialog.download.setChecked(True)
    dialog.mpp.setValue(0.25)
    assert dialog.request() == ImportRequest("timm:resnet18", "resnet18", download=True, mpp=0.25)
    assert dialog.accept_button.isEnabled()
    dialog.from_file.setChecked(True)
    assert not dialog.accept_button.isEnabled()
    dialog.deleteLater()


def test_a_program_is_asked_about_before_a_slide_is_compressed_with_it(
    opened, runner, answers, torchscript_file, monkeypatch
):
    from napari_nic.encoders.external import Settings as Facts
    from napari_nic.encoders.external import import_model_file, trust

    facts = Facts(mpp=0.5, input_size=32)
    import_model_file(torchscript_file, name="net", settings=facts, trust=True)
    trust.trust_file().unlink()
    monkeypatch.setattr(trust, "_given", set())  # as if somebody had put it there
    compressing = CompressController(opened, runner, TissueController(opened, runner))
    compressing.region = "whole"
    opened.reload_encoders()
    opened.select_encoder("net")
    compressing.load_ahead()
    assert answers.questions == [], "nobody clicked"
    compressing.start()
    assert "Run this program?" in answers.questions[-1]
    assert not compressing.state.done
    assert answers.errors == []
    answers.agree = True
    compressing.start()
    assert compressing.state.complete
    assert len(answers.questions) == 2
    assert list(json.loads(trust.trust_file().read_text())) == [opened.spec.weights_sha256]


def test_a_folder_that_holds_a_program_is_asked_about(
    session, controller, answers, torchscript_file, tmp_path
):
    from napari_nic.encoders.external import Settings as Facts
    from napari_nic.encoders.external import import_model_file, trust
    from napari_nic.encoders.store import user_encoders_folder

    facts = Facts(mpp=0.5, input_size=32)
    import_model_file(torchscript_file, name="net", settings=facts, trust=True)
    sent = user_encoders_folder().rename(tmp_path / "sent") / "net"
    trust.forget(hashlib.sha256(torchscript_file.read_bytes()).hexdigest())
    (sent / "x.safetensors").touch()  # the dialog names a file of the folder
    controller.import_encoder(ImportRequest(str(sent / "x.safetensors"), "mine"))
    assert "Run this program?" in answers.questions[-1]
    assert session.spec.name == "mean-rgb", "the answer was no"
    answers.agree = True
    controller.import_encoder(ImportRequest(str(sent / "x.safetensors"), "mine"))
    assert session.spec.name == "mine"
    assert answers.errors == []
