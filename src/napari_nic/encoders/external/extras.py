"""Optional libraries that others' networks need."""

from __future__ import annotations

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
