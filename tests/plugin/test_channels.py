"""Channels in the window: asked for once, remembered, and never put together by guess."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt

from napari_nic.encoders import load_encoder
from napari_nic.errors import ChannelsError
from napari_nic.pipeline import prepare_store
from napari_nic.plugin.controllers.channels import ChannelChooser
from napari_nic.plugin.opening import open_remembered, slide_beside
from napari_nic.plugin.readers import get_reader
from napari_nic.plugin.settings import Settings
from napari_nic.plugin.widgets import channel_question
from napari_nic.plugin.widgets.channel_dialog import ChannelDialog
from napari_nic.plugin.widgets.dialogs import Dialogs
from napari_nic.plugin.widgets.slide_section import SlideSection
from napari_nic.slides import Channel, open_slide


@pytest.fixture
def light(tmp_path: Path, make_tissue) -> Path:
    tissue = 255 - make_tissue(300, 400, seed=1).astype(np.uint16)
    path = tmp_path / "light.ome.tif"
    metadata = {"axes": "CYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    metadata |= {"Channel": {"Name": ["DAPI", "FITC", "Cy3"]}}
    tifffile.imwrite(
        path, np.moveaxis(tissue, -1, 0) * 16, photometric="minisblack", tile=(128, 128), metadata=metadata
    )
    return path


def names(slide) -> list[str]:
    return [channel["name"] for channel in slide.choice["channels"]]


@pytest.fixture
def chooser(answers, settings):
    """``(chooser, slides that it showed)``."""
    shown = []
    yield ChannelChooser(answers, settings, shown.append), shown
    for slide in shown:
        slide.close()


def test_the_answer_is_shown_and_remembered(chooser, answers, light):
    controller, shown = chooser
    answers.chosen_channels = (2, 0)
    assert controller.open(light)
    assert answers.questions == ["channels: DAPI, FITC, Cy3"]
    assert names(shown[0]) == ["Cy3", "DAPI"]
    assert any("shown from black to full colour" in notice for notice in answers.notices)
    with open_remembered(light, Settings()) as again:
        assert names(again) == ["Cy3", "DAPI"]
        assert again.fingerprint == shown[0].fingerprint


@pytest.mark.parametrize("answer", [None, ()])
def test_no_answer_shows_nothing(chooser, answers, light, answer):
    controller, shown = chooser
    answers.chosen_channels = answer
    assert not controller.open(light)
    assert not shown
    assert not answers.errors
    with pytest.raises(ChannelsError):
        open_remembered(light, Settings())


def test_a_scene_is_asked_for_first(chooser, answers, tmp_path):
    czi = pytest.importorskip("pylibCZIrw.czi")
    path = tmp_path / "scenes.czi"
    with czi.create_czi(str(path)) as out:
        for scene in (0, 1):
            for channel in (0, 1):
                plane = np.full((40 + scene, 50, 1), 10, np.uint16)
                place = {"C": channel, "Z": 0, "T": 0}
                out.write(plane, location=(scene * 500, 0), plane=place, scene=scene)
        out.write_metadata(document_name="made", channel_names={0: "DAPI", 1: "Cy3"})
    controller, shown = chooser
    assert not controller.open(path)  # nobody says which
    answers.chosen_scene, answers.chosen_channels = 1, (0,)
    assert controller.open(path)
    assert shown[0].levels[0].shape == (41, 50)
    with open_remembered(path, Settings()) as again:
        assert again.fingerprint == shown[0].fingerprint


def test_bad_news_is_told(chooser, answers, tmp_path):
    controller, _ = chooser
    assert not controller.open(tmp_path / "gone.ome.tif")
    assert len(answers.errors) == 1


def test_another_file_under_the_same_name_is_asked_for_anew(settings, light, slide_file):
    settings.remember_choice(
        light, {"channels": [{"index": 7, "name": "Cy7", "color": [9, 9, 9], "window": [0.0, 1.0]}]}
    )
    with pytest.raises(ChannelsError, match="3 separate channels"):
        open_remembered(light, settings)
    settings.remember_choice(
        slide_file, {"channels": [{"index": 0, "name": "DAPI", "color": [9, 9, 9], "window": [0.0, 1.0]}]}
    )
    with open_remembered(slide_file, settings) as slide:
        assert not slide.choice


@pytest.mark.parametrize("choices", [3, {"x": 3}, [], {"x": {"channels": 3}}])
def test_damaged_settings_remember_nothing(settings, light, choices):
    if isinstance(choices, dict):
        choices = {str(light): next(iter(choices.values()))}
    settings.set("choices", choices)
    with pytest.raises(ChannelsError):
        open_remembered(light, settings)


def test_a_store_finds_its_slide_with_its_channels(light):
    encoder = load_encoder("mean-rgb")
    with open_slide(light, channels=["FITC"]) as slide, prepare_store(slide, encoder) as store:
        found = slide_beside(store)
    assert found is not None
    assert names(found) == ["FITC"]
    found.close()


@pytest.mark.gui
def test_a_dropped_file_is_asked_for_after_the_drop(window, qtbot, light, monkeypatch):
    viewer, _ = window
    viewer.window._qt_window.show()
    asked = []

    def choose(_, __, channels):
        asked.append(len(channels))
        return 0, 2

    monkeypatch.setattr(Dialogs, "channels", choose)
    assert get_reader(str(light))(str(light)) == [(None,)]
    assert not asked, "the event that brought the file goes first"
    qtbot.waitUntil(lambda: len(viewer.layers) == 1)
    assert asked == [3]
    assert names(viewer.layers[0].metadata["napari_nic"].slide) == ["DAPI", "Cy3"]
    layers = get_reader(str(light))(str(light))  # remembered now
    assert names(layers[0][1]["metadata"]["napari_nic"].slide) == ["DAPI", "Cy3"]


@pytest.mark.gui
def test_other_channels_come_as_another_layer(window, qtbot, light, monkeypatch):
    viewer, dock = window
    viewer.window._qt_window.show()
    settings = Settings()
    with open_slide(light, channels=["DAPI"]) as slide:
        settings.remember_choice(light, slide.choice)
    for data, options, _ in get_reader(str(light))(str(light)):
        viewer.add_image(data, **options)
    assert dock.session.describe_slide().startswith("DAPI, 400 x 300 px")
    section = next(child for child in dock.findChildren(SlideSection))
    assert section.channels.isVisibleTo(section)
    assert "Shown: DAPI" in section.channels.toolTip()
    monkeypatch.setattr(Dialogs, "channels", lambda *_: (1, 2))
    section.channels.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2)
    assert names(viewer.layers[1].metadata["napari_nic"].slide) == ["FITC", "Cy3"]
    first, second = (layer.metadata["napari_nic"].slide for layer in viewer.layers)
    assert first.fingerprint != second.fingerprint


@pytest.mark.gui
def test_the_dialog_takes_one_to_three(qtbot, light):
    channels = [Channel(f"stain {i}", (255, 0, 0) if i else None) for i in range(5)]
    dialog = ChannelDialog(light, channels, None)
    qtbot.addWidget(dialog)
    assert dialog.chosen() == (0, 1, 2)
    assert dialog.ok.isEnabled()
    dialog.list.item(4).setCheckState(Qt.CheckState.Checked)
    assert not dialog.ok.isEnabled()
    assert "4 are ticked" in dialog.ok.toolTip()
    dialog.list.setCurrentRow(0)
    qtbot.keyClick(dialog.list, Qt.Key.Key_Space)
    assert dialog.chosen() == (1, 2, 4)
    assert dialog.ok.isEnabled()
    for row in range(5):
        dialog.list.item(row).setCheckState(Qt.CheckState.Unchecked)
    assert not dialog.ok.isEnabled()


def test_without_a_window_nobody_is_asked(light, monkeypatch):
    monkeypatch.setattr(channel_question.QApplication, "instance", lambda: None)
    assert not channel_question.choose_soon(light)
    with pytest.raises(ChannelsError):
        get_reader(str(light))(str(light))
