"""Files of features in the folders that other programs make, and the slides that they are called after."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_nic.embeddings.interchange.partners import stem_of
from napari_nic.errors import StoreError
from napari_nic.jobs import CancellationToken, checked
from napari_nic.names import (
    FEATURE_SUFFIXES,
    FEATURE_TABLE_SUFFIXES,
    PATCHES_SUFFIX,
    SLIDE_SUFFIXES,
    STORE_SUFFIX,
    ZARR_FILES,
    exists,
    has_suffix,
    is_folder,
    without_suffix,
)
from napari_nic.slides import is_zarr_picture

_FOLDER, *_TABLES, _CSV = FEATURE_TABLE_SUFFIXES
_CSV_FOLDER = "model-outputs-csv"
"""WSInfer's; any other ``.csv`` is a table of slides."""

_DESCRIPTION = ".meta.json"
"""slide2vec's, beside its features."""

_NO_FEATURES = (
    *("_patches.h5", "_blockmap.h5", "_distance_map.npy", ".position.npy", ".vector.h5"),
    *(".coordinates.npz", ".index.npz"),
)
"""Ends of the names of files that go with features."""

_ASIDE = re.compile(
    r"patches|masks|stitches|visualization|contours(_geojson)?|thumbnails|tiles|logs|runs|wsi_states|"
    r"slide_features_.*|(slide|patient|hierarchical)_embeddings|.*-(slide|pat)(-[0-9a-f]{8})?"
)
"""Folders that hold what goes with features, or vectors of whole slides: looked into only where nothing else
is there, so that what is said is about them."""

_OF_ENCODER = re.compile(r"features_.+|.+-[0-9a-f]{8}")
"""Folders whose names are encoders': TRIDENT's, STAMP's."""

_HASH = re.compile(r"-[0-9a-f]{8}$")

_OF_FORMAT = ("h5_files", "pt_files", "tile_embeddings", "tile_features")
"""Folders whose parents' names tell encoders apart: CLAM's, slide2vec's."""

_IN_FOLDER_OF_SLIDE = ("features.npy", "features.h5")
"""Names of files in a folder that is called as the slide is."""

_SHOWN = 6


@dataclass(frozen=True)
class FeatureFiles:
    """Files of features of one encoder.

    Attributes
    ----------
    paths : tuple of Path
        Files, and folders where a format is one; sorted.
    features : str or None
        What is left to choose within them, see :class:`~napari_nic.embeddings.ImportHints`.
    """

    paths: tuple[Path, ...]
    features: str | None = None


def find_feature_files(
    folder: Path,
    features: str | None = None,
    *,
    alike: bool = False,
    token: CancellationToken | None = None,
) -> FeatureFiles:
    """List the files of features in a folder and below it, as other programs lay them.

    Names alone are looked at. Folders of TRIDENT jobs, of CLAM, STAMP, slide2vec and slideflow, and plain
    folders of files or Zarr folders are known; what lies beside features in them is left out.

    Parameters
    ----------
    folder : Path
    features : str, optional
        Which encoder's: the name of a folder, or TRIDENT's ``features_NAME`` without the first part. What is
        the name of no folder is left for the choice within the files.
    alike : bool
        Whether several files may be called after one slide: who asks tells them apart by their folders.
    token : CancellationToken, optional

    Returns
    -------
    FeatureFiles
        Of no paths where there are none.

    Raises
    ------
    StoreError
        If they are of several encoders and none is chosen, or a slide has several and `alike` is False.
    CancelledError
    """
    found = sorted(_candidates(folder, token))
    plain = [path for path in found if not _is_aside(path.parent, folder)] or found
    chosen = [path for path in plain if features and _is_called(path, folder, features)]
    paths = _without_twins(chosen or plain)
    _check_one_encoder(paths, folder)
    if not alike:
        _check_one_each(paths, folder)
    return FeatureFiles(tuple(paths), None if chosen else features)


def slide_name_of(path: Path) -> str:
    """Name of the slide that a file or folder of features is called after, exactly as it is written there.

    It may still end in the slide's own suffix, where the writer kept that.
    """
    if path.name.lower() in _IN_FOLDER_OF_SLIDE:
        return path.parent.name
    if has_suffix(path, _DESCRIPTION):
        return without_suffix(path.name, (_DESCRIPTION,))
    if has_suffix(path, *FEATURE_TABLE_SUFFIXES):
        return without_suffix(path.name, FEATURE_TABLE_SUFFIXES)
    return stem_of(path)


def slide_stem_of(path: Path) -> str:
    """Return the same without a suffix that slides have."""
    return without_suffix(slide_name_of(path), SLIDE_SUFFIXES)


def scene_of(name: str) -> tuple[str, str] | None:
    """Part a name that wsidata gives a slide of several scenes, ``slide.scene-1``; None of any other name.

    Returns
    -------
    (str, str)
        Name of the slide, and what follows it.
    """
    found = _SCENE.search(name)
    return None if found is None else (name[: found.start()], found[0])


_SCENE = re.compile(r"\.scene-[0-9]+$")


def encoder_folder_of(path: Path) -> str:
    """Name of the folder that stands for the encoder of a file of features, which may not say itself."""
    folder = path.absolute().parent
    if path.name.lower() in _IN_FOLDER_OF_SLIDE:
        folder = folder.parent
    while folder.name in _OF_FORMAT:
        folder = folder.parent
    return folder.name


def tissue_outlines_beside(path: Path) -> Path | None:
    """Find the outlines of tissue that TRIDENT or LazySlide keeps with a file or folder of features."""
    stem = slide_name_of(path)
    candidates = (
        path / "shapes" / "tissues" / "shapes.parquet",
        path.parent.parent.parent / "contours_geojson" / f"{stem}.geojson",
    )
    return next((file for file in candidates if exists(file)), None)


def left_to_choose(path: Path, features: str | None) -> str | None:
    """Return the name of an encoder that is to be looked for within a file; None where its folder has it."""
    return None if features and _is_called(path, Path(path.anchor), features) else features


def is_feature_name(path: Path) -> bool:
    """Whether a path is called as files of features are; what is in it is not looked at."""
    if has_suffix(path, STORE_SUFFIX, PATCHES_SUFFIX, *_NO_FEATURES) or path.name.startswith("."):
        return False
    if has_suffix(path, _CSV):
        return path.parent.name == _CSV_FOLDER
    if has_suffix(path, _DESCRIPTION):
        return _stands_alone(path)
    return has_suffix(path, *FEATURE_SUFFIXES, *_TABLES)


def _stands_alone(path: Path) -> bool:
    """Whether a description is all that slide2vec wrote: of a slide without tiles."""
    if "tile_embeddings" not in path.parts[-3:-1]:
        return False
    stem = without_suffix(path.name, (_DESCRIPTION,))
    return not any(exists(path.with_name(stem + suffix)) for suffix in FEATURE_SUFFIXES)


def is_feature_path(path: Path) -> bool:
    """Whether a path is called as features are, be they a file or a Zarr folder that is no picture."""
    return _is_table_folder(path) if is_folder(path) else is_feature_name(path)


def _candidates(folder: Path, token: CancellationToken | None) -> Iterator[Path]:
    for place, folders, files in checked(os.walk(folder), token):
        here = Path(place)
        inner = [name for name in folders if not name.startswith(".")]
        folders[:] = sorted(name for name in inner if not has_suffix(name, _FOLDER))
        yield from (here / name for name in inner if _is_table_folder(here / name))
        yield from (here / name for name in files if is_feature_name(here / name))


def _is_table_folder(path: Path) -> bool:
    if not has_suffix(path, _FOLDER) or has_suffix(path, STORE_SUFFIX, PATCHES_SUFFIX):
        return False
    return any(exists(path / name) for name in ZARR_FILES) and not is_zarr_picture(path)


def _is_aside(place: Path, folder: Path) -> bool:
    return any(_ASIDE.fullmatch(part) for part in place.relative_to(folder).parts)


def _is_called(path: Path, folder: Path, features: str) -> bool:
    place = path.parent.relative_to(folder)
    names = {*place.parts, *(parent.as_posix() for parent in (place, *place.parents))}
    names |= {_HASH.sub("", part.removeprefix("features_")) for part in place.parts}
    return features in names


def _without_twins(paths: Sequence[Path]) -> list[Path]:
    """Leave out CLAM's tensors without coordinates where the table of the same slide is found too."""
    found = set(paths)
    return [path for path in paths if path.parent.name != "pt_files" or _table_of(path) not in found]


def _table_of(path: Path) -> Path:
    return path.parent.parent / "h5_files" / f"{stem_of(path)}.h5"


def _encoder_folder(path: Path, folder: Path) -> Path:
    """Folder that stands for the encoder; `folder` itself where no name says which."""
    inside = path.parent.relative_to(folder).parts
    for depth, part in enumerate(inside):
        if _OF_ENCODER.fullmatch(part):
            return folder.joinpath(*inside[: depth + 1])
        if part in _OF_FORMAT:
            return folder.joinpath(*inside[:depth])
    return folder


def _check_one_encoder(paths: Iterable[Path], folder: Path) -> None:
    places = sorted({_encoder_folder(path, folder) for path in paths})
    if len(places) > 1:
        names = [place.relative_to(folder).as_posix() for place in places]
        raise StoreError(
            "features of several encoders, or cut in several ways",
            path=folder,
            found=_listed(["files in no folder of their own" if name == "." else name for name in names]),
            hint="choose one (--features NAME)",
        )


def _check_one_each(paths: Iterable[Path], folder: Path) -> None:
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        by_name[slide_name_of(path)].append(path)
    for name, alike in by_name.items():
        if len(alike) > 1:
            raise StoreError(
                f"{len(alike)} files of features are called after slide {name}",
                path=folder,
                found=_listed([path.relative_to(folder).as_posix() for path in alike]),
                hint="name the folder or the file that is meant, or choose one (--features NAME)",
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")
