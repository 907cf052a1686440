"""Damage to a copy of a healthy file: bytes, text, directories of a TIFF, attributes of an HDF5, folders."""

from __future__ import annotations

import json
import re
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Rng = np.random.Generator
ODD_NUMBERS = (0, 1, 2, 7, 255, 256, 65_535, 65_536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1)
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, "", "x", "../../x", "\x00", "NaN", [], {}, [[]], -1, 0, 1e308, -1e-308, 10**30),
    *(float("nan"), float("inf"), "1" * 5000, 3.5, [1, 2, 3], {"a": 1}),
)


@dataclass(frozen=True)
class Mutant:
    """A damaged copy.

    Attributes
    ----------
    path : Path
        What is opened.
    damage : str
        What was done, in words.
    is_metadata : bool
        Whether a statement of the file was changed rather than any byte: what opens is then compared
        with what the file states, or with the healthy original.
    """

    path: Path
    damage: str
    is_metadata: bool


def make_mutant(original: Path, companions: list[Path], folder: Path, rng: Rng) -> Mutant:
    """Copy an original with what belongs to it into `folder`, and damage the copy."""
    folder.mkdir(parents=True)
    for path in (original, *companions):
        if path.is_dir():
            shutil.copytree(path, folder / path.name)
        else:
            shutil.copy(path, folder / path.name)
    target = folder / original.name
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for _ in range(20):
        mutate, is_metadata = _METHODS[rng.integers(len(_METHODS))]
        file = files[rng.integers(len(files))]
        damage = mutate(file, rng)
        if damage:
            return Mutant(target, f"{file.relative_to(folder)}: {damage}", is_metadata)
    raise AssertionError(f"nothing damages {original}")


def _bytes(change: Callable[[bytearray, int, int, Rng], str]) -> Callable[[Path, Rng], str]:
    def mutate(file: Path, rng: Rng) -> str:
        data = bytearray(file.read_bytes())
        if not data:
            return ""
        # Headers lie at the front, directories of a TIFF often at the end.
        span = [len(data), min(len(data), 512), min(len(data), 4096)][rng.integers(3)]
        start = int(rng.integers(span)) if rng.random() < 0.7 else len(data) - 1 - int(rng.integers(span))
        length = int(rng.integers(1, max(2, min(len(data) // 2, 2000))))
        damage = change(data, start, length, rng)
        file.write_bytes(bytes(data))
        return damage

    return mutate


def _flip(data: bytearray, start: int, _: int, rng: Rng) -> str:
    data[start] ^= 1 << int(rng.integers(8))
    return f"bit of byte {start} flipped"


def _scramble(data: bytearray, start: int, length: int, rng: Rng) -> str:
    end = min(len(data), start + length)
    data[start:end] = rng.integers(0, 256, end - start, np.uint8).tobytes()
    return f"bytes {start} to {end} random"


def _zero(data: bytearray, start: int, length: int, _: Rng) -> str:
    end = min(len(data), start + length)
    data[start:end] = bytes(end - start)
    return f"bytes {start} to {end} zero"


def _cut(data: bytearray, start: int, _: int, __: Rng) -> str:
    del data[start:]
    return f"cut off at {start}"


def _drop(data: bytearray, start: int, length: int, _: Rng) -> str:
    del data[start : start + length]
    return f"{length} bytes at {start} missing"


def _double(data: bytearray, start: int, length: int, _: Rng) -> str:
    data[start:start] = data[start : start + length]
    return f"{length} bytes at {start} twice"


def _append(data: bytearray, _: int, length: int, rng: Rng) -> str:
    data.extend(rng.integers(0, 256, length, np.uint8).tobytes())
    return f"{length} bytes more at the end"


def _number(data: bytearray, start: int, _: int, rng: Rng) -> str:
    code = "HIQ"[rng.integers(3)]
    size = struct.calcsize(code)
    start = min(start, len(data) - size) // 2 * 2
    if start < 0:
        return ""
    value = ODD_NUMBERS[rng.integers(len(ODD_NUMBERS))] % 2 ** (8 * size)
    struct.pack_into("<>"[rng.integers(2)] + code, data, start, value)
    return f"number {value} of {size} bytes at {start}"


def _tiff_entry(file: Path, rng: Rng) -> str:
    """Change type, count or value of one entry of a directory; NDPI and BigTIFF are left to the bytes."""
    data = bytearray(file.read_bytes())
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(data[:4]))
    if order is None:
        return ""
    entries = _entries(data, order)
    if not entries:
        return ""
    at = entries[rng.integers(len(entries))]
    code = struct.unpack_from(order + "H", data, at)[0]
    field = int(rng.integers(4))
    value = ODD_NUMBERS[rng.integers(len(ODD_NUMBERS))]
    if field == 0:
        struct.pack_into(order + "H", data, at + 2, int(rng.integers(20)))
    elif field == 1:
        struct.pack_into(order + "I", data, at + 4, value % 2**32)
    elif struct.unpack_from(order + "H", data, at + 2)[0] == 3:
        struct.pack_into(order + "H", data, at + 8, value % 2**16)
    else:
        struct.pack_into(order + "I", data, at + 8, value % 2**32)
    file.write_bytes(bytes(data))
    return f"tag {code}: {('type', 'count', 'value', 'value')[field]} {value}"


def _entries(data: bytearray, order: str) -> list[int]:
    at, found = struct.unpack_from(order + "I", data, 4)[0], []
    while 0 < at < len(data) - 6 and len(found) < 500:
        count = struct.unpack_from(order + "H", data, at)[0]
        found += [at + 2 + 12 * index for index in range(count) if at + 14 + 12 * index <= len(data)]
        end = at + 2 + 12 * count
        at = struct.unpack_from(order + "I", data, end)[0] if end + 4 <= len(data) else 0
    return found


def _json_leaf(file: Path, rng: Rng) -> str:
    if file.suffix not in (".json", ".geojson") and file.name not in (".zattrs", ".zarray", ".zgroup"):
        return ""
    document = json.loads(file.read_text())
    places = list(_places(document, ()))
    if not places:
        return ""
    *way, last = places[rng.integers(len(places))]
    holder = document
    for key in way:
        holder = holder[key]
    value = ODD_VALUES[rng.integers(len(ODD_VALUES))]
    name = ".".join(str(key) for key in (*way, last))
    if rng.random() < 0.2:
        del holder[last]
        damage = f"{name} missing"
    else:
        holder[last] = value
        damage = f"{name} = {str(value)[:30]!r}"
    file.write_text(json.dumps(document))
    return damage


def _places(value: Any, way: tuple[str | int, ...]) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*way, key)
        yield from _places(inner, (*way, key))


def _xml_attribute(file: Path, rng: Rng) -> str:
    if file.suffix != ".xml":
        return ""
    text = file.read_text()
    found = list(re.finditer(r'="([^"]*)"', text))
    if not found:
        return ""
    match = found[rng.integers(len(found))]
    value = str(ODD_VALUES[rng.integers(len(ODD_VALUES))]).replace('"', "").replace("\x00", "&#0;")
    file.write_text(text[: match.start(1)] + value + text[match.end(1) :])
    return f"attribute at {match.start()} = {value[:30]!r}"


def _deep(file: Path, rng: Rng) -> str:
    if file.suffix not in (".json", ".geojson", ".xml"):
        return ""
    depth = int(rng.integers(1000, 100_000))
    opening, closing = ("<a>", "</a>") if file.suffix == ".xml" else ('{"a":', "}")
    file.write_text(opening * depth + "1" + closing * depth)
    return f"{depth} levels deep"


def _hdf5_attribute(file: Path, rng: Rng) -> str:
    if file.suffix not in (".h5", ".hdf5"):
        return ""
    with h5py.File(file, "r+") as hdf:
        nodes: list[Any] = [hdf]
        hdf.visititems(lambda _, node: nodes.append(node))
        places = [(node, key) for node in nodes for key in node.attrs]
        if not places or rng.random() < 0.3:
            return _hdf5_dataset(hdf, rng)
        node, key = places[rng.integers(len(places))]
        if rng.random() < 0.2:
            del node.attrs[key]
            return f"attribute {key} missing"
        value = (0, -1, 1e308, float("nan"), "x", "", [1, 2, 3], 2**62)[rng.integers(8)]
        node.attrs[key] = value
        return f"attribute {key} = {value!r}"


def _hdf5_dataset(hdf: h5py.File, rng: Rng) -> str:
    names = [name for name in hdf if isinstance(hdf[name], h5py.Dataset)]
    if not names:
        return ""
    name = names[rng.integers(len(names))]
    array = hdf[name][()]
    attributes = dict(hdf[name].attrs)
    del hdf[name]
    kind = int(rng.integers(5))
    changed = (
        array[: len(array) // 2] if np.ndim(array) else array,
        np.zeros(0, np.float32),
        np.full(np.shape(array), np.nan, np.float32),
        np.asarray(array).T,
        np.bytes_("x"),
    )[kind]
    node = hdf.create_dataset(name, data=changed)
    for key, value in attributes.items():
        node.attrs[key] = value
    return f"data set {name}: {('half', 'empty', 'NaN', 'transposed', 'text')[kind]}"


def _missing(file: Path, _: Rng) -> str:
    file.unlink()
    return "missing"


def _becomes_folder(file: Path, _: Rng) -> str:
    file.unlink()
    file.mkdir()
    return "a folder"


def _points_at_itself(file: Path, _: Rng) -> str:
    file.unlink()
    file.symlink_to(file.name)
    return "a link to itself"


_ANY_BYTES = (_flip, _flip, _scramble, _zero, _cut, _drop, _double, _append, _number, _number)
_STATEMENTS = (_tiff_entry, _json_leaf, _xml_attribute, _hdf5_attribute)
_METHODS: tuple[tuple[Callable[[Path, Rng], str], bool], ...] = (
    *((_bytes(change), False) for change in _ANY_BYTES),
    *((change, True) for change in (*_STATEMENTS, *_STATEMENTS, *_STATEMENTS)),
    (_deep, False),
    (_missing, False),
    (_becomes_folder, False),
    (_points_at_itself, False),
)
