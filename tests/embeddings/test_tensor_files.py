"""Tensors of features that were packed, or are programs or weights, are named and not read."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest
import torch

from napari_nic.embeddings.interchange.tensors import open_tensor
from napari_nic.errors import StoreError


def test_a_packed_archive_is_not_mapped_as_numbers(tmp_path):
    plain, packed = tmp_path / "plain.pt", tmp_path / "packed.pt"
    torch.save(torch.from_numpy(np.random.default_rng(0).normal(0, 1, (50, 8)).astype(np.float32)), plain)
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert open_tensor(plain).shape == (50, 8)
    with pytest.raises(StoreError, match="packed again"):
        open_tensor(packed)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning", "ignore:`torch.jit:DeprecationWarning")
def test_networks_and_weights_are_named(tmp_path):
    torch.jit.trace(torch.nn.Linear(3, 2), torch.zeros(1, 3)).save(str(tmp_path / "net.pt"))
    with pytest.raises(StoreError, match="TorchScript"):
        open_tensor(tmp_path / "net.pt")
    torch.save(torch.nn.Linear(3, 2).state_dict(), tmp_path / "weights.pt")
    with pytest.raises(StoreError, match="weight, bias"):
        open_tensor(tmp_path / "weights.pt")
