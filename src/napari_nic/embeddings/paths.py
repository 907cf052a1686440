"""Where the store of a slide lies by default, and which stores a slide has."""

from __future__ import annotations

from pathlib import Path

from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.layout import SUFFIX, open_group, read_description
from napari_nic.errors import StoreError
from napari_nic.names import SLIDE_SUFFIXES, has_suffix, is_folder, safe_name, slide_stem


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
    name = slide_stem(slide_path)
    if encoder_name:
        name = f"{name}.{encoder_part(encoder_name)}"
    return Path(folder if folder is not None else slide_path.parent) / f"{name}{SUFFIX}"


def encoder_part(encoder_name: str) -> str:
    """Return an encoder's name as a part of a file's name."""
    return safe_name(encoder_name)


def current_name(path: Path, header: StoreHeader) -> str:
    """Name of the slide of a store as the user calls it now: by the store's own name, as far as that says.

    Parameters
    ----------
    path : Path
        The store; it, and the slide, may have been renamed since it was made.
    header : StoreHeader
    """
    if not has_suffix(path, SUFFIX):
        return safe_name(header.slide_name)
    stem = slide_stem(path)
    ending = f".{encoder_part(header.encoder_name)}"
    if stem != header.slide_name and stem.endswith(ending) and len(stem) > len(ending):
        return stem.removesuffix(ending)
    return stem


def find_stores(slide_path: Path | str, folder: Path | str | None = None) -> list[Path]:
    """List the readable stores that lie where :func:`default_store_path` puts those of a slide.

    Only the slide's name is compared; :meth:`~napari_nic.embeddings.CompressedSlide.check_slide` compares
    its fingerprint.
    """
    slide_path = Path(slide_path)
    folder = Path(folder if folder is not None else slide_path.parent)
    stems = {slide_stem(slide_path)}
    if has_suffix(slide_path, *_OME):
        stems.add(slide_path.stem)  # as stores of OME slides were called before
    if not is_folder(folder):
        return []
    try:
        names = sorted(path for path in folder.iterdir() if has_suffix(path, SUFFIX))
    except OSError as error:
        raise StoreError("the folder cannot be read", path=folder, found=str(error)) from error
    return [path for path in names if path.is_dir() and _belongs(path, stems)]


_OME = tuple(suffix for suffix in SLIDE_SUFFIXES if suffix.startswith(".ome."))


def _belongs(path: Path, stems: set[str]) -> bool:
    """Whether a store is called after a slide, with or without a further word such as the encoder's name."""
    own = slide_stem(path)
    if own in stems:
        return True
    if not own.startswith(tuple(f"{stem}." for stem in stems)):
        return False
    try:
        header = read_description(open_group(path), path).header
    except StoreError:
        return False
    return header.slide_name in stems or current_name(path, header) in stems
