"""Optional libraries that evaluation needs."""

from __future__ import annotations

from importlib.util import find_spec

from napari_nic.errors import MissingDependencyError

INSTALL = {
    "sklearn": 'pip install "napari-nic[train]"',
    "matplotlib": 'pip install "napari-nic[train]"',
    "umap": "pip install umap-learn",
}


def require(module: str, what: str) -> None:
    """Raise :class:`MissingDependencyError` with the install line if an optional library is missing.

    Parameters
    ----------
    module : str
        A key of `INSTALL`.
    what : str
        What it is needed for, as in ``"the linear probe"``.
    """
    if find_spec(module) is None:
        raise MissingDependencyError(
            f"{what} needs the package {module}, which is not installed", hint=INSTALL[module]
        )
