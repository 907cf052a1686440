"""Take a picture of every tool and dock of the annotator, in dark and in light, to be looked at.

    scripts/with-screen.sh .venv/bin/python scripts/tool_pictures.py OUT
    scripts/with-screen.sh .venv/bin/python scripts/tool_pictures.py OUT --themes light --names brush

Each tool is shown while it draws on CMU-1-Small-Region, from the test data ($NAPARI_NIC_TEST_DATA), and each
dock with something in it. Settings and files go to a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from screenshots import (
    ASKED_UM,
    COLORS,
    MARGIN,
    NICE_PLACE_PX,
    SHOWN_FROM,
    SLIDE,
    STROKES,
    Desk,
    _copy_of,
    opened,
)

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

BY_CLICKS = ("polygon", "points")


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
            tool.hover(Pointer((700, 1500), step))
        else:
            tool.press(pointers[0])
            for pointer in pointers[1:]:
                tool.drag(pointer)
        dock.pointing.refresh()
        desk.settle()
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
    from napari_nic.plugin.probe_texts import class_lines

    dock = _dock(desk, "Learn while drawing")
    for label, strokes in STROKES.items():
        dock.section.label.setCurrentText(label)
        dock.section.take_up("line")
        layer = desk.viewer.layers.selection.active
        for stroke in strokes:
            layer.add_paths(np.array(stroke, float)[:, ::-1])
        layer.mode = "pan_zoom"
    desk.wait(lambda: len(class_lines(dock.probing.learned)) >= len(STROKES))
    desk.wait(lambda: not dock.runner.jobs)
    desk.settle()
    take("learn")
    dock.probing.set_shown("uncertainty")
    desk.settle()
    take("learn-uncertainty")
    _close(desk, dock)


def take_similar(desk: Desk, take: Callable[[str], None]) -> None:
    """*Find similar*: the map and the matches, and a match in its frame; what was learned gives way."""
    dock = _dock(desk, "Find similar")
    dock.search.set_folder(desk.dock.session.slide.path.parent)
    dock.search.options = replace(dock.search.options, top=9, per_slide=9)
    dock.similar.ask_world(ASKED_UM)
    desk.wait(lambda: dock.similar.query is not None and not dock.runner.jobs)
    low, high = dock.similar.limits()
    dock.similar.set_threshold(low + SHOWN_FROM * (high - low))
    dock.search_section.button.click()
    desk.wait(lambda: bool(dock.search.crops) and not dock.runner.jobs)
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


def _dock(desk: Desk, title: str) -> Any:
    return desk.viewer.window.add_plugin_dock_widget("napari-nic", title, tabify=True)[1]


def _close(desk: Desk, dock: Any) -> None:
    desk.viewer.window.remove_dock_widget(dock)
    desk.viewer.reset_view(layers=[desk.dock.session.layer], margin=MARGIN)
    desk.settle()


def take_all(slide: Path, theme: str, out: Path, names: Sequence[str]) -> None:
    """Take the pictures of a theme."""
    taken: list[str] = []

    def take(name: str) -> None:
        if not names or name in names:
            desk.take_small(out / f"{theme}-{name}.png")
            taken.append(name)

    with opened(slide) as desk:
        desk.viewer.theme = theme
        desk.viewer.window._qt_window.resize(*SIZE)
        desk.settle()
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
    with tempfile.TemporaryDirectory(prefix="nic-pictures-") as home:
        os.environ["NAPARI_NIC_HOME"] = home
        os.environ["NAPARI_CONFIG"] = str(Path(home) / "napari.yaml")
        from napari_nic.cli.main import main as nic

        for theme in args.themes:
            slide = _copy_of(SLIDE, Path(home) / theme)
            if nic(["compress", "-q", str(slide), "--stride", "64", "--no-tissue"]):
                raise SystemExit("the slide of the pictures could not be compressed")
            take_all(slide, theme, args.out, args.names)


if __name__ == "__main__":
    main()
