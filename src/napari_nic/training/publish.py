"""From a trained network to an encoder that can be used, shared and cited."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from napari_nic.encoders.networks import NicEncoderNet
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.encoders.store import CARD_FILE, SPEC_FILE, WEIGHTS_FILE, file_sha256


def standardise_codes(net: NicEncoderNet, patches: np.ndarray, *, batch_size: int = 256) -> None:
    """Scale the last layer so that every dimension has mean 0 and spread 1 on `patches`, in place.

    Codes then fill the range of float16 evenly, and distances and principal components are not ruled by
    the few dimensions that happen to be large.

    Parameters
    ----------
    patches : ndarray of uint8, (n, 64, 64, 3)
    """
    net.eval()
    codes = []
    with torch.inference_mode():
        for start in range(0, len(patches), batch_size):
            part = torch.from_numpy(patches[start : start + batch_size]).permute(0, 3, 1, 2)
            codes.append(net(part.float() / 127.5 - 1))
    spread, mean = torch.std_mean(torch.cat(codes).double(), dim=0)
    with torch.no_grad():
        net.code.weight.copy_((net.code.weight.double() / spread[:, None]).float())
        net.code.bias.copy_(((net.code.bias.double() - mean) / spread).float())


def save_encoder(
    net: NicEncoderNet, spec: EncoderSpec, folder: Path, *, card: str, training: Mapping[str, Any]
) -> EncoderSpec:
    """Write ``encoder.json``, ``weights.safetensors`` and ``CARD.md``; return the spec with its checksum."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: value.contiguous() for name, value in net.state_dict().items() if value.ndim
    }  # the batch counters of the normalisations are no weights
    save_file(state, folder / WEIGHTS_FILE)
    spec = replace(spec, weights_sha256=file_sha256(folder / WEIGHTS_FILE), training=dict(training))
    (folder / SPEC_FILE).write_text(json.dumps(spec.to_dict(), indent=2) + "\n", encoding="utf-8")
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    return spec
