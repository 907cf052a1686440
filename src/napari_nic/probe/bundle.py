"""A probe as a folder: ``probe.json``, ``weights.safetensors``, and ``CARD.md`` for people."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from napari_nic.descriptions import (
    Checks,
    check_fields,
    is_finite,
    is_mapping,
    is_name,
    is_sha256,
    is_text,
    is_whole,
    read_json,
    sealed,
    unsealed,
)
from napari_nic.disk import check_regular, replacing
from napari_nic.errors import BundleError, InvalidParameterError
from napari_nic.probe.card import card_text
from napari_nic.probe.model import Probe, ProbeCard

PROBE_FILE, WEIGHTS_FILE, CARD_FILE = "probe.json", "weights.safetensors", "CARD.md"
FORMAT = 1
MOST_WEIGHTS_BYTES = 254 * 65_536 * 4 + 2**20
"""Of the most classes and the longest codes there are."""

_CHECKS: Checks = {
    "name": ("a name", is_name),
    "class_names": ("a list of names", lambda names: isinstance(names, list) and all(map(is_name, names))),
    "class_colors": ("a list of (r, g, b)", lambda colors: _are_colors(colors)),
    "encoder": ("an object with a code_size", lambda encoder: _is_encoder(encoder)),
    "training": ("an object", is_mapping),
    "metrics": ("an object", is_mapping),
    "summary": ("text", is_text),
    "not_for": ("text", is_text),
    "temperature": ("a number above 0", lambda value: is_finite(value) and value > 0),
    "weights_sha256": ("a SHA-256", is_sha256),
}


def save_probe(probe: Probe, folder: str | Path) -> Path:
    """Write a probe into `folder`, which is made; an older one there is replaced.

    Raises
    ------
    StoreError
        If the folder cannot be written.
    """
    folder = Path(folder)
    content = save({"weights": np.ascontiguousarray(probe.weights), "offsets": probe.offsets})
    description = sealed(
        {
            "format": FORMAT,
            "weights_sha256": hashlib.sha256(content).hexdigest(),
            "temperature": probe.temperature,
            **asdict(probe.card),
        }
    )
    text = json.dumps(description, indent=2, ensure_ascii=False) + "\n"
    with (
        replacing(folder / PROBE_FILE) as new_card,
        replacing(folder / WEIGHTS_FILE) as new_weights,
        replacing(folder / CARD_FILE) as new_text,
    ):
        new_weights.write_bytes(content)
        new_text.write_bytes(card_text(probe.card).encode("utf-8", "backslashreplace"))
        new_card.write_bytes(text.encode("utf-8", "backslashreplace"))
    return folder


def load_probe(folder: str | Path) -> Probe:
    """Read a probe that :func:`save_probe` wrote.

    Raises
    ------
    BundleError
        If a file is missing or damaged.
    """
    folder = Path(folder)
    file = folder / PROBE_FILE
    if not file.exists():
        raise BundleError("this folder holds no probe", path=folder, expected=PROBE_FILE)
    data: Any = unsealed(read_json(file, BundleError, what="the probe's description"), file, BundleError)
    if not isinstance(data, dict) or data.pop("format", None) != FORMAT:
        raise BundleError(
            "not a description of a probe that this version reads",
            path=file,
            expected=f'a JSON object with "format": {FORMAT}',
        )
    check_fields(data, _CHECKS, BundleError, what="a description of a probe", known=_CHECKS, required=_CHECKS)
    arrays = _read_weights(folder / WEIGHTS_FILE, data["weights_sha256"])
    try:
        return Probe(_card(data), arrays["weights"], arrays["offsets"], float(data["temperature"]))
    except InvalidParameterError as error:
        raise BundleError(
            f"the probe is damaged: {error.problem}", path=folder, expected=error.expected, found=error.found
        ) from error


def _card(data: Mapping[str, Any]) -> ProbeCard:
    return ProbeCard(
        name=data["name"],
        class_names=tuple(data["class_names"]),
        class_colors=tuple((r, g, b) for r, g, b in data["class_colors"]),
        encoder=data["encoder"],
        training=data["training"],
        metrics=data["metrics"],
        summary=data["summary"],
        not_for=data["not_for"],
    )


def _read_weights(file: Path, digest: str) -> dict[str, np.ndarray]:
    check_regular(file, BundleError)
    try:
        with file.open("rb") as opened:
            content = opened.read(MOST_WEIGHTS_BYTES + 1)
    except OSError as error:
        raise BundleError(
            "the probe's weights cannot be read", path=file, expected=WEIGHTS_FILE, found=str(error)
        ) from error
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise BundleError(
            "these are not the weights that the probe's description names",
            path=file,
            expected=f"SHA-256 {digest}",
            found=found,
            hint="the file was changed or damaged; get the probe again",
        )
    try:
        arrays = load(content)
    except (SafetensorError, ValueError, LookupError, TypeError) as error:
        raise BundleError("the probe's weights are damaged", path=file, found=str(error)) from error
    kinds = {name: (array.dtype.name, array.ndim) for name, array in arrays.items()}
    if kinds != {"weights": ("float32", 2), "offsets": ("float32", 1)}:
        raise BundleError(
            "the probe's weights are not what they should be",
            path=file,
            expected="weights (K, C) and offsets (K,), float32",
            found=", ".join(f"{name} {kind}" for name, kind in kinds.items())[:200],
        )
    return dict(arrays)


def _is_encoder(value: Any) -> bool:
    return is_mapping(value) and is_whole(value.get("code_size"), 2**16)


def _are_colors(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(color, list) and len(color) == 3 and all(is_whole(part, 255, 0) for part in color)
        for color in value
    )
