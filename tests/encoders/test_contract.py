"""What every encoder must do; a new one joins by being shipped, or by a line in GALLERY (conftest.py)."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from napari_nic.encoders import EncoderSpec, get_spec, load_encoder
from napari_nic.errors import InvalidParameterError

ROUNDING = {"float32": 1e-3, "bfloat16": 2e-2}


@pytest.fixture
def batch(encoder):
    size = encoder.spec.input_size
    return np.random.default_rng(0).integers(
        0, 256, (min(64, 2 * encoder.batch_size), size, size, 3), np.uint8
    )


def test_codes_are_float32_one_row_a_patch(encoder, batch):
    codes = encoder.encode(batch)
    assert codes.shape == (len(batch), encoder.spec.code_size)
    assert codes.dtype == np.float32
    assert np.isfinite(codes).all()
    assert codes.std(0).max() > 0
    assert encoder.encode(batch[:0]).shape == (0, encoder.spec.code_size)


def test_the_same_batch_gives_the_same_bits(encoder, batch):
    assert encoder.encode(batch).tobytes() == encoder.encode(batch).tobytes()


def test_a_code_does_not_depend_on_the_other_patches_of_its_batch(encoder, batch):
    order = np.random.default_rng(1).permutation(len(batch))
    codes = encoder.encode(batch)
    assert np.array_equal(encoder.encode(batch[order]), codes[order])
    mixed = batch.copy()
    mixed[1:] = 255 - mixed[1:]
    assert np.array_equal(encoder.encode(mixed)[0], codes[0])


@pytest.mark.parametrize("size", [1, 3, 16])
def test_another_batch_size_changes_a_code_by_rounding_only(encoder, batch, size):
    whole, part = encoder.encode(batch)[:32], batch[:32]
    parts = np.concatenate([encoder.encode(part[i : i + size]) for i in range(0, len(part), size)])
    assert np.abs(parts - whole).max() <= ROUNDING[encoder.precision] * whole.std(0).mean()


def test_threads_may_share_an_encoder(encoder, batch):
    expected = encoder.encode(batch)

    def work(_):
        encoder.prepare_thread()
        return encoder.encode(batch)

    with ThreadPoolExecutor(4) as executor:
        results = list(executor.map(work, range(8)))
    assert all(np.allclose(result, expected, atol=2e-2 * expected.std()) for result in results)


def test_the_precision_is_declared(any_encoder):
    exact, short = (load_encoder(any_encoder, device="cpu", precision=p) for p in ("float32", "bfloat16"))
    assert exact.precision == "float32"
    size = exact.spec.input_size
    batch = np.random.default_rng(0).integers(0, 256, (16, size, size, 3), np.uint8)
    reference, codes = exact.encode(batch), short.encode(batch)
    assert (short.precision == "float32") == np.array_equal(codes, reference)
    assert np.sqrt(((codes - reference) ** 2).mean()) < 3e-2 * np.sqrt((reference**2).mean())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_codes_of_a_gpu_differ_by_rounding_only(any_encoder):
    encoders = [load_encoder(any_encoder, device=device, precision="float32") for device in ("cpu", "cuda")]
    size = encoders[0].spec.input_size
    batch = np.random.default_rng(0).integers(0, 256, (16, size, size, 3), np.uint8)
    on_cpu, on_gpu = (encoder.encode(batch) for encoder in encoders)
    assert np.abs(on_gpu - on_cpu).max() < 1e-2 * on_cpu.std()


@pytest.mark.parametrize("wrong", [(4, 63, 64, 3), (4, 64, 64), (4, 64, 64, 4)])
def test_a_batch_of_another_shape_is_refused(encoder, wrong):
    with pytest.raises(InvalidParameterError, match="expected: uint8"):
        encoder.encode(np.zeros(wrong, np.uint8))
    size = encoder.spec.input_size
    with pytest.raises(InvalidParameterError):
        encoder.encode(np.zeros((4, size, size, 3), np.float32))


def test_a_spec_survives_json(any_encoder):
    spec = get_spec(any_encoder)
    assert EncoderSpec.from_dict(spec.to_dict()) == spec
    assert spec.licence
    assert set(spec.identity()) <= set(spec.to_dict())
