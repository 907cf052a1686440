"""What a slide encoder takes is stated, checked, and never guessed."""

from __future__ import annotations

import json

import pytest

from napari_nic.errors import InvalidParameterError, WeightsError
from napari_nic.slide_vectors import InputForm
from napari_nic.slide_vectors.forms import read_form


def test_a_file_without_a_description_takes_codes_alone(tmp_path):
    assert read_form(tmp_path / "net.onnx") == InputForm()
    assert InputForm().said() == "features"


def test_what_determines_the_vectors():
    form = InputForm(inputs=("coords", "features"), coords="um", licence="mine", name="x", features=8)
    assert form.determining() == {
        "inputs": ["coords", "features"],
        "dtype": "float32",
        "coords": "um",
        "coords_type": "float32",
    }
    assert form.said() == "coords (um), features"
    assert InputForm().with_given(dtype="float16", coords=None).dtype == "float16"


@pytest.mark.parametrize(
    "described",
    [
        {"inputs": ["coords"]},
        {"inputs": ["features", "features"]},
        {"coords": "percent"},
        {"dtype": "int8"},
        {"features": 0},
        {"batch_axis": 1},
        {"unknown": 1},
        {"coords": "um", "coords_type": "int64"},
        ["features"],
    ],
)
def test_what_is_not_known_is_refused(described, tmp_path):
    (tmp_path / "net.json").write_text(json.dumps(described))
    with pytest.raises(WeightsError) as caught:
        read_form(tmp_path / "net.onnx")
    assert "net.json" in str(caught.value)


def test_a_value_from_the_user_is_checked_too():
    with pytest.raises(InvalidParameterError, match="coords"):
        InputForm(coords="percent")
