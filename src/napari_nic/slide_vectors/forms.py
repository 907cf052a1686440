"""How a slide encoder wants its input: stated by the user, or by a JSON file beside the network's.

Slide encoders differ in what they take besides the codes of a slide's patches, and there is no standard for
it, so that nothing is guessed. A JSON file beside the network's, ``titan.json`` beside ``titan.pt2``::

    {"inputs": ["features", "coords", "patch_size"], "coords": "level0", "features": 768,
     "patch_encoder": "conch_v15", "licence": "CC BY-NC-ND 4.0"}

===============  ===========================================================================================
``inputs``       what the network takes, in order: ``features``; ``coords``, the patches' places;
                 ``patch_size``, the distance of neighbours at level 0. Default: ``features`` alone
``coords``       ``level0``: (x, y) of the top left corners in level-0 pixels; ``um``: the same in
                 micrometres; ``cells``: (column, row) of the grid, from 0
``coords_type``  ``int64`` (of ``um``: ``float32``), or ``float32``
``batch_axis``   whether an axis of length 1 stands before the patches: (1, N, C); default true
``dtype``        of the codes: ``float32`` (default) or ``float16``
``features``     C, so that codes of another width are refused before the network runs
``patch_encoder``  name of the encoder whose codes it was made for
``output``       of a network with several: the name or the number from 0
``licence``      told at the first use
===============  ===========================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

from napari_nic.descriptions import Checks, check_fields, is_name, is_text, is_whole, read_json
from napari_nic.errors import InvalidParameterError, WeightsError

INPUTS = ("features", "coords", "patch_size")
COORDS = ("level0", "um", "cells")
COORDS_TYPES = ("int64", "float32")
DTYPES = ("float32", "float16")
_MOST_WIDTH, _MOST_OUTPUTS = 2**16, 1000


def _are_inputs(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and "features" in value
        and len(set(value)) == len(value)
        and set(value) <= set(INPUTS)
    )


def _one_of(names: tuple[str, ...]) -> tuple[str, Any]:
    return " or ".join(names), lambda value: value in names


_FIELDS: Checks = {
    "inputs": (f"features, and what else it takes of {', '.join(INPUTS)}", _are_inputs),
    "coords": _one_of(COORDS),
    "coords_type": _one_of(COORDS_TYPES),
    "batch_axis": ("true or false", lambda value: isinstance(value, bool)),
    "dtype": _one_of(DTYPES),
    "features": (f"a whole number, 1 to {_MOST_WIDTH:,}", lambda value: is_whole(value, _MOST_WIDTH)),
    "patch_encoder": ("the name of an encoder", is_name),
    "output": (
        "the name of an output, or its number from 0",
        lambda value: is_name(value) or is_whole(value, _MOST_OUTPUTS, least=0),
    ),
    "licence": ("text", is_text),
    "name": ("a name", is_name),
}


@dataclass(frozen=True)
class InputForm:
    """What a slide encoder takes; see the table at the top of this module.

    Attributes
    ----------
    inputs : tuple of str
    coords : {"level0", "um", "cells"}
    coords_type : {"int64", "float32"} or None
        By default whole numbers, but for micrometres.
    batch_axis : bool
    dtype : {"float32", "float16"}
    features : int or None
    patch_encoder : str or None
    output : str, int or None
    licence : str
    name : str or None
        What to call the slide encoder; by default its file's name.
    """

    inputs: tuple[str, ...] = ("features",)
    coords: str = "level0"
    coords_type: str | None = None
    batch_axis: bool = True
    dtype: str = "float32"
    features: int | None = None
    patch_encoder: str | None = None
    output: str | int | None = None
    licence: str = ""
    name: str | None = None

    def __post_init__(self) -> None:
        given = {name: value for name, value in asdict(self).items() if value is not None}
        for name, value in given.items():
            expected, fits = _FIELDS[name]
            if not fits(value):
                raise InvalidParameterError(
                    f"{name} of a slide encoder cannot be this", expected=expected, found=repr(value)[:200]
                )
        if self.coords == "um" and self.coords_type == "int64":
            raise InvalidParameterError(
                "micrometres are no whole numbers", expected="float32", found="coords_type int64"
            )

    @property
    def wants_coords(self) -> bool:
        """Whether the network takes the places of patches."""
        return "coords" in self.inputs

    @property
    def type_of_coords(self) -> str:
        """NumPy's name of the type of the places."""
        return self.coords_type or ("float32" if self.coords == "um" else "int64")

    def determining(self) -> dict[str, Any]:
        """Return what of the form determines the vectors, as plain JSON."""
        known: dict[str, Any] = {"inputs": list(self.inputs), "dtype": self.dtype}
        if self.wants_coords:
            known |= {"coords": self.coords, "coords_type": self.type_of_coords}
        return known if self.output is None else known | {"output": self.output}

    def said(self) -> str:
        """Say the form in a few words: ``"features, coords (level0), patch_size"``."""
        return ", ".join(f"coords ({self.coords})" if name == "coords" else name for name in self.inputs)

    def with_given(self, **given: Any) -> Self:
        """Replace what was given; None leaves a field as it is."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})


def read_form(network: Path) -> InputForm:
    """Read the JSON file beside a network's; the usual form where there is none.

    Raises
    ------
    WeightsError
        If it is damaged, or states what is not known.
    """
    file = network.with_suffix(".json")
    if not file.is_file():
        return InputForm()
    data = read_json(file, WeightsError, what="the description of the slide encoder")
    known = [f.name for f in fields(InputForm)]
    if not isinstance(data, Mapping):
        raise WeightsError("no description of a slide encoder", path=file, expected="a JSON object")
    try:
        check_fields(
            data, _FIELDS, WeightsError, what="the description of a slide encoder", known=known, required=()
        )
        return InputForm(**dict(data) | ({"inputs": tuple(data["inputs"])} if "inputs" in data else {}))
    except (InvalidParameterError, WeightsError) as error:
        raise WeightsError(error.problem, path=file, expected=error.expected, found=error.found) from error
