"""What the viewer shows becomes a figure: decided without a window."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from napari_nic.geometry import PixelSize, Placement
from napari_nic.plugin.annotation_layers import annotation_layers
from napari_nic.plugin.controllers.figuring import FigureController
from napari_nic.plugin.controllers.navigating import Navigator
from napari_nic.plugin.controllers.watching import SlideWatch
from napari_nic.plugin.layers import annotation_frame, frame, tag_of


def write(text: str, height: int) -> np.ndarray:
    return np.full((height, 5 * len(text)), 255, np.uint8)


@pytest.fixture
def figuring(viewer, runner, answers, slide_file, add_slide):
    watch = SlideWatch(viewer)
    viewer.canvas.size = (300, 500)
    navigator = Navigator(watch, runner, answers)
    add_slide(viewer, slide_file)
    made = FigureController(navigator, runner, answers, write)
    made.set_options(scale_bar=False, legend=False)
    made.navigator = navigator
    yield made
    made.close()
    navigator.close()
    watch.close()


def export(figuring, tmp_path) -> np.ndarray:
    path = tmp_path / "figure.png"
    figuring.export(path)
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def slide_pixels(figuring) -> np.ndarray:
    slide = figuring.navigator.slide
    return slide.read_region(0, slide.levels[0].region).astype(int)


def test_the_visible_region_as_on_the_screen(figuring, tmp_path, answers):
    figuring.navigator.set_downsample(1)
    figuring.navigator.look_at(550, 750)
    assert figuring.describe() == ("500 x 300 px, 4.2 x 2.5 cm in print", True)
    figure = export(figuring, tmp_path)
    assert (figure == slide_pixels(figuring)[400:700, 500:1000]).all()
    with Image.open(tmp_path / "figure.png") as image:
        facts = json.loads(image.info["Description"])
    assert (facts["um_per_px"], facts["region_px"], facts["slide"]) == (0.5, [400, 500, 300, 500], "made.tif")
    assert answers.notices == ["figure.png is written"]


def test_finer_and_coarser_than_the_screen(figuring, tmp_path):
    figuring.navigator.set_downsample(4)
    figuring.set_options(region="whole", magnification=10)
    assert export(figuring, tmp_path).shape == (550, 750, 3)
    figuring.set_options(magnification=0)
    assert (export(figuring, tmp_path) == slide_pixels(figuring)).all()


def test_what_reaches_beyond_the_slide_is_cut(figuring):
    figuring.navigator.set_downsample(1)
    figuring.navigator.look_at(0, 0)
    assert figuring.frame().shape == (150, 250)
    figuring.navigator.look_at(-9000, 0)
    text, is_possible = figuring.describe()
    assert not is_possible
    assert "show nothing" in text


def test_a_selected_rectangle_is_what_is_shown_and_not_drawn(figuring, tmp_path, viewer):
    assert figuring.describe()[1]
    figuring.set_options(region="rectangle", magnification=0)
    assert figuring.describe() == ("Select a rectangle in a layer of shapes first", False)
    corners = np.array([(200, 300), (200, 700), (500, 700), (500, 300)])
    shapes = viewer.add_shapes(
        [corners], edge_color="red", edge_width=9, **annotation_frame(figuring.navigator.slide)
    )
    shapes.selected_data = {0}
    assert (export(figuring, tmp_path) == slide_pixels(figuring)[200:500, 300:700]).all()


def test_overlays_annotations_labels_and_points_lie_where_they_are(figuring, tmp_path, viewer):
    slide = figuring.navigator.slide
    values = np.full((4, 5), np.nan, np.float32)
    values[1, 2] = 1
    place = Placement((0.0, 0.0), (50.0, 50.0))  # cells of 100 px
    viewer.add_image(values, colormap="red", contrast_limits=(0, 1), **frame(PixelSize(0.5, 0.5), place))
    shapes = viewer.add_shapes(
        [np.array([(300, 300), (300, 400), (400, 400), (400, 300)])],
        face_color="lime",
        edge_width=0,
        edge_color="lime",
        opacity=1,
        **annotation_frame(slide),
    )
    labels = np.zeros((1100, 1500), np.uint8)
    labels[600:700, 600:700] = 1
    viewer.add_labels(labels, opacity=1, colormap={1: "blue", None: "transparent"}, **frame(slide.pixel_size))
    viewer.add_points([(850, 850)], size=60, face_color="yellow", **annotation_frame(slide))
    figuring.set_options(region="whole", magnification=0)
    figure = export(figuring, tmp_path)
    plain = slide_pixels(figuring)
    colors = {
        (150, 250): (255, 0, 0),
        (350, 350): (0, 255, 0),
        (650, 650): (0, 0, 255),
        (850, 850): (255, 255, 0),
    }
    for place, color in colors.items():
        assert tuple(figure[place]) == color
    for y, x in ((99, 250), (150, 199), (150, 301), (599, 650), (650, 701), (850, 890), (500, 500)):
        assert (figure[y, x] == plain[y, x]).all()
    shapes.visible = False
    assert (export(figuring, tmp_path)[350, 350] == plain[350, 350]).all()


def test_a_legend_says_what_the_colours_mean(figuring, tmp_path, viewer, outlines_file):
    from napari_nic.annotations import read_annotations

    for data, options, kind in annotation_layers(
        read_annotations(outlines_file), figuring.navigator.slide, "Outlines", outlines_file
    ):
        getattr(viewer, f"add_{kind}")(data, **options)
    figuring.set_options(region="whole", magnification=5)
    bare = export(figuring, tmp_path)
    figuring.set_options(legend=True)
    figure = export(figuring, tmp_path)
    assert (figure[: len(bare)] == bare).all()
    assert len(figure) > len(bare)
    assert (figure[len(bare) :].reshape(-1, 3) == (213, 94, 0)).all(axis=1).any(), "the colour of the tumour"


def test_a_scale_bar_needs_a_pixel_size(figuring, tmp_path, viewer, unscaled_file, add_slide):
    figuring.set_options(region="whole", magnification=0)
    bare = export(figuring, tmp_path)
    figuring.set_options(scale_bar=True)
    assert (export(figuring, tmp_path) != bare).any()
    figuring.navigator.watch.layer.visible = False
    add_slide(viewer, unscaled_file)
    with_bar = export(figuring, tmp_path)
    assert (with_bar == slide_pixels(figuring)).all()
    figuring.set_options(magnification=20)
    text, is_possible = figuring.describe()
    assert not is_possible
    assert "size of a pixel is not known" in text


def test_what_a_figure_cannot_show_is_named(figuring, tmp_path, viewer, answers):
    viewer.add_vectors(np.zeros((1, 2, 2)), name="arrows")
    viewer.add_image(np.zeros((5, 5)), name="darker", blending="minimum")
    export(figuring, tmp_path)
    assert answers.notices[0] == "Not in the figure: arrows, darker"


def test_how_the_slide_is_shown_is_in_the_figure(figuring, tmp_path):
    from napari_nic.plugin.controllers.displaying import show
    from napari_nic.viewing import Display, Tone

    figuring.set_options(region="whole", magnification=0)
    plain = export(figuring, tmp_path)
    tone = Tone(brightness=-0.2)
    show(figuring.navigator.watch.layer, Display(tone))
    assert (export(figuring, tmp_path) == tone.table()[plain]).all()
    assert tag_of(figuring.navigator.watch.layer).slide is figuring.navigator.slide


def test_cancelling_leaves_no_file(figuring, tmp_path, runner):
    runner.hold = True
    figuring.export(tmp_path / "figure.png")
    assert figuring.progress is not None
    runner.step()
    figuring.cancel()
    runner.finish()
    assert figuring.progress is None
    assert not list(tmp_path.glob("*figure*"))


def test_what_goes_wrong_is_told(figuring, tmp_path, answers):
    figuring.export(tmp_path / "figure.pdf")
    assert "PNG or TIFF" in str(answers.errors[0])
    figuring.navigator.watch.viewer.layers.clear()
    figuring.export(tmp_path / "figure.png")
    assert "open a slide first" in str(answers.errors[1])
