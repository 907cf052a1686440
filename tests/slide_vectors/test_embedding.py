"""Slide encoders in files get a store's codes in the form they want, and give one vector, or one sentence."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from napari_nic.embeddings import CompressedSlide
from napari_nic.errors import (
    CancelledError,
    ConsentError,
    NicError,
    StoreError,
    StoreMismatchError,
    WeightsError,
)
from napari_nic.jobs import CancellationToken
from napari_nic.slide_vectors import InputForm, embed_slide, mean_vector, open_slide_encoder
from napari_nic.telling import telling

KINDS = (".pt", ".pt2", ".onnx")
PLACED = ("features", "coords", "patch_size")


def patches_of(store):
    """Codes (N, C) and cells (N, 2) of (column, row), in reading order."""
    mask = store.encoded()
    return store.read()[mask], np.argwhere(mask)[:, ::-1].astype(float)


@pytest.mark.parametrize("suffix", KINDS)
def test_the_vector_is_the_networks(suffix, toys, store, tmp_path):
    net = toys.pooled()
    encoder = open_slide_encoder(toys.write(net, tmp_path / f"net{suffix}"), trust=True, device="cpu")
    vector = embed_slide(store, encoder)
    assert vector.values.dtype == np.float32
    assert vector.values == pytest.approx(toys.expected(net, patches_of(store)[0]), abs=1e-5)
    assert (vector.name, vector.slide_fingerprint) == ("slide", store.header.slide_fingerprint)
    assert vector.encoder["weights_sha256"] == encoder.sha256
    assert vector.origin["patches"] == store.encoded().sum()


@pytest.mark.parametrize("suffix", KINDS)
def test_places_come_in_level_0_pixels(suffix, toys, store, tmp_path):
    net = toys.placed()
    form = InputForm(inputs=PLACED)
    encoder = open_slide_encoder(
        toys.write(net, tmp_path / f"net{suffix}"), form=form, trust=True, device="cpu"
    )
    found = embed_slide(store, encoder).values
    assert found == pytest.approx(toys.expected(net, *patches_of(store)), rel=1e-5)


class Echo(torch.nn.Module):
    """Gives back the middle of what it is given as places."""

    def forward(self, features: torch.Tensor, coords: torch.Tensor) -> torch.Tensor:
        return coords.double().mean(dim=0) + 0 * features.sum()


@pytest.mark.parametrize(
    ("coords", "factor", "kind"), [("cells", 1, "int64"), ("level0", 16, "int64"), ("um", 8, "float32")]
)
def test_each_form_of_places(coords, factor, kind, toys, store, tmp_path):
    toys.script(Echo(), tmp_path / "echo.pt")
    form = InputForm(inputs=("features", "coords"), coords=coords, batch_axis=False)
    assert form.type_of_coords == kind
    encoder = open_slide_encoder(tmp_path / "echo.pt", form=form, trust=True, device="cpu")
    middle = patches_of(store)[1].mean(axis=0) * factor
    assert embed_slide(store, encoder).values == pytest.approx(middle)


def test_a_program_runs_only_with_consent(toys, store, tmp_path):
    path = toys.write(toys.pooled(), tmp_path / "net.pt")
    with pytest.raises(ConsentError, match="you have not said that it may"):
        open_slide_encoder(path)
    open_slide_encoder(path, trust=True)
    open_slide_encoder(path)  # these very bytes are remembered
    toys.write(torch.nn.Sequential(toys.pooled()), path)
    with pytest.raises(ConsentError):
        open_slide_encoder(path)


def test_the_json_beside_the_network_is_believed(toys, store, tmp_path):
    net = toys.placed()
    path = toys.write(net, tmp_path / "net.onnx")
    described = {"inputs": list(PLACED), "features": toys.code_size, "patch_encoder": "TOY", "name": "mine"}
    path.with_suffix(".json").write_text(json.dumps(described))
    encoder = open_slide_encoder(path, device="cpu")
    assert encoder.name == "mine"
    assert embed_slide(store, encoder).values == pytest.approx(
        toys.expected(net, *patches_of(store)), rel=1e-5
    )


@pytest.mark.parametrize("suffix", KINDS)
def test_codes_of_another_width(suffix, toys, store, tmp_path):
    net = torch.nn.Sequential()
    net = toys.pooled()
    net.dense = torch.nn.Linear(toys.code_size + 2, toys.numbers)
    path = toys.write(net, tmp_path / f"net{suffix}", width=toys.code_size + 2)
    encoder = open_slide_encoder(path, trust=True, device="cpu")
    with pytest.raises((StoreMismatchError, WeightsError), match=r"another width|does not run on") as caught:
        embed_slide(store, encoder)
    assert f"{toys.code_size}" in str(caught.value)
    stated = open_slide_encoder(path, form=InputForm(features=8), trust=True, device="cpu")
    with pytest.raises(StoreMismatchError, match=r"(?s)another width.*C = 8.*C = 6"):
        embed_slide(store, stated)


def test_codes_of_another_encoder(toys, store, tmp_path):
    path = toys.write(toys.pooled(), tmp_path / "net.onnx")
    encoder = open_slide_encoder(path, form=InputForm(patch_encoder="conch_v15"), device="cpu")
    with pytest.raises(StoreMismatchError, match=r"(?s)another encoder's codes.*conch_v15.*toy"):
        embed_slide(store, encoder)
    unnamed = toys.store(tmp_path / "b.nic.zarr", name="unknown (h5)")
    told = []
    with telling(told.append):
        embed_slide(unnamed, encoder)
    assert "do not say which encoder" in str(told)


@pytest.mark.parametrize("suffix", KINDS)
def test_a_network_that_wants_places_and_gets_none(suffix, toys, store, tmp_path):
    path = toys.write(toys.placed(), tmp_path / f"net{suffix}")
    with pytest.raises(WeightsError, match=r"another number of inputs|does not run on") as caught:
        embed_slide(store, open_slide_encoder(path, trust=True, device="cpu"))
    assert "say what it takes, in its order (--inputs)" in str(caught.value)


def test_a_slide_without_patches(toys, tmp_path):
    empty = toys.store(tmp_path / "glass.nic.zarr", empty=True)
    encoder = open_slide_encoder(toys.write(toys.pooled(), tmp_path / "net.onnx"), device="cpu")
    with pytest.raises(StoreError, match="has no patch"):
        embed_slide(empty, encoder)
    with pytest.raises(StoreError, match="has no patch"):
        mean_vector(empty)


class Several(torch.nn.Module):
    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return features, features.mean(dim=1) / 0


def test_outputs_are_chosen_and_checked(toys, store, tmp_path):
    toys.script(Several(), tmp_path / "net.pt")

    def vector(output):
        form = InputForm(output=output)
        return embed_slide(
            store, open_slide_encoder(tmp_path / "net.pt", form=form, trust=True, device="cpu")
        )

    for output, said in ((None, "which output"), (0, "no single vector"), (1, "not finite"), (7, "no such")):
        with pytest.raises(WeightsError, match=said):
            vector(output)


def test_files_that_are_no_networks(tmp_path):
    for name, content, said in (
        ("a.pt", b"PK\3\4nothing", "cannot be opened"),
        ("a.onnx", b"nothing", "cannot be opened|no ONNX graph"),
        ("a.txt", b"", "no slide encoder's file"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(NicError, match=said):
            open_slide_encoder(tmp_path / name, trust=True)
    with pytest.raises(WeightsError, match="no such file"):
        open_slide_encoder(tmp_path / "gone.onnx")


def test_the_mean_is_the_mean(store):
    codes = store.read()[store.encoded()]
    assert mean_vector(store).values == pytest.approx(codes.astype(float).mean(axis=0), abs=1e-6)


def test_stopping(toys, store, tmp_path):
    encoder = open_slide_encoder(toys.write(toys.pooled(), tmp_path / "net.onnx"), device="cpu")
    token = CancellationToken()
    token.cancel()
    for make in (lambda: embed_slide(store, encoder, token=token), lambda: mean_vector(store, token=token)):
        with pytest.raises(CancelledError):
            make()


def test_a_store_is_only_read(toys, store):
    before = {file: file.stat().st_mtime_ns for file in store.path.rglob("*")}
    mean_vector(CompressedSlide.open(store.path))
    assert before == {file: file.stat().st_mtime_ns for file in store.path.rglob("*")}
