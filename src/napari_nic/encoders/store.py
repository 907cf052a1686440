"""Where encoders live on disk, and how they are found by name.

A folder holds one encoder: ``encoder.json`` (the spec), ``weights.safetensors`` and ``CARD.md``. Those of
the package are beside this file; the user's are in the user's data folder, which the environment variable
``NAPARI_NIC_HOME`` overrides.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from platformdirs import user_data_dir

from napari_nic.encoders.mean_rgb import MEAN_RGB
from napari_nic.encoders.spec import EncoderSpec
from napari_nic.errors import UnknownNameError, WeightsError

SPEC_FILE, WEIGHTS_FILE, CARD_FILE = "encoder.json", "weights.safetensors", "CARD.md"
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
    for folder in (user_encoders_folder() / str(name), BUILT_IN / str(name), Path(name)):
        if (folder / SPEC_FILE).is_file():
            return folder
    names = sorted({spec.name for spec in list_encoders()})
    raise UnknownNameError(
        f"unknown encoder {str(name)!r}",
        expected=f"one of {', '.join(names)}, or a folder that holds {SPEC_FILE}",
        hint="list them with: napari-nic encoders list",
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
    file = folder / WEIGHTS_FILE
    if not file.is_file():
        raise WeightsError(
            "the encoder's weights are missing", path=file, hint="import or train the encoder again"
        )
    found = file_sha256(file)
    if found != spec.weights_sha256:
        raise WeightsError(
            f"these are not the weights of encoder {spec.name!r}",
            path=file,
            expected=f"SHA-256 {spec.weights_sha256}",
            found=found,
            hint="the file was changed or damaged; import or train the encoder again",
        )
    return file


def file_sha256(file: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _folders(base: Path) -> list[Path]:
    if not base.is_dir():
        return []
    return sorted(folder for folder in base.iterdir() if (folder / SPEC_FILE).is_file())
