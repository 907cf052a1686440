"""The slides in a folder and below it, by name."""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from napari_nic.errors import SlideNotFoundError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import (
    DICOM_SUFFIXES,
    PATCHES_SUFFIX,
    READER_SUFFIXES,
    SLIDE_SUFFIXES,
    STORE_SUFFIX,
    ZARR_FILES,
    has_suffix,
    slide_stem,
)
from napari_nic.slides.kinds import is_part
from napari_nic.slides.opening import slide_suffixes

_PICTURE_MARKS = (b'"multiscales"', b'"bioformats2raw.layout"')
"""What an OME-Zarr says at its root; features of other programs are Zarr folders too."""

_SHOWN = 4


@dataclass(frozen=True)
class SlideFolder:
    """Where slides are looked for.

    Attributes
    ----------
    path : Path
        The folder, or a slide that is the only one.
    by_name, by_stem : mapping of str to list of Path
        Slides by their names with and without suffix, which are those of the files.
    """

    path: Path
    by_name: Mapping[str, Sequence[Path]] = field(repr=False)
    by_stem: Mapping[str, Sequence[Path]] = field(repr=False)

    @classmethod
    def of(cls, path: Path, token: CancellationToken | None = None) -> SlideFolder:
        """List the slides below a folder, links to folders not followed; a slide stands for itself.

        Raises
        ------
        SlideNotFoundError
            If there is no such folder.
        CancelledError
        """
        if not path.exists():
            raise SlideNotFoundError("there is no such folder of slides", path=path)
        names: dict[str, list[Path]] = defaultdict(list)
        stems: dict[str, list[Path]] = defaultdict(list)
        for slide in [path] if _is_one_slide(path) else _slides_below(path, token):
            names[_key(slide.name)].append(slide)
            # A program that cuts off what follows the last dot calls a.ome.tif "a.ome"; a folder of DICOM
            # files has no suffix, and S1.2 is not S1.
            also = (slide.stem,) if has_suffix(slide, *SLIDE_SUFFIXES) else ()
            for stem in dict.fromkeys((slide_stem(slide), *also)):
                stems[_key(stem)].append(slide)
        return cls(path, names, stems)

    @property
    def only(self) -> Path | None:
        """The slide, where one was given instead of a folder."""
        return self.path if _is_one_slide(self.path) else None

    def find(self, name: str) -> Path | None:
        """Find the slide of exactly this name: with its suffix, or else without; None if there is none.

        Raises
        ------
        SlideNotFoundError
            If there are several.
        """
        for slides in (self.by_name.get(_key(name), ()), self.by_stem.get(_key(name), ())):
            found = _likeliest(slides)
            if len(found) > 1:
                shown = ", ".join(str(path) for path in found[:_SHOWN])
                raise SlideNotFoundError(
                    f"{len(found)} slides are called {name}",
                    path=self.path,
                    found=shown + (", ..." if len(found) > _SHOWN else ""),
                    hint="name the folder that holds the right one, or the slide itself (--slides)",
                )
            if found:
                return found[0]
        return None


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _likeliest(slides: Sequence[Path]) -> list[Path]:
    """Leave out what only looks like the slide: pictures of it beside it, and parts of others."""
    there = [path for path in slides if path.is_dir() or not is_part(path)]
    scans = [path for path in there if not has_suffix(path, *READER_SUFFIXES["plain"])]
    distinct: list[Path] = []
    for path in scans or there:
        if not any(path.samefile(other) for other in distinct):
            distinct.append(path)
    return distinct


def _slides_below(folder: Path, token: CancellationToken | None) -> Iterator[Path]:
    suffixes = tuple(suffix for suffix in slide_suffixes() if suffix != ".zarr")
    for place, folders, files in checked(os.walk(folder), token):
        here = Path(place)
        if here != folder and any(has_suffix(name, *DICOM_SUFFIXES) for name in files):
            folders.clear()
            yield here
            continue
        zarrs = [name for name in folders if has_suffix(name, ".zarr")]
        folders[:] = sorted(name for name in folders if name not in zarrs and not name.startswith("."))
        yield from (here / name for name in sorted(zarrs) if is_zarr_picture(here / name))
        yield from (
            here / name for name in sorted(files) if has_suffix(name, *suffixes) and not name.startswith(".")
        )


def _is_one_slide(path: Path) -> bool:
    if not path.is_dir():
        return True
    return is_zarr_picture(path) if has_suffix(path, ".zarr") else any(path.glob("*.dcm"))


def is_zarr_picture(folder: Path) -> bool:
    """Whether a Zarr folder says that it holds a picture."""
    if has_suffix(folder, STORE_SUFFIX, PATCHES_SUFFIX):
        return False
    for file in (folder / name for name in ZARR_FILES):
        try:
            content = file.read_bytes()
        except OSError:
            continue
        if any(mark in content for mark in _PICTURE_MARKS):
            return True
    return False
