import json

import numpy as np
import pytest

from napari_nic.encoders import DEFAULT_ENCODER, get_spec, list_encoders, load_encoder
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.encoders.store import WEIGHTS_FILE, new_encoder, user_encoders_folder, write_spec
from napari_nic.errors import UnknownNameError, WeightsError


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
    file = user_encoders_folder() / saved_encoder / "encoder.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"code_size": 30}))
    with pytest.raises(WeightsError, match="do not fit"):
        load_encoder(saved_encoder, device="cpu")


def test_an_unknown_architecture_is_refused(saved_encoder):
    file = user_encoders_folder() / saved_encoder / "encoder.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"architecture": "of-the-future"}))
    with pytest.raises(WeightsError, match="newer napari-nic"):
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
