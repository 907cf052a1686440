"""Bundles: round trip, everything that can be wrong with one, and where they are found."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_nic.descriptions import SEAL
from napari_nic.errors import BundleError, InvalidParameterError, StoreError, UnknownNameError
from napari_nic.slide_models import ModelBundle, ModelCard, SlideNetConfig, list_bundles, predict
from napari_nic.slide_models.bundle import CARD_FILE, WEIGHTS_FILE
from napari_nic.slide_models.inputs import Standardiser
from napari_nic.telling import telling


@pytest.fixture
def bundle(toys: Any) -> ModelBundle:
    return toys.untrained(toys.card())


@pytest.fixture
def folder(bundle: ModelBundle, tmp_path: Path) -> Path:
    return bundle.save(tmp_path / "toy-lesion")


def test_a_bundle_comes_back_as_it_was(bundle: ModelBundle, folder: Path) -> None:
    again = ModelBundle.load(folder)
    assert again.card == bundle.card
    x = torch.randn(2, bundle.card.network.code_size, 24, 24)
    with torch.inference_mode():
        torch.testing.assert_close(again.network()(x), bundle.network()(x), rtol=0, atol=0)
    np.testing.assert_array_equal(again.standardiser.mean, bundle.standardiser.mean)
    np.testing.assert_array_equal(again.standardiser.std, bundle.standardiser.std)


def test_codes_of_another_encoder_are_refused(bundle: ModelBundle, toys: Any, tmp_path: Path) -> None:
    planted = toys.plant(1, seed=0)[0].slide
    same = toys.store(tmp_path / "a.nic.zarr", planted.codes, planted.mask, name="renamed")
    bundle.check_store(same)
    other = toys.store(tmp_path / "b.nic.zarr", planted.codes, planted.mask, weights_sha256="1" * 64)
    with pytest.raises(BundleError, match="another encoder") as caught:
        bundle.check_store(other)
    assert "1" * 64 in str(caught.value)
    assert "0" * 64 in str(caught.value)
    assert "compress the slide with encoder 'toy'" in str(caught.value)
    with pytest.raises(BundleError):
        predict(bundle, other, device="cpu")


def test_codes_that_do_not_say_whose_they_are(bundle: ModelBundle, toys: Any, tmp_path: Path) -> None:
    planted = toys.plant(1, seed=0)[0].slide
    store = toys.store(tmp_path / "a.nic.zarr", planted.codes, planted.mask)
    said: list[Any] = []
    with telling(said.append):
        bundle.check_store(store)
        assert said == []
        unnamed = dict(bundle.card.encoder) | {"name": "unknown (CLAM features)"}
        store.header = replace(store.header, encoder=unnamed)
        replace(bundle, card=replace(bundle.card, encoder=unnamed)).check_store(store)
    assert "do not say which encoder made them" in said[0].texts[0]


@pytest.mark.parametrize("name", [CARD_FILE, WEIGHTS_FILE])
def test_a_missing_file_is_an_error(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BundleError, match=name):
        ModelBundle.load(folder)


def test_folder_of_several_models_names_one_of_them(folder: Path) -> None:
    with pytest.raises(BundleError, match="holds no model") as caught:
        ModelBundle.load(folder.parent)
    assert str(folder) in str(caught.value)


def test_changed_weights_are_an_error(folder: Path) -> None:
    file = folder / WEIGHTS_FILE
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(BundleError, match="SHA-256"):
        ModelBundle.load(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 99},
        {"task": "guessing"},
        {"class_names": ["a", "b", "c"]},
        {"network": {"width": 3}},
        {"extra": 1},
        {"class_names": 5},
        {"class_names": []},
        {"class_names": ["lesion", "lesion"]},
        {"class_names": ["", "lesion"]},
        {"class_names": ["a\x1b[2J", "lesion"]},
        {"class_names": [None, "lesion"]},
        {"class_colors": [[1, 2, 300], [0, 0, 0]]},
        {"class_colors": [[1, 2], [0, 0, 0]]},
        {"class_colors": "red"},
        {"name": ""},
        {"name": ["a"]},
        {"summary": 5},
        {"encoder": None},
        {"encoder": {}},
        {"metrics": [1]},
        {"network": None},
    ],
)
def test_a_damaged_description_is_an_error(folder: Path, change: dict[str, Any]) -> None:
    file = folder / CARD_FILE
    described = json.loads(file.read_text()) | change
    del described[SEAL]
    file.write_text(json.dumps(described))
    with pytest.raises(BundleError, match=r"damaged|not a model description"):
        ModelBundle.load(folder)
    file.write_text("{")
    with pytest.raises(BundleError, match="JSON"):
        ModelBundle.load(folder)


SIZES = {
    "width": [10**12, 4_096, 0, -1, 1.5, None, "64"],
    "strides": [[2] * 10_000, [0], 5, None, [10**9]],
    "outputs": [10**12, None],
    "crop_size": [10**12, 0, "24"],
    "code_size": [10**12, None],
    "dropout": [float("nan"), 1.0, None, "0.2"],
    "kind": ["other", None, []],
}


@pytest.mark.parametrize(
    ("field", "value"), [(name, value) for name, values in SIZES.items() for value in values]
)
def test_sizes_beyond_any_network_take_no_memory(folder: Path, field: str, value: object) -> None:
    file = folder / CARD_FILE
    described = json.loads(file.read_text())
    described["network"][field] = value
    del described[SEAL]
    file.write_text(json.dumps(described))
    with pytest.raises(BundleError):
        ModelBundle.load(folder).network()


def test_a_description_that_was_changed_by_accident_is_an_error(folder: Path) -> None:
    file = folder / CARD_FILE
    described = json.loads(file.read_text())
    file.write_text(json.dumps(described | {"class_names": described["class_names"][::-1]}))
    with pytest.raises(BundleError, match="changed or damaged"):
        ModelBundle.load(folder)


@pytest.mark.parametrize("text", ["[" * 40_000, '{"a":' * 40_000, "\xff", "[1", "null"])
def test_a_description_without_end_is_an_error(folder: Path, text: str) -> None:
    (folder / CARD_FILE).write_bytes(text.encode("latin-1"))
    with pytest.raises(BundleError, match=CARD_FILE):
        ModelBundle.load(folder)


@pytest.mark.parametrize("array", ["weights", "mean", "std"])
def test_weights_that_are_no_numbers_are_an_error(bundle: ModelBundle, tmp_path: Path, array: str) -> None:
    weights = {name: np.array(value) for name, value in bundle.weights.items()}
    mean, std = bundle.standardiser.mean.copy(), bundle.standardiser.std.copy()
    if array == "weights":
        next(value for value in weights.values() if value.ndim > 1).flat[3] = np.nan
    elif array == "mean":
        mean[0] = np.inf
    else:
        std[0] = 0
    broken = ModelBundle(bundle.card, weights, Standardiser(mean, std)).save(tmp_path / "broken")
    with pytest.raises(BundleError, match="mean nothing"):
        ModelBundle.load(broken)


def test_odd_texts_and_a_class_called_none_come_back(toys: Any, tmp_path: Path) -> None:
    card = replace(
        toys.card(), class_names=("none", "<b>läsion</b>"), summary="a\nb \x1b[31m \udc80", licence=""
    )
    folder = toys.untrained(card).save(tmp_path / "odd")
    assert ModelBundle.load(folder).card == card


def test_weights_of_another_network_are_an_error(bundle: ModelBundle, toys: Any) -> None:
    wider = toys.card(SlideNetConfig.compact(toys.code_size, 1, 24, width=17))
    with pytest.raises(BundleError, match="do not fit"):
        ModelBundle(wider, bundle.weights, bundle.standardiser).network()


def test_building_a_network_leaves_random_numbers_alone(bundle: ModelBundle) -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    bundle.network()
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_users_bundles_are_listed_and_found_by_name(
    bundle: ModelBundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("NAPARI_NIC_HOME", str(tmp_path))
    bundle.save(tmp_path / "models" / "mine")
    bundle.save(tmp_path / "models" / "broken")
    (tmp_path / "models" / "broken" / WEIGHTS_FILE).unlink()
    with caplog.at_level(logging.WARNING):
        folders = [found.folder for found in list_bundles()]
    assert tmp_path / "models" / "mine" in folders
    assert tmp_path / "models" / "broken" not in folders
    assert "broken" in caplog.text
    assert ModelBundle.load("mine").card == bundle.card
    with pytest.raises(UnknownNameError, match="mine"):
        ModelBundle.load("yours")


def test_a_folder_that_cannot_be_written_is_an_error(bundle: ModelBundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        bundle.save(tmp_path / "file" / "model")


def test_a_card_must_fit_together(toys: Any) -> None:
    with pytest.raises(InvalidParameterError, match="disagree"):
        toys.card(class_names=("a", "b", "c"))
    with pytest.raises(InvalidParameterError, match="does not fit the encoder"):
        toys.card(encoder={"code_size": 3})
    three = toys.card(SlideNetConfig.compact(toys.code_size, 3, 24), class_names=("a", "b", "c"))
    assert len(set(three.class_colors)) == 3
    assert ModelCard.from_dict(json.loads(json.dumps(three.to_dict()))) == three


def test_a_survival_model_gives_one_risk(toys: Any) -> None:
    assert toys.card(task="survival", class_names=("risk",)).network.outputs == 1
    with pytest.raises(InvalidParameterError, match="one risk"):
        toys.card(
            SlideNetConfig.compact(toys.code_size, 2, 24), task="survival", class_names=("risk", "more")
        )
