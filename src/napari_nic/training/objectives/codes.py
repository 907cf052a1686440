"""Bringing the codes of a trained encoder to a useful form, in the weights of its last layer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from napari_nic.encoders.nets import EncoderNet
from napari_nic.errors import InvalidParameterError
from napari_nic.jobs import CancellationToken, checked

LEAST_SPREAD = 1e-3
"""Features that hardly vary are divided by this share of the mean spread, not by their own."""


def encode_plain(
    encoder: EncoderNet,
    patches: np.ndarray,
    *,
    batch_size: int = 256,
    token: CancellationToken | None = None,
) -> torch.Tensor:
    """Codes, (n, C) float32, of patches (n, s, s, 3) uint8 as they are, in evaluation mode."""
    return _outputs(encoder, encoder, patches, token, batch_size)


def _outputs(
    encoder: EncoderNet,
    function: Callable[[torch.Tensor], torch.Tensor],
    patches: np.ndarray,
    token: CancellationToken | None,
    batch_size: int = 256,
) -> torch.Tensor:
    was_training, codes = encoder.training, []
    device = encoder.code.weight.device
    encoder.eval()
    with torch.inference_mode():
        for start in checked(range(0, len(patches), batch_size), token):
            part = torch.from_numpy(patches[start : start + batch_size]).to(device).permute(0, 3, 1, 2)
            codes.append(function(part.float() / 127.5 - 1).float().cpu())
    encoder.train(was_training)
    return torch.cat(codes)


def standardise_codes(
    encoder: EncoderNet, patches: np.ndarray, token: CancellationToken | None = None
) -> None:
    """Give the codes mean 0 and, over all dimensions, a mean spread of 1, in the last layer's weights.

    One factor for all dimensions: their relative weight, and with it every distance, is the training's.
    """
    codes = encode_plain(encoder, patches, token=token).double()
    mean, spread = codes.mean(0), float(codes.std(0).mean())
    code = encoder.code
    with torch.no_grad():
        code.bias.copy_((code.bias.double().cpu() - mean) / spread)
        code.weight.copy_(code.weight.double().cpu() / spread)


def principal_codes(encoder: EncoderNet, patches: np.ndarray, token: CancellationToken | None = None) -> None:
    """Make the code the principal components of the standardised features, the largest first.

    Parameters
    ----------
    encoder : EncoderNet
        Its ``code`` is changed in place.
    patches : ndarray of uint8, (n, s, s, 3)
    token : CancellationToken, optional
        Asked at each batch.

    Raises
    ------
    InvalidParameterError
        If there are fewer features or patches than the code has numbers.
    """
    features = _outputs(encoder, encoder.features, patches, token).double()
    code = encoder.code
    if min(features.shape) < code.out_features:
        raise InvalidParameterError(
            "the code cannot be longer than what it is made of",
            expected=f"at least {code.out_features} features and patches",
            found=f"{features.shape[1]} features of {features.shape[0]} patches",
        )
    mean, spread = features.mean(0), features.std(0)
    spread = spread.clamp(min=LEAST_SPREAD * float(spread.mean()))
    _, vectors = torch.linalg.eigh(torch.cov(((features - mean) / spread).T))
    largest = vectors.flip(1)[:, : code.out_features].T
    # The sign of an eigenvector is arbitrary: its largest number is made positive, so that runs agree.
    largest = largest * largest.gather(1, largest.abs().argmax(1, keepdim=True)).sign()
    weight = largest / spread
    with torch.no_grad():
        code.weight.copy_(weight)
        code.bias.copy_(-weight @ mean)
