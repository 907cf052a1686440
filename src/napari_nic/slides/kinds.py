"""What kind of file is it: told from its first bytes, name and neighbours, before any library sees it.

Only the readers that know a kind are tried on it, so that nothing opens as what it is not: the small JPEG
that a MIRAX slide carries, the overview in an Olympus file, one channel of a fluorescence set.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from napari_nic.names import (
    DICOM_SUFFIXES,
    MICROSCOPE_FILES,
    SCANNER_FILES,
    SLIDE_SUFFIXES,
    TEXT_SUFFIXES,
    ZARR_FILES,
)

HEAD_BYTES = 4096
"""Enough for every mark below."""

TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
EXPORT_HINT = "convert it to OME-TIFF or OME-Zarr, for instance with QuPath or bioformats2raw"
_SAVE_HINT = "save it as PNG or as tiled TIFF"
_UNPACK_HINT = "unpack it and open the slide in it"
_MOST_NAMED = 4


@dataclass(frozen=True)
class FileKind:
    """What a path is.

    Attributes
    ----------
    name : str
        One of the kinds that readers register for (``"tiff"``, ``"dicom"``...), or "" if none is known.
    problem, hint : str
        For what no reader can open: what it is, and what to open or do instead. Empty otherwise.
    """

    name: str = ""
    problem: str = ""
    hint: str = ""


def identify(path: Path) -> FileKind:
    """Say what a file or folder is; reads at most its first bytes and the names beside it.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    if path.is_dir():
        return _folder(path)
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    for look in (_companion, _by_name, _by_magic, _by_text):
        kind = look(path, head)
        if kind is not None:
            return kind
    return FileKind(
        problem=f"no slide of a kind that is known: it starts with {head[:8]!r}",
        hint="check that it opens in its scanner's own viewer; if so, export it from there as OME-TIFF",
    )


# -- folders ---------------------------------------------------------------------------------------------


def _folder(path: Path) -> FileKind:
    if any((path / name).is_file() for name in ZARR_FILES):
        return FileKind("zarr")
    entries = sorted(path.iterdir())
    names = [entry.name for entry in entries]
    if "slidedat.ini" in (name.lower() for name in names):
        return FileKind(
            problem="the folder of a MIRAX slide", hint=_open_hint(path.with_name(f"{path.name}.mrxs"))
        )
    if path.name.startswith("_") and path.name.endswith("_") and any(n.startswith("stack") for n in names):
        return FileKind(problem="the folder of an Olympus VSI slide, which cannot be read", hint=EXPORT_HINT)
    if any(_is_dicom(entry) for entry in entries):
        return FileKind("dicom")
    if path.suffix.lower() == ".zarr":
        return FileKind(
            problem="a folder without Zarr metadata", hint="copy it again whole, with all its files"
        )
    if not entries:
        return FileKind(problem="an empty folder", hint="copy the slide again")
    slides = [name for name in names if Path(name).suffix.lower() in _SLIDE_SUFFIXES]
    hint = (
        f"open one of the files in it: {_listed(slides)}" if slides else "open the slide's own file or folder"
    )
    return FileKind(problem="a folder that holds neither a DICOM nor an OME-Zarr slide", hint=hint)


_SLIDE_SUFFIXES = tuple(suffix for suffix in SLIDE_SUFFIXES if suffix not in TEXT_SUFFIXES)


def _is_dicom(path: Path) -> bool:
    if not path.is_file():  # never a pipe: opening one may not end
        return False
    with path.open("rb") as stream:
        return _has_dicom_mark(stream.read(132))


def _has_dicom_mark(head: bytes) -> bool:
    return head[128:132] == b"DICM"


# -- files that belong to a slide --------------------------------------------------------------------------


def is_part(path: Path) -> bool:
    """Whether a file is a part of a slide that another file stands for.

    Raises
    ------
    OSError
        If its neighbours cannot be read.
    """
    return _companion(path, b"") is not None


def _companion(path: Path, head: bytes) -> FileKind | None:
    """Recognise a file that is a part of a slide which another file stands for."""
    folder, suffix = path.parent, path.suffix.lower()
    if suffix in (".dat", ".ini") and (folder / "Slidedat.ini").is_file():
        return _part_of("a MIRAX slide", folder.with_name(f"{folder.name}.mrxs"))
    if suffix in (".dat", ".ini") and (
        path.name.lower() == "slidedat.ini" or _MIRAX_DATA.fullmatch(path.name)
    ):
        return FileKind(
            problem="a part of a MIRAX slide", hint="open the .mrxs file that stands beside its folder"
        )
    if path.name in ZARR_FILES:
        return _part_of("an OME-Zarr picture", folder)
    if head[:4] == b"SIS\0":
        return FileKind(problem="the pixels of an Olympus VSI slide, which cannot be read", hint=EXPORT_HINT)
    if suffix in (".jpg", ".jpeg", ".opt", ".vmi"):
        for list_file in _beside(folder, (".vms", ".vmu")):
            with list_file.open("rb") as stream:
                text = stream.read(2**16).decode("latin-1")
            if path.name in text or (path.stem == list_file.stem and suffix in (".opt", ".vmi")):
                return _part_of("a Hamamatsu VMS slide", list_file)
    if suffix in (".opt", ".vmi"):
        return FileKind(problem="a part of a Hamamatsu VMS slide", hint="open the .vms file of the same name")
    return None


_MIRAX_DATA = re.compile(r"(?i)(data\d{4}|index)\.dat")


def _beside(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    try:
        return [f for f in sorted(folder.iterdir()) if f.suffix.lower() in suffixes and f.is_file()]
    except OSError:  # a file may be read in a folder that may not be listed
        return []


def _part_of(what: str, main: Path) -> FileKind:
    return FileKind(problem=f"a part of {what}", hint=_open_hint(main))


def _open_hint(main: Path) -> str:
    return (
        f"open {main.name} instead"
        if main.exists()
        else f"open {main.name} instead, which is missing: copy it too"
    )


# -- by name, where the first bytes say something else -----------------------------------------------------


def _by_name(path: Path, head: bytes) -> FileKind | None:
    suffix = path.suffix.lower()
    if suffix == ".mrxs":
        return FileKind("mirax")  # its own bytes are a small JPEG
    if suffix == ".vsi" and head[:4] in TIFF_MAGIC:
        return FileKind(
            problem="an Olympus VSI slide (its pixels lie in a folder beside it), which cannot be read",
            hint=EXPORT_HINT,
        )
    if suffix in DICOM_SUFFIXES and not _has_dicom_mark(head):
        return FileKind(
            problem="no DICOM file: the mark DICM is missing", hint="copy it again from where it came"
        )
    foreign = _FOREIGN_SUFFIXES.get(suffix)
    if foreign is not None and head[:4] not in (*TIFF_MAGIC, b"\x89PNG"):
        return FileKind(problem=f"{foreign}, which cannot be read", hint=EXPORT_HINT)
    return None


_FOREIGN_SUFFIXES = SCANNER_FILES | MICROSCOPE_FILES


# -- by the first bytes ------------------------------------------------------------------------------------


def _by_magic(path: Path, head: bytes) -> FileKind | None:  # noqa: ARG001 - all looks are called alike
    if head[:4] in TIFF_MAGIC:
        return FileKind("tiff")
    if _has_dicom_mark(head):
        return FileKind("dicom")
    for offset, magic, kind in _MAGICS:
        if head[offset : offset + len(magic)] == magic:
            return kind
    if not any(head):
        return FileKind(
            problem="the file begins with zeros only", hint="the copy was never finished: copy it again"
        )
    return None


_OLE = "an OLE file (Zeiss ZVI, Olympus OIB or an office document), not a slide"
_KNOWN: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"ZISRAWFILE", "czi"),
    (b"SQLite format 3\x00", "sakura"),
    (b"[Virtual Microscope Specimen]", "vms"),
    (b"[Uncompressed Virtual Microscope Specimen]", "vms"),
)
_OTHERS: tuple[tuple[str, tuple[tuple[int, bytes, str], ...]], ...] = (
    (
        _UNPACK_HINT,
        (
            (0, b"PK\x03\x04", "a ZIP archive, not a slide"),
            (0, b"\x1f\x8b", "a gzip archive, not a slide"),
            (0, b"BZh", "a bzip2 archive, not a slide"),
            (0, b"\xfd7zXZ\x00", "an xz archive, not a slide"),
            (0, b"7z\xbc\xaf'\x1c", "a 7-Zip archive, not a slide"),
            (0, b"Rar!", "a RAR archive, not a slide"),
            (257, b"ustar", "a tar archive, not a slide"),
        ),
    ),
    (
        _SAVE_HINT,
        (
            (0, b"GIF8", "a GIF picture, which is not read"),
            (0, b"BM", "a BMP picture, which is not read"),
            (8, b"WEBP", "a WebP picture, which is not read"),
            (4, b"jP  ", "a JPEG 2000 picture, which is not read"),
            (0, b"\xffO\xffQ", "a JPEG 2000 codestream, which is not read"),
            (4, b"JXL ", "a JPEG XL picture, which is not read"),
            (0, b"\xff\n", "a JPEG XL picture, which is not read"),
            (4, b"ftyp", "a film or HEIF picture, not a slide"),
            (0, b"8BPS", "a Photoshop picture, which is not read"),
        ),
    ),
    (
        EXPORT_HINT,
        (
            (0, b"\xda\xce\xbe\n", "a Nikon ND2 picture, which cannot be read"),
            (0, b"p\x00\x00\x00", "a Leica LIF collection, which cannot be read"),
            (
                0,
                b"\xd0\xcf\x11\xe0",
                _OLE,
            ),
        ),
    ),
    (
        "open the slide itself",
        (
            (0, b"%PDF", "a PDF document, not a slide"),
            (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file (features or an Imaris picture), not a slide"),
            (0, b"\x93NUMPY", "a NumPy array, not a slide"),
        ),
    ),
)
"""What no reader opens: first bytes, and what they stand for, by what to do instead."""

_MAGICS = (
    *((0, magic, FileKind(name)) for magic, name in _KNOWN),
    *(
        (offset, magic, FileKind(problem=problem, hint=hint))
        for hint, entries in _OTHERS
        for offset, magic, problem in entries
    ),
)


# -- texts -------------------------------------------------------------------------------------------------


def _by_text(path: Path, head: bytes) -> FileKind | None:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, look in _TEXTS:
        if start[: len(magic)].lower() == magic.lower():
            return look(path, head)
    return None


def _isyntax_or_xml(path: Path, head: bytes) -> FileKind:
    if b'ObjectType="DPUfsImport"' in head:
        return FileKind("isyntax")
    if path.suffix.lower() == ".afi" or b"<ImageList" in head:
        names = re.findall(rb"<Path>\s*([^<]+?)\s*</Path>", head)
        return _set_of("an Aperio AFI list of single channels", names)
    if b"deepzoom" in head:
        return FileKind(problem="a Deep Zoom picture, which cannot be read", hint=EXPORT_HINT)
    return FileKind(problem="an XML text, not a slide", hint="open the slide, and annotations as annotations")


def _ndpis(path: Path, head: bytes) -> FileKind:  # noqa: ARG001
    names = re.findall(rb"(?m)^Image\d+\s*=\s*([^\r\n]+?)\s*$", head)
    return _set_of("a Hamamatsu NDPIS list of single channels", names)


def _set_of(what: str, names: list[bytes]) -> FileKind:
    files = [re.split(r"[\\/]", name.decode("utf-8", "replace"))[-1] for name in names]
    hint = f"open one of its files: {_listed(files)}" if files else "open one of the slides beside it"
    return FileKind(problem=f"{what}, not a slide", hint=hint)


def _listed(names: list[str]) -> str:
    return ", ".join(names[:_MOST_NAMED]) + (
        f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    )


def _told(problem: str, hint: str) -> Callable[[Path, bytes], FileKind]:
    return lambda _path, _head: FileKind(problem=problem, hint=hint)


_TEXTS: tuple[tuple[bytes, Callable[[Path, bytes], FileKind]], ...] = (
    (b"version https://git-lfs", _told("a Git LFS pointer, not the slide itself", "fetch it: git lfs pull")),
    (b"<!doctype html", _told("a web page, not a slide", "the download failed: download the slide again")),
    (b"<html", _told("a web page, not a slide", "the download failed: download the slide again")),
    (b"<", _isyntax_or_xml),
    (b"[NanoZoomer Digital Pathology Image Set", _ndpis),
    (b"{", _told("a JSON text, not a slide", "open the slide, and annotations as annotations")),
)
