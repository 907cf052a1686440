"""Sets of labelled tiles that encoders are evaluated on, and the JSON file that describes several."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from napari_nic.errors import InvalidParameterError
from napari_nic.evaluation.labels import FolderLabels, LabelRule, parse_rule


@dataclass(frozen=True)
class LabelledSet:
    """A folder of tiles whose classes are known.

    Attributes
    ----------
    name : str
        In tables and plots.
    folder : Path
        Searched recursively; folders called ``masks`` hold outlines.
    mpp : float
        Of the tiles, um/px.
    rule : LabelRule
        Gives each patch its class.
    group : str
        Regular expression that finds slide or patient in a tile's file name; see
        :class:`napari_nic.patches.TileFolder`. Empty: every tile is a group of its own.
    licence : str
    evaluation_only : bool
        Whether no encoder that is shipped may be trained on the set.
    note : str
        What else must be known to read the results: where `mpp` comes from, what a group is.
    """

    name: str
    folder: Path
    mpp: float
    rule: LabelRule = field(default_factory=FolderLabels)
    group: str = ""
    licence: str = ""
    evaluation_only: bool = False
    note: str = ""


def read_sets(file: Path, root: Path | None = None) -> tuple[LabelledSet, ...]:
    """Read the sets that a JSON file describes.

    Parameters
    ----------
    file : Path
        ``{"sets": [{"name": ..., "folder": ..., "mpp": ..., "labels": "folders", "group": ...}, ...]}``;
        ``labels`` is read by :func:`napari_nic.evaluation.labels.parse_rule`, the other fields are those of
        :class:`LabelledSet`.
    root : Path, optional
        Where the folders' relative paths start; the file's own folder if not given.

    Raises
    ------
    InvalidParameterError
        If the file cannot be read, or describes a set wrongly.
    """
    try:
        described = json.loads(file.read_text(encoding="utf-8"))["sets"]
        return tuple(_parse_set(entry, root or file.parent) for entry in described)
    except InvalidParameterError as error:
        raise InvalidParameterError(
            error.problem, path=file, expected=error.expected, found=error.found, hint=error.hint
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidParameterError(
            "the file of labelled sets cannot be used",
            path=file,
            expected='JSON of the form {"sets": [{"name": ..., "folder": ..., "mpp": ...}]}',
            found=str(error),
        ) from error


def _parse_set(entry: Mapping[str, Any], root: Path) -> LabelledSet:
    known = {f.name for f in fields(LabelledSet)} - {"rule"} | {"labels"}
    required = {"name", "folder", "mpp"}
    if set(entry) - known or required - set(entry):
        raise InvalidParameterError(
            f"the set {entry.get('name', '?')!r} is described wrongly",
            expected=f"{', '.join(sorted(required))}, and maybe {', '.join(sorted(known - required))}",
            found=", ".join(sorted(entry)),
        )
    stated = {key: value for key, value in entry.items() if key != "labels"}
    return LabelledSet(
        **{**stated, "folder": root / entry["folder"], "mpp": float(entry["mpp"])},
        rule=parse_rule(entry.get("labels", "folders")),
    )
