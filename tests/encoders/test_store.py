import hashlib
import json

import numpy as np
import pytest
import torch

from napari_nic.descriptions import SEAL
from napari_nic.encoders import DEFAULT_ENCODER, get_spec, list_encoders, load_encoder
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.encoders.store import (
    WEIGHTS_FILE,
    check_new_name,
    new_encoder,
    user_encoders_folder,
    write_spec,
)
from napari_nic.errors import InvalidParameterError, UnknownNameError, WeightsError
from napari_nic.training.publish import save_encoder


def test_the_default_encoder_comes_first_and_the_users_are_listed(saved_encoder):
    names = [spec.name for spec in list_encoders()]
    assert names[0] == DEFAULT_ENCODER
    assert saved_encoder in names
    assert names[-1] == "mean-rgb"


def test_an_encoder_can_be_given_by_its_folder(saved_encoder):
    folder = user_encoders_folder() / saved_encoder
    assert get_spec(folder) == get_spec(saved_encoder)


def test_an_unknown_name_lists_the_known_ones(saved_encoder):
    with pytest.raises(UnknownNameError, match="mean-rgb, nic-bigan, nic-contrastive, nic-default, nic-vae"):
        load_encoder("nothing")


def test_changed_weights_are_refused(saved_encoder):
    file = user_encoders_folder() / saved_encoder / WEIGHTS_FILE
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(WeightsError, match="SHA-256"):
        load_encoder(saved_encoder)


def test_missing_weights_are_named(saved_encoder):
    (user_encoders_folder() / saved_encoder / WEIGHTS_FILE).unlink()
    with pytest.raises(WeightsError, match="missing"):
        load_encoder(saved_encoder)


def test_weights_of_another_size_are_refused(saved_encoder):
    change_description(saved_encoder, {"code_size": 30})
    with pytest.raises(WeightsError, match="do not fit"):
        load_encoder(saved_encoder, device="cpu")


def test_an_unknown_architecture_is_refused(saved_encoder):
    change_description(saved_encoder, {"architecture": "of-the-future"})
    with pytest.raises(WeightsError, match="newer napari-nic"):
        load_encoder(saved_encoder, device="cpu")


def change_description(name, changes):
    """Change an encoder's description as who knows what to do: the seal goes."""
    file = user_encoders_folder() / name / "encoder.json"
    described = {**json.loads(file.read_text()), **changes}
    described.pop(SEAL, None)
    file.write_text(json.dumps(described))


MALFORMED = {
    "code_size": [0, -1, 10**12, 1.5, "24", None, True, [24]],
    "patch_size": [0, -5, 10**9, None, float("nan")],
    "input_size": [0, 10**9, -64, 100],
    "mpp": [0, -0.5, 1e9, float("nan"), float("inf"), "0.5", None],
    "name": ["", None, 3, "a\x1b[2Jb", "x" * 500],
    "architecture": [None, {}, ""],
    "weights_sha256": ["", "0" * 63, "../../x", 5],
    "summary": [None, 3, ["a"]],
    "training": [None, [], "x"],
    "options": [None, [], {"projection": None}, {"projection": {"input_size": 10**12, "sha256": "0" * 64}}],
}


@pytest.mark.parametrize(("field", "value"), [(f, v) for f, values in MALFORMED.items() for v in values])
def test_a_description_beyond_any_encoder_is_refused(saved_encoder, field, value):
    change_description(saved_encoder, {field: value})
    with pytest.raises(WeightsError):
        load_encoder(saved_encoder, device="cpu")


@pytest.mark.parametrize("field", ["mpp", "patch_size", "name"])
def test_a_description_that_was_changed_by_accident_is_refused(saved_encoder, field):
    file = user_encoders_folder() / saved_encoder / "encoder.json"
    described = json.loads(file.read_text())
    changed = {"mpp": 0.25, "patch_size": 256, "name": "another"}
    file.write_text(json.dumps(described | {field: changed[field]}))
    with pytest.raises(WeightsError, match="changed or damaged"):
        get_spec(saved_encoder)


@pytest.mark.parametrize(
    "text", ["[" * 40_000, '{"a":' * 40_000, "[" * 64 + "]" * 64, "\xff", '{"mpp": 1e999}']
)
def test_a_description_that_is_no_json_or_has_no_end_is_refused(saved_encoder, text):
    file = user_encoders_folder() / saved_encoder / "encoder.json"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(WeightsError, match=r"encoder\.json"):
        get_spec(saved_encoder)


def test_one_damaged_encoder_does_not_hide_the_others(saved_encoder):
    before = [spec.name for spec in list_encoders()]
    folder = user_encoders_folder() / "broken"
    folder.mkdir()
    (folder / "encoder.json").write_text("{")
    damaged = []
    assert [spec.name for spec in list_encoders(damaged=damaged.append)] == before
    assert "broken" in str(damaged[0])


def test_a_folder_that_is_no_encoder_is_never_replaced(home):
    precious = home / "encoders" / "mine"
    precious.mkdir(parents=True)
    (precious / "thesis.txt").write_text("years of work")
    with pytest.raises(WeightsError, match="no encoder"), new_encoder("mine"):
        pass
    assert (precious / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "/abs", "a\\b", "C:x", "a\nb", " a", "a.", "CON", "x" * 300]
)
def test_names_that_are_paths_are_refused(name):
    with pytest.raises(InvalidParameterError):
        check_new_name(name)


def test_weights_that_are_not_finite_are_refused(random_network, home):
    with torch.no_grad():
        random_network.code.weight[3, 5] = float("nan")
    spec = EncoderSpec("nan", 24, 128, 0.5, 64, "nic-64")
    save_encoder(random_network, spec, home / "encoders" / "nan", card="", training={})
    with pytest.raises(WeightsError, match="not finite"):
        load_encoder("nan", device="cpu")


def test_codes_that_are_no_numbers_are_an_error_of_the_encoder(saved_encoder):
    encoder = load_encoder(saved_encoder, device="cpu", precision="float32")
    with torch.no_grad():
        list(encoder.network.parameters())[-1].fill_(float("inf"))
    with pytest.raises(WeightsError, match="encoder 'random' gives codes that are no numbers"):
        encoder.encode(np.zeros((2, 64, 64, 3), np.uint8))


@pytest.mark.parametrize("end", [0, 5, 100, 5000])
def test_weights_that_were_cut_are_refused(saved_encoder, end):
    file = user_encoders_folder() / saved_encoder / "weights.safetensors"
    content = file.read_bytes()[:end]
    file.write_bytes(content)
    change_description(saved_encoder, {"weights_sha256": hashlib.sha256(content).hexdigest()})
    with pytest.raises(WeightsError, match="cannot be read"):
        load_encoder(saved_encoder, device="cpu")


def test_a_header_that_claims_more_than_there_is_takes_no_memory(saved_encoder):
    header = json.dumps({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}).encode()
    content = len(header).to_bytes(8, "little") + header + bytes(16)
    file = user_encoders_folder() / saved_encoder / "weights.safetensors"
    for part in (content, (2**62).to_bytes(8, "little") + header):
        file.write_bytes(part)
        change_description(saved_encoder, {"weights_sha256": hashlib.sha256(part).hexdigest()})
        with pytest.raises(WeightsError, match="cannot be read"):
            load_encoder(saved_encoder, device="cpu")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x", "odd": 1}'])
def test_a_damaged_description_is_refused(saved_encoder, text):
    (user_encoders_folder() / saved_encoder / "encoder.json").write_text(text)
    with pytest.raises(WeightsError):
        get_spec(saved_encoder)


def test_identity_is_what_determines_the_codes():
    spec = EncoderSpec("a", 3, 128, 0.5, 64, "x", weights_sha256="1")
    renamed = EncoderSpec("b", 3, 128, 0.5, 64, "x", weights_sha256="1", licence="MIT")
    other = EncoderSpec("a", 3, 128, 0.5, 64, "x", weights_sha256="2")
    assert spec.identity() == renamed.identity() != other.identity()


def test_mean_rgb_is_the_mean_colour_from_minus_one_to_one():
    batch = np.zeros((2, 64, 64, 3), np.uint8)
    batch[0] = 255
    batch[1, :32, :, 0] = 255
    assert load_encoder("mean-rgb").encode(batch).tolist() == [[1, 1, 1], [0, -1, -1]]


def test_options_are_part_of_the_identity_and_leave_other_descriptions_alone():
    plain = EncoderSpec("a", 3, 128, 0.5, 64, "x", weights_sha256="1" * 64)
    pooled = EncoderSpec("a", 3, 128, 0.5, 64, "x", weights_sha256="1" * 64, options={"pooling": "cls"})
    assert plain.identity() != pooled.identity()
    assert "options" not in plain.to_dict()
    assert EncoderSpec.from_dict(pooled.to_dict()) == pooled


def test_an_encoder_is_replaced_only_when_the_new_one_is_complete(saved_encoder, home):
    spec = get_spec(saved_encoder)

    def stop_halfway():
        with new_encoder(saved_encoder) as folder:
            write_spec(folder, EncoderSpec("half", 1, 1, 1.0, 1, "x"), "")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_halfway()
    assert get_spec(saved_encoder) == spec
    other = EncoderSpec(saved_encoder, 1, 1, 1.0, 1, "x")
    with new_encoder(saved_encoder) as folder:
        write_spec(folder, other, "")
    assert get_spec(saved_encoder) == other
    assert [entry.name for entry in (home / "encoders").iterdir()] == [saved_encoder]
