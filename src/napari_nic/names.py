"""Names of slides and of what is written for them: what is a suffix, what is a safe name, what collides.

A suffix is one of a known list, never "what follows the last dot": slides of TCGA are called
``TCGA-3C-AAAU-01Z-00-DX1.2F52DD63-7476``, and S1 and S1.2 are two slides.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from napari_nic.errors import StoreError

STORE_SUFFIX = ".nic.zarr"
PATCHES_SUFFIX = ".patches.zarr"
DOCUMENT_SUFFIX = ".nic.document"
"""Of the folder that keeps the annotations of a slide while they are edited."""

PAINTING_SUFFIX = ".painting.zarr"
"""Of the folder that keeps the class labels painted on a slide."""

ZARR_FILES = ("zarr.json", ".zattrs", ".zgroup", ".zarray")
"""One of them makes a folder a part of a Zarr hierarchy."""

READER_SUFFIXES = {
    "tiff": (".svs", ".ndpi", ".scn", ".tif", ".tiff", ".btf", ".tf8", ".qptiff"),
    "openslide": (
        *(".mrxs", ".bif", ".dcm", ".vms", ".vmu", ".svslide"),
        *(".svs", ".ndpi", ".scn", ".tif", ".tiff"),
    ),
    "wsidicom": (".dcm",),
    "czi": (".czi",),
    "isyntax": (".isyntax",),
    "omezarr": (".zarr",),
    "plain": (".png", ".jpg", ".jpeg"),
    "tiffslide": (".svs", ".tif", ".tiff"),
}
"""Of slides, by the reader that opens them. What is in a file decides, not its name."""

CONTAINER_SUFFIXES = {
    "tiff": (".tif", ".tiff", ".btf", ".tf8"),
    "svs": (".svs", ".tif", ".tiff"),
    "ome-tiff": (".ome.tif", ".ome.tiff", ".ome.btf", ".ome.tf8"),
    "ome-zarr": (".ome.zarr", ".zarr"),
}
"""Of slides that are written anew, by their container; the first is given."""

SCANNER_FILES = {
    ".kfb": "a KFBio slide",
    ".sdpc": "a TEKSQRAY slide",
    ".tmap": "a UNIC slide",
    ".mds": "a Motic slide",
    ".mdsx": "a Motic slide",
    ".ets": "the pixels of an Olympus VSI slide",
    ".i2syntax": "a Philips i2Syntax slide",
}
"""Of slides that no reader opens."""

MICROSCOPE_FILES = {
    ".zvi": "a Zeiss ZVI picture",
    ".oib": "an Olympus OIB picture",
    ".oir": "an Olympus OIR picture",
    ".lif": "a Leica LIF collection",
    ".nd2": "a Nikon ND2 picture",
    ".ims": "an Imaris picture",
    ".dzi": "a Deep Zoom picture",
    ".szi": "a Smart Zoom picture",
    ".jpx": "a JPEG 2000 picture",
}
"""Of pictures that no reader opens, and other programs may."""

TOLD_SUFFIXES = (".afi", ".ndpis", ".vsi", *SCANNER_FILES)
"""Of files that stand for slides and that only slide programs know: no reader is there for them, and the
refusal says what to open or do instead. Pictures of microscopes are not among them: others may read them."""

DICOM_SUFFIXES = (".dcm", ".dicom")
DICOM_ANNOTATIONS_CLASS = "1.2.840.10008.5.1.4.1.1.91.1"
"""By which a DICOM file says that it holds annotations of a slide (Microscopy Bulk Simple Annotations)."""

TILE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
"""Of small pictures to learn from."""

SLIDE_SUFFIXES = tuple(
    dict.fromkeys(
        (
            *(".ome.tif", ".ome.tiff", ".ome.btf", ".ome.tf2", ".ome.tf8", ".ome.zarr"),
            *(suffix for suffixes in READER_SUFFIXES.values() for suffix in suffixes),
            *(*TOLD_SUFFIXES, *DICOM_SUFFIXES),
            *(".tf2", ".lif", ".json", ".jp2", ".j2k", ".bmp", ".webp", ".gif"),
        )
    )
)
"""Of files and folders that may be slides, whether or not a reader is there for them; ``.json`` are recipes
of slides that are painted when they are looked at."""

ARRAY_SUFFIXES = ("_features.npy", ".npy")
HDF5_SUFFIXES = (".h5", ".hdf5")
TENSOR_SUFFIXES = (".pt", ".pth")
FEATURE_SUFFIXES = (*ARRAY_SUFFIXES, ".npz", *HDF5_SUFFIXES, *TENSOR_SUFFIXES)
"""Of other programs' files of codes."""

FEATURE_TABLE_SUFFIXES = (".zarr", ".h5ad", ".parquet", ".csv")
"""Of tables of codes, or of what a model says of each patch, that others keep: a folder, and files."""

KERAS_SUFFIXES = (*HDF5_SUFFIXES, ".keras")

ANNOTATION_SUFFIXES = {
    "geojson": (".geojson", ".json"),
    "asap": (".xml",),
    "imagescope": (".xml",),
    "halo": (".annotations",),
    "ndpa": (".ndpa", ".ndpi.ndpa"),
    "dsa": (".json",),
    "darwin": (".json",),
    "sectra": (".json",),
    "cytomine": (".json",),
    "geoparquet": (".parquet", ".geoparquet"),
    "csv": (".csv",),
    "dicom": (".dcm",),
    "omezarr": (".zarr",),
}
"""Of annotations, by format; the first one is used for new files."""

CLAIMED_ANNOTATIONS = tuple(
    sorted(
        {suffix for suffixes in ANNOTATION_SUFFIXES.values() for suffix in suffixes}
        - {".json", ".csv", ".parquet", ".dcm", ".zarr"}
    )
)
"""Of files that are annotations by their name alone; a ``.json``, a ``.dcm``, a ``.zarr`` or a table may be
anything."""

LABEL_SUFFIXES = (".png", ".tif", ".tiff", ".zarr")
MASK_SUFFIXES = (".png", ".tif", ".tiff")
"""Of pictures of class numbers."""

REPORT_SUFFIXES = (".html", ".json")
"""Of a page for people and of its numbers."""

RESULT_SUFFIXES = (".csv", ".json")
"""Of tables of results."""

TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
"""Of tables that are text."""

WORKBOOK_SUFFIXES = (".xlsx", ".xlsm")
"""Of tables of Excel."""

TEXT_SUFFIXES = (".geojson.gz", ".geojson", ".json", ".xml", *TABLE_SUFFIXES)

PROJECT_SUFFIX = ".nicproj"
FIGURE_SUFFIXES = (".png", ".tif", ".tiff")

_OTHER_SUFFIXES = (
    *(".svg", ".pdf", ".html", ".md", ".xls", ".xlsx", ".ods", ".parquet", ".h5ad", ".zip", ".tar", ".gz"),
)

OUTPUT_SUFFIXES = (
    *(STORE_SUFFIX, PATCHES_SUFFIX, PAINTING_SUFFIX, PROJECT_SUFFIX),
    *(*SLIDE_SUFFIXES, *FEATURE_SUFFIXES, *CLAIMED_ANNOTATIONS, *TEXT_SUFFIXES, *_OTHER_SUFFIXES),
)
"""What a name that was given for an output may end in to be a file's; anything else names a folder."""

NAME_BYTES = 255
"""Longest name of most file systems."""

_MADE_UP_BYTES = 180
"""Longest name that is made from what a file says of itself: suffixes and temporary names still fit."""

_FORBIDDEN = frozenset('<>:"/\\|?*')
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{device}{number}" for device in ("com", "lpt") for number in "123456789\u00b9\u00b2\u00b3"]
)
"""Devices on Windows, with any suffix."""

K = TypeVar("K", bound=Hashable)


def patterns(suffixes: Iterable[str]) -> str:
    """Write suffixes as file dialogs want them: ``"*.svs *.tif"``."""
    return " ".join(f"*{suffix}" for suffix in suffixes)


def known_suffix(name: str, suffixes: Sequence[str] = OUTPUT_SUFFIXES) -> str:
    """Return the longest of `suffixes` that a name ends in, as it is written there; empty if there is none.

    Parameters
    ----------
    name : str
    suffixes : sequence of str
        In small letters.
    """
    small = name.lower()
    found = [suffix for suffix in suffixes if small.endswith(suffix) and len(small) > len(suffix)]
    return name[len(name) - len(max(found, key=len)) :] if found else ""


def has_suffix(path: Path | str, *suffixes: str) -> bool:
    """Whether a path's last part ends in one of `suffixes`, whatever the case of its letters."""
    return Path(path).name.lower().endswith(tuple(suffix.lower() for suffix in suffixes))


def without_suffix(name: str, suffixes: Sequence[str]) -> str:
    """Remove the one of `suffixes` that a name ends in."""
    suffix = known_suffix(name, suffixes)
    return name[: len(name) - len(suffix)] if suffix else name


def exists(path: Path) -> bool:
    """Whether a path is there; False for one that the file system cannot even look for."""
    try:
        return path.exists()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether a path is a folder; False for one that the file system cannot even look for."""
    try:
        return path.is_dir()
    except OSError:
        return False


RUN_FILE, RUN_STORES = "run.json", "stores"
"""What says that a folder is a run's, and the folder in it that holds the compressed slides."""


def folder_of_stores(folder: Path) -> Path:
    """Folder in which stores lie: the one that is named or, where that is a run's, the one in it."""
    inside = folder / RUN_STORES
    return inside if exists(folder / RUN_FILE) and is_folder(inside) else folder


def slide_stem(path: Path | str) -> str:
    """Name of a slide, or of the slide that a store of ours belongs to, without its suffix.

    Parameters
    ----------
    path : Path or str
        Of a slide (a file, or a folder of DICOM or OME-Zarr) or of a store.

    Returns
    -------
    str
        What a folder of DICOM files is called in full, since it may be a number with dots.
    """
    path = Path(path)
    if has_suffix(path, STORE_SUFFIX):
        return without_suffix(path.name, (STORE_SUFFIX,))
    if not has_suffix(path, ".zarr") and is_folder(path):
        return path.name
    return without_suffix(path.name, SLIDE_SUFFIXES)


def safe_name(text: str) -> str:
    """Make one part of a path from text that a file gave: it never leads elsewhere, on any system.

    Separators, drive letters, control characters and what Windows forbids become ``_``; ``.``, ``..``, names
    of devices, dots and spaces at the end, and names that are empty or too long are mended. Other names stay
    as they are.
    """
    cleaned = "".join("_" if _is_forbidden(char) else char for char in text)
    stripped = cleaned.rstrip(". ")
    cleaned = stripped + "_" * (len(cleaned) - len(stripped))
    if not cleaned:
        return "unnamed"
    if cleaned.partition(".")[0].rstrip(" ").lower() in _RESERVED:
        cleaned = f"_{cleaned}"
    return shortened(cleaned, _MADE_UP_BYTES)


def _is_forbidden(char: str) -> bool:
    # Surrogates come from names that are no UTF-8: no file system of others takes them.
    return char in _FORBIDDEN or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in _TURNING


_TURNING = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They turn the direction of writing, so that a name reads as another."""


def readable(text: str) -> str:
    """Replace what is no Unicode in a name, so that it can be written into files and shown."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if text else text


def shortened(name: str, most: int) -> str:
    """Shorten a name to `most` bytes; what was cut off is told apart by a checksum."""
    raw = os.fsencode(name)
    if len(raw) <= most:
        return name
    tail = f"~{hashlib.sha256(raw).hexdigest()[:10]}"
    return raw[: most - len(tail)].decode("utf-8", "ignore") + tail


def same_file_key(path: Path) -> str:
    """Key that is equal for paths that may be one file.

    Links of the folder are followed; upper and lower case, and the two ways in which Unicode composes
    letters, count as equal, since file systems of Windows and macOS hold them so.
    """
    try:
        parent = path.parent.resolve()
    except (OSError, RuntimeError):
        parent = path.parent.absolute()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", str(parent / path.name)).casefold())


def check_apart(targets: Mapping[K, Path | Iterable[Path]]) -> None:
    """Make sure that no two inputs would be written to one place, nor anything over an input or into one.

    Parameters
    ----------
    targets : mapping
        Input -> what will be written for it.

    Raises
    ------
    StoreError
        If two share a file, on this file system or on one that does not tell upper from lower case; if an
        output is the file of an input, by whatever name, or would lie among the files of a Zarr folder.
    """
    owners: dict[str, K] = {}
    inputs = [given for given in targets if isinstance(given, Path)]
    for given, outputs in targets.items():
        for target in (outputs,) if isinstance(outputs, Path) else outputs:
            check_target(target, inputs)
            first = owners.setdefault(same_file_key(target), given)
            if first != given:
                raise StoreError(
                    f"{first} and {given} would be written to the same place; nothing was done",
                    path=target,
                    hint="do them one after the other with different --out, or rename one of them",
                )


def check_target(target: Path, inputs: Iterable[Path] = ()) -> None:
    """Make sure that an output replaces no input, and does not land inside a slide or store.

    Raises
    ------
    StoreError
        If it does.
    """
    for given in inputs:
        if _is_same_file(target, given):
            raise StoreError(
                "the output is an input, which would be lost; nothing was done",
                path=target,
                hint="choose another name (--out)",
            )
    place = Path(os.path.abspath(target)).parent  # noqa: PTH100 - not resolve, which may fail
    inside = next(
        (folder for folder in (place, *place.parents) if any(exists(folder / name) for name in ZARR_FILES)),
        None,
    )
    if inside is not None:
        raise StoreError(
            "the output would lie inside a slide or a store; nothing was done",
            path=target,
            found=f"{inside} is a Zarr folder",
            hint="choose another folder (--out)",
        )


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.is_file() and one.samefile(other)
    except OSError:
        return False
