import json
import warnings
from functools import partial

import numpy as np
import onnx
import pytest
import torch

from napari_nic import extras
from napari_nic.encoders import get_spec, load_encoder
from napari_nic.encoders.external import Settings, import_encoder, import_model_file
from napari_nic.encoders.external.notices import terms_at_first_use
from napari_nic.encoders.store import user_encoders_folder
from napari_nic.errors import ConsentError, InvalidParameterError, MissingDependencyError, WeightsError

import_trusted = partial(import_model_file, trust=True)

SETTINGS = Settings(mpp=0.5, input_size=32)
SUFFIXES = [".pt", ".pt2", ".onnx"]
IMAGENET = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[:, :, None, None]


@pytest.fixture
def patches():
    return np.random.default_rng(2).integers(0, 256, (37, 32, 32, 3), np.uint8)


def eager(net, patches, mean=IMAGENET[0], std=IMAGENET[1]):
    with torch.inference_mode():
        pixels = torch.from_numpy(patches).permute(0, 3, 1, 2) / 255
        return net((pixels - mean) / std).flatten(1).numpy()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_codes_equal_those_of_the_network_itself(tmp_path, small_network, write_model, patches, suffix):
    file = write_model(small_network, tmp_path / f"m{suffix}")
    spec = import_trusted(file, name="mine", settings=SETTINGS)
    assert get_spec("mine") == spec
    assert (spec.code_size, spec.patch_size, spec.mpp) == (20, 32, 0.5)
    codes = load_encoder("mine", device="cpu").encode(patches)
    np.testing.assert_allclose(codes, eager(small_network, patches), atol=1e-5)


@pytest.mark.parametrize("suffix", [".pt2", ".onnx"])
def test_a_file_for_one_batch_size_takes_any_number_of_patches(
    tmp_path, small_network, write_model, patches, suffix
):
    file = write_model(small_network, tmp_path / f"m{suffix}", batch=5)
    import_trusted(file, name="mine", settings=SETTINGS)
    encoder = load_encoder("mine", device="cpu")
    assert encoder.batch_size == 5
    np.testing.assert_allclose(encoder.encode(patches), eager(small_network, patches), atol=1e-5)


def test_normalisation_is_taken_from_the_sidecar(tmp_path, small_network, write_model, patches):
    file = write_model(small_network, tmp_path / "m.pt")
    described = {"mpp": 0.25, "input_size": 32, "patch_size": 64, "normalise": "symmetric", "licence": "CC0"}
    (tmp_path / "m.json").write_text(json.dumps(described))
    spec = import_trusted(file, name="mine", settings=Settings(mpp=0.5))
    assert (spec.mpp, spec.patch_size, spec.licence) == (0.5, 64, "CC0")
    codes = load_encoder("mine", device="cpu").encode(patches)
    np.testing.assert_allclose(codes, eager(small_network, patches, 0.5, 0.5), atol=1e-5)


class Tokens(torch.nn.Module):
    def forward(self, x):
        return torch.nn.functional.avg_pool2d(x, 8).flatten(2).transpose(1, 2)


def test_tokens_are_pooled(tmp_path, write_model, patches):
    file = write_model(Tokens(), tmp_path / "m.onnx")
    with pytest.raises(WeightsError, match="how to pool"):
        import_trusted(file, name="mine", settings=SETTINGS)
    said = Settings(mpp=0.5, input_size=32, pooling="mean", prefix_tokens=0, mean=(0, 0, 0), std=(1, 1, 1))
    import_trusted(file, name="mine", settings=said)
    codes = load_encoder("mine", device="cpu").encode(patches)
    np.testing.assert_allclose(codes, patches.mean((1, 2)) / 255, atol=1e-5)


def test_an_output_can_be_chosen(tmp_path, write_model, small_network, patches):
    file = write_model(small_network, tmp_path / "m.onnx")
    model = onnx.load(file)
    inner = model.graph.node[-2].output[0]
    model.graph.output.append(onnx.helper.make_tensor_value_info(inner, onnx.TensorProto.FLOAT, None))
    onnx.save(model, file)
    with pytest.raises(WeightsError, match="which output"):
        import_trusted(file, name="mine", settings=SETTINGS)
    with pytest.raises(WeightsError, match="no such output"):
        import_trusted(file, name="mine", settings=Settings(mpp=0.5, input_size=32, output="x"))
    import_trusted(file, name="mine", settings=Settings(mpp=0.5, input_size=32, output="codes"))
    np.testing.assert_allclose(
        load_encoder("mine", device="cpu").encode(patches), eager(small_network, patches), atol=1e-5
    )


def test_data_beside_an_onnx_file_comes_along_and_is_checked(tmp_path, write_model, small_network, patches):
    file = write_model(small_network, tmp_path / "m.onnx")
    model = onnx.load(file)
    onnx.save(model, file, save_as_external_data=True, location="m.onnx.data", size_threshold=0)
    spec = import_trusted(file, name="mine", settings=SETTINGS)
    assert set(spec.options["files"]) == {"m.onnx.data"}
    assert import_encoder(user_encoders_folder() / "mine", name="copy").identity() == spec.identity()
    codes = load_encoder("copy", device="cpu").encode(patches)
    np.testing.assert_allclose(codes, eager(small_network, patches), atol=1e-5)
    data = user_encoders_folder() / "mine" / "m.onnx.data"
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    with pytest.raises(WeightsError, match="SHA-256"):
        load_encoder("mine", device="cpu")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_no_model_is_refused(tmp_path, home, suffix):
    file = tmp_path / f"m{suffix}"
    file.write_bytes(b"nothing" * 50)
    with pytest.raises(WeightsError, match="cannot be opened") as error:
        import_trusted(file, name="mine", settings=SETTINGS)
    assert error.value.file == file
    assert not (home / "encoders").exists()


def test_weights_without_a_network_point_to_timm(tmp_path):
    torch.save({"a": torch.zeros(2)}, tmp_path / "m.pt")
    with pytest.raises(WeightsError, match="timm:MODEL"):
        import_trusted(tmp_path / "m.pt", name="mine", settings=SETTINGS)


@pytest.mark.parametrize("name", ["m.txt", "absent.onnx"])
def test_other_files_are_refused(tmp_path, name):
    (tmp_path / "m.txt").touch()
    with pytest.raises(WeightsError, match=r"\.onnx"):
        import_trusted(tmp_path / name, name="mine", settings=SETTINGS)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_network_for_other_patches_is_refused(tmp_path, suffix, write_model):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 4))
    file = write_model(net, tmp_path / f"m{suffix}")
    with pytest.raises(WeightsError, match="--input-size"):
        import_trusted(file, name="mine", settings=Settings(mpp=0.5, input_size=48))


def test_a_network_with_two_inputs_is_refused(tmp_path):
    class Two(torch.nn.Module):
        def forward(self, x, y):
            return x + y

    example = (torch.zeros(2, 3, 32, 32),) * 2
    torch.export.save(torch.export.export(Two(), example), tmp_path / "m.pt2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Two(), example, tmp_path / "m.onnx", dynamo=False)
    for suffix in (".pt2", ".onnx"):
        with pytest.raises(WeightsError, match="one batch of pictures"):
            import_trusted(tmp_path / f"m{suffix}", name="mine", settings=SETTINGS)


def test_codes_that_are_no_numbers_are_refused(tmp_path, write_model):
    class Broken(torch.nn.Module):
        def forward(self, x):
            return x.mean((2, 3)) / 0

    file = write_model(Broken(), tmp_path / "m.pt")
    with pytest.raises(WeightsError, match="finite"):
        import_trusted(file, name="mine", settings=SETTINGS)


def test_resolution_and_size_must_be_said(tmp_path, write_model, small_network):
    file = write_model(small_network, tmp_path / "m.pt")
    for said in (None, Settings(mpp=0.5), Settings(input_size=32)):
        with pytest.raises(InvalidParameterError, match="JSON file beside"):
            import_trusted(file, name="mine", settings=said)


def test_a_missing_runtime_is_named_with_the_install_line(tmp_path, write_model, small_network, monkeypatch):
    file = write_model(small_network, tmp_path / "m.onnx")
    monkeypatch.setattr(extras, "find_spec", lambda _name: None)
    with pytest.raises(MissingDependencyError, match=r'pip install "napari-nic\[networks\]"'):
        import_trusted(file, name="mine", settings=SETTINGS)


def test_terms_are_told_once(tmp_path, write_model, small_network):
    file = write_model(small_network, tmp_path / "m.pt")
    spec = import_trusted(file, name="mine", settings=SETTINGS)
    assert "not stated" in (terms_at_first_use(spec) or "")
    assert terms_at_first_use(spec) is None
    other = import_trusted(write_model(Tokens(), tmp_path / "m.onnx"), name="mine", settings=Settings(
        mpp=0.5, input_size=32, pooling="mean", licence="CC0"
    ))  # fmt: skip
    assert "CC0" in (terms_at_first_use(other) or "")
    assert terms_at_first_use(get_spec("nic-default")) is None


def test_only_programs_are_asked_about(tmp_path, small_network, write_model):
    for suffix in SUFFIXES:
        file = write_model(small_network, tmp_path / f"m{suffix}")
        if suffix == ".onnx":
            import_model_file(file, name="mine", settings=SETTINGS)
        else:
            with pytest.raises(ConsentError, match="runs with your rights"):
                import_model_file(file, name="mine", settings=SETTINGS)


def test_weights_alone_are_no_encoder(tmp_path):
    (tmp_path / "w.safetensors").touch()
    with pytest.raises(WeightsError, match=r"encoder\.json is missing"):
        import_encoder(tmp_path / "w.safetensors", name="mine")
