"""Take a picture of every tool and dock of the annotator, in dark and in light, to be looked at.

    scripts/with-screen.sh .venv/bin/python scripts/tool_pictures.py OUT
    scripts/with-screen.sh .venv/bin/python scripts/tool_pictures.py OUT --themes light --names brush

Each tool is shown while it draws on CMU-1-Small-Region, from the test data ($NAPARI_NIC_TEST_DATA), and each
dock with something in it. Settings and files go to a temporary folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import shapely
from picture_desk import (
    ANNOTATION,
    COLORS,
    MARGIN,
    NICE_PLACE_PX,
    SLIDE,
    Desk,
    ask_similar,
    copy_of,
    home_of_pictures,
    learn_strokes,
    opened,
)

from napari_nic.annotations import read_annotations

if TYPE_CHECKING:
    from napari_nic.plugin.widgets.annotator_dock import AnnotatorDock

THEMES = ("dark", "light")
SIZE = (1400, 900)

Place = tuple[float, float]

GESTURES: dict[str, Sequence[Place]] = {
    "polygon": ((600, 900), (1000, 850), (1150, 1200), (800, 1400)),
    "freehand": ((600, 900), (800, 800), (1000, 860), (1150, 1100), (1050, 1350), (800, 1400)),
    "rectangle": ((600, 900), (1150, 1300)),
    "ellipse": ((600, 900), (1150, 1300)),
    "line": ((600, 900), (1150, 1300)),
    "arrow": ((600, 900), (1150, 1300)),
    "points": ((650, 900), (800, 950), (900, 1100), (1000, 1000)),
    "brush": ((600, 900), (750, 950), (900, 1100), (1100, 1100)),
    "eraser": ((1050, 1350), (1250, 1500), (1450, 1650)),
    "wand": ((1300, 2050), (1330, 2150), (1380, 2250)),
    "similar": ((1300, 2100), (1300, 2110)),
    "split": ((1100, 1400), (1600, 1850)),
    "measure": ((600, 900), (900, 1000), (1150, 1300)),
    "select": ((450, 1150), (1700, 2250)),
}
"""What each tool draws, level-0 (x, y); the button is still held when the picture is taken."""

OUTLINE_PLACES = ((900, 1312), (1137, 210), (1640, 1700), (1677, 2396))
"""Where the outline of the tissue is looked at, level-0 (x, y)."""

NEAR = 6.0
"""Pixels of the screen on one of the slide there."""

BY_CLICKS = ("polygon", "points")
RESTING = {"polygon": (700, 1500)}
"""Where the pointer is then, if not at the end."""


def take_tools(desk: Desk, dock: AnnotatorDock, take: Callable[[str], None], wanted: set[str]) -> None:
    """Draw with each tool, and take a picture before the button is let go."""
    from napari_nic.plugin.tools.pointer import Pointer
    from napari_nic.plugin.tools.toolbox import TOOLS

    annotator = dock.annotator
    annotator.set_brush(60)
    for name in (tool.name for tool in TOOLS if tool.name in wanted):
        annotator.set_tool(name)
        tool, step = annotator.tool, dock.pointing.step
        pointers = [Pointer(place, step) for place in GESTURES[name]]
        if name in BY_CLICKS:
            for pointer in pointers:
                tool.press(pointer)
                tool.release(pointer)
        else:
            tool.press(pointers[0])
            for pointer in pointers[1:]:
                tool.drag(pointer)
        dock.pointing.refresh()
        desk.rest_at(RESTING.get(name, GESTURES[name][-1]))
        take(name)
        if name == "select":
            tool.release(pointers[-1])
            dock.pointing.refresh()
            desk.settle()
            take("selected")
        elif name == "points":
            for _ in pointers:
                annotator.undo()
        tool.cancel()
        dock.pointing.refresh()
    annotator.set_tool("")


def put_objects(dock: AnnotatorDock) -> None:
    """Give the slide objects of three classes, one with a hole."""
    from shapely.geometry import Point, box

    from napari_nic.annotations import Annotation
    from napari_nic.editing import AnnotationObject

    for label, color in COLORS.items():
        dock.classes.add(label)
        dock.classes.recolor(label, color)
    shapes = (
        ("keratin", "ellipse", Point(1350, 1620).buffer(220)),
        ("dermis", "polygon", box(500, 1900, 1000, 2500).difference(box(650, 2050, 800, 2250))),
        ("epidermis", "rectangle", box(1100, 800, 1500, 1100)),
    )
    made = [AnnotationObject.new(Annotation(label, kind, shape)) for label, kind, shape in shapes]
    dock.annotator.document.put("draw", *made)


def take_painting(desk: Desk, take: Callable[[str], None]) -> None:
    """The dock *Paint labels*, and napari's own layer of labels."""
    dock = _dock(desk, "Paint labels")
    desk.dock.documents.set_current_class("dermis")
    dock.section.button.click()
    desk.wait(lambda: dock.painting.is_on)
    layer = dock.painting.layer
    layer.brush_size = 40
    layer.data[200:260, 120:400] = layer.selected_label
    layer.refresh()
    dock.painting.commit()
    desk.settle()
    take("paint-labels")
    dock.section.button.click()
    desk.settle()
    desk.viewer.layers.selection.active = desk.dock.session.layer
    desk.viewer._new_labels()
    labels = desk.viewer.layers.selection.active
    labels.brush_size = 90
    for x in range(600, 1300, 20):
        labels.paint((1000 + 60 * np.sin(x / 90), x), labels.selected_label, refresh=False)
    desk.dock.documents.views.sync_all()
    labels.mode = "paint"
    desk.settle()
    take("napari-labels")
    desk.viewer.layers.remove(labels)
    desk.settle()
    _close(desk, dock)


def take_learning(desk: Desk, take: Callable[[str], None]) -> None:
    """*Learn while drawing*: the class map, and the uncertainty with its legend."""
    document = desk.dock.documents.document
    document.remove("delete", *list(document))  # strokes alone are to be learned from
    dock = _dock(desk, "Learn while drawing")
    learn_strokes(desk, dock)
    desk.settle()
    take("learn")
    dock.probing.set_shown("uncertainty")
    desk.settle()
    take("learn-uncertainty")
    _close(desk, dock)


def take_similar(desk: Desk, take: Callable[[str], None]) -> None:
    """*Find similar*: the map and the matches, and a match in its frame; what was learned gives way."""
    dock = _dock(desk, "Find similar")
    ask_similar(desk, dock, desk.dock.session.slide.path.parent, top=9, per_slide=9)
    desk.settle()
    take("similar")
    dock.similar.show(on=False)
    dock.search.open(dock.search.crops[1].match)
    desk.wait(lambda: not dock.runner.jobs)
    dock.similar.show(on=False)
    desk.settle()
    take("similar-match")
    _close(desk, dock)


def take_compare(desk: Desk, take: Callable[[str], None]) -> None:
    """*Compare*: two readers, and the list of the doctor."""
    from shapely.geometry import box

    from napari_nic.annotations import Annotation, AnnotationSet
    from napari_nic.plugin.annotation_layers import annotation_layers

    dock = _dock(desk, "Compare")
    slide = desk.dock.session.slide
    for name, area in (("ada", box(600, 900, 1150, 1500)), ("ben", box(700, 1000, 1250, 1450))):
        shapes = AnnotationSet((Annotation("dermis", "polygon", area),))
        ((data, options, _),) = annotation_layers(shapes, slide, name)
        desk.viewer.add_shapes(data, **options)
    dock.comparing.set_sides("ada", "ben")
    dock.comparing.start()
    desk.wait(lambda: dock.comparing.compared is not None and not dock.runner.jobs)
    desk.settle()
    take("compare")
    _close(desk, dock)


def take_view(desk: Desk, take: Callable[[str], None]) -> None:
    """The dock *View*: minimap, magnification, stains."""
    dock = _dock(desk, "View")
    dock.display_section.toggleButton().click()
    dock.navigator.magnify(20)
    dock.navigator.look_at(*NICE_PLACE_PX)
    desk.settle()
    take("view")
    _close(desk, dock)


def take_outline(desk: Desk, take: Callable[[str], None]) -> None:
    """The outline of the tissue, from its file: all of it, and so near that pixels are seen."""
    desk.dock.annotating.open(ANNOTATION)
    desk.wait(lambda: bool(desk.dock.annotating.layers()))
    desk.settle()
    take("tissue-outline")
    pixel, camera = desk.dock.session.slide.pixel_size, desk.viewer.scene.camera
    for number, (x, y) in enumerate(OUTLINE_PLACES, 1):
        camera.center = (0.0, (y - 0.5) * pixel.y, (x - 0.5) * pixel.x)  # where pixels have their middles
        camera.zoom = NEAR / pixel.x
        desk.settle()
        take(f"tissue-outline-{number}")
        print(f"drawn {_beside_px(desk, x, y):.2f} px of the slide beside the outline in the file (95 %)")
    for layer in desk.dock.annotating.layers():
        desk.viewer.layers.remove(layer)
    desk.settle()
    desk.frame_slide()


def _beside_px(desk: Desk, x: float, y: float) -> float:
    """Return how far places of the outline in the file are from the middle of the line on the canvas (95 %).

    At the middle of a line it is half its width to where the line ends.
    """
    (shape,) = read_annotations(ANNOTATION).annotations
    canvas = desk.viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    (layer,) = desk.dock.annotating.layers()
    drawn = np.abs(canvas - np.round(layer.edge_color[0, :3] * 255)).max(axis=2) <= 2
    depth = cv2.distanceTransform(drawn.astype(np.uint8), cv2.DIST_L2, 5)
    half = np.array(drawn.shape[::-1]) / 2
    seen = shapely.box(*((x, y) - 0.8 * half / NEAR), *((x, y) + 0.8 * half / NEAR))
    lines = shapely.segmentize(shape.geometry.boundary.intersection(seen), 0.5)
    at = np.floor((shapely.get_coordinates(lines) - (x, y)) * NEAR + half).astype(int)
    beside = np.abs(depth[at[:, 1], at[:, 0]] / NEAR - layer.edge_width[0] / 2)
    return float(np.percentile(beside, 95))


def _dock(desk: Desk, title: str) -> Any:
    return desk.viewer.window.add_plugin_dock_widget("napari-nic", title, tabify=True)[1]


def _close(desk: Desk, dock: Any) -> None:
    desk.viewer.window.remove_dock_widget(dock)
    desk.viewer.reset_view(layers=[desk.dock.session.layer], margin=MARGIN)
    desk.settle()


def take_all(slide: Path, theme: str, out: Path, names: Sequence[str]) -> None:
    """Take the pictures of a theme."""
    from napari_nic.plugin.launch import show_overlays

    taken: list[str] = []

    def take(name: str) -> None:
        if not names or name in names:
            desk.take(out / f"{theme}-{name}.png")
            taken.append(name)

    with opened(slide) as desk:
        desk.dock.session.asking.leaving = lambda *_: "discard"
        desk.viewer.theme = theme
        show_overlays(desk.dock, ())
        desk.viewer.window._qt_window.resize(*SIZE)
        desk.settle()
        take_outline(desk, take)
        desk.dock.slide_section.edit_tissue.click()
        desk.settle()
        take("nic-tissue")
        desk.viewer.layers.remove(desk.viewer.layers[-1])
        dock = _dock(desk, "Annotator")
        put_objects(dock)
        desk.viewer.reset_view(layers=[desk.dock.session.layer], margin=MARGIN)
        desk.settle()
        take_tools(desk, dock, take, set(GESTURES))
        bar = dock._scroll.verticalScrollBar()
        bar.setValue(bar.maximum())
        desk.settle()
        take("annotator-objects")
        _close(desk, dock)
        for section in (take_painting, take_learning, take_similar, take_compare, take_view):
            section(desk, take)
    print(f"{theme}: {len(taken)} pictures")


def main() -> None:
    """Parse the command line and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--themes", nargs="+", choices=THEMES, default=THEMES)
    parser.add_argument(
        "--names", nargs="+", default=(), help="of the pictures that are kept; all by default"
    )
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    with home_of_pictures() as home:
        from napari_nic.cli.main import main as nic

        for theme in args.themes:
            slide = copy_of(SLIDE, home / theme)
            if nic(["compress", "-q", str(slide), "--stride", "64", "--no-tissue"]):
                raise SystemExit("the slide of the pictures could not be compressed")
            take_all(slide, theme, args.out, args.names)


if __name__ == "__main__":
    main()
