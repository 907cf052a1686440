"""From a path to an open :class:`~napari_nic.slides.Slide`: the readers are tried in turn."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from napari_nic.errors import SlideNotFoundError, UnreadableSlideError
from napari_nic.registry import Registry
from napari_nic.slides.model import OpenSource, SlideSource
from napari_nic.slides.slide import Slide

READERS: Registry[OpenSource] = Registry("slide reader")
"""Readers in the order in which they are tried; each is imported when its turn comes."""

_SUFFIXES: dict[str, tuple[str, ...]] = {}


def register_reader(name: str, entry: OpenSource | str, suffixes: tuple[str, ...]) -> None:
    """Add a reader.

    Parameters
    ----------
    name : str
        Its name, as in ``open_slide(path, reader=name)``.
    entry : callable or str
        ``path -> SlideSource``, or its ``"module:attribute"`` address.
    suffixes : tuple of str
        For file dialogs only, with the dot, lower case. What is in a file decides, not its name.
    """
    READERS.register(name, entry)
    _SUFFIXES[name] = suffixes


register_reader(
    "tiff",
    "napari_nic.slides.readers.tiff:open_tiff",
    (".svs", ".ndpi", ".scn", ".tif", ".tiff", ".btf", ".tf8", ".qptiff"),
)
register_reader(
    "openslide",
    "napari_nic.slides.readers.openslide:open_openslide",
    (".mrxs", ".bif", ".dcm", ".vms", ".vmu", ".svslide", ".czi", ".svs", ".ndpi", ".scn", ".tif", ".tiff"),
)
register_reader("omezarr", "napari_nic.slides.readers.omezarr:open_omezarr", (".zarr",))
register_reader(
    "plain", "napari_nic.slides.readers.plain:open_plain", (".png", ".jpg", ".jpeg", ".tif", ".tiff")
)
register_reader("tiffslide", "napari_nic.slides.readers.tiffslide:open_tiffslide", (".svs", ".tif", ".tiff"))


def slide_suffixes() -> tuple[str, ...]:
    """Return the suffixes that slides usually have, sorted, each with its dot."""
    return tuple(sorted({suffix for suffixes in _SUFFIXES.values() for suffix in suffixes}))


def open_slide(
    path: str | Path,
    *,
    mpp: float | None = None,
    reader: str | None = None,
    color: Literal["srgb", "raw"] = "srgb",
) -> Slide:
    """Open a slide of any vendor; no pixel is read.

    Parameters
    ----------
    path : str or Path
        The file, or the folder of a DICOM or OME-Zarr slide.
    mpp : float, optional
        The user's micrometres per level-0 pixel; what the file says is then ignored.
    reader : str, optional
        Use this reader only (a name of :data:`READERS`) instead of trying all.
    color : {"srgb", "raw"}
        Apply an embedded ICC profile, or leave the pixels as the file holds them.

    Raises
    ------
    SlideNotFoundError
        If the file, or one that belongs to it, is missing.
    UnreadableSlideError
        If no reader can open it; the text lists each reader's reason.
    DamagedSlideError
        If a reader knows the file but finds it cut off or corrupt.
    UnknownNameError
        If no reader is called `reader`.
    InvalidParameterError
        If `mpp` is absurd.
    """
    path = Path(path)
    _check_there(path)
    names = READERS.names() if reader is None else (reader,)
    name, source = _first_that_opens(path, names)
    try:
        return Slide(path, name, source, to_srgb=color == "srgb", mpp=mpp)
    except ValueError:
        source.close()
        raise


def _first_that_opens(path: Path, names: tuple[str, ...]) -> tuple[str, SlideSource]:
    reasons = []
    for name in names:
        try:
            return name, READERS.get(name)(path)
        except UnreadableSlideError as error:
            reasons.append(f"{name}: {error.problem}")
        except ImportError as error:
            reasons.append(f"{name}: cannot be used here ({error})")
    raise UnreadableSlideError(
        "no reader can open this file",
        path=path,
        expected="a slide (" + " ".join(slide_suffixes()) + ")",
        found="".join(f"\n    {reason}" for reason in reasons),
        hint="check that the file opens in its scanner's own viewer; if so, report its format",
    )


def _check_there(path: Path) -> None:
    if not path.exists():
        raise SlideNotFoundError("there is no such file", path=path, hint="check the path for typing errors")
    if path.is_file():
        try:
            with path.open("rb") as stream:
                is_empty = not stream.read(1)
        except PermissionError:
            raise UnreadableSlideError(
                "the file may not be read", path=path, hint="ask its owner for permission to read it"
            ) from None
        if is_empty:
            raise UnreadableSlideError(
                "the file is empty", path=path, found="0 bytes", hint="copy it again from where it came"
            )
