"""Which further files an ONNX graph refers to, read from its bytes without running or trusting it.

ONNX is protobuf: fields of ``number << 3 | type``, where type 2 carries bytes, and bytes may be a message.
Only the messages on the way to a tensor's ``external_data`` are entered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from napari_nic.descriptions import is_plain_file_name
from napari_nic.errors import WeightsError

MOST_DEPTH = 64
"""Graphs within graphs; real ones are a few levels deep."""

_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5
_MODEL = {7: "graph", 25: "function"}
_INNER: Mapping[str, Mapping[int, str]] = {
    "model": _MODEL,
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "entry"},
}
"""By kind of message: fields that hold a message on the way to where a tensor's numbers lie."""


def external_files(content: bytes, file: Path) -> frozenset[str]:
    """List the files that a graph's tensors lie in.

    Parameters
    ----------
    content : bytes
        Of the ONNX file.
    file : Path
        Named in errors.

    Returns
    -------
    frozenset of str
        Names of files in the graph's own folder.

    Raises
    ------
    WeightsError
        If the file is no protobuf, or a name leads out of the folder: ``..``, an absolute path, an address.
    """
    try:
        names = frozenset(_locations(memoryview(content), "model", 0))
    except (IndexError, ValueError) as error:
        raise WeightsError(
            "the model cannot be opened", path=file, expected="an ONNX graph", found=str(error)
        ) from error
    odd = sorted(name for name in names if not is_plain_file_name(name))
    if odd:
        raise WeightsError(
            "this ONNX graph refers to a file outside its folder",
            path=file,
            expected="names of files beside the graph",
            found=", ".join(repr(name)[:200] for name in odd[:4]),
            hint="write the graph anew with its numbers inside, or in one file beside it",
        )
    return names


def _locations(message: memoryview, kind: str, depth: int) -> Iterator[str]:
    if depth > MOST_DEPTH:
        raise ValueError("graphs nested without end")
    inner = _INNER[kind]
    for number, part in _fields(message):
        if number not in inner:
            continue
        if inner[number] == "entry":
            entry = {key: bytes(value) for key, value in _fields(part)}
            if entry.get(1) == b"location":
                yield entry.get(2, b"").decode("utf-8", "replace")
        else:
            yield from _locations(part, inner[number], depth + 1)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the numbers and contents of a message's fields that carry bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _VARINT:
            _, at = _varint(message, at)
        elif kind in (_EIGHT, _FOUR):
            at += 8 if kind == _EIGHT else 4
        elif kind == _BYTES:
            size, at = _varint(message, at)
            if at + size > len(message):
                raise ValueError("cut off, or no ONNX graph")
            yield tag >> 3, message[at : at + size]
            at += size
        else:
            raise ValueError("no ONNX graph")


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while shift < 70:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
    raise ValueError("no ONNX graph")
