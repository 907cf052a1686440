"""From a path to an open :class:`~napari_nic.slides.Slide`: readers that know its kind are tried."""

from __future__ import annotations

import errno
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from napari_nic.addresses import is_address
from napari_nic.disk import check_regular
from napari_nic.errors import (
    ChannelsError,
    DamagedSlideError,
    MissingDependencyError,
    NicError,
    RemoteError,
    SlideNotFoundError,
    UnreadableSlideError,
    UnsupportedPixelsError,
)
from napari_nic.names import READER_SUFFIXES, TOLD_SUFFIXES
from napari_nic.registry import Registry
from napari_nic.slides.channels import show_channels
from napari_nic.slides.color import is_srgb
from napari_nic.slides.kinds import TIFF_MAGIC, FileKind, identify
from napari_nic.slides.level_check import drop_other_pictures
from napari_nic.slides.model import Channel, ChannelSource, OpenSource, Selection, SlideSource
from napari_nic.slides.remote.copies import copied
from napari_nic.slides.remote.mirrors import open_mirror
from napari_nic.slides.remote.places import RemotePlace, path_for, remember, remote_of
from napari_nic.slides.slide import Slide
from napari_nic.telling import Notices, tell

READERS: Registry[OpenSource] = Registry("slide reader")
"""Readers in the order in which they are tried; each is imported when its turn comes."""

_SUFFIXES: dict[str, tuple[str, ...]] = {}
_KINDS: dict[str, tuple[str, ...]] = {}
_SELECTING: set[str] = set()

_STITCHED = frozenset({"leica", "ventana", "trestle"})
"""Vendors whose TIFFs OpenSlide may open after the TIFF reader left them to it; any other it would guess."""

_HINT = "check that it opens in its scanner's own viewer; if so, export it from there as OME-TIFF"
_ANY_KIND = ""


def register_reader(
    name: str,
    entry: OpenSource | str,
    suffixes: tuple[str, ...],
    kinds: tuple[str, ...] = (_ANY_KIND,),
    *,
    selects: bool = False,
) -> None:
    """Add a reader.

    Parameters
    ----------
    name : str
        Its name, as in ``open_slide(path, reader=name)``.
    entry : callable or str
        ``path -> SlideSource``, or its ``"module:attribute"`` address. It raises UnreadableSlideError for
        what it does not know, and the next reader is tried; UnsupportedPixelsError and DamagedSlideError
        for what it knows and must not be opened by guess, and no other is tried.
    suffixes : tuple of str
        For file dialogs only, with the dot, lower case. What is in a file decides, not its name.
    kinds : tuple of str
        Names of :class:`~napari_nic.slides.kinds.FileKind` that it is tried on; ``""`` is any. Without a
        kind it is used only where it is asked for by name.
    selects : bool
        Whether `entry` takes a :class:`~napari_nic.slides.Selection` as well.
    """
    READERS.register(name, entry)
    (_SELECTING.add if selects else _SELECTING.discard)(name)
    _SUFFIXES[name] = suffixes
    _KINDS[name] = kinds


for _name, _kinds in (
    ("tiff", ("tiff",)),
    ("openslide", ("mirax", "dicom", "vms", "sakura", "tiff")),
    ("wsidicom", ("dicom",)),
    ("czi", ("czi",)),
    ("isyntax", ("isyntax",)),
    ("omezarr", ("zarr",)),
    ("plain", ("png", "jpeg")),
    ("tiffslide", ()),
):
    register_reader(
        _name,
        f"napari_nic.slides.readers.{_name}:open_{_name}",
        READER_SUFFIXES[_name],
        _kinds,
        selects=_name in ("tiff", "wsidicom", "czi", "omezarr"),
    )


def slide_suffixes() -> tuple[str, ...]:
    """Return the suffixes that slides usually have, sorted, each with its dot."""
    return tuple(sorted({suffix for suffixes in _SUFFIXES.values() for suffix in suffixes}))


def told_suffixes() -> tuple[str, ...]:
    """Return the suffixes of slides that are not opened, but of which is told what to open or do instead."""
    return tuple(sorted(set(TOLD_SUFFIXES) - set(slide_suffixes())))


def open_slide(
    path: str | Path,
    *,
    mpp: float | None = None,
    reader: str | None = None,
    color: Literal["srgb", "raw"] = "srgb",
    channels: Sequence[str | int] | None = None,
    selection: Selection | None = None,
) -> Slide:
    """Open a slide of any vendor.

    Of a file of several levels some tiles are read, to see whether they are levels of one picture; one that
    is not is left out, and told. A file of separate channels is no picture before channels are chosen. They
    are added up, each in its colour, on black; where the file does not say which values are black and full,
    tiles of its coarsest level are read for that.

    Parameters
    ----------
    path : str or Path
        The file, or the folder of a DICOM or OME-Zarr slide; or an address, ``https://`` or ``s3://``.
    mpp : float, optional
        The user's micrometres per level-0 pixel; what the file says is then ignored.
    reader : str, optional
        Use this reader only (a name of :data:`READERS`), whatever the file looks like.
    color : {"srgb", "raw"}
        Apply an embedded ICC profile, or leave the pixels as the file holds them.
    channels : sequence of str or int, optional
        Up to three channels of a file that holds no RGB picture, by name or by number from 1.
    selection : Selection, optional
        Scene, plane of depth and time point of a file that holds several.

    Raises
    ------
    ChannelsError
        If the file holds channels or scenes and none was chosen, or `channels` or `selection` name what it
        does not hold.
    SlideNotFoundError
        If the file, or one that belongs to it, is missing.
    RemoteError
        If it lies in the network, and the server does not give it, or the file changes meanwhile.
    UnreadableSlideError
        If no reader can open it; the text gives the likely reader's reason, ``reasons`` those of all.
    DamagedSlideError
        If a reader knows the file but finds it cut off or corrupt.
    UnknownNameError
        If no reader is called `reader`.
    InvalidParameterError
        If `mpp` is absurd, or `color` another word.
    """
    to_srgb = is_srgb(color)
    path = _local(path)
    with _from_outside(path):
        name, source = _open_source(path, reader, selection)
        remember(path)
        try:
            shown = drop_other_pictures(show_channels(source, channels, path))
            slide = Slide(path, name, shown, to_srgb=to_srgb, mpp=mpp)
        except (
            ValueError,
            OSError,
        ):  # also our own, of channels that are not there and tiles that are damaged
            source.close()
            raise
    if slide.notices:
        tell(Notices(path.name, slide.notices))
    return slide


def read_channels(path: str | Path, *, selection: Selection | None = None) -> tuple[Channel, ...]:
    """Return the channels of a file that holds no RGB picture; none of any other.

    Raises
    ------
    NicError
        As :func:`open_slide` does.
    """
    path = _local(path)
    with _from_outside(path):
        _, source = _open_source(path, None, selection)
        source.close()
    return source.info.channels


def _open_source(
    path: Path, reader: str | None, selection: Selection | None
) -> tuple[str, SlideSource | ChannelSource]:
    place = remote_of(path)
    if place is not None:
        place.renew()
        if place.is_folder:
            return _open_folder(place, reader, selection)
        found = _open_in_parts(place, reader, selection)
        if found is not None:
            return found
        path = copied(place)
    _check_there(path)
    kind = FileKind(_ANY_KIND) if reader is not None else identify(path)
    names = (reader,) if reader is not None else _readers_of(kind)
    name, source = _first_that_opens(path, names, kind, selection)
    if selection not in (None, Selection()) and name not in _SELECTING:
        source.close()
        raise ChannelsError(
            "there are no scenes, planes or time points to choose from",
            path=path,
            hint="open it without --scene, --z and --t",
        )
    return name, source


def _local(path: str | Path) -> Path:
    """Return a path, or the one that stands for an address."""
    return path_for(path) if isinstance(path, str) and is_address(path) else Path(path)


def _open_folder(
    place: RemotePlace, reader: str | None, selection: Selection | None
) -> tuple[str, SlideSource | ChannelSource]:
    """Open an OME-Zarr in the network; its chunks are fetched as they are looked at."""
    mirror = open_mirror(place)
    names = ("omezarr",) if reader is None else (reader,)
    try:
        name, source = _first_that_opens(mirror.path, names, FileKind("zarr"), selection)
    except NicError:
        mirror.close()
        raise
    weakref.finalize(source, mirror.close)  # which holds the mirror as long as it is read from
    return name, source


def _open_in_parts(
    place: RemotePlace, reader: str | None, selection: Selection | None
) -> tuple[str, SlideSource | ChannelSource] | None:
    """Open a TIFF in the network, of which only what is looked at is read; None of what must be copied."""
    file = place.file
    if file.size == 0:
        raise UnreadableSlideError(f"{place.shown}: the file is empty (0 bytes)")
    if not file.is_read_in_parts or reader not in (None, "tiff") or file.read(0, 4) not in TIFF_MAGIC:
        return None
    open_tiff: OpenSource = READERS.get("tiff")
    try:
        source = open_tiff(place.path, selection) if selection is not None else open_tiff(place.path)
    except (UnsupportedPixelsError, RemoteError):
        raise
    except UnreadableSlideError:
        return None  # one of those that OpenSlide puts together
    return "tiff", source


def _readers_of(kind: FileKind) -> tuple[str, ...]:
    return tuple(n for n in READERS.names() if {kind.name, _ANY_KIND} & set(_KINDS.get(n, (_ANY_KIND,))))


def _first_that_opens(
    path: Path, names: tuple[str, ...], kind: FileKind, selection: Selection | None
) -> tuple[str, SlideSource | ChannelSource]:
    reasons: list[tuple[str, NicError | ImportError]] = []
    for name in names:
        try:
            open_source = READERS.get(name)
            is_asked = selection is not None and name in _SELECTING
            source = open_source(path, selection) if is_asked else open_source(path)
            if kind.name == "tiff" and name == "openslide" and source.info.vendor not in _STITCHED:
                source.close()
                continue
        except ChannelsError:
            raise
        except UnsupportedPixelsError as error:
            reasons.append((name, error))
            break
        except (UnreadableSlideError, ImportError) as error:
            reasons.append((name, error))
        else:
            return name, source
    raise _refusal(path, kind, reasons)


def _refusal(
    path: Path, kind: FileKind, reasons: list[tuple[str, NicError | ImportError]]
) -> UnreadableSlideError:
    """Return the error that gives the likely reader's reason, and what to do."""
    known = [error for _, error in reasons if isinstance(error, UnreadableSlideError)]
    lacking = [error for _, error in reasons if isinstance(error, MissingDependencyError)]
    likely: NicError | None = next(iter((*known[-1:], *lacking)), None)
    if kind.problem or likely is None:
        problem, hint = kind.problem or "no reader can open this file", kind.hint or _HINT
    else:
        found = f" ({likely.found})" if likely.found else ""
        problem = f"{likely.problem}{found}"
        hint = next((error.hint for error in (*lacking, likely) if error.hint), None) or _HINT
    file = path if likely is None or likely.file is None else likely.file
    error = (type(known[-1]) if known else UnreadableSlideError)(problem, path=file, hint=hint)
    error.reasons = tuple((name, _reason(reason)) for name, reason in reasons)
    return error


def _reason(error: NicError | ImportError) -> str:
    if not isinstance(error, NicError):
        return f"cannot be used here ({error})"
    return f"{error.problem} ({error.found})" if error.found else error.problem


def _check_there(path: Path) -> None:
    try:
        path.stat()
    except FileNotFoundError:
        raise _not_found(path) from None
    check_regular(path, UnreadableSlideError)
    if path.is_file() and path.stat().st_size == 0:
        raise UnreadableSlideError(
            "the file is empty (0 bytes)", path=path, hint="copy it again from where it came"
        )


def _not_found(path: Path) -> SlideNotFoundError:
    if path.is_symlink():
        return SlideNotFoundError(
            f"the link leads to a file that is not there ({path.readlink()})",
            path=path,
            hint="mount or copy what it leads to",
        )
    if str(path).startswith(("http:/", "https:/", "s3:/", "gs:/", "ftp:/")):
        return SlideNotFoundError(
            "an address in the network, not a file", path=path, hint="give it as text, with both slashes"
        )
    return SlideNotFoundError("there is no such file", path=path, hint="check the path for typing errors")


@contextmanager
def _from_outside(path: Path) -> Iterator[None]:
    """Turn what the system refuses, and what is nested too deeply, into errors that name the file."""
    try:
        yield
    except NicError:
        raise
    except OSError as error:
        raise _explain(path, error) from error
    except RecursionError as error:
        raise UnreadableSlideError(
            "its metadata are nested too deeply", path=path, hint="copy it again from where it came"
        ) from error
    except MemoryError as error:
        raise UnreadableSlideError(
            "there is not enough memory to open it",
            path=path,
            hint="close other programs, or convert it to tiles",
        ) from error
    except ValueError as error:
        if "null" not in str(error):  # the system's calls take no name with a zero in it
            raise
        raise SlideNotFoundError("there is no such file", path=path, hint="check the path") from error


def _explain(path: Path, error: OSError) -> NicError:
    file = Path(error.filename) if isinstance(error.filename, str) else path
    if isinstance(error, PermissionError):
        return UnreadableSlideError(
            "may not be read", path=file, hint="ask its owner for permission to read it"
        )
    if error.errno == errno.ENAMETOOLONG:
        return SlideNotFoundError(
            "the name is longer than the file system allows", path=path, hint="give it a shorter name"
        )
    if error.errno == errno.ELOOP:
        return SlideNotFoundError("the link leads in a circle", path=path, hint="name the file itself")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return SlideNotFoundError("there is no such file", path=file, hint="check the path for typing errors")
    return DamagedSlideError(
        "cannot be read",
        path=file,
        found=error.strerror or str(error),
        hint="check the disk, or copy it again",
    )
