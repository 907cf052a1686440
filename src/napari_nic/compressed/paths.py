"""Where the store of a slide lies by default, and which stores a slide has."""

from __future__ import annotations

from pathlib import Path

from napari_nic.compressed.layout import SUFFIX, open_group, read_description
from napari_nic.errors import StoreError


def default_store_path(
    slide_path: Path | str, folder: Path | str | None = None, encoder_name: str | None = None
) -> Path:
    """Path of a slide's store.

    Parameters
    ----------
    slide_path : Path or str
        File, or folder of a DICOM or OME-Zarr slide.
    folder : Path or str, optional
        Beside the slide by default.
    encoder_name : str, optional
        Put into the name, so that stores of several encoders lie side by side.

    Returns
    -------
    Path
        ``{slide}.nic.zarr`` or ``{slide}.{encoder}.nic.zarr``.
    """
    slide_path = Path(slide_path)
    name = _stem(slide_path)
    if encoder_name:
        name = f"{name}.{encoder_name.replace('/', '_').replace(':', '_')}"
    return Path(folder if folder is not None else slide_path.parent) / f"{name}{SUFFIX}"


def find_stores(slide_path: Path | str, folder: Path | str | None = None) -> list[Path]:
    """List the readable stores that lie where :func:`default_store_path` puts those of a slide.

    Only the slide's name is compared; :meth:`~napari_nic.compressed.CompressedSlide.check_slide` compares
    its fingerprint.
    """
    slide_path = Path(slide_path)
    stem = _stem(slide_path)
    folder = Path(folder if folder is not None else slide_path.parent)
    if not folder.is_dir():
        return []
    candidates = sorted(
        path
        for path in folder.iterdir()
        if path.name.endswith(SUFFIX) and path.name.startswith(f"{stem}.") and path.is_dir()
    )
    return [path for path in candidates if path.name == f"{stem}{SUFFIX}" or _slide_name(path) == stem]


def _slide_name(path: Path) -> str | None:
    try:
        return read_description(open_group(path), path).header.slide_name
    except StoreError:
        return None


def _stem(path: Path) -> str:
    # A DICOM folder may be called by a number with dots, of which nothing is a suffix.
    return path.name if path.is_dir() and path.suffix != ".zarr" else path.stem
