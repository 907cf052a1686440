"""Whether what a mutant opened as is right: what the healthy file is, or what the mutant itself states."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tifffile
from PIL import Image

Facts = dict[str, Any]
Size = tuple[int, int]

_UNREADABLE = (OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError, SyntaxError, EOFError)
_ORACLE_FAILS = (*_UNREADABLE, tifffile.TiffFileError, Image.DecompressionBombError, ArithmeticError)
_STATES_PIXEL_SIZE = ("tag 270", "tag 282", "tag 283", "tag 296", "tag 654", "tag 655", "tag 33", "tag 50")


@dataclass(frozen=True)
class Verdict:
    """One fault, or none.

    Attributes
    ----------
    fault : str
        ``""``, ``"crash"``, ``"hang"``, ``"memory"``, ``"traceback"`` or ``"silent"``.
    text : str
        What speaks for it.
    """

    fault: str
    text: str = ""


def assess(
    kind: str, path: Path, healthy: Facts, answer: dict[str, Any], damage: str, *, stated: bool
) -> Verdict:
    """Assess a child's answer about a mutant.

    Parameters
    ----------
    kind : str
    path : Path
        The mutant.
    healthy : dict
        Facts of the original.
    answer : dict
        Of the child: ``end`` is opened, refused, traceback, memory, crash or hang.
    damage : str
    stated : bool
        Whether a statement (a tag, an attribute) was changed, rather than any byte.
    """
    if answer["end"] in ("crash", "hang", "memory", "traceback"):
        return Verdict(answer["end"], answer.get("text", ""))
    if answer["end"] == "refused":
        return Verdict("")
    wrong = _COMPARISONS[kind](path, healthy, answer["facts"], damage, stated)
    return Verdict("silent" if wrong else "", wrong)


def _slide(path: Path, healthy: Facts, found: Facts, damage: str, stated: bool) -> str:
    before, after = tuple(healthy["levels"][0]), tuple(found["levels"][0])
    if after != before and after not in _oracle_sizes(path):
        return f"level 0 is {after}, was {before}; an independent reader says {_oracle_sizes(path)}"
    is_other_tag = stated and "tag " in damage and not any(tag in damage for tag in _STATES_PIXEL_SIZE)
    if is_other_tag and after == before and found["mpp"] != healthy["mpp"]:
        return f"um per pixel are {found['mpp']}, were {healthy['mpp']}"
    return ""


def _oracle_sizes(path: Path) -> list[Size]:
    """Sizes of level 0 that a reader of another make finds."""
    sizes = []
    for oracle in (_by_tifffile, _by_pillow, _by_zarr):
        try:
            sizes += oracle(path)
        except _ORACLE_FAILS:
            continue
    return sizes


def _by_tifffile(path: Path) -> list[Size]:
    with tifffile.TiffFile(path) as tif:
        return [(page.imagelength, page.imagewidth) for page in tif.pages]


def _by_pillow(path: Path) -> list[Size]:
    with Image.open(path) as image:
        width, height = image.size
        return [(height, width), (width, height)]


def _by_zarr(path: Path) -> list[Size]:
    files = [file for name in ("0/zarr.json", "0/.zarray") if (file := path / name).is_file()]
    shapes = [json.loads(file.read_text())["shape"][-2:] for file in files]
    return [(int(height), int(width)) for height, width in shapes]


def _same(*keys: str) -> Callable[[Path, Facts, Facts, str, bool], str]:
    """All that these keys tell must be as it was."""

    def compare(_: Path, healthy: Facts, found: Facts, __: str, ___: bool) -> str:
        changed = [key for key in keys if healthy[key] != found[key]]
        return "; ".join(f"{key} {found[key]!s:.80}, was {healthy[key]!s:.80}" for key in changed)

    return compare


def _features(_: Path, __: Facts, found: Facts, ___: str, ____: bool) -> str:
    """Files of others carry no checksums: only what cannot be meant is wrong."""
    return "" if found["sum"] < 1e9 and found["sum"] == found["sum"] else f"codes add up to {found['sum']}"


def _anything(*_: object) -> str:
    """Annotations may say anything; the child itself compares what it writes."""
    return ""


def _document(_: Path, healthy: Facts, found: Facts, __: str, ___: bool) -> str:
    """What is left out is told, unless the file simply ends earlier; nothing is another thing than it was."""
    wrong = [name for name, what in found["objects"].items() if healthy["objects"].get(name, what) != what]
    if wrong:
        return f"{wrong[0]} is {found['objects'][wrong[0]][:80]}"
    missing = set(healthy["objects"]) - set(found["objects"])
    numbers = sorted(int(name.removeprefix("id-")) for name in missing)
    is_end = numbers == sorted(int(n.removeprefix("id-")) for n in healthy["objects"])[-len(numbers) :]
    return (
        f"{len(missing)} objects are missing, and nothing is said"
        if missing and not found["notes"] and not is_end
        else ""
    )


_COMPARISONS: dict[str, Callable[[Path, Facts, Facts, str, bool], str]] = {
    "slide": _slide,
    "annotation": _anything,
    "store": _same("shape", "grid", "encoder", "sum", "cells"),
    "bundle": _same("scores"),
    "encoder": _same("identity", "sum"),
    "features": _features,
    "document": _document,
}
