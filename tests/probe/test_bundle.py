"""Probes as folders: what was saved comes back, and nothing else does."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_nic.errors import BundleError
from napari_nic.probe import Learner, Probe, load_probe, save_probe


@pytest.fixture
def probe(slide, strokes, made) -> Probe:
    learner = Learner()
    learner.set_strokes(slide, strokes)
    return learner.train(made.colors, name="mine").probe


def test_a_probe_comes_back_as_it_was(probe, resident, tmp_path):
    again = load_probe(save_probe(probe, tmp_path / "mine"))
    assert again.card == probe.card
    np.testing.assert_array_equal(again.weights, probe.weights)
    assert again.temperature == probe.temperature
    for found, wanted in zip(again.classify(resident.codes), probe.classify(resident.codes), strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_the_card_says_what_it_was_trained_on(probe, tmp_path):
    text = (save_probe(probe, tmp_path / "mine") / "CARD.md").read_text("utf-8")
    assert text.startswith("# mine\n")
    assert "Codes of: toy (C = 12" in text
    assert "Learned from: slide" in text
    assert "Balanced accuracy, leaving one stroke out: 0." in text
    assert "| gland | 3 |" in text


def test_saving_again_replaces_it(probe, tmp_path):
    save_probe(probe, tmp_path / "mine")
    other = Probe(probe.card, probe.weights * 2, probe.offsets, probe.temperature)
    save_probe(other, tmp_path / "mine")
    np.testing.assert_array_equal(load_probe(tmp_path / "mine").weights, other.weights)


def test_a_folder_without_one_is_told(tmp_path):
    with pytest.raises(BundleError, match="holds no probe"):
        load_probe(tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data.update(temperature=-1), "temperature"),
        (lambda data: data.update(temperature="1"), "temperature"),
        (lambda data: data.update(format=2), "this version"),
        (lambda data: data.pop("class_names"), "not a description"),
        (lambda data: data.update(more=1), "not a description"),
        (lambda data: data.update(class_colors=[[1, 2]]), "class_colors"),
        (lambda data: data.update(class_names=["a", "b"]), "colour"),
        (lambda data: data.update(class_names=["a", "a", "b"]), "different names"),
        (lambda data: data["encoder"].update(code_size=5), "do not fit"),
        (lambda data: data.update(encoder={}), "encoder"),
        (lambda data: data.update(weights_sha256="0" * 64), "not the weights"),
    ],
)
def test_a_damaged_description_is_refused(probe, tmp_path, change, told):
    file = save_probe(probe, tmp_path / "mine") / "probe.json"
    data = json.loads(file.read_text("utf-8"))
    data.pop("content_sha256")
    change(data)
    file.write_text(json.dumps(data), "utf-8")
    with pytest.raises(BundleError, match=told):
        load_probe(tmp_path / "mine")


def test_a_flipped_bit_is_noticed(probe, tmp_path):
    folder = save_probe(probe, tmp_path / "mine")
    file = folder / "weights.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match="not the weights"):
        load_probe(folder)
    text = (folder / "probe.json").read_text("utf-8")
    (folder / "probe.json").write_text(text.replace('"mine"', '"yours"'), "utf-8")
    with pytest.raises(BundleError, match="changed or damaged"):
        load_probe(folder)
