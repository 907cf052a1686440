"""Optional libraries that others' networks need."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from napari_nic.errors import MissingDependencyError

INSTALL = 'pip install "napari-nic[networks]"'


def require(module: str, what: str) -> ModuleType:
    """Import an optional library.

    Parameters
    ----------
    module : str
        Its name.
    what : str
        What it is needed for, as in ``"timm models"``.

    Raises
    ------
    MissingDependencyError
        If it is not installed; the text holds the install line.
    """
    if find_spec(module) is None:
        raise MissingDependencyError(
            f"{what} need the package {module}, which is not installed", hint=INSTALL
        )
    return import_module(module)


@contextmanager
def offline() -> Iterator[None]:
    """Keep the libraries of the Hugging Face hub from the network, whatever a name makes them do."""
    name = "HF_HUB_OFFLINE"
    before = os.environ.get(name)
    os.environ[name] = "1"
    constants = import_module("huggingface_hub.constants") if find_spec("huggingface_hub") else None
    was = getattr(constants, name, False)
    if constants is not None:
        setattr(constants, name, True)  # it read the environment when it was imported
    try:
        yield
    finally:
        if constants is not None:
            setattr(constants, name, was)
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
