"""Where tissue U-Nets live on disk: folders of a description, weights and a card.

That of the package is beside this room's code; the user's are in the user's data folder, which the
environment variable ``NAPARI_NIC_HOME`` overrides.
"""

from __future__ import annotations

from pathlib import Path

from napari_nic.descriptions import is_plain_file_name
from napari_nic.errors import UnknownNameError
from napari_nic.tissue.unet.spec import UnetSpec
from napari_nic.weight_files import Owner, read_checked, read_description, user_home

SPEC_FILE, WEIGHTS_FILE, CARD_FILE = "unet.json", "weights.safetensors", "CARD.md"
BUILT_IN = Path(__file__).parent.parent / "weights"
DEFAULT_UNET = "tissue-unet"

MOST_WEIGHTS = 2**28
"""Bytes; no network of this kind is larger."""


def user_unets_folder() -> Path:
    """Return the folder of the user's tissue U-Nets (it need not exist)."""
    return user_home() / "tissue"


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
    return read_description(folder / SPEC_FILE, UnetSpec.from_dict, what="tissue network")


def read_weights(folder: Path, spec: UnetSpec) -> bytes:
    """Return the content of the file of weights, which must be the one that the description names.

    Raises
    ------
    WeightsError
        If it is missing, is another one, or lies outside the folder.
    """
    owner = Owner("tissue network", "get it again, or train the network again", name=spec.name)
    return read_checked(folder / WEIGHTS_FILE, spec.weights_sha256, owner, most_bytes=MOST_WEIGHTS)
