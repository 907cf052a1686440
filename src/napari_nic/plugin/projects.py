"""A project file -> layers of its slides and annotations, and what of it cannot be opened."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from napari_nic.errors import NicError, ProjectError, SlideNotFoundError
from napari_nic.geometry import PixelSize
from napari_nic.names import exists
from napari_nic.plugin.annotation_jobs import read_file
from napari_nic.plugin.layers import LayerData, slide_layer
from napari_nic.plugin.settings import Settings
from napari_nic.slides import Slide, choice_options, open_slide
from napari_nic.viewing import Project, ProjectSlide


@dataclass
class OpenedProject:
    """What could be opened of a project.

    Attributes
    ----------
    path : Path
    project : Project
    layers : list of layer data
        Slides, each followed by its annotations; hidden but for the slide that is looked at.
    problems : list of str
        What could not be opened, and why.
    """

    path: Path
    project: Project
    layers: list[LayerData] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def error(self) -> ProjectError | None:
        """Return what is to be told of the problems; None if there are none."""
        if not self.problems:
            return None
        return ProjectError(
            "not everything of this project could be opened",
            path=self.path,
            found="\n".join(self.problems),
            hint="bring the files back to where they were, beside the project; the others are open",
        )


def open_project(path: Path) -> OpenedProject:
    """Open the slides and annotations of a project; what is missing is named, and the others are opened.

    Raises
    ------
    ProjectError
        If it is no project, or nothing of it can be opened.
    """
    opened = OpenedProject(path, Project.read(path))
    settings = Settings()
    for number, wanted in enumerate(opened.project.slides):
        try:
            slide = _open(wanted, settings)
        except NicError as error:
            opened.problems.append(f"{wanted.path.name}: {error.problem}")
            continue
        seen = number == opened.project.seen
        _add(opened, [slide_layer(slide)], seen=seen)
        for file in wanted.annotations:
            try:
                _add(opened, read_file(file, slide).layers, seen=seen)
            except (NicError, OSError) as error:
                problem = error.problem if isinstance(error, NicError) else str(error)
                opened.problems.append(f"{file.name}: {problem}")
    nothing = opened.error()
    if nothing is not None and not opened.layers:
        raise nothing
    return opened


def _add(opened: OpenedProject, layers: list[LayerData], *, seen: bool) -> None:
    opened.layers += [(data, options | {"visible": seen}, kind) for data, options, kind in layers]


def _open(wanted: ProjectSlide, settings: Settings) -> Slide:
    if not exists(wanted.path):
        raise SlideNotFoundError("the slide is not there", path=wanted.path)
    slide = open_slide(wanted.path, color=wanted.color, **choice_options(wanted.choice or {}))
    if slide.fingerprint != wanted.fingerprint:
        slide.close()
        raise ProjectError("another slide lies under this name", path=wanted.path)
    if wanted.mpp is not None:
        return slide.with_pixel_size(PixelSize(wanted.mpp, wanted.mpp, "the project"))
    return settings.apply_to(slide)
