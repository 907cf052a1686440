import json
import re

import cv2
import h5py
import numpy as np
import pytest

from napari_nic.encoders import get_spec, import_keras, list_encoders, load_encoder
from napari_nic.errors import InvalidParameterError, WeightsError


def layer(kind, name, **config):
    return {"class_name": kind, "config": {"name": name, **config}}


def write_keras(path, *, nested=False, width=128, code=20, seed=0, leak=None, **conv):
    """Write a file as Keras 2.0.9 does: the layers in JSON, the weights in groups by layer."""
    rng = np.random.default_rng(seed)
    layers, weights = [], {}
    for index in range(4):
        before = 3 if index == 0 else width
        layers += [
            layer(
                "Conv2D",
                f"conv_{index}",
                kernel_size=[3, 3],
                strides=[2, 2],
                **{"padding": "valid", "data_format": "channels_last", "activation": "linear"} | conv,
            ),
            layer("LeakyReLU", f"leak_{index}", **({"alpha": 0.2} if leak is None else leak)),
            layer("BatchNormalization", f"norm_{index}", epsilon=1e-3),
        ]
        weights[f"conv_{index}"] = {
            "kernel:0": rng.normal(0, (9 * before) ** -0.5, (3, 3, before, width)),
            "bias:0": rng.normal(0, 0.1, width),
        }
        weights[f"norm_{index}"] = {
            "gamma:0": rng.uniform(0.5, 1.5, width),
            "beta:0": rng.normal(0, 0.2, width),
            "moving_mean:0": rng.normal(0, 0.2, width),
            "moving_variance:0": rng.uniform(0.2, 2, width),
        }
    layers += [layer("Flatten", "flat"), layer("Dense", "code", activation="linear")]
    weights["code"] = {"kernel:0": rng.normal(0, 0.05, (9 * width, code)), "bias:0": rng.normal(0, 1, code)}
    body = [{"class_name": "Sequential", "config": layers}] if nested else layers
    config = {"class_name": "Model", "config": {"layers": [layer("InputLayer", "input"), *body]}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
        for name, arrays in weights.items():
            for array, value in arrays.items():
                file[f"model_weights/{'sequential' if nested else name}/{name}/{array}"] = value.astype(
                    np.float32
                )
    return path


def reference_forward(path, image):
    """Run the network in float64 with NumPy alone, from the HDF5 arrays; `image` (64, 64, 3) in [-1, 1]."""
    found = {}
    with h5py.File(path) as file:
        file["model_weights"].visititems(
            lambda at, node: (
                found.update({tuple(at.split("/")[-2:]): node[()].astype(np.float64)})
                if isinstance(node, h5py.Dataset)
                else None
            )
        )
    kernels = sorted((at for at in found if at[1] == "kernel:0" and found[at].ndim == 4), key=_number)
    norms = sorted((at for at in found if at[1] == "gamma:0"), key=_number)
    for kernel, norm in zip(kernels, norms, strict=True):
        windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(0, 1))[::2, ::2]
        image = np.einsum("yxcij,ijck->yxk", windows, found[kernel], optimize=True)
        image += found[kernel[0], "bias:0"]
        image = np.where(image > 0, image, 0.2 * image)
        gamma, beta, mean, variance = (
            found[norm[0], f"{n}:0"] for n in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        image = (image - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    dense = next(at for at in found if at[1] == "kernel:0" and found[at].ndim == 2)
    return image.ravel() @ found[dense] + found[dense[0], "bias:0"]


def _number(at):
    return int(at[0].rpartition("_")[2])


@pytest.mark.parametrize("nested", [False, True])
def test_an_imported_network_equals_a_reference_forward_pass(tmp_path, nested):
    file = write_keras(tmp_path / "a.h5", nested=nested, width=128)
    spec = import_keras(file, name="mine")
    assert spec.code_size == 20
    assert get_spec("mine") == spec
    assert spec in list_encoders()
    patch = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    code = load_encoder("mine", device="cpu", precision="float32").encode(patch[None])[0]
    np.testing.assert_allclose(code, reference_forward(file, patch / 127.5 - 1), atol=1e-4)


@pytest.mark.data
@pytest.mark.parametrize(("name", "mean", "std"), [("bigan", 0.034, 0.70), ("multitask-4", 0.015, 0.94)])
def test_the_authors_encoders_equal_a_reference_forward_pass(data_dir, name, mean, std):
    folder = data_dir / "weights" / "nic-tellez"
    file = folder / f"encoder_{name}.h5"
    if not file.is_file():
        pytest.skip(f"{file} is absent")
    spec = import_keras(file, name=name)
    assert spec.licence == "MIT"
    assert "Tellez" in spec.citation
    image = cv2.cvtColor(cv2.imread(str(folder / "example_128.jpg")), cv2.COLOR_BGR2RGB)
    patch = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
    code = load_encoder(name, device="cpu", precision="float32").encode(patch[None])[0]
    np.testing.assert_allclose(code, reference_forward(file, patch / 127.5 - 1), atol=1e-4)
    assert code.mean() == pytest.approx(mean, abs=2e-3)
    assert code.std() == pytest.approx(std, abs=1e-2)


def test_a_file_that_is_no_keras_model_is_refused(tmp_path):
    text = tmp_path / "text.h5"
    text.write_text("no")
    empty = tmp_path / "empty.h5"
    h5py.File(empty, "w").close()
    for file in (text, empty, tmp_path / "absent.h5"):
        with pytest.raises(WeightsError, match="not a Keras model"):
            import_keras(file, name="x")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"padding": "same"}, "conv_0: padding same"),
        ({"activation": "relu"}, "conv_0: activation relu"),
        ({"data_format": "channels_first"}, "conv_0: data_format channels_first"),
        ({"leak": {"alpha": 0.3}}, "leak_0: alpha 0.3"),
        ({"leak": {"negative_slope": 0.2}}, "leak_0: alpha not stated"),
        ({"width": 64}, r"code\.weight"),
    ],
)
def test_another_network_is_refused(tmp_path, home, change, found):
    with pytest.raises(WeightsError, match="another network") as error:
        import_keras(write_keras(tmp_path / "a.h5", **change), name="x")
    assert re.search(found, str(error.value))
    assert not (home / "encoders" / "x").exists()


def test_damaged_arrays_are_refused(tmp_path):
    file = write_keras(tmp_path / "a.h5")
    with h5py.File(file, "r+") as h5:
        h5["model_weights/norm_2/norm_2/gamma:0"][3] = np.nan
    with pytest.raises(WeightsError, match=r"norms\.2\.weight"):
        import_keras(file, name="x")
    with h5py.File(file, "r+") as h5:
        del h5["model_weights/norm_2/norm_2/gamma:0"]
    with pytest.raises(WeightsError, match="missing"):
        import_keras(file, name="x")


def test_a_truncated_file_is_refused(tmp_path):
    file = write_keras(tmp_path / "a.h5")
    file.write_bytes(file.read_bytes()[:100_000])
    with pytest.raises(WeightsError, match="not a Keras model"):
        import_keras(file, name="x")


def test_importing_again_replaces_the_encoder(tmp_path):
    first = import_keras(write_keras(tmp_path / "a.h5"), name="mine")
    second = import_keras(write_keras(tmp_path / "b.h5", seed=1, code=7), name="mine")
    assert first.weights_sha256 != second.weights_sha256
    assert load_encoder("mine", device="cpu").spec == second


def test_a_folder_that_cannot_be_written_is_named(tmp_path, home):
    home.write_text("a file where the folder should be")
    with pytest.raises(WeightsError, match="cannot be saved") as error:
        import_keras(write_keras(tmp_path / "a.h5"), name="mine")
    assert "NAPARI_NIC_HOME" in str(error.value)


def test_the_mean_colour_model_points_to_the_built_in_encoder(tmp_path):
    file = tmp_path / "mean.h5"
    with h5py.File(file, "w") as h5:
        h5.create_group("model_weights")
        config = {"layers": [layer("InputLayer", "in"), layer("GlobalAveragePooling2D", "mean")]}
        h5.attrs["model_config"] = json.dumps({"class_name": "Model", "config": config})
    with pytest.raises(WeightsError, match="mean-rgb"):
        import_keras(file, name="x")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b"])
def test_a_name_cannot_leave_the_folder(tmp_path, name):
    with pytest.raises(InvalidParameterError, match="cannot hold a path"):
        import_keras(write_keras(tmp_path / "a.h5"), name=name)


@pytest.mark.parametrize("name", ["mean-rgb", "nic-default"])
def test_the_packages_own_encoders_cannot_be_hidden(tmp_path, name):
    with pytest.raises(InvalidParameterError, match="another name"):
        import_keras(write_keras(tmp_path / "a.h5"), name=name)
