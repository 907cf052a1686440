"""Where tissue U-Nets live on disk: folders of a description, weights and a card.

That of the package is beside this room's code; the user's are in the user's data folder, which the
environment variable ``NAPARI_NIC_HOME`` overrides.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from platformdirs import user_data_dir

from napari_nic.descriptions import is_plain_file_name, read_json, unsealed
from napari_nic.disk import check_regular
from napari_nic.errors import UnknownNameError, WeightsError
from napari_nic.tissue.unet.spec import UnetSpec

SPEC_FILE, WEIGHTS_FILE, CARD_FILE = "unet.json", "weights.safetensors", "CARD.md"
BUILT_IN = Path(__file__).parent.parent / "weights"
DEFAULT_UNET = "tissue-unet"

MOST_WEIGHTS = 2**28
"""Bytes; no network of this kind is larger."""


def user_unets_folder() -> Path:
    """Return the folder of the user's tissue U-Nets (it need not exist)."""
    base = os.environ.get("NAPARI_NIC_HOME") or user_data_dir("napari-nic", appauthor=False)
    return Path(base) / "tissue"


def list_unets() -> tuple[str, ...]:
    """Names of the package's and the user's tissue U-Nets."""
    bases = (BUILT_IN, user_unets_folder())
    folders = [folder for base in bases if base.is_dir() for folder in base.iterdir()]
    return tuple(sorted({folder.name for folder in folders if (folder / SPEC_FILE).is_file()}))


def find_unet(name: str | Path) -> Path:
    """Return the folder of a tissue U-Net given by name or path; the user's hide the package's.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    text = str(name)
    bases = (user_unets_folder(), BUILT_IN) if is_plain_file_name(text) else ()
    for folder in (*(base / text for base in bases), Path(name)):
        if (folder / SPEC_FILE).is_file():
            return folder
    raise UnknownNameError(
        f"unknown tissue network {text!r}",
        expected=f"one of {', '.join(list_unets()) or 'none'}, or a folder that holds {SPEC_FILE}",
        hint="train one with: napari-nic tissue train",
    )


def read_unet(folder: Path) -> UnetSpec:
    """Read the description in a folder.

    Raises
    ------
    WeightsError
        If it is damaged.
    """
    file = folder / SPEC_FILE
    data = unsealed(read_json(file, WeightsError, what="the network's description"), file, WeightsError)
    if not isinstance(data, dict):
        raise WeightsError("not a description of a tissue U-Net", path=file, expected="a JSON object")
    try:
        return UnetSpec.from_dict(data)
    except WeightsError as error:
        raise WeightsError(
            error.problem, path=file, expected=error.expected, found=error.found, hint=error.hint
        ) from error


def read_weights(folder: Path, spec: UnetSpec) -> bytes:
    """Return the content of the file of weights, which must be the one that the description names.

    Raises
    ------
    WeightsError
        If it is missing, is another one, or lies outside the folder.
    """
    file = folder / WEIGHTS_FILE
    check_regular(file, WeightsError)
    if not file.is_file() or not file.resolve().is_relative_to(folder.resolve()):
        raise WeightsError("the network's weights are missing", path=file, hint="copy the whole folder again")
    if file.stat().st_size > MOST_WEIGHTS:
        raise WeightsError(
            "the network's weights are too large", path=file, expected=f"at most {MOST_WEIGHTS:,} bytes"
        )
    content = file.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != spec.weights_sha256:
        raise WeightsError(
            f"these are not the weights of the tissue network {spec.name!r}",
            path=file,
            expected=f"SHA-256 {spec.weights_sha256}",
            found=found,
            hint="the file was changed or damaged: get it again, or train the network again",
        )
    return content
