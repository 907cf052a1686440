"""Vectors survive a file, others' are read by their form, and vectors of two encoders never mix."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from napari_nic.errors import StoreError, StoreMismatchError
from napari_nic.slide_vectors import (
    InputForm,
    check_same_encoder,
    embed_slide,
    holds_vector,
    mean_vector,
    open_slide_encoder,
    read_vector,
    said_of,
    vector_beside,
    write_vector,
)

VALUES = np.arange(1, 9, dtype=np.float32)


def trident(
    path: Path, shape: tuple[int, ...] = (8,), places: int = 5, encoder: str | None = "titan"
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["features"] = VALUES.reshape(shape)
        file["coords"] = np.zeros((places, 2), np.int64)
        if encoder:
            file["features"].attrs["encoder"] = encoder
    return path


def stamp(path: Path, kind: str = "slide", shape: tuple[int, ...] = (1, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["feats"] = VALUES.reshape(shape)
        file.attrs.update({"encoder": "titan-1a2b3c4d", "feat_type": kind})
    return path


def slide2vec(path: Path, **described: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".pt":
        torch.save(torch.from_numpy(VALUES), path)
    else:
        np.savez(path, features=VALUES)
    said = {"artifact_type": "slide_embeddings", "encoder_name": "titan", "sample_id": "s"} | described
    path.with_name("s.meta.json").write_text(json.dumps(said))
    return path


def test_a_vector_survives_its_file(store, tmp_path):
    vector = mean_vector(store)
    write_vector(vector, tmp_path / "v.h5")
    assert holds_vector(tmp_path / "v.h5")
    found = read_vector(tmp_path / "v.h5")
    assert np.array_equal(found.values, vector.values)
    assert (found.name, found.slide_fingerprint) == (vector.name, vector.slide_fingerprint)
    assert found.encoder == vector.encoder
    assert found.origin == vector.origin
    with h5py.File(tmp_path / "v.h5") as file:  # as TRIDENT's readers look for it
        assert file["features"].shape == (store.code_size,)
        assert file["features"].attrs["encoder"] == "mean of toy"


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: trident(folder / "slide_features_titan" / "s.h5"),
        lambda folder: trident(folder / "slide_features_titan" / "s.h5", (1, 8)),
        lambda folder: trident(folder / "slide_features_titan" / "s.h5", encoder=None),
        lambda folder: stamp(folder / "titan-slide" / "s.h5"),
        lambda folder: stamp(folder / "titan-slide" / "s.h5", shape=(8,)),
        lambda folder: slide2vec(folder / "slide_embeddings" / "s.pt"),
        lambda folder: slide2vec(folder / "slide_embeddings" / "s.npz"),
    ],
)
def test_others_vectors_are_read(make, tmp_path):
    path = make(tmp_path)
    assert holds_vector(path)
    vector = read_vector(path)
    assert np.array_equal(vector.values, VALUES)
    assert vector.name == "s"
    assert vector.encoder_name == "titan"
    ours = trident(tmp_path / "other" / "t.h5")
    check_same_encoder(read_vector(ours).encoder, vector.encoder, path=None, error=StoreMismatchError)


@pytest.mark.parametrize(
    "make",
    [
        lambda folder: trident(folder / "s.h5", (1, 8), places=1),  # the only patch of a slide
        lambda folder: trident(folder / "s.h5", (4, 2), places=4),
        lambda folder: stamp(folder / "s.h5", "patient"),
        lambda folder: slide2vec(folder / "s.pt", artifact_type="patient_embeddings"),
    ],
)
def test_what_is_no_vector_of_a_slide_is_refused(make, tmp_path):
    path = make(tmp_path)
    assert not holds_vector(path)
    with pytest.raises(StoreError, match="no vector of a whole slide"):
        read_vector(path)


def test_damage_is_named(store, tmp_path):
    path = tmp_path / "v.h5"
    write_vector(mean_vector(store), path)
    with h5py.File(path, "r+") as file:
        file["features"][0] = np.nan
    with pytest.raises(StoreError, match="not finite"):
        read_vector(path)
    with h5py.File(path, "r+") as file:
        file.attrs["napari_nic_vector"] = "{"
    with pytest.raises(StoreError, match="damaged"):
        read_vector(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(StoreError):
        read_vector(path)


def test_vectors_of_two_encoders_never_mix(toys, store, tmp_path):
    path = toys.write(toys.pooled(), tmp_path / "net.onnx")
    first = embed_slide(store, open_slide_encoder(path, device="cpu")).encoder
    form = InputForm(name="another name")
    same = embed_slide(store, open_slide_encoder(path, form=form, device="cpu")).encoder
    check_same_encoder(first, same, path=None, error=StoreMismatchError)  # a name is for people
    other_codes = toys.store(tmp_path / "b.nic.zarr", weights_sha256="1" * 64)
    net = toys.pooled()
    torch.nn.init.ones_(net.dense.bias)
    other_net = open_slide_encoder(toys.write(net, tmp_path / "other.onnx"), device="cpu")
    for other in (
        embed_slide(other_codes, open_slide_encoder(path, device="cpu")).encoder,
        embed_slide(store, other_net).encoder,
        mean_vector(store).encoder,
        read_vector(trident(tmp_path / "t.h5")).encoder,
    ):
        with pytest.raises(StoreMismatchError, match="different slide encoders"):
            check_same_encoder(first, other, path=None, error=StoreMismatchError)


def test_how_a_network_was_fed_is_said_in_words(toys, store, tmp_path):
    path = toys.write(toys.pooled(), tmp_path / "net.onnx")
    said = said_of(embed_slide(store, open_slide_encoder(path, device="cpu")).encoder)
    assert said.endswith("fed features (float32)")
    form = {"inputs": ["features", "coords"], "dtype": "float16", "coords": "um", "coords_type": "float32"}
    made = {"name": "n", "code_size": 2, "options": {"form": form | {"output": 1}}}
    assert said_of(made) == "n, 2 numbers, fed features (float16), coords (um, float32), output 1"
    assert said_of({"name": "n", "code_size": 2, "options": {"form": [3]}}) == "n, 2 numbers"  # others' files


def test_a_vector_beside_is_of_these_codes(toys, store, tmp_path):
    vector = mean_vector(store)
    write_vector(vector, tmp_path / "slide.mean.vector.h5")
    found = vector_beside(store, vector.encoder)
    assert found is not None
    assert np.array_equal(found.values, vector.values)
    other = toys.store(tmp_path / "other.nic.zarr", seed=1)
    write_vector(mean_vector(other), tmp_path / "slide.mean.vector.h5")  # of another slide
    assert vector_beside(store, vector.encoder) is None
    (tmp_path / "slide.mean.vector.h5").write_bytes(b"nothing")
    assert vector_beside(store, vector.encoder) is None
