"""The JSON file beside a model, ours or WSInfer's.

Ours, with keys as in :class:`~napari_nic.encoders.external.settings.Settings`::

    {"input_size": 224, "patch_size": 224, "mpp": 0.5, "normalise": "imagenet", "pooling": "cls",
     "licence": "Apache-2.0", "summary": "what it is", "citation": "whose it is"}

``normalise`` is ``imagenet``, ``symmetric`` ([-1, 1]) or ``unit`` ([0, 1]); or ``mean`` and ``std`` are
given. WSInfer's has ``num_classes``, ``class_names``, ``patch_size_pixels``, ``spacing_um_px`` and
``transform``, a list of Resize, ToTensor and Normalize (its first version: one object with ``resize_size``,
``mean``, ``std``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from napari_nic.descriptions import read_json
from napari_nic.encoders.external.settings import NORMALISATIONS, Settings, Triple
from napari_nic.errors import InvalidParameterError, WeightsError

WSINFER_KEYS = {"num_classes", "patch_size_pixels", "spacing_um_px", "transform"}
WSINFER_FILE = "config.json"


def find_sidecar(model: Path) -> Path | None:
    """Return the JSON file that belongs to a model: of its name, or WSInfer's ``config.json`` beside it."""
    for file in (model.with_suffix(".json"), model.with_name(WSINFER_FILE)):
        if file.is_file():
            return file
    return None


def read_sidecar(file: Path) -> Settings:
    """Read the JSON file of a model.

    Raises
    ------
    WeightsError
        If it is neither kind, or a value is of the wrong type.
    """
    data = read_json(file, WeightsError, what="the description of the model")
    try:
        return _wsinfer(data) if isinstance(data, dict) and set(data) >= WSINFER_KEYS else _ours(data)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise WeightsError(
            "not a description of a model that napari-nic understands",
            path=file,
            expected=f"{', '.join(sorted(_known()))}; or WSInfer's {', '.join(sorted(WSINFER_KEYS))}",
            found=error.problem if isinstance(error, InvalidParameterError) else str(error),
        ) from error


def _known() -> set[str]:
    return {field.name for field in fields(Settings)} | {"normalise"}


def _ours(data: Any) -> Settings:
    if not isinstance(data, dict):
        raise TypeError(f"a {type(data).__name__}, not an object")
    values = dict(data)
    if set(values) - _known():
        raise KeyError(f"unknown: {', '.join(sorted(set(values) - _known()))}")
    if "normalise" in values:
        values["mean"], values["std"] = NORMALISATIONS[values.pop("normalise")]
    for name in ("mean", "std"):
        if name in values:
            values[name] = _triple(values[name])
    return Settings(**values)


def _wsinfer(data: Mapping[str, Any]) -> Settings:
    transform = data["transform"]
    if isinstance(transform, Mapping):
        size, mean, std = transform["resize_size"], transform["mean"], transform["std"]
    else:
        steps = {step["name"]: step.get("arguments", {}) for step in transform}
        size = steps.get("Resize", {}).get("size", data["patch_size_pixels"])
        mean, std = (steps.get("Normalize", {}).get(key) for key in ("mean", "std"))
        unknown = set(steps) - {"Resize", "ToTensor", "Normalize"}
        if unknown:
            raise ValueError(f"a transform that is not known: {', '.join(sorted(unknown))}")
    unit_mean, unit_std = NORMALISATIONS["unit"]
    names = ", ".join(data.get("class_names", ())) or f"{data['num_classes']} classes"
    return Settings(
        mpp=float(data["spacing_um_px"]),
        patch_size=int(data["patch_size_pixels"]),
        input_size=int(size[0] if isinstance(size, list) else size),
        mean=unit_mean if mean is None else _triple(mean),
        std=unit_std if std is None else _triple(std),
        summary=f"{data.get('name') or data.get('architecture') or 'WSInfer model'}: its outputs for {names}",
    )


def _triple(values: Any) -> Triple:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
