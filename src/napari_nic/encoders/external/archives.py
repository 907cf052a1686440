"""Archives of PyTorch, looked into without running anything of them.

They are zip files, stored without compression but for source texts. What PyTorch would unpickle is loaded
here with nothing but tensors allowed, and written anew: the bytes that PyTorch then unpickles are ours.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from pathlib import Path

import torch

from napari_nic.encoders.external.states import MOST_GROWTH, UNPICKLING_ERRORS, load_tensors
from napari_nic.errors import WeightsError

TORCHSCRIPT = "a TorchScript module (torch.jit.save)"
EXPORTED = "a program (torch.export.save)"

MOST_MEMBERS = 100_000
_OLD_PROGRAM = "serialized_exported_program.json"
"""The program in an archive of PyTorch 2.7 and earlier."""

_KEPT = (
    "archive_format",
    "archive_version",
    "byteorder",
    "version",
    ".data/version",
    ".data/serialization_id",
)
_SAMPLES = ("data/sample_inputs/", "serialized_example_inputs.pt")
_PAYLOADS = {"data/weights/": "weight_", "data/constants/": "tensor_"}
"""Folders of tensors, and how the names of their files begin."""

_OLD_STATES = ("serialized_state_dict.pt", "serialized_constants.pt")


def check_torchscript(content: bytes, file: Path) -> None:
    """Raise :class:`WeightsError` unless an archive has the parts of a TorchScript module."""
    names = set(members(content, file, TORCHSCRIPT))
    if not any(name.endswith("/constants.pkl") or name == "constants.pkl" for name in names):
        raise unreadable(file, TORCHSCRIPT, "an archive without a program")


def check_exported(content: bytes, file: Path) -> None:
    """Raise :class:`WeightsError` unless an archive has the parts of one program of torch.export."""
    _find_program(members(content, file, EXPORTED), file)


def without_pickles(content: bytes, file: Path) -> io.BytesIO:
    """Return an archive of torch.export with nothing in it that unpickling could run.

    Parameters
    ----------
    content : bytes
    file : Path
        Named in errors.

    Returns
    -------
    BytesIO
        The program, its tensors, and no sample inputs.

    Raises
    ------
    WeightsError
        If the archive is none of torch.export, or holds pickled objects other than tensors, or libraries.
    """
    sizes = members(content, file, EXPORTED)
    program = _find_program(sizes, file)
    root = program.removesuffix("models/model.json").removesuffix(_OLD_PROGRAM)
    made = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
            payloads = _payloads(old, root, sizes, file)
            for name in sizes:
                inner = name.removeprefix(root)
                if name == program or inner in _KEPT:
                    new.writestr(name, old.read(name))
                elif inner.startswith(_SAMPLES):
                    _tensors_only(old.read(name), file, "sample inputs")
                    new.writestr(name, b"")
                elif inner in payloads:
                    part = old.read(name)
                    new.writestr(name, _tensors_only(part, file, inner) if payloads[inner] else part)
                # Whatever else is in it is none of a network's: further files, compiled libraries.
    except (*_ZIP_ERRORS, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, WeightsError):
            raise
        raise unreadable(file, EXPORTED, str(error)) from error
    made.seek(0)
    return made


_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError)


def members(content: bytes, file: Path, expected: str) -> dict[str, int]:
    """List the members of an archive with their sizes.

    Raises
    ------
    WeightsError
        If it is no archive, a member stands in it twice, or they unpack to far more than the archive holds.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
    except (*_ZIP_ERRORS, ValueError) as error:
        raise unreadable(file, expected, "not an archive of PyTorch") from error
    sizes = {entry.filename: entry.file_size for entry in entries}
    if len(entries) != len(sizes) or len(sizes) > MOST_MEMBERS:
        raise unreadable(file, expected, "an archive with members of the same name, or too many")
    if sum(sizes.values()) > len(content) + MOST_GROWTH:
        raise unreadable(file, expected, f"an archive that unpacks to {sum(sizes.values()):,} bytes")
    return sizes


def unreadable(file: Path, expected: str, found: str) -> WeightsError:
    """Return the error of a model that cannot be opened."""
    return WeightsError(
        "the model cannot be opened",
        path=file,
        expected=expected,
        found=found,
        hint="weights without their network belong to a model of timm: "
        "napari-nic encoders import timm:MODEL --weights FILE",
    )


def _find_program(sizes: dict[str, int], file: Path) -> str:
    models = [name for name in sizes if f"/{name}".endswith(("/models/model.json", f"/{_OLD_PROGRAM}"))]
    others = [name for name in sizes if "/models/" in f"/{name}" and name not in models]
    if len(models) != 1 or others:
        raise unreadable(file, EXPORTED, f"an archive with {len(models) + len(others)} programs")
    return models[0]


def _payloads(archive: zipfile.ZipFile, root: str, sizes: dict[str, int], file: Path) -> dict[str, bool]:
    """List the members that hold tensors, and whether PyTorch would unpickle them."""
    found = dict.fromkeys(_OLD_STATES, True)
    for folder, prefix in _PAYLOADS.items():
        found[f"{folder}model.pt"] = True
        config = f"{folder}model_{folder.split('/')[1]}_config.json"
        if f"{root}{config}" in sizes:
            found[config] = False
            for entry in json.loads(archive.read(f"{root}{config}"))["config"].values():
                name = str(entry["path_name"])
                if not name.startswith(prefix):  # an object, which PyTorch unpickles whatever the entry says
                    raise _holds_objects(file, name)
                found[f"{folder}{name}"] = found.get(f"{folder}{name}", False) or bool(entry["use_pickle"])
    return found


def _tensors_only(content: bytes, file: Path, what: str) -> bytes:
    """Load a pickle of nothing but tensors, and write it anew."""
    if not content:
        return b""
    try:
        loaded = load_tensors(io.BytesIO(content))
    except UNPICKLING_ERRORS as error:
        raise _holds_objects(file, what) from error
    made = io.BytesIO()
    torch.save(loaded, made)
    return made.getvalue()


def _holds_objects(file: Path, what: str) -> WeightsError:
    return WeightsError(
        "this program is refused: unpickling it would run code beside the network",
        path=file,
        expected="an archive whose pickled parts hold nothing but tensors",
        found=f"other objects in its {what}",
        hint="do not use this file; ask whoever gave it to you for an ONNX file",
    )
