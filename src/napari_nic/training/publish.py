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

from napari_nic.encoders.networks import EncoderNet
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.encoders.store import CARD_FILE, SPEC_FILE, WEIGHTS_FILE, file_sha256
from napari_nic.training.vae import Vae

SENSITIVITY_PATCHES = 128
_STEP = 0.05
"""Step of the central differences, in units of a code whose prior has spread 1."""


def weigh_codes(vae: Vae, patches: np.ndarray, *, batch_size: int = 256) -> None:
    """Fold a linear map into the encoder's last layer after which distance means visible difference.

    A VAE spends its code evenly: every dimension varies about as much, whether the decoder paints the whole
    patch with it or a single speck. Principal components and distances of such codes are noise. With J the
    decoder's Jacobian and G the mean of J'J, the code ``G^(1/2) (z - mean)`` has distances that approximate
    those of the reconstructions in pixels: the decoder's pull-back metric (Arvanitidis et al. 2018, Latent
    space oddity), held constant. A common factor then brings the mean spread of a dimension to 1.

    Parameters
    ----------
    vae : Vae
        Its ``encoder.code`` is changed in place.
    patches : ndarray of uint8, (n, 64, 64, 3)
    """
    vae.eval()
    codes = _encode(vae.encoder, patches, batch_size)
    root = _matrix_root(_sensitivity(vae, codes[:SENSITIVITY_PATCHES]))
    mean = codes.double().mean(0)
    root /= ((codes.double() - mean) @ root).std(0).mean()
    code = vae.encoder.code
    with torch.no_grad():
        code.bias.copy_((root @ (code.bias.double() - mean)).float())
        code.weight.copy_((root @ code.weight.double()).float())


def _encode(net: EncoderNet, patches: np.ndarray, batch_size: int) -> torch.Tensor:
    codes = []
    with torch.inference_mode():
        for start in range(0, len(patches), batch_size):
            part = torch.from_numpy(patches[start : start + batch_size]).permute(0, 3, 1, 2)
            codes.append(net(part.float() / 127.5 - 1))
    return torch.cat(codes)


def _sensitivity(vae: Vae, codes: torch.Tensor) -> torch.Tensor:
    """Return the mean of J'J over `codes`, (C, C) float64, by central differences."""
    steps = torch.eye(codes.shape[1]) * _STEP
    total = torch.zeros(codes.shape[1], codes.shape[1], dtype=torch.float64)
    with torch.inference_mode():
        for code in codes:
            change = (vae.decoder(code + steps) - vae.decoder(code - steps)).flatten(1) / (2 * _STEP)
            total += (change @ change.T).double()
    return total / len(codes)


def _matrix_root(matrix: torch.Tensor) -> torch.Tensor:
    """Return the symmetric square root of a positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def save_encoder(
    net: EncoderNet, spec: EncoderSpec, folder: Path, *, card: str, training: Mapping[str, Any]
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
