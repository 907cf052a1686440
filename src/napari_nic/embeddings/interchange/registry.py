"""Formats by name, and the two functions that use them.

A format is a module with an :class:`Exporter`, an :class:`Importer` or both; registering it here (or from
another package) is all that the menus, the command line and the contract tests need.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from napari_nic.disk import writing_to
from napari_nic.embeddings.header import StoreHeader
from napari_nic.embeddings.interchange.building import Building, build_store
from napari_nic.embeddings.interchange.exporter import Exporter
from napari_nic.embeddings.interchange.finding import encoder_folder_of
from napari_nic.embeddings.interchange.hdf5 import why_not_features, why_unreadable
from napari_nic.embeddings.interchange.naming import named_header
from napari_nic.embeddings.interchange.table import ForeignCodes, ImportHints
from napari_nic.embeddings.interchange.unplaced import refusal_of
from napari_nic.embeddings.interchange.workers import FileSums, version_of
from napari_nic.embeddings.layout import SUFFIX
from napari_nic.embeddings.store import CompressedSlide
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken
from napari_nic.names import HDF5_SUFFIXES, exists, has_suffix, is_folder, known_suffix
from napari_nic.registry import Registry
from napari_nic.telling import Notices, tell


@dataclass(frozen=True)
class Importer:
    """How another format is read.

    Attributes
    ----------
    label : str
        For menus and messages ("TRIDENT features (.h5)").
    recognises : callable
        ``recognises(path) -> bool`` of a file or folder, cheap and without raising.
    read : callable
        ``read(path, hints, token)`` -> context manager of :class:`ForeignCodes`, whose features are read
        while it is open; with a checkpoint in every loop; raises :class:`~napari_nic.errors.StoreError`.
    files : callable
        ``files(path, hints) -> tuple of Path``: all files that are read, partners too; equal bytes of them
        give equal stores.
    """

    label: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, ImportHints, CancellationToken], AbstractContextManager[ForeignCodes]]
    files: Callable[[Path, ImportHints], tuple[Path, ...]] = lambda path, _hints: (path,)


_FOLDERS = (SUFFIX, ".zarr")
"""Suffixes of outputs that are folders themselves."""

EXPORTERS: Registry[Exporter] = Registry("export format")
IMPORTERS: Registry[Importer] = Registry("import format")

_HERE = "napari_nic.embeddings.interchange"
for _name, _place in {
    "zarr": "zarr_format:EXPORTER",
    "npy": "npy_format:EXPORTER",
    "trident": "trident_export:EXPORTER",
    "titan": "trident_export:SPACED",
    "clam": "clam_export:EXPORTER",
    "clam-pt": "clam_export:TENSOR",
    "stamp": "stamp_export:EXPORTER",
    "anndata": "anndata_export:EXPORTER",
    "wsidata": "wsidata_export:EXPORTER",
    "parquet": "parquet_export:EXPORTER",
    "slideflow": "slideflow_export:EXPORTER",
    "owkin": "owkin_export:EXPORTER",
}.items():
    EXPORTERS.register(_name, f"{_HERE}.{_place}")
# The first that recognises a file reads it: arrays of NIC and tensors of CLAM are told from others' last.
for _name in (
    *("tiatoolbox", "owkin", "npy"),
    *("trident", "atlaspatch", "clam", "stamp"),
    *("slide2vec", "slideflow", "wsinfer", "wsidata", "anndata", "parquet"),
    "clam-pt",
):
    IMPORTERS.register(_name, f"{_HERE}.{_name.replace('-', '_')}_format:IMPORTER")


def export_target(header: StoreHeader, path: Path | str, format: str) -> Path:  # noqa: A002 - the user's word
    """Main file that :func:`export_store` will write for `path`: itself, or inside it if it is a folder.

    Raises
    ------
    StoreError
        If `path` is no folder and has another suffix than the format's.
    """
    exporter, path = EXPORTERS.get(format), Path(path)
    other = known_suffix(path.name)
    is_store = has_suffix(path, SUFFIX) and exporter.suffix != SUFFIX  # *.nic.zarr ends in .zarr too
    if has_suffix(path, exporter.suffix) and not is_store:
        if not is_folder(path) or exporter.suffix in _FOLDERS:
            return path
    elif is_store or (other and not is_folder(path)):
        raise StoreError(
            f"the output's name does not fit the format {format!r}",
            path=path,
            expected=f"a name that ends in {exporter.suffix}, or a folder",
            found=other,
        )
    return path / exporter.default_name(header)


def export_files(store: CompressedSlide, path: Path | str, format: str) -> tuple[Path, ...]:  # noqa: A002
    """All files that :func:`export_store` will write for `path` alone, the main one first.

    Raises
    ------
    StoreError
        As of :func:`export_target`.
    """
    target = export_target(named_header(store), path, format)
    return target, *EXPORTERS.get(format).companions(target)


def export_store(
    store: CompressedSlide,
    path: Path | str,
    format: str,  # noqa: A002 - the user's word
    *,
    allow_partial: bool = False,
    overwrite: bool = False,
    token: CancellationToken | None = None,
) -> tuple[Path, ...]:
    """Write the encoded cells of a store in another format.

    Parameters
    ----------
    store : CompressedSlide
    path : Path or str
        File with the format's suffix, or a folder in which the format's own naming is used.
    format : str
        A name in :data:`EXPORTERS`.
    allow_partial : bool
        Export what is there although cells are missing.
    overwrite : bool
        Replace files that exist.
    token : CancellationToken, optional

    Returns
    -------
    tuple of Path
        The files written, the main one first; those that all slides of a folder share, last.

    Raises
    ------
    StoreError
        If the store is not complete, a file exists, the store does not fit the format, or it cannot be
        written.
    UnknownNameError
        If there is no such format.
    CancelledError
        No file is left then, and older ones are as they were.
    """
    exporter = EXPORTERS.get(format)
    files = export_files(store, path, format)
    target = files[0]
    _check_exportable(store, allow_partial)
    existing = [file for file in files if exists(file)]
    adds = exporter.add is not None and exporter.joins(target)
    if existing and not overwrite and not adds:
        raise StoreError("the output exists", path=existing[0], hint="choose another name, or --overwrite")
    with writing_to(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        if adds and exporter.add is not None:
            exporter.add(store, target, token or CancellationToken(), overwrite=overwrite)
        else:
            exporter.write(store, target, token or CancellationToken())
    return (*files, *exporter.shared(target))


def import_store(
    path: Path | str,
    target: Path | str,
    *,
    format: str | None = None,  # noqa: A002 - the user's word
    hints: ImportHints | None = None,
    overwrite: bool = False,
    token: CancellationToken | None = None,
) -> CompressedSlide:
    """Make a store of codes that another program wrote.

    Parameters
    ----------
    path : Path or str
        The other program's file, or folder where its format is one.
    target : Path or str
        Store to make.
    format : str, optional
        A name in :data:`IMPORTERS`; recognised from the file by default.
    hints : ImportHints, optional
        What the file does not say: slide, pixel size, encoder.
    overwrite : bool
        Replace an older store.
    token : CancellationToken, optional

    Returns
    -------
    CompressedSlide
        Complete, opened for writing; its codes are rounded to float16. Patches off the grid lie in the
        nearest cell, see :meth:`CompressedSlide.offsets`; what is to be said of that is told, see
        :mod:`napari_nic.telling`.

    Raises
    ------
    StoreError
        If the format is not recognised, the file is damaged, or its patches form no grid.
    StoreMismatchError
        If it is of another slide than `hints` says.
    CancelledError
        No store is left then; an older one is as it was.
    """
    path, hints = Path(path), hints or ImportHints()
    token = token or CancellationToken()
    with FileSums(token) as sums:
        if path.is_file():
            sums.start(path)  # it takes longest, and recognising a file may mean starting a process for it
        importer = IMPORTERS.get(format or recognised_format(path))
        files = importer.files(path, hints)
        origin = {"said": _said(hints), "folder": encoder_folder_of(path)}
        for file in files:
            sums.start(file)
        with importer.read(path, hints, token) as found:
            how = Building(origin, partial(_sums, path, files, sums), overwrite, token)
            return build_store(found, path, Path(target), hints, how)


def origin_of(
    path: Path,
    hints: ImportHints | None = None,
    *,
    format: str | None = None,  # noqa: A002 - the user's word
    token: CancellationToken | None = None,
) -> dict[str, Any]:
    """Say what an import is made from: equal values give equal stores.

    Returns
    -------
    dict
        ``"files"``: name and SHA-256 of each file that is read; ``"said"``: the hints.

    Raises
    ------
    StoreError
        If a file cannot be read, or is of no format that is known.
    """
    hints = hints or ImportHints()
    importer = IMPORTERS.get(format or recognised_format(path))
    with FileSums(token or CancellationToken()) as sums:
        return {"files": _sums(path, importer.files(path, hints), sums), "said": _said(hints)}


def is_import_of(header: StoreHeader, origin: Mapping[str, Any]) -> bool:
    """Whether a store was made from what :func:`origin_of` says."""
    return all(header.origin.get(key) == origin[key] for key in ("files", "said"))


def _said(hints: ImportHints) -> dict[str, Any]:
    said = {name: value for name, value in asdict(hints).items() if name not in ("slide_name", "coords")}
    return dict(json.loads(json.dumps(said, default=str)))


def _sums(path: Path, files: tuple[Path, ...], sums: FileSums) -> dict[str, str]:
    """Name and sum of each file, none of which has changed since its sum was begun."""
    found = {file: sums.result(file) for file in files}
    try:
        changed = [file for file in files if version_of(file.stat()) != found[file][1]]
    except OSError as error:
        raise StoreError("the file cannot be read", path=path, found=str(error)) from error
    if changed:
        raise StoreError("the file was changed while it was read", path=changed[0], hint="import it again")
    return {_name_of(file, path, files): found[file][0] for file in files}


def _name_of(file: Path, path: Path, files: tuple[Path, ...]) -> str:
    """Name a file by its path within the folder that is imported, or by its name as far as that tells."""
    if path in file.parents:
        return file.relative_to(path).as_posix()
    alike = sum(other.name == file.name for other in files) > 1
    return f"{file.parent.name}/{file.name}" if alike else file.name


def recognised_format(path: Path) -> str:
    """Name the import format of a file or folder.

    Raises
    ------
    StoreError
        If it is none that is known; why is said where it can be told.
    """
    if not path.exists():
        raise StoreError("there is no such file", path=path)
    for name in IMPORTERS:
        if IMPORTERS.get(name).recognises(path):
            return name
    found = why_unreadable(path) if has_suffix(path, *HDF5_SUFFIXES) else ""
    if found:
        raise StoreError(
            "no HDF5 file that can be read, though it is called so",
            path=path,
            found=found,
            hint="it may be cut off or damaged: copy it again from where it came",
        )
    refusal = why_not_features(path) or refusal_of(path)
    if refusal is not None:
        raise refusal
    raise StoreError(
        "the format is not recognised",
        path=path,
        expected="one of " + ", ".join(IMPORTERS.get(name).label for name in IMPORTERS),
        hint="write it as one of these; TRIDENT's .h5 says most of itself",
    )


def _check_exportable(store: CompressedSlide, allow_partial: bool) -> None:
    wanted, encoded = int(store.coverage.sum()), int(store.encoded().sum())
    if encoded == 0 and not (wanted == 0 and store.is_complete):  # a slide without tissue has no rows
        raise StoreError("there is nothing to export: no cell is encoded", path=store.path)
    if encoded == 0:
        tell(Notices(store.path.name, ("no tissue was found: the export holds no patches",)))
    if encoded < wanted and not allow_partial:
        raise StoreError(
            "the store is not complete",
            path=store.path,
            expected=f"{wanted} cells",
            found=f"{encoded} encoded",
            hint="finish the compression, or allow a partial export (--allow-partial)",
        )
