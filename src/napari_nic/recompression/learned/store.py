"""Where learned codecs live on disk: folders of a description, weights and a card.

Those of the package are beside this room's code; the user's are in the user's data folder, which the
environment variable ``NAPARI_NIC_HOME`` overrides.
"""

from __future__ import annotations

from pathlib import Path

from napari_nic.descriptions import is_plain_file_name
from napari_nic.errors import UnknownNameError
from napari_nic.recompression.learned.spec import CodecSpec
from napari_nic.weight_files import Owner, read_checked, read_description, user_home

SPEC_FILE, CARD_FILE = "card.json", "CARD.md"
ENCODER_FILE, DECODER_FILE, LIGHT_FILE = "encoder.safetensors", "decoder.safetensors", "light.safetensors"
BUILT_IN = Path(__file__).parent / "weights"

MOST_WEIGHTS = 2**28
"""Bytes; no network of this kind is larger."""


def user_codecs_folder() -> Path:
    """Return the folder of the user's learned codecs (it need not exist)."""
    return user_home() / "codecs"


def list_codecs() -> tuple[str, ...]:
    """Names of the package's and the user's learned codecs."""
    bases = (BUILT_IN, user_codecs_folder())
    folders = [folder for base in bases if base.is_dir() for folder in base.iterdir()]
    return tuple(sorted({folder.name for folder in folders if (folder / SPEC_FILE).is_file()}))


def find_codec(name: str | Path) -> Path:
    """Return the folder of a learned codec given by name or path; the user's hide the package's.

    Raises
    ------
    UnknownNameError
        If there is none.
    """
    text = str(name)
    bases = (user_codecs_folder(), BUILT_IN) if is_plain_file_name(text) else ()
    for folder in (*(base / text for base in bases), Path(name)):
        if (folder / SPEC_FILE).is_file():
            return folder
    raise UnknownNameError(
        f"unknown learned codec {text!r}",
        expected=f"one of {', '.join(list_codecs()) or 'none'}, or a folder that holds {SPEC_FILE}",
        hint="train one with: napari-nic codecs train",
    )


def read_codec(folder: Path) -> CodecSpec:
    """Read the description in a folder.

    Raises
    ------
    WeightsError
        If it is damaged.
    """
    return read_description(folder / SPEC_FILE, CodecSpec.from_dict, what="learned codec")


def read_part(folder: Path, name: str, sha256: str) -> bytes:
    """Return the content of a file of weights, which must be the one that the description names.

    Parameters
    ----------
    folder : Path
    name : str
        Of the file.
    sha256 : str
        As the description has it.

    Raises
    ------
    WeightsError
        If it is missing, is another one, or lies outside the folder.
    """
    owner = Owner("learned codec", "get the folder again, or train the codec again", name=folder.name)
    return read_checked(folder / name, sha256, owner, most_bytes=MOST_WEIGHTS)
