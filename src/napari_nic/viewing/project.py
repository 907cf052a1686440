"""A project: which slides were open, with what on them, and what was seen; a JSON file without any code.

Paths are relative to the project file wherever that is possible, so that a folder with both can be moved and
sent. A slide is known by its fingerprint: another file that took its name is not taken for it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any, Literal, cast

from napari_nic.descriptions import (
    MOST_NAME,
    check_fields,
    is_finite,
    is_mapping,
    is_name,
    is_text,
    is_whole,
    read_json,
    sealed,
    unsealed,
)
from napari_nic.disk import write_text
from napari_nic.errors import InvalidParameterError, ProjectError
from napari_nic.slides import clean_choice
from napari_nic.viewing.bookmarks import Bookmark
from napari_nic.viewing.stains import Display, Tone, format_stains, parse_stains

FORMAT, VERSION = "napari-nic project", 1

_MOST_PATH = 4096
_MOST_SLIDES = 10_000


@dataclass(frozen=True)
class ProjectSlide:
    """A slide of a project.

    Attributes
    ----------
    path : Path
        Absolute.
    fingerprint : str
        Of :attr:`napari_nic.slides.Slide.fingerprint`.
    mpp : float or None
        Micrometres per pixel that the user stated; None for what the file says.
    color : {"srgb", "raw"}
    choice : mapping
        What is seen of a file of channels or scenes.
    display : Display
    bookmarks : tuple of Bookmark
    annotations : tuple of Path
        Files that are shown on it; absolute.
    overlays : tuple of str
        Kinds of overlays that are shown on it.
    """

    path: Path
    fingerprint: str
    mpp: float | None = None
    color: Literal["srgb", "raw"] = "srgb"
    choice: Mapping[str, Any] | None = None
    display: Display = field(default_factory=Display)
    bookmarks: tuple[Bookmark, ...] = ()
    annotations: tuple[Path, ...] = ()
    overlays: tuple[str, ...] = ()


@dataclass(frozen=True)
class Project:
    """What a project file holds.

    Attributes
    ----------
    slides : tuple of ProjectSlide
    seen : int
        Which of them is looked at; -1 for none.
    view : Bookmark or None
        Where, and how near.
    """

    slides: tuple[ProjectSlide, ...]
    seen: int = -1
    view: Bookmark | None = None

    def write(self, path: Path) -> None:
        """Write the file whole or not at all.

        Raises
        ------
        StoreError
            If it cannot be written.
        """
        folder = path.absolute().parent
        data = {
            "format": FORMAT,
            "version": VERSION,
            "slides": [_slide_to_dict(slide, folder) for slide in self.slides],
            "seen": self.seen,
            "view": None if self.view is None else self.view.to_dict(),
        }
        write_text(path, json.dumps(sealed(data), indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Project:
        """Read a file that came from anywhere; whether its slides are there is not looked at.

        Raises
        ------
        ProjectError
            If it is no project, damaged, or of a later version.
        """
        data = unsealed(read_json(path, ProjectError, what="the project"), path, ProjectError)
        if not isinstance(data, Mapping) or data.get("format") != FORMAT:
            raise ProjectError("not a project of napari-nic", path=path, expected=f'"format": "{FORMAT}"')
        if data.get("version") != VERSION:
            raise ProjectError(
                "this project is of another version",
                path=path,
                expected=f"{VERSION}",
                found=repr(data.get("version"))[:MOST_NAME],
                hint="open it with the napari-nic that wrote it, or a later one",
            )
        try:
            return _from_dict(data, path.absolute().parent)
        except InvalidParameterError as error:
            raise ProjectError(
                error.problem, path=path, expected=error.expected, found=error.found, hint=error.hint
            ) from error


def _from_dict(data: Mapping[str, Any], folder: Path) -> Project:
    def is_list(value: Any) -> bool:
        return isinstance(value, list) and len(value) <= _MOST_SLIDES

    fields = ("format", "version", "slides", "seen", "view")
    checks: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "slides": ("a list of slides", is_list),
        "seen": ("a number of a slide, or -1", lambda value: is_whole(value, _MOST_SLIDES, -1)),
    }
    check_fields(data, checks, InvalidParameterError, what="a project", known=fields, required=fields)
    slides = tuple(_slide_from_dict(slide, folder) for slide in data["slides"])
    if data["seen"] >= len(slides):
        raise InvalidParameterError(
            "not a project: it looks at a slide that it has not", found=f"{data['seen']}"
        )
    view = None if data["view"] is None else Bookmark.from_dict(data["view"])
    return Project(slides, data["seen"], view)


_SLIDE_FIELDS = (
    *("path", "fingerprint", "mpp", "color", "choice", "display"),
    *("bookmarks", "annotations", "overlays"),
)


def _slide_to_dict(slide: ProjectSlide, folder: Path) -> dict[str, Any]:
    return {
        "path": relative_to(slide.path, folder),
        "fingerprint": slide.fingerprint,
        "mpp": slide.mpp,
        "color": slide.color,
        "choice": dict(slide.choice or {}),
        "display": _display_to_dict(slide.display),
        "bookmarks": [mark.to_dict() for mark in slide.bookmarks],
        "annotations": [relative_to(path, folder) for path in slide.annotations],
        "overlays": list(slide.overlays),
    }


def _slide_from_dict(data: Any, folder: Path) -> ProjectSlide:
    def lists(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
        return lambda value: isinstance(value, list) and all(map(fits, value))

    checks: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "path": ("a path", _is_path),
        "fingerprint": ("a fingerprint", is_name),
        "mpp": ("a positive number or null", lambda v: v is None or (is_finite(v) and v > 0)),
        "color": ('"srgb" or "raw"', lambda v: v in ("srgb", "raw")),
        "choice": ("an object", is_mapping),
        "display": ("an object", is_mapping),
        "bookmarks": ("a list of bookmarks", lists(is_mapping)),
        "annotations": ("a list of paths", lists(_is_path)),
        "overlays": ("a list of names", lists(is_name)),
    }
    what = "a slide of a project"
    if not isinstance(data, Mapping):
        raise InvalidParameterError(f"not {what}", expected="an object", found=repr(data)[:MOST_NAME])
    check_fields(data, checks, InvalidParameterError, what=what, known=_SLIDE_FIELDS, required=_SLIDE_FIELDS)
    return ProjectSlide(
        path=found_from(data["path"], folder),
        fingerprint=data["fingerprint"],
        mpp=data["mpp"],
        color=cast('Literal["srgb", "raw"]', data["color"]),
        choice=clean_choice(data["choice"]) or None,
        display=_display_from_dict(data["display"]),
        bookmarks=tuple(Bookmark.from_dict(mark) for mark in data["bookmarks"]),
        annotations=tuple(found_from(path, folder) for path in data["annotations"]),
        overlays=tuple(data["overlays"]),
    )


def _display_to_dict(display: Display) -> dict[str, Any]:
    return {
        "brightness": display.tone.brightness,
        "contrast": display.tone.contrast,
        "gamma": display.tone.gamma,
        "stains": None if display.stains is None else format_stains(display.stains),
        "stain": display.stain,
    }


def _display_from_dict(data: Mapping[str, Any]) -> Display:
    fields = ("brightness", "contrast", "gamma", "stains", "stain")
    checks: dict[str, tuple[str, Callable[[Any], bool]]] = {
        **dict.fromkeys(fields[:3], ("a number", is_finite)),
        "stains": ("vectors of stains, or null", lambda v: v is None or is_text(v)),
        "stain": ("a number of a stain", lambda v: is_whole(v, 2, 0)),
    }
    what = "a display of a slide"
    check_fields(data, checks, InvalidParameterError, what=what, known=fields, required=fields)
    tone = Tone(float(data["brightness"]), float(data["contrast"]), float(data["gamma"]))
    if data["stains"] is None:
        return Display(tone)
    stains = parse_stains(data["stains"])
    if data["stain"] >= len(stains.stains):
        raise InvalidParameterError(f"not {what}: it shows a stain that it has not", found=f"{data['stain']}")
    return Display(tone, stains, data["stain"])


def _is_path(value: Any) -> bool:
    return is_text(value) and 0 < len(value) <= _MOST_PATH and "\0" not in value


def relative_to(path: Path, folder: Path) -> str:
    """Write a path as it is found from a folder, with ``/``; whole where that cannot be, on another drive."""
    try:
        return Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix()
    except ValueError:  # Windows: another drive
        return str(path.absolute())


def found_from(text: str, folder: Path) -> Path:
    """Inverse of :func:`relative_to`; a whole path is taken as it is."""
    if PureWindowsPath(text).drive:
        return Path(text)
    return Path(os.path.abspath(folder / text))  # noqa: PTH100 -- links are not to be followed
