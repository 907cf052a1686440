"""Read a model's file as it will be opened: a program only if it may run."""

from __future__ import annotations

from pathlib import Path

from napari_nic.encoders.external.archives import check_exported, check_torchscript
from napari_nic.encoders.external.file_models import ModelFile
from napari_nic.encoders.external.trust import PROGRAMS, check_consent, read_file

_LOOKS = {"torchscript": check_torchscript, "torch-export": check_exported}


def read_model(file: Path, architecture: str, *, trust: bool = False) -> ModelFile:
    """Read a program's bytes; of an ONNX file, name it.

    Raises
    ------
    WeightsError
        If the file cannot be read, or holds no such program: nobody is asked to trust what cannot be opened.
    ConsentError
        If it is a program, and nobody has said that it may run.
    """
    if architecture not in PROGRAMS:
        return ModelFile(file)
    content = read_file(file)
    _LOOKS[architecture](content, file)
    check_consent(content, file, architecture, trust=trust)
    return ModelFile(file, content)
