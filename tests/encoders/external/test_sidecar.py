import json

import pytest

from napari_nic.encoders.external.settings import Settings
from napari_nic.encoders.external.sidecar import find_sidecar, read_sidecar
from napari_nic.errors import InvalidParameterError, WeightsError

WSINFER = {
    "spec_version": "1.0",
    "architecture": "resnet34",
    "num_classes": 2,
    "class_names": ["Other", "Tumor"],
    "patch_size_pixels": 350,
    "spacing_um_px": 0.25,
    "transform": [
        {"name": "Resize", "arguments": {"size": 224}},
        {"name": "ToTensor"},
        {"name": "Normalize", "arguments": {"mean": [0.7, 0.6, 0.5], "std": [0.2, 0.3, 0.4]}},
    ],
}


@pytest.fixture
def write(tmp_path):
    def write(data, name="m.json"):
        file = tmp_path / name
        file.write_text(data if isinstance(data, str) else json.dumps(data))
        return file

    return write


def test_our_own_description(write):
    file = write({"input_size": 96, "mpp": 0.5, "normalise": "symmetric", "pooling": "cls", "licence": "MIT"})
    half = (0.5, 0.5, 0.5)
    expected = Settings(mpp=0.5, input_size=96, mean=half, std=half, pooling="cls", licence="MIT")
    assert read_sidecar(file) == expected
    given = read_sidecar(write({"mean": [1, 2, 3], "std": [4, 5, 6]}))
    assert (given.mean, given.std) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))


def test_the_description_of_wsinfer(write):
    found = read_sidecar(write(WSINFER))
    assert (found.patch_size, found.mpp, found.input_size) == (350, 0.25, 224)
    assert (found.mean, found.std) == ((0.7, 0.6, 0.5), (0.2, 0.3, 0.4))
    assert "Other, Tumor" in (found.summary or "")


def test_the_description_of_the_first_wsinfer(write):
    transform = {"resize_size": 100, "mean": [0.7, 0.6, 0.5], "std": [0.2, 0.3, 0.4]}
    found = read_sidecar(write(WSINFER | {"transform": transform}))
    assert (found.input_size, found.mean) == (100, (0.7, 0.6, 0.5))


def test_without_resize_and_normalize_pixels_go_from_0_to_1(write):
    found = read_sidecar(write(WSINFER | {"transform": [{"name": "ToTensor"}]}))
    assert (found.input_size, found.mean, found.std) == (350, (0, 0, 0), (1, 1, 1))


@pytest.mark.parametrize(
    "data",
    [
        "no json",
        "[]",
        {"colour": "blue"},
        {"normalise": "somehow"},
        {"mean": [1, 2]},
        {"mpp": -1},
        {"std": [0, 1, 1]},
        {"pooling": "max"},
        WSINFER | {"spacing_um_px": "fine"},
        WSINFER | {"transform": [{"name": "StainNormalise"}]},
    ],
)
def test_what_is_not_understood_is_refused(write, data):
    with pytest.raises(WeightsError) as error:
        read_sidecar(write(data))
    assert error.value.file is not None


def test_the_file_beside_the_model_is_found(write, tmp_path):
    model = tmp_path / "m.onnx"
    assert find_sidecar(model) is None
    theirs = write(WSINFER, "config.json")
    assert find_sidecar(model) == theirs
    ours = write({}, "m.json")
    assert find_sidecar(model) == ours


def test_what_the_user_says_wins():
    said, described = Settings(mpp=1.0), Settings(mpp=0.5, input_size=64)
    assert said.or_else(described) == Settings(mpp=1.0, input_size=64)
    with pytest.raises(InvalidParameterError, match="mpp"):
        Settings(input_size=3).required("mpp", "input_size")
