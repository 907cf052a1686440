"""Distance between codes as visible difference: the decoder's pull-back metric."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from napari_nic.encoders.nets import EncoderNet
from napari_nic.jobs import CancellationToken, checked
from napari_nic.training.objectives.codes import encode_plain

SENSITIVITY_PATCHES = 128
_STEP = 0.05
"""Step of the central differences, in units of a code whose prior has spread 1."""


def weigh_codes(
    encoder: EncoderNet, decoder: nn.Module, patches: np.ndarray, token: CancellationToken | None = None
) -> None:
    """Fold a linear map into the encoder's last layer after which distance means visible difference.

    A VAE spends its code evenly: every dimension varies about as much, whether the decoder paints the whole
    patch with it or a single speck. Principal components and distances of such codes are noise. With J the
    decoder's Jacobian and G the mean of J'J, the code ``G^(1/2) (z - mean)`` has distances that approximate
    those of the reconstructions in pixels: the decoder's pull-back metric (Arvanitidis et al. 2018, Latent
    space oddity), held constant. A common factor then brings the mean spread of a dimension to 1.

    Parameters
    ----------
    encoder : EncoderNet
        Its ``code`` is changed in place.
    decoder : Module
        From codes to pictures, on the encoder's device.
    patches : ndarray of uint8, (n, s, s, 3)
    token : CancellationToken, optional
        Asked at each batch, and at each code whose pull is measured.
    """
    decoder.eval()
    codes = encode_plain(encoder, patches, token=token)
    chosen = codes[:SENSITIVITY_PATCHES].to(encoder.code.weight.device)
    root = _matrix_root(_sensitivity(decoder, chosen, token))
    mean = codes.double().mean(0)
    root /= ((codes.double() - mean) @ root).std(0).mean()
    code = encoder.code
    with torch.no_grad():
        code.bias.copy_((root @ (code.bias.double().cpu() - mean)).float())
        code.weight.copy_((root @ code.weight.double().cpu()).float())


def _sensitivity(decoder: nn.Module, codes: torch.Tensor, token: CancellationToken | None) -> torch.Tensor:
    """Return the mean of J'J over `codes`, (C, C) float64, by central differences."""
    steps = torch.eye(codes.shape[1], device=codes.device) * _STEP
    total = torch.zeros(codes.shape[1], codes.shape[1], dtype=torch.float64)
    with torch.inference_mode():
        for code in checked(codes, token):
            change = (decoder(code + steps) - decoder(code - steps)).flatten(1) / (2 * _STEP)
            total += (change @ change.T).double().cpu()
    return total / len(codes)


def _matrix_root(matrix: torch.Tensor) -> torch.Tensor:
    """Return the symmetric square root of a positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T
