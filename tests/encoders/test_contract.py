"""What every encoder must do; a new one joins by being listed."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from napari_nic.encoders import EncoderSpec, get_spec, list_encoders, load_encoder
from napari_nic.errors import InvalidParameterError


def names():
    return [spec.name for spec in list_encoders()]


@pytest.fixture(params=[*names(), "random"])
def name(request, saved_encoder):
    return request.param


@pytest.fixture(params=["float32", "bfloat16"])
def encoder(request, name):
    return load_encoder(name, device="cpu", precision=request.param)


@pytest.fixture
def batch(encoder):
    size = encoder.spec.input_size
    return np.random.default_rng(0).integers(0, 256, (encoder.batch_size, size, size, 3), np.uint8)


def test_codes_are_float32_one_row_a_patch(encoder, batch):
    codes = encoder.encode(batch)
    assert codes.shape == (len(batch), encoder.spec.code_size)
    assert codes.dtype == np.float32
    assert np.isfinite(codes).all()


def test_the_same_batch_gives_the_same_bits(encoder, batch):
    assert encoder.encode(batch).tobytes() == encoder.encode(batch).tobytes()


def test_a_code_does_not_depend_on_the_other_patches_of_its_batch(encoder, batch):
    order = np.random.default_rng(1).permutation(len(batch))
    codes = encoder.encode(batch)
    assert np.array_equal(encoder.encode(batch[order]), codes[order])
    mixed = batch.copy()
    mixed[1:] = 255 - mixed[1:]
    assert np.array_equal(encoder.encode(mixed)[0], codes[0])


def test_another_batch_size_changes_a_code_by_rounding_only(encoder, batch):
    whole = encoder.encode(batch)
    parts = np.concatenate([encoder.encode(batch[i : i + 16]) for i in range(0, len(batch), 16)])
    tolerance = {"float32": 1e-3, "bfloat16": 2e-2}[encoder.precision]
    assert np.abs(parts - whole).max() <= tolerance * whole.std(0).mean()


def test_threads_may_share_an_encoder(encoder, batch):
    expected = encoder.encode(batch)

    def work(_):
        encoder.prepare_thread()
        return encoder.encode(batch)

    with ThreadPoolExecutor(4) as executor:
        results = list(executor.map(work, range(8)))
    assert all(np.allclose(result, expected, atol=2e-2 * expected.std()) for result in results)


@pytest.mark.parametrize("wrong", [(4, 63, 64, 3), (4, 64, 64), (4, 64, 64, 4)])
def test_a_batch_of_another_shape_is_refused(encoder, wrong):
    with pytest.raises(InvalidParameterError, match="expected: uint8"):
        encoder.encode(np.zeros(wrong, np.uint8))
    size = encoder.spec.input_size
    with pytest.raises(InvalidParameterError):
        encoder.encode(np.zeros((4, size, size, 3), np.float32))


def test_a_spec_survives_json(name):
    spec = get_spec(name)
    assert EncoderSpec.from_dict(spec.to_dict()) == spec
    assert spec.licence or name == "random"
    assert set(spec.identity()) <= set(spec.to_dict())
