"""Which networks of timm are built, and with which arguments: an allow-list.

A description or a ``config.json`` may come from anywhere. timm takes names that fetch from the hub or read a
local folder (``hf-hub:``, ``local-dir:``), and arguments that open files (``checkpoint_path``,
``pretrained_cfg``) or name classes; none of these is passed on from a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from napari_nic.descriptions import is_finite, is_name, is_whole
from napari_nic.errors import InvalidParameterError

LAYERS = ("SwiGLUPacked", "SiLU", "GELU", "silu", "gelu", "quick_gelu")
"""Layers that an argument may name."""

_MODEL = re.compile(r"\w+(\.\w+)?")
_POOLS = ("", "token", "avg", "avgmax", "max", "map")
MOST_SHOWN = 200

_Check = Callable[[Any], bool]


def _whole(most: int, least: int = 0) -> _Check:
    return lambda value: is_whole(value, most, least)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_layer(value: Any) -> bool:
    return isinstance(value, str) and value in LAYERS


def _is_share(value: Any) -> bool:
    return is_finite(value) and 0 <= value <= 1


def _is_ratio(value: Any) -> bool:
    return is_finite(value) and 0 < value <= 32


_ARGUMENTS: Mapping[str, _Check] = {
    "img_size": _whole(4_096, 8),
    "patch_size": _whole(256, 1),
    "embed_dim": _whole(8_192, 1),
    "depth": _whole(256, 1),
    "num_heads": _whole(256, 1),
    "reg_tokens": _whole(64),
    "num_classes": _whole(100_000),
    "mlp_ratio": _is_ratio,
    "init_values": _is_share,
    "mlp_layer": _is_layer,
    "act_layer": _is_layer,
    "global_pool": lambda value: isinstance(value, str) and value in _POOLS,
    **dict.fromkeys(
        (
            "class_token",
            "no_embed_class",
            "dynamic_img_size",
            "dynamic_img_pad",
            "qkv_bias",
            "qk_norm",
            "pre_norm",
            "fc_norm",
            "final_norm",
        ),
        _is_flag,
    ),
}
"""Arguments that may come from a file, and what they may be."""


def check_model(model: Any, model_args: Any) -> None:
    """Raise :class:`InvalidParameterError` unless a network may be built from what a file says.

    Parameters
    ----------
    model : object
        Name of the architecture, as the file gives it.
    model_args : object
        Its arguments by name, as the file gives them.
    """
    if not (is_name(model) and _MODEL.fullmatch(model)):
        raise InvalidParameterError(
            "the network's name is none of timm's own",
            expected="a name such as vit_large_patch16_224; nothing is fetched or opened by a name in a file",
            found=repr(model)[:MOST_SHOWN],
        )
    if not isinstance(model_args, Mapping):
        raise InvalidParameterError(
            "the network's arguments", expected="a JSON object", found=repr(model_args)[:MOST_SHOWN]
        )
    odd = [
        f"{name}={value!r}"[:MOST_SHOWN]
        for name, value in model_args.items()
        if name not in _ARGUMENTS or not (value is None or _ARGUMENTS[name](value))
    ]
    if odd:
        raise InvalidParameterError(
            "the network's arguments are not among those that a file may give",
            expected=f"of {', '.join(sorted(_ARGUMENTS))}, with usual values",
            found=", ".join(odd[:8]),
        )
