"""What a description of another's network may say: checked before anything is built or opened."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from napari_nic.descriptions import is_name, is_plain_file_name, is_sha256, is_whole
from napari_nic.encoders.external.model_args import check_model
from napari_nic.encoders.external.settings import MOST_TOKENS, POOLINGS, is_triple
from napari_nic.encoders.spec import MODEL_FILES, MOST_CODE, EncoderSpec
from napari_nic.errors import InvalidParameterError, WeightsError

MOST_FILES = 64
MOST_SHOWN = 200


def check_options(spec: EncoderSpec) -> None:
    """Check the options of a description that came from anywhere.

    Raises
    ------
    WeightsError
        If one is missing, of another type, beyond any network's, or names a file outside the folder.
    """
    options = spec.options
    if "projection" in options:
        _check("projection", options["projection"], *_PROJECTION)
    if spec.architecture not in (*MODEL_FILES, "timm"):
        return
    for name, (expected, fits) in _NEEDED.items():
        _check(name, options.get(name), expected, fits)
    for name, (expected, fits) in _OPTIONAL.items():
        if name in options:
            _check(name, options[name], expected, fits)
    if spec.architecture == "timm":
        _check_timm(options)


def _check_timm(options: Mapping[str, Any]) -> None:
    try:
        check_model(options.get("model"), options.get("model_args"))
    except InvalidParameterError as error:
        raise WeightsError(error.problem, expected=error.expected, found=error.found) from error


def _check(name: str, value: Any, expected: str, fits: Callable[[Any], bool]) -> None:
    if not fits(value):
        raise WeightsError(
            f"not the description of an encoder: {name} in its options",
            expected=expected,
            found=repr(value)[:MOST_SHOWN],
        )


def _are_files(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) <= MOST_FILES
        and all(is_plain_file_name(name) and is_sha256(digest) for name, digest in value.items())
    )


def _is_projection(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and is_name(value.get("method"))
        and is_whole(value.get("input_size"), MOST_CODE)
        and is_sha256(value.get("sha256"))
    )


_PROJECTION = ("an object with method, input_size and sha256", _is_projection)
_NEEDED: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "mean": ("three finite numbers", is_triple),
    "std": ("three numbers above 0", lambda value: is_triple(value) and min(value) > 0),
    "pooling": (f"one of {', '.join(POOLINGS)}", lambda value: isinstance(value, str) and value in POOLINGS),
    "prefix_tokens": (
        f"a whole number, 0 to {MOST_TOKENS:,}",
        lambda value: is_whole(value, MOST_TOKENS, least=0),
    ),
}
_OPTIONAL: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "output": ("the name of an output", is_name),
    "files": ("names of files in the folder itself, with their SHA-256", _are_files),
}
