"""Where encoders live on disk, and how they are found by name.

A folder holds one encoder: ``encoder.json`` (the spec), ``weights.safetensors`` (or the model file of
another's network) and ``CARD.md``. Those of the package are beside this file; the user's are in the user's
data folder, which the environment variable ``NAPARI_NIC_HOME`` overrides.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_data_dir

from napari_nic.encoders.mean_rgb import MEAN_RGB
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.errors import InvalidParameterError, UnknownNameError, WeightsError

SPEC_FILE, WEIGHTS_FILE, CARD_FILE = "encoder.json", "weights.safetensors", "CARD.md"
MODEL_FILES = {"torchscript": "model.pt", "torch-export": "model.pt2", "onnx": "model.onnx"}
"""What holds the weights of the architectures that are a file of their own."""

TIMM_PREFIX = "timm:"
BUILT_IN = Path(__file__).parent / "weights"
DEFAULT_ENCODER = "nic-default"


def user_encoders_folder(home: Path | str | None = None) -> Path:
    """Return the folder of the user's encoders (it need not exist)."""
    base = home or os.environ.get("NAPARI_NIC_HOME") or user_data_dir("napari-nic", appauthor=False)
    return Path(base) / "encoders"


def list_encoders() -> tuple[EncoderSpec, ...]:
    """List the package's and the user's encoders; the default one first, the user's by name."""
    folders = [*_folders(BUILT_IN), *_folders(user_encoders_folder())]
    specs = [read_spec(folder) for folder in folders]
    specs.sort(key=lambda spec: spec.name != DEFAULT_ENCODER)
    return (*specs, MEAN_RGB)


def get_spec(name: str | Path) -> EncoderSpec:
    """Return the spec of an encoder, by name or by its folder.

    Raises
    ------
    UnknownNameError
        If there is no such encoder; the text lists those that are there.
    """
    if str(name) == MEAN_RGB.name:
        return MEAN_RGB
    return read_spec(find_folder(name))


def find_folder(name: str | Path) -> Path:
    """Return the folder of an encoder given by name or path; the user's hide the package's.

    Raises
    ------
    UnknownNameError
    """
    for folder in (user_encoders_folder() / folder_name(str(name)), BUILT_IN / str(name), Path(name)):
        if (folder / SPEC_FILE).is_file():
            return folder
    if str(name).startswith(TIMM_PREFIX):
        raise _not_imported(str(name))
    names = sorted({spec.name for spec in list_encoders()})
    raise UnknownNameError(
        f"unknown encoder {str(name)!r}",
        expected=f"one of {', '.join(names)}, or a folder that holds {SPEC_FILE}",
        hint="list them with: napari-nic encoders list",
    )


def _not_imported(name: str) -> UnknownNameError:
    from napari_nic.encoders.external.hub_models import known_hub_model

    known = known_hub_model(name.removeprefix(TIMM_PREFIX))
    return UnknownNameError(
        f"{name} is not among your encoders yet" + (f". {known.terms}" if known else ""),
        expected="a network of timm that was imported once: nothing is downloaded unasked",
        hint=f"napari-nic encoders import {name} with --weights FILE.safetensors, --allow-download or "
        "--random-weights SEED",
    )


def read_spec(folder: Path) -> EncoderSpec:
    """Read ``encoder.json`` of a folder.

    Raises
    ------
    WeightsError
        If it is damaged.
    """
    file = folder / SPEC_FILE
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(
            "the encoder's description cannot be read", path=file, expected="JSON", found=str(error)
        ) from error
    if not isinstance(data, dict):
        raise WeightsError("not an encoder description", path=file, expected="a JSON object")
    return EncoderSpec.from_dict(data)


def checked_weights(folder: Path, spec: EncoderSpec) -> Path:
    """Return the weights file of an encoder after comparing its checksum.

    Raises
    ------
    WeightsError
        If the file is missing or is not the one that the spec names.
    """
    return checked_file(folder / weights_name(spec), spec.weights_sha256, spec)


def checked_file(file: Path, sha256: str | None, spec: EncoderSpec) -> Path:
    """Return a file of an encoder after comparing its checksum.

    Raises
    ------
    WeightsError
        If the file is missing or is another one.
    """
    if not file.is_file():
        raise WeightsError(
            "the encoder's weights are missing", path=file, hint="import or train the encoder again"
        )
    found = file_sha256(file)
    if found != sha256:
        raise WeightsError(
            f"these are not the weights of encoder {spec.name!r}",
            path=file,
            expected=f"SHA-256 {sha256}",
            found=found,
            hint="the file was changed or damaged; import or train the encoder again",
        )
    return file


def weights_name(spec: EncoderSpec) -> str:
    """Return the name of the file that holds the weights in an encoder's folder."""
    return MODEL_FILES.get(spec.architecture, WEIGHTS_FILE)


def folder_name(name: str) -> str:
    """Return the folder that holds an encoder of the user's: ``timm:a/b`` lies in ``timm--a--b``."""
    return name.replace(":", "--").replace("/", "--") if name.startswith(TIMM_PREFIX) else name


def check_new_name(name: str) -> None:
    """Raise :class:`InvalidParameterError` unless an encoder of the user's may be called `name`."""
    folder = folder_name(name)
    if Path(folder).name != folder or folder in ("", ".."):
        raise InvalidParameterError("an encoder's name cannot hold a path", found=repr(name))
    if name in (MEAN_RGB.name, DEFAULT_ENCODER) or (BUILT_IN / name).exists():
        raise InvalidParameterError(
            f"{name!r} is an encoder of napari-nic itself", hint="import it under another name"
        )


@contextmanager
def new_encoder(name: str, home: Path | str | None = None) -> Iterator[Path]:
    """Give an empty folder for an encoder's files; at the end it takes its place among the user's encoders.

    An encoder of this name is replaced, and only when the new one is complete; when the block raises, nothing
    has changed.

    Raises
    ------
    InvalidParameterError
        See :func:`check_new_name`.
    WeightsError
        If the files cannot be written.
    """
    check_new_name(name)
    base = user_encoders_folder(home)
    try:
        base.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=base) as workshop:
            made, target = Path(workshop) / "made", base / folder_name(name)
            made.mkdir()
            yield made
            if target.exists():
                target.rename(Path(workshop) / "replaced")
            made.rename(target)
    except OSError as error:
        raise WeightsError(
            "the encoder cannot be saved",
            path=base / folder_name(name),
            found=str(error),
            hint="free the disk or make the folder writable, or choose another with NAPARI_NIC_HOME",
        ) from error


def write_spec(folder: Path, spec: EncoderSpec, card: str) -> None:
    """Write ``encoder.json`` and ``CARD.md``."""
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    (folder / SPEC_FILE).write_text(json.dumps(spec.to_dict(), indent=2) + "\n", encoding="utf-8")


def file_sha256(file: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _folders(base: Path) -> list[Path]:
    if not base.is_dir():
        return []
    return sorted(folder for folder in base.iterdir() if (folder / SPEC_FILE).is_file())
