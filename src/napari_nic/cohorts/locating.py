"""From what a table names - a slide, a store, a bare name - to the compressed slide."""

from __future__ import annotations

import os
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PureWindowsPath

from napari_nic.embeddings import find_stores
from napari_nic.embeddings.interchange import (
    find_feature_files,
    is_feature_path,
    slide_name_of,
    slide_stem_of,
)
from napari_nic.errors import InvalidParameterError, SlideNotFoundError
from napari_nic.names import (
    ARRAY_SUFFIXES,
    FEATURE_SUFFIXES,
    FEATURE_TABLE_SUFFIXES,
    HDF5_SUFFIXES,
    STORE_SUFFIX,
    TENSOR_SUFFIXES,
    exists,
    folder_of_stores,
    has_suffix,
    slide_stem,
    without_suffix,
)
from napari_nic.slide_vectors import holds_vector
from napari_nic.slides import SlideFolder, slide_suffixes

FOREIGN_ENDINGS = (*HDF5_SUFFIXES, *ARRAY_SUFFIXES)
"""Of other programs' files that lie beside stores or slides: TRIDENT, CLAM and STAMP; NIC."""

VECTOR_ENDINGS = (*TENSOR_SUFFIXES, ".npz")
"""Of slide2vec's vectors of slides, which say beside them what they are."""

FOREIGN_FOLDERS = ("", "h5_files")
"""Below the folder of stores or slides; CLAM keeps its features in a folder of this name."""

NOT_FOUND = "no compressed slide"


class SlideMissingError(InvalidParameterError):
    """There is no compressed slide of a name, as opposed to several."""


@dataclass(frozen=True)
class Located:
    """A compressed slide that was found.

    Attributes
    ----------
    name : str
        Of the slide, without folders and suffixes.
    store : Path
        Absolute; a ``.nic.zarr``, or another program's file.
    picture : Path or None
        The slide itself, where the table names it and it is there.
    """

    name: str
    store: Path
    picture: Path | None


class Shelves:
    """What stores lie in folders, each of which is listed once: a table may name thousands of slides."""

    def __init__(self) -> None:
        self._names: dict[Path, list[str] | None] = {}

    def may_hold(self, folder: Path, name: str) -> bool:
        """Whether a folder has a store whose name begins with a slide's, or cannot be listed."""
        names = self._in(folder)
        if names is None:
            return True
        at = bisect_left(names, f"{name}.")
        return at < len(names) and names[at].startswith(f"{name}.")

    def is_ours(self, folder: Path) -> bool:
        """Whether a folder holds stores at all."""
        return bool(self._in(folder))

    def _in(self, folder: Path) -> list[str] | None:
        if folder not in self._names:
            self._names[folder] = self._listed(folder)
        return self._names[folder]

    def _listed(self, folder: Path) -> list[str] | None:
        try:
            return sorted(path.name for path in folder.iterdir() if has_suffix(path, STORE_SUFFIX))
        except FileNotFoundError:
            return []
        except OSError:
            return None  # whoever looks for a store there says why


class Locator:
    """Finds the compressed slides of a table's rows.

    Parameters
    ----------
    folder : Path
        Where the table lies.
    stores : Path or None
        Folder to look in; beside the slides where there is none. One that holds no stores of ours may be
        another program's own folder, with its features somewhere below it.
    features : str, optional
        Which encoder's, where there are several; see
        :func:`~napari_nic.embeddings.interchange.find_feature_files`.
    slides : Path, optional
        Folder in and below which the slides lie.
    """

    def __init__(
        self, folder: Path, stores: Path | None, features: str | None = None, slides: Path | None = None
    ) -> None:
        self._folder, self._features = folder, features
        self._stores = None if stores is None else folder_of_stores(stores)
        self._shelves = Shelves()
        self._slides = None if slides is None else SlideFolder.of(slides)

    def locate(self, value: str) -> Located:
        """Find the compressed slide of a row.

        Parameters
        ----------
        value : str
            A path (relative ones start at the table's folder) of a slide, of a store or of another program's
            file, or the name of a slide.

        Raises
        ------
        SlideMissingError
            If there is none; ``found`` is `value`.
        InvalidParameterError
            If there are several, or `value` is no name.
        StoreError
            If the folder of stores holds features of several encoders and none is chosen.
        """
        found = self._find(value)
        return replace(found, picture=found.picture or self._picture_of(found, value))

    def _find(self, value: str) -> Located:
        given, stores = _given(self._folder, value), self._stores
        if not given.name:
            raise InvalidParameterError("no name of a slide", found=value)
        if has_suffix(given, STORE_SUFFIX) and stores is not None:
            # A folder of vectors that is named is meant, whatever else the table knows.
            others = [path for path in _foreign_in(stores, slide_stem(given)) if holds_vector(path)]
            if others:
                return Located(slide_stem(given), _only(others, value), None)
        if has_suffix(given, STORE_SUFFIX) or _is_foreign(given):
            # A table of stores may have been made elsewhere: then the folder of stores decides.
            candidates = [given] if stores is None else [given, stores / value, stores / given.name]
            there = [path for path in candidates if exists(path)]
            if there:
                return Located(_name_of(given), _absolute(there[0]), None)
        if has_suffix(given, STORE_SUFFIX):
            raise SlideMissingError(NOT_FOUND, found=value)
        if has_suffix(given, *FEATURE_SUFFIXES):
            # A table for another program names that program's file: the slide of that name is meant.
            given = given.with_name(without_suffix(given.name, FEATURE_SUFFIXES))
        return self._by_name(value, given)

    def _by_name(self, value: str, given: Path) -> Located:
        picture = given if exists(given) else None
        # Without the slide at hand, a name may be one with an extension or without, and may hold dots.
        names = [slide_stem(given)] if picture else list(dict.fromkeys([given.name, slide_stem(given.name)]))
        for name in dict.fromkeys(form for each in names for form in (each, *_composed(each))):
            found = _named(name, given, self._stores or given.parent, self._shelves)
            if found:
                return Located(name, _only(found, value), find_picture(given))
        found = self._below.find(given.name, value)
        if found:
            return Located(slide_stem(given.name), _only(found, value), find_picture(given))
        raise SlideMissingError(_why_not(names, self._stores or given.parent), found=value)

    @cached_property
    def _below(self) -> _FeaturesBelow:
        folder = self._stores
        if folder is None or not folder.is_dir() or self._shelves.is_ours(folder):
            return _FeaturesBelow({}, {})
        return _FeaturesBelow.of(folder, self._features)

    def _picture_of(self, found: Located, value: str) -> Path | None:
        """Find a row's slide in the folder of slides: as the row calls it, or as its codes are called."""
        if self._slides is None:
            return None
        given = without_suffix(Path(value).name, (STORE_SUFFIX, *FEATURE_SUFFIXES))
        try:
            return next(filter(None, map(self._slides.find, (given, found.name))), None)
        except SlideNotFoundError as error:
            raise InvalidParameterError(f"{error.problem}: {error.found}", found=value) from error


@dataclass(frozen=True)
class _FeaturesBelow:
    """Files of features below a folder, by the slides that they are called after.

    Attributes
    ----------
    by_name : mapping of str to list of Path
        By the name that the file bears, which may end in the slide's suffix.
    by_stem : mapping of str to list of Path
        By that without the suffix.
    """

    by_name: Mapping[str, list[Path]]
    by_stem: Mapping[str, list[Path]]

    @classmethod
    def of(cls, folder: Path, features: str | None) -> _FeaturesBelow:
        names: dict[str, list[Path]] = defaultdict(list)
        stems: dict[str, list[Path]] = defaultdict(list)
        for path in find_feature_files(folder, features, alike=True).paths:
            names[_nfc(slide_name_of(path))].append(path)
            stems[_nfc(slide_stem_of(path))].append(path)
        return cls(names, stems)

    def find(self, name: str, value: str) -> list[Path]:
        """List the files of a slide that is called with or without its suffix, never those of another."""
        name, stem = _nfc(name), _nfc(slide_stem(name))
        found = self.by_name.get(name) or self.by_name.get(stem) or []
        if not found and name == stem:
            found = self.by_stem.get(stem, [])
        within = Path(without_suffix(value, FEATURE_SUFFIXES)).parent.parts
        same = [path for path in found if within and path.parent.parts[-len(within) :] == within]
        return same if len(same) == 1 else found


def _is_foreign(path: Path) -> bool:
    """Whether a path is called as another program's features are, or is a Zarr folder of them."""
    return has_suffix(path, *FEATURE_SUFFIXES) or (
        has_suffix(path, *FEATURE_TABLE_SUFFIXES) and is_feature_path(path)
    )


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _given(folder: Path, value: str) -> Path:
    """Return the path that a field means; a table may have been written on Windows."""
    given = folder / value
    if "\\" in value and not exists(given):
        return folder / PureWindowsPath(value).as_posix()
    return given


def find_picture(given: Path) -> Path | None:
    """Return the slide at a path, which may lack its suffix; None if there is none, or several.

    Parameters
    ----------
    given : Path
        As a table names it: ``"a.svs"``, or ``"a"`` where ``a.svs`` is meant.
    """
    if exists(given):
        return None if is_feature_path(given) else _absolute(given)
    endings = [form for suffix in slide_suffixes() for form in (suffix, suffix.upper())]
    candidates = [given.with_name(given.name + ending) for ending in endings]
    found = [path for path in candidates if exists(path) and not is_feature_path(path)]
    # A file system that does not tell capitals apart has one file under both names.
    return _absolute(found[0]) if found and all(path.samefile(found[0]) for path in found) else None


def _composed(name: str) -> tuple[str, str]:
    """Return both ways to write letters with accents: macOS and others differ in them."""
    return unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)


def _named(name: str, given: Path, folder: Path, shelves: Shelves) -> list[Path]:
    """List the stores of a slide, or else other programs' files."""
    exact = folder / f"{name}{STORE_SUFFIX}"
    if exists(exact):
        return [exact]
    if shelves.may_hold(folder, name):
        stores = find_stores(given.with_name(f"{name}{STORE_SUFFIX}"), folder)
        if stores:
            return stores
    return [path for path in _foreign_in(folder, name) if path != given]


def _foreign_in(folder: Path, name: str) -> list[Path]:
    """List other programs' files of a slide in a folder where its store does not lie."""
    if exists(folder / f"{name}{STORE_SUFFIX}"):
        return []
    candidates = [
        folder / inner / f"{name}{ending}" for inner in FOREIGN_FOLDERS for ending in FOREIGN_ENDINGS
    ]
    vectors = (folder / f"{name}{ending}" for ending in VECTOR_ENDINGS)
    return [path for path in candidates if exists(path) and path.is_file()] + [
        path for path in vectors if exists(path) and holds_vector(path)
    ]


def _why_not(names: Sequence[str], folder: Path) -> str:
    for file in (folder / inner / f"{name}.pt" for name in names for inner in ("", "pt_files")):
        if exists(file):
            return f"{NOT_FOUND}, and a .pt file holds no coordinates: the .h5 beside it does"
    return NOT_FOUND


def _name_of(path: Path) -> str:
    return slide_stem(path) if has_suffix(path, STORE_SUFFIX) else slide_stem_of(path)


def _only(found: list[Path], value: str) -> Path:
    if len(found) == 1:
        return _absolute(found[0])
    raise InvalidParameterError(f"{len(found)} compressed slides of this name", found=value)


def _absolute(path: Path) -> Path:
    # Not Path.resolve: a link is called as it is, not as what it leads to.
    return Path(os.path.abspath(path))  # noqa: PTH100
