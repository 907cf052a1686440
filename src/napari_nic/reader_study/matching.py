"""Files of several readers, matched by the slide that they are called like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_nic.errors import AnnotationError
from napari_nic.names import ANNOTATION_SUFFIXES, TEXT_SUFFIXES, has_suffix, slide_stem, without_suffix

_SUFFIXES = tuple(
    dict.fromkeys((*(s for known in ANNOTATION_SUFFIXES.values() for s in known), *TEXT_SUFFIXES))
)


@dataclass(frozen=True)
class Matched:
    """Which files belong to which slide.

    Attributes
    ----------
    slides : mapping of str to tuple of Path
        Name of a slide that every reader has, in order, to their files in the order of the readers.
    unmatched : tuple of (Path, str)
        Files of slides that not every reader has, and who lacks them.
    """

    slides: Mapping[str, tuple[Path, ...]]
    unmatched: tuple[tuple[Path, str], ...]


def match_by_slide(folders: Sequence[Path], names: Sequence[str] | None = None) -> Matched:
    """Match annotation files in several folders by their names without suffix.

    Parameters
    ----------
    folders : sequence of Path
        One for each reader; files below them are not looked for.
    names : sequence of str, optional
        Of the readers, for messages; by default those of the folders.

    Raises
    ------
    AnnotationError
        If a folder is none or holds two files of one slide, or no slide is in all of them.
    """
    names = names or reader_names(folders)
    found = [_files_of(folder) for folder in folders]
    slides = {
        slide: tuple(files[slide] for files in found)
        for slide in sorted(found[0])
        if all(slide in files for files in found)
    }
    unmatched = []
    for files in found:
        for slide, path in files.items():
            missing = [name for name, others in zip(names, found, strict=True) if slide not in others]
            if missing:
                unmatched.append((path, f"no file of this slide by {', '.join(missing)}"))
    if not slides:
        raise AnnotationError(
            "no slide has a file in every folder",
            expected="files that are called like their slides, alike in every folder",
            found="; ".join(
                f"{folder}: {', '.join(sorted(files)[:4]) or 'none'}"
                for folder, files in zip(folders, found, strict=True)
            ),
        )
    return Matched(slides, tuple(unmatched))


def reader_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each reader: that of the file or folder, and the folder above where two are alike."""
    plain = [slide_name(path) if path.is_file() else path.resolve().name for path in paths]
    if len(set(plain)) == len(plain):
        return plain
    longer = [f"{path.resolve().parent.name}/{name}" for path, name in zip(paths, plain, strict=True)]
    if len(set(longer)) == len(longer):
        return longer
    return [f"{name} ({number})" for number, name in enumerate(longer, 1)]


def slide_name(path: Path) -> str:
    """Return the slide that an annotation file is called like: ``a`` of ``a.geojson``, ``a.svs.geojson``."""
    return slide_stem(without_suffix(path.name, _SUFFIXES))


def _files_of(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise AnnotationError("this is no folder of annotation files", path=folder)
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file() or not has_suffix(path, *_SUFFIXES):
            continue
        name = slide_name(path)
        if name in found:
            raise AnnotationError(
                "two annotation files of one slide", path=folder, found=f"{found[name].name}, {path.name}"
            )
        found[name] = path
    return found
