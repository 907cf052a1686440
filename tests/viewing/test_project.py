"""A project is read back as it was written, moves with its slides, and nothing else is taken for one."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from napari_nic.errors import ProjectError
from napari_nic.viewing import STAIN_SETS, Bookmark, Display, Project, ProjectSlide, StainSet, Tone

SLIDE = ProjectSlide(
    path=Path("/data/cases/7/a b.svs"),
    fingerprint="sha256:" + "ab" * 32,
    mpp=0.25,
    color="raw",
    choice={"scene": 2},
    display=Display(Tone(0.1, -0.2, 1.5), STAIN_SETS[1], 1),
    bookmarks=(Bookmark("Gland", 1.5, 2.5, 4.0),),
    annotations=(Path("/data/cases/7/a b.geojson"), Path("/elsewhere/b.xml")),
    overlays=("pca",),
)
PROJECT = Project((SLIDE, ProjectSlide(Path("/data/b.svs"), "sha256:x")), 1, Bookmark("View", 5.0, 6.0, 2.0))


def plain(project: Project) -> Project:
    """The same with its stains called as those that are read are: their names are not written."""

    def nameless(display: Display) -> Display:
        if display.stains is None:
            return display
        vectors = tuple(("", vector) for _, vector in display.stains.stains)
        return replace(display, stains=StainSet("", vectors))

    return replace(
        project, slides=tuple(replace(slide, display=nameless(slide.display)) for slide in project.slides)
    )


@pytest.mark.parametrize("project", [PROJECT, Project(())], ids=["full", "empty"])
def test_there_and_back(project, tmp_path):
    path = tmp_path / "study.nicproj"
    project.write(path)
    assert plain(Project.read(path)) == plain(project)
    assert [entry.name for entry in tmp_path.iterdir()] == ["study.nicproj"]


def test_paths_are_relative_and_move_with_the_folder(tmp_path):
    slide = ProjectSlide(
        tmp_path / "one" / "slides" / "a.svs", "x", annotations=(tmp_path / "one" / "a.xml",)
    )
    (tmp_path / "one" / "projects").mkdir(parents=True)
    path = tmp_path / "one" / "projects" / "p.nicproj"
    Project((slide,)).write(path)
    (entry,) = json.loads(path.read_text("utf-8"))["slides"]
    assert entry["path"] == "../slides/a.svs"
    assert entry["annotations"] == ["../a.xml"]
    shutil.move(tmp_path / "one", tmp_path / "two")
    (moved,) = Project.read(tmp_path / "two" / "projects" / "p.nicproj").slides
    assert moved.path == tmp_path / "two" / "slides" / "a.svs"
    assert moved.annotations == (tmp_path / "two" / "a.xml",)


def changed(path: Path, **entries: object) -> Path:
    """Change a project and take its seal away, as somebody would who edits it."""
    data = json.loads(path.read_text("utf-8"))
    del data["content_sha256"]
    path.write_text(json.dumps(data | entries), "utf-8")
    return path


def slide_entry(**entries: object) -> dict[str, object]:
    good = {
        "path": "a.svs",
        "fingerprint": "x",
        "mpp": None,
        "color": "srgb",
        "choice": {},
        "bookmarks": [],
        "annotations": [],
        "overlays": [],
        "display": {"brightness": 0, "contrast": 0, "gamma": 1, "stains": None, "stain": 0},
    }
    return good | entries


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"format": "other"}, "not a project of napari-nic"),
        ({"version": 2}, "another version"),
        ({"slides": {}}, "not a project: slides"),
        ({"slides": [3]}, "not a slide of a project"),
        ({"slides": [{}]}, "not a slide of a project"),
        ({"slides": [slide_entry(path="")]}, "not a slide of a project: path"),
        ({"slides": [slide_entry(path="a\0b")]}, "not a slide of a project: path"),
        ({"slides": [slide_entry(color="cmyk")]}, "not a slide of a project: color"),
        ({"slides": [slide_entry(mpp=-1)]}, "not a slide of a project: mpp"),
        ({"slides": [slide_entry(bookmarks=[{}])]}, "not a bookmark"),
        ({"slides": [slide_entry(display={})]}, "not a display of a slide"),
        ({"seen": 5}, "a slide that it has not"),
        ({"more": 1}, "not a project"),
        ({"view": {"name": "x"}}, "not a bookmark"),
    ],
)
def test_what_is_no_project_is_refused_in_a_sentence(tmp_path, entries, said):
    path = tmp_path / "p.nicproj"
    Project((ProjectSlide(tmp_path / "a.svs", "x"),)).write(path)
    assert Project.read(changed(path)).slides[0].fingerprint == "x", "an edited one is read"
    Project(()).write(path)
    with pytest.raises(ProjectError, match=said):
        Project.read(changed(path, **entries))


def test_damage_is_noticed(tmp_path):
    path = tmp_path / "p.nicproj"
    PROJECT.write(path)
    path.write_text(path.read_text("utf-8").replace("0.25", "0.50"), "utf-8")
    with pytest.raises(ProjectError, match="changed or damaged"):
        Project.read(path)
    for content in ("", "[]", "nonsense", "[" * 10_000):
        path.write_text(content, "utf-8")
        with pytest.raises(ProjectError):
            Project.read(path)
    with pytest.raises(ProjectError, match="cannot be read"):
        Project.read(tmp_path / "gone.nicproj")
