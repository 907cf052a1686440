"""Optional libraries: whether they are installed, and how they would be."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from napari_nic.errors import MissingDependencyError

INSTALL = {
    "SimpleITK": 'pip install "napari-nic[consensus]"',
    "aiohttp": 'pip install "napari-nic[remote]"',
    "anndata": 'pip install "napari-nic[interchange]"',
    "bokeh": "pip install bokeh",
    "constriction": 'pip install "napari-nic[neural]"',
    "cryptography": 'pip install "napari-nic[cluster]"',
    "dask": 'pip install "napari-nic[cluster]"',
    "dask_jobqueue": 'pip install "napari-nic[slurm]"',
    "distributed": 'pip install "napari-nic[cluster]"',
    "faiss": 'pip install "napari-nic[similarity]"',
    "fsspec": 'pip install "napari-nic[remote]"',
    "highdicom": 'pip install "napari-nic[dicom]"',
    "jpeglib": 'pip install "napari-nic[recompress]"',
    "matplotlib": 'pip install "napari-nic[train]"',
    "mozjpeg_lossless_optimization": 'pip install "napari-nic[recompress]"',
    "onnxruntime": 'pip install "napari-nic[networks]"',
    "openpyxl": 'pip install "napari-nic[tables]"',
    "pyarrow": 'pip install "napari-nic[interchange]"',
    "s3fs": 'pip install "napari-nic[remote]"',
    "sklearn": 'pip install "napari-nic[train]"',
    "timm": 'pip install "napari-nic[networks]"',
    "umap": "pip install umap-learn",
}


def check_installed(module: str, what: str) -> None:
    """Raise :class:`MissingDependencyError` with the install line if an optional library is missing.

    Parameters
    ----------
    module : str
        A key of :data:`INSTALL`.
    what : str
        What it is needed for, as in ``"the linear probe"``.
    """
    if find_spec(module) is None:
        raise MissingDependencyError(
            f"the package {module} is needed for {what}, and is not installed", hint=INSTALL[module]
        )


def require(module: str, what: str) -> ModuleType:
    """Import an optional library; see :func:`check_installed`."""
    check_installed(module, what)
    return import_module(module)
