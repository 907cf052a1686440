"""Mutants of descriptions and weights: refused in one sentence, or what they say is believable."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import math
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_nic.descriptions import SEAL
from napari_nic.encoders import Encoder, import_keras, load_encoder
from napari_nic.encoders.external.archives import check_torchscript, without_pickles
from napari_nic.encoders.external.states import read_state
from napari_nic.encoders.spec import MOST_CODE, MOST_INPUT_PX
from napari_nic.errors import NicError

FEW = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, -1, 10**12, 2**31, 1e308, math.nan, math.inf, -math.inf, 0.0]),
    st.text(max_size=12),
    st.sampled_from(
        ["../../x", "/etc/passwd", "hf-hub:a/b", "\x1b[2J", "a\0b", "torchscript", "timm", "onnx"]
    ),
    st.lists(st.integers(), max_size=4),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=3),
)


def places(node, path=()):
    """Yield the ways to all entries of a description."""
    if path:
        yield path
    if isinstance(node, dict):
        for name, inner in node.items():
            yield from places(inner, (*path, name))
    elif isinstance(node, list):
        for index, inner in enumerate(node):
            yield from places(inner, (*path, index))


def put(node, path, value):
    """Return a description with one entry exchanged."""
    changed = copy.deepcopy(node)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed


@pytest.fixture(params=["own", "timm-tokens", "onnx", "pca"])
def folder(request, gallery, tmp_path):
    """A copy of an encoder of every kind that holds no program."""
    return shutil.copytree(gallery(request.param), tmp_path / "mutant")


def check(encoder: Encoder) -> None:
    """What was opened encodes, and is of a believable size."""
    spec = encoder.spec
    assert 1 <= spec.code_size <= MOST_CODE
    assert 1 <= spec.input_size <= MOST_INPUT_PX
    assert math.isfinite(spec.mpp)
    assert spec.mpp > 0
    assert spec.name.isprintable()
    if spec.input_size <= 128:
        codes = encoder.encode(np.zeros((1, spec.input_size, spec.input_size, 3), np.uint8))
        assert codes.shape == (1, spec.code_size)
        assert np.isfinite(codes).all()


@FEW
@given(data=st.data())
def test_mutants_of_descriptions(folder, data):
    file = folder / "encoder.json"
    original = file.read_text()
    described = json.loads(original)
    described.pop(SEAL, None)
    changed = put(described, data.draw(st.sampled_from(list(places(described)))), data.draw(ODD))
    file.write_text(json.dumps(changed))
    try:
        check(load_encoder(folder, device="cpu", precision="float32"))
    except NicError:
        pass  # one sentence, which the errors' own tests hold
    finally:
        file.write_text(original)


@FEW
@given(data=st.data())
def test_mutants_of_weights(folder, data):
    file = next(path for path in folder.iterdir() if path.suffix in (".safetensors", ".onnx"))
    described, original = (folder / "encoder.json").read_text(), file.read_bytes()
    content = mutated(data, original)
    changed = json.loads(
        described.replace(hashlib.sha256(original).hexdigest(), hashlib.sha256(content).hexdigest())
    )
    changed.pop(SEAL, None)
    file.write_bytes(content)
    (folder / "encoder.json").write_text(json.dumps(changed))
    try:
        check(load_encoder(folder, device="cpu", precision="float32"))
    except NicError:
        pass  # one sentence, which the errors' own tests hold
    finally:
        file.write_bytes(original)
        (folder / "encoder.json").write_text(described)


def mutated(data, content):
    """Return bytes with some of them changed, most of them in the header, perhaps cut."""
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        most = min(len(changed), data.draw(st.sampled_from([16, 400, len(changed)])))
        changed[data.draw(st.integers(0, most - 1))] = data.draw(st.integers(0, 255))
    return bytes(changed[: data.draw(st.sampled_from([len(changed), len(changed), len(changed) // 2, 9]))])


@pytest.fixture(scope="module")
def archives(tmp_path_factory, small_network, write_model):
    """Content of a program of each kind."""
    folder = tmp_path_factory.mktemp("archives")
    return {
        suffix: write_model(small_network, folder / f"m{suffix}").read_bytes() for suffix in (".pt", ".pt2")
    }


@FEW
@given(data=st.data())
def test_mutants_of_archives_are_looked_into_without_a_traceback(archives, tmp_path, data):
    for suffix, look in ((".pt", check_torchscript), (".pt2", without_pickles)):
        with contextlib.suppress(NicError):
            look(mutated(data, archives[suffix]), tmp_path / f"m{suffix}")


@pytest.fixture(scope="module")
def pytorch_files(tmp_path_factory):
    """Content of both of PyTorch's formats; the old one names addresses, whose length varies."""
    import torch

    file = tmp_path_factory.mktemp("pytorch") / "w.pth"
    contents = {}
    for name, is_zipped in (("w.pth", False), ("z.pth", True)):
        weights = {"a": torch.zeros(3, 4), "b": torch.ones(2)}
        torch.save(weights, file, _use_new_zipfile_serialization=is_zipped)
        contents[name] = file.read_bytes()
    return contents


@FEW
@given(data=st.data())
def test_mutants_of_pytorch_files(pytorch_files, tmp_path, data):
    for name, content in pytorch_files.items():
        path = tmp_path / name
        path.write_bytes(mutated(data, content))
        with contextlib.suppress(NicError):
            read_state(path)


@settings(FEW, max_examples=4)
@given(content=st.binary(max_size=300))
def test_any_bytes_are_no_model_of_keras(tmp_path, content):
    for start in (b"", b"\x89HDF\r\n\x1a\n"):
        (tmp_path / "k.h5").write_bytes(start + content)
        with pytest.raises(NicError):
            import_keras(tmp_path / "k.h5", name="mine")
