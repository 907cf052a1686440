"""Take the pictures of the window that the documentation shows, all in one look.

    scripts/with-screen.sh .venv/bin/python scripts/screenshots.py           # all, into docs/
    scripts/with-screen.sh .venv/bin/python scripts/screenshots.py saliency  # one of them

Two pictures show the sample slide, which is made by code, and one a cohort made by code with models that are
trained on it for the picture (under a minute on a quiet core). The others show CMU-1-Small-Region, one with
its tissue annotation and one beside another real slide, from the test data ($NAPARI_NIC_TEST_DATA). Settings,
samples and stores go to a temporary folder; nothing of the user's is read or written.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import tifffile
from picture_desk import (
    ANNOTATION,
    COLORS,
    MARGIN,
    NICE_PLACE_PX,
    OTHER_SLIDE,
    ROOT,
    SLIDE,
    Desk,
    ask_similar,
    copy_of,
    home_of_pictures,
    learn_strokes,
    opened,
)

if TYPE_CHECKING:
    from napari_nic.plugin.controllers.overlays import Kind
    from napari_nic.plugin.widgets.train_dock import TrainDock
    from napari_nic.plugin.widgets.view_dock import ViewDock

DENSE = 0.75
"""Overlap of the patches in the picture of a run: so small a slide is else done at once."""

SHARE_DONE = 0.55
"""How far a run is in its picture."""

TRAINING_STEPS = 200

PLACES_PX = ((900, 500), (1500, 1200), (900, 2300))
"""(x, y) of the places that the second view is aligned by."""

SHRINK_ZOOM = 1.6
"""Pixels of the screen on a micrometre."""

TURN_DEGREES, TURN_SCALE, TURN_MARGIN_PX = 25, 0.95, 400


DRAWN: dict[str, tuple[str, list[tuple[float, float]]]] = {
    "dermis": ("freehand", [(900, 1300), (1010, 1500), (990, 1900), (860, 2050), (800, 1700), (850, 1400)]),
    "keratin": ("ellipse", [(1240, 1450), (1500, 1800)]),
    "epidermis": ("brush", [(1180, 900), (1230, 1000), (1200, 1200), (1130, 1350)]),
}
BRUSHED = [(1130, 1350), (1090, 1500), (1110, 1700), (1170, 1880)]
"""What is drawn on the slide of skin, and the stroke that is under way, level-0 (x, y)."""


def take_compressing(folder: Path, path: Path) -> None:
    """A run on a real slide, half-way."""
    with opened(copy_of(SLIDE, folder / "running")) as desk:
        desk.dock.compress_section.options.overlap.value = round(100 * DENSE)
        desk.dock.slide_section.whole.click()
        taken: list[Path] = []

        def take_once() -> None:
            if (
                not taken
                and desk.dock.compressing.state.done > SHARE_DONE * desk.dock.compressing.state.total
            ):
                taken.append(path)
                desk.take(path)

        desk.dock.compressing.painted.connect(lambda _: take_once())
        desk.dock.compress_section.button.click()
        desk.wait(lambda: bool(taken))
        desk.dock.compressing.cancel()
        desk.settle()


def take_training(folder: Path, path: Path) -> None:
    """A small encoder learning from the tissue of a real slide, with what it paints from its codes so far."""
    with opened(copy_of(SLIDE, folder / "training")) as desk:
        dock: TrainDock = desk.viewer.window.add_plugin_dock_widget("napari-nic", "Train encoder")[1]
        dock.training.fill_in(name="my-encoder", steps=TRAINING_STEPS)
        dock.progress_section.button.click()
        try:
            desk.wait(lambda: dock.training.state.done > SHARE_DONE * TRAINING_STEPS)
            desk.take_part(path, left=900, bottom=780)  # the dock, and some of the slide
        finally:
            dock.shut_down()


def take_shrinking(folder: Path, path: Path) -> None:
    """A real slide before and after a codec, parted by the swipe, with the size of the whole file."""
    with opened(copy_of(SLIDE, folder / "shrinking")) as desk:
        dock = desk.viewer.window.add_plugin_dock_widget("napari-nic", "Shrink slide", tabify=True)[1]
        try:
            dock.shrinking.fill_in(mode="lossy", codec="jpegxl", quality=60.0, remove_glass=True)
            camera = desk.viewer.scene.camera
            camera.center = (0.0, NICE_PLACE_PX[0] / 2, NICE_PLACE_PX[1] / 2)
            camera.zoom = SHRINK_ZOOM
            desk.settle()
            dock.preview_section.button.click()
            desk.wait(lambda: dock.preview.size is not None and not dock.runner.jobs)
            desk.settle()
            desk.take_small(path)
        finally:
            dock.shut_down()


def take_saliency(folder: Path, path: Path) -> None:
    """Saliency beside the tissue annotation of a real slide, which the model knows nothing of."""
    with opened(copy_of(SLIDE, folder / "real"), ANNOTATION) as desk:
        desk.compress()
        desk.show_only("saliency")
        desk.frame_slide()
        desk.point_at(744.0, 618.0)
        desk.settle()
        desk.take(path)


def take_learning(folder: Path, path: Path) -> None:
    """Three strokes a class on a real slide, and the map of the whole slide that follows."""
    with opened(copy_of(SLIDE, folder / "learning")) as desk:
        options = desk.dock.compress_section.options
        options.overlap.value, options.min_tissue.value = round(100 * DENSE), 0
        desk.compress()
        learning = desk.viewer.window.add_plugin_dock_widget(
            "napari-nic", "Learn while drawing", tabify=True
        )[1]
        try:
            learn_strokes(desk, learning)
            desk.frame_slide()
            desk.settle()
            desk.take_small(path)
        finally:
            learning.shut_down()


def take_view(folder: Path, path: Path) -> None:
    """The view dock beside a real slide, of which one stain is shown."""
    with opened(copy_of(SLIDE, folder / "view")) as desk:
        view = _open_view(desk)
        try:
            view.display_section.toggleButton().click()
            view.navigator.magnify(20)
            view.navigator.look_at(*NICE_PLACE_PX)
            view.displaying.show_stain(0)
            desk.settle()
            desk.take_small(path)
        finally:
            view.shut_down()


def take_second_view(folder: Path, path: Path) -> None:
    """A real slide beside itself, turned and scaled by code, aligned by three places."""
    slide = copy_of(SLIDE, folder / "second")
    turned, matrix = _turned_copy(slide)
    with opened(slide) as desk:
        view = _open_view(desk)
        try:
            desk.viewer.open(turned, plugin="napari-nic")
            view.slides.open(slide)
            view.second_section.toggleButton().click()
            linking, first = view.linking, desk.viewer.scene.camera
            linking.open(linking.choices()[1])
            linking.set_linked(False)
            pixel = view.navigator.slide.pixel_size
            second = linking._screen.model.scene.camera
            for x, y in PLACES_PX:
                there = matrix @ (x, y, 1.0)
                first.center = (0, y * pixel.y, x * pixel.x)
                second.center = (0, there[1] * pixel.y, there[0] * pixel.x)
                linking.add_landmark()
            linking.fit()
            view.navigator.magnify(8)
            view.navigator.look_at(*NICE_PLACE_PX)
            desk.settle()
            desk.take_small(path)
        finally:
            view.shut_down()


def _open_view(desk: Desk) -> ViewDock:
    from napari_nic.plugin.widgets.docking import VIEW, open_dock
    from napari_nic.plugin.widgets.view_dock import ViewDock

    view = open_dock(desk.viewer, ViewDock, VIEW, tabify=True)
    desk.wait(lambda: not view.runner.jobs)
    return view


def _turned_copy(slide: Path) -> tuple[Path, np.ndarray]:
    """Write a slide as it would lie turned on its glass; return its path and where (x, y, 1) went."""
    from napari_nic.slides import open_slide

    with open_slide(slide) as opened_slide:
        level = opened_slide.levels[0]
        pixels = opened_slide.read_region(0, level.region)
        mpp = opened_slide.require_pixel_size().mean
    matrix = cv2.getRotationMatrix2D((level.width / 2, level.height / 2), TURN_DEGREES, TURN_SCALE)
    size = (level.width + TURN_MARGIN_PX, level.height)
    turned = cv2.warpAffine(pixels, matrix, size, borderValue=(243, 243, 243))
    path = slide.with_name("serial.tif")
    resolution = {"resolution": (1e4 / mpp,) * 2, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, turned, tile=(256, 256), photometric="rgb", metadata=None, **resolution)
    return path, matrix


def take_annotating(folder: Path, path: Path) -> None:
    """Areas of three classes on a real slide, and a stroke of the brush that goes on with one of them."""
    from napari_nic.plugin.tools.pointer import Pointer

    with opened(copy_of(SLIDE, folder / "annotating")) as desk:
        dock = desk.viewer.window.add_plugin_dock_widget("napari-nic", "Annotator", tabify=True)[1]
        annotator = dock.annotator
        try:
            for label, (name, points) in DRAWN.items():
                dock.classes.add(label)
                dock.classes.recolor(label, COLORS[label])
                annotator.set_tool(name)
                tool = annotator.tool
                step = dock.pointing.step
                tool.press(Pointer(points[0], step))
                for point in points[1:]:
                    tool.drag(Pointer(point, step))
                tool.release(Pointer(points[-1], step))
            annotator.choose_class("epidermis")
            annotator.set_tool("brush")
            annotator.tool.press(Pointer(BRUSHED[0], dock.pointing.step))
            for point in BRUSHED[1:]:
                annotator.tool.drag(Pointer(point, dock.pointing.step))
            dock.pointing.refresh()
            desk.settle()
            desk.viewer.reset_view(layers=[desk.dock.session.layer], margin=MARGIN)
            desk.settle()
            desk.rest_at(BRUSHED[-1])
            desk.take_small(path)
        finally:
            dock.shut_down()


def take_similar(folder: Path, path: Path) -> None:
    """What is like a place of a real slide: on it, and on another one."""
    from napari_nic.cli.main import main as nic
    from napari_nic.plugin.widgets.similar_dock import SimilarDock

    place = folder / "similar"
    for slide in (SLIDE, OTHER_SLIDE):
        copy_of(slide, place)
    if nic(["compress", "-q", str(place), "--stride", "64"]):
        raise SystemExit("the slides of the picture could not be compressed")
    with opened(place / SLIDE.name) as desk:
        dock: SimilarDock = desk.viewer.window.add_plugin_dock_widget(
            "napari-nic", "Find similar", tabify=True
        )[1]
        try:
            ask_similar(desk, dock, place, top=12, per_slide=6)
            desk.frame_slide()
            desk.settle()
            desk.take_small(path)
        finally:
            dock.shut_down()


def take_sample(folder: Path, path: Path, kind: Kind) -> None:
    """The sample slide with the outline of its lesion."""
    from napari_nic.demo import demo_slide

    slide, outlines = demo_slide(folder / "samples")
    with opened(slide, outlines) as desk:
        if not desk.dock.compressing.state.complete:
            desk.compress()
        desk.show_only(kind)
        desk.frame_slide()
        desk.settle()
        desk.take(path)


def take_cohort(folder: Path, path: Path) -> None:
    """The cohort browser, and one of its slides with what the model says that did not see it."""
    _train_on_made_cohort(folder)
    with opened() as desk:
        browser = desk.viewer.window.add_plugin_dock_widget("napari-nic", "Cohort browser")[1]
        browser.cohort.open(folder / "cohort-models")
        lesions = [s for s in browser.cohort.listing.predicted if s.label == "lesion" and not s.is_wrong]
        row = next(
            i for i in range(browser.table.order.rowCount()) if browser.table.slide_at(i) is lesions[0]
        )
        browser.table.selectRow(row)
        browser.cohort.show(lesions[0])
        desk.frame_slide()
        desk.settle()
        desk.take_small(path)


def _train_on_made_cohort(folder: Path) -> None:
    """Paint slides with and without a lesion, and train on their labels: four models, one for each fold."""
    from napari_nic.cli.main import main as nic

    cohort, models = folder / "cohort", folder / "cohort-models"
    sizes = "--train 16 --validation 4 --test 8 --sides 14 22 --shares 0.1 0.4"
    made = nic(["synthetic", "cohort", "-q", "-o", str(cohort), "--keep", "both", *sizes.split()])
    if made:
        raise SystemExit("the slides of the picture's cohort could not be made")
    table = _without_parts(cohort / "cohort.csv")
    network = "--architecture cnn-compact --width 32 --epochs 12 --steps 20"
    command = ["models", "train", "-q", str(table), "-o", str(models), "--name", "made"]
    if nic([*command, "--classes", "normal,lesion", "--folds", "4", *network.split()]):
        raise SystemExit("the models of the picture's cohort could not be trained")


def _without_parts(table: Path) -> Path:
    """Copy a table without its column of parts, so that every slide is in the test part of one fold."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    copy = table.with_name("without-parts.csv")
    with copy.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [name for name in rows[0] if name != "split"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return copy


PICTURES: dict[str, Callable[[Path, Path], None]] = {
    "annotating": take_annotating,
    "cohort": take_cohort,
    "compressing": take_compressing,
    "learning": take_learning,
    "second-view": take_second_view,
    "shrinking": take_shrinking,
    "training": take_training,
    "view": take_view,
    "pca": lambda folder, path: take_sample(folder, path, "pca"),
    "sample": lambda folder, path: take_sample(folder, path, "prediction"),
    "saliency": take_saliency,
    "similar": take_similar,
}


def main() -> None:
    """Parse the command line and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(PICTURES)}; all by default")
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    args = parser.parse_args()
    if unknown := set(args.names) - set(PICTURES):
        parser.error(f"no such picture: {', '.join(sorted(unknown))}")
    with home_of_pictures() as home:
        for name in args.names or PICTURES:
            PICTURES[name](home, args.out / f"screenshot-{name}.png")


if __name__ == "__main__":
    main()
