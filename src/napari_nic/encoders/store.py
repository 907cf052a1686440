"""Where encoders live on disk, and how they are found by name.

A folder holds one encoder: ``encoder.json`` (the spec), ``weights.safetensors`` (or the model file of
another's network) and ``CARD.md``. Those of the package are beside this file; the user's are in the user's
data folder, which the environment variable ``NAPARI_NIC_HOME`` overrides.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_nic.descriptions import is_name, is_plain_file_name, sealed
from napari_nic.disk import replacing_folder, sync_files
from napari_nic.encoders.mean_rgb import MEAN_RGB
from napari_nic.encoders.spec import MODEL_FILES, EncoderSpec
from napari_nic.errors import InvalidParameterError, StoreError, UnknownNameError, WeightsError
from napari_nic.names import safe_name
from napari_nic.weight_files import Owner, checked_file, read_description, user_home

SPEC_FILE, WEIGHTS_FILE, CARD_FILE = "encoder.json", "weights.safetensors", "CARD.md"

TIMM_PREFIX = "timm:"
_log = logging.getLogger(__name__)
BUILT_IN = Path(__file__).parent / "weights"
DEFAULT_ENCODER = "nic-default"


def user_encoders_folder(home: Path | str | None = None) -> Path:
    """Return the folder of the user's encoders (it need not exist)."""
    return user_home(home) / "encoders"


def list_encoders(*, damaged: Callable[[WeightsError], object] | None = None) -> tuple[EncoderSpec, ...]:
    """List the package's and the user's encoders; the default one first, the user's by name.

    Parameters
    ----------
    damaged : callable, optional
        Is told why one is left out; by default it stands in the log.
    """
    tell = damaged or (lambda error: _log.warning("left out an encoder: %s", error))
    specs = []
    for folder in [*_folders(BUILT_IN), *_folders(user_encoders_folder())]:
        try:
            specs.append(read_spec(folder))
        except WeightsError as error:
            tell(error)
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
    return read_description(folder / SPEC_FILE, _checked_spec, what="encoder")


def _checked_spec(data: Mapping[str, Any]) -> EncoderSpec:
    from napari_nic.encoders.external.options import check_options

    spec = EncoderSpec.from_dict(data)
    check_options(spec)
    return spec


def owner(spec: EncoderSpec | None = None) -> Owner:
    """Return whose files an encoder's are, for the errors of :mod:`napari_nic.weight_files`."""
    return Owner("encoder", "import or train the encoder again", name="" if spec is None else spec.name)


def checked_weights(folder: Path, spec: EncoderSpec) -> Path:
    """Return the weights file of an encoder after comparing its checksum.

    Raises
    ------
    WeightsError
        If the file is missing or is not the one that the spec names.
    """
    return checked_file(folder / weights_name(spec), spec.weights_sha256, owner(spec))


def weights_name(spec: EncoderSpec) -> str:
    """Return the name of the file that holds the weights in an encoder's folder."""
    return MODEL_FILES.get(spec.architecture, WEIGHTS_FILE)


def folder_name(name: str) -> str:
    """Return the folder that holds an encoder of the user's: ``timm:a/b`` lies in ``timm--a--b``."""
    return name.replace(":", "--").replace("/", "--") if name.startswith(TIMM_PREFIX) else name


def check_new_name(name: str) -> None:
    """Raise :class:`InvalidParameterError` unless an encoder of the user's may be called `name`."""
    folder = folder_name(name)
    if not is_name(name) or not is_plain_file_name(folder) or safe_name(folder) != folder:
        raise InvalidParameterError(
            "an encoder's name cannot hold a path, or characters that a file's name cannot", found=repr(name)
        )
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
    target = user_encoders_folder(home) / folder_name(name)
    check_replaceable(target)
    try:
        with replacing_folder(target) as made:
            made.mkdir()
            yield made
            sync_files(file for file in made.rglob("*") if file.is_file())
    except StoreError as error:
        raise WeightsError(
            "the encoder cannot be saved",
            path=target,
            found=error.found,
            hint="free the disk or make the folder writable, or choose another with NAPARI_NIC_HOME",
        ) from error


def check_replaceable(target: Path) -> None:
    """Raise :class:`WeightsError` if a folder is there that is not an encoder's, or a link to elsewhere."""
    if target.is_symlink() or (target.exists() and not (target / SPEC_FILE).is_file()):
        raise WeightsError(
            "something that is no encoder has this name already; it is not replaced",
            path=target,
            hint="choose another name, or move it away",
        )


def write_spec(folder: Path, spec: EncoderSpec, card: str) -> None:
    """Write ``encoder.json`` and ``CARD.md``."""
    (folder / CARD_FILE).write_text(card, encoding="utf-8")
    (folder / SPEC_FILE).write_text(spec_text(spec), encoding="utf-8")


def spec_text(spec: EncoderSpec) -> str:
    """Return the content of ``encoder.json``."""
    return json.dumps(sealed(spec.to_dict()), indent=2) + "\n"


def _folders(base: Path) -> list[Path]:
    if not base.is_dir():
        return []
    return sorted(folder for folder in base.iterdir() if (folder / SPEC_FILE).is_file())
