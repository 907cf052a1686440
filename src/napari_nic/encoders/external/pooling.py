"""From what a network gives to one code a patch."""

from __future__ import annotations

from typing import Any

import torch

from napari_nic.errors import WeightsError


def pool(output: Any, pooling: str, *, prefix_tokens: int = 1) -> torch.Tensor:
    """Pool an output to codes.

    Parameters
    ----------
    output : Tensor
        (B, C); maps (B, C, h, w), averaged over space; or tokens (B, N, C).
    pooling : str
        ``"auto"`` takes codes and maps as they come, and refuses tokens. ``"cls"`` takes the first token,
        ``"mean"`` the mean of the tokens of the patches, ``"cls+mean"`` both, one after the other.
    prefix_tokens : int
        Tokens before those of the patches: the class token, and registers.

    Returns
    -------
    Tensor, (B, C)

    Raises
    ------
    WeightsError
        If the output is of another kind, or pooling does not apply to it.
    """
    if isinstance(output, list | tuple) and len(output) == 1:
        output = output[0]
    if not isinstance(output, torch.Tensor) or output.ndim not in (2, 3, 4):
        raise WeightsError(
            "the network gives no codes",
            expected="one tensor (B, C), (B, C, h, w) or (B, tokens, C)",
            found=f"{tuple(output.shape)}" if isinstance(output, torch.Tensor) else type(output).__name__,
        )
    if output.ndim == 3:
        return _pool_tokens(output, pooling, prefix_tokens)
    if pooling not in ("auto", "mean") or (pooling == "mean" and output.ndim == 2):
        raise WeightsError(
            f"pooling {pooling!r} does not apply to this network",
            expected="tokens (B, tokens, C)",
            found=f"{tuple(output.shape)}",
            hint="take --pooling auto",
        )
    return output.mean((2, 3)) if output.ndim == 4 else output


def _pool_tokens(tokens: torch.Tensor, pooling: str, prefix_tokens: int) -> torch.Tensor:
    if pooling == "auto":
        raise WeightsError(
            "the network gives tokens, and how to pool them is not said",
            expected="pooling cls, mean or cls+mean",
            found=f"tokens {tuple(tokens.shape)}",
            hint="state --pooling, or pooling in the JSON file beside the model",
        )
    if tokens.shape[1] <= prefix_tokens or (pooling != "mean" and prefix_tokens == 0):
        raise WeightsError(
            f"pooling {pooling!r} needs a class token before the tokens of the patches",
            found=f"{tokens.shape[1]} tokens, {prefix_tokens} of them before the patches",
        )
    if pooling == "cls":
        return tokens[:, 0]
    mean = tokens[:, prefix_tokens:].mean(1)
    return mean if pooling == "mean" else torch.cat([tokens[:, 0], mean], 1)
