"""A figure shows each thing where it lies on the slide, in its colours, at any resolution."""

from __future__ import annotations

import json

import cv2
import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from napari_nic.errors import CancelledError, InvalidParameterError, StoreError
from napari_nic.geometry import RegionPx
from napari_nic.jobs import CancellationToken, result_of
from napari_nic.slides import open_slide
from napari_nic.viewing import (
    FigureFacts,
    FigureFrame,
    LegendEntry,
    RasterPart,
    Shape,
    ShapesPart,
    draw_scale_bar,
    format_length,
    iter_figure,
    legend_strip,
    nice_length,
    write_figure,
)

IMAGE_DESCRIPTION = 270

CENTRED = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
"""Index of the centre of a pixel -> its place on the slide."""


def rgba(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values[..., :3] / 255, np.ones((*values.shape[:2], 1))], axis=-1).astype(
        np.float32
    )


def noise(rows: int, cols: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (rows, cols, 3), np.uint8)


def made(part, region: RegionPx, downsample: float = 1.0, **options) -> np.ndarray:
    return result_of(iter_figure(FigureFrame(region, downsample), [part], **options))


def test_at_the_slides_own_resolution_pixels_are_the_slides():
    picture = noise(600, 400)
    figure = made(RasterPart([picture], CENTRED, rgba), RegionPx(37, 51, 500, 300))
    assert (figure == picture[37:537, 51:351]).all()


def test_a_level_is_taken_that_is_fine_enough():
    picture = cv2.GaussianBlur(noise(512, 512), (0, 0), 6)
    half = cv2.resize(picture, (256, 256), interpolation=cv2.INTER_AREA)
    read = []

    def to_rgba(values):
        read.append(values.shape)
        return rgba(values)

    levels = [da.from_array(picture, chunks=128), da.from_array(half, chunks=128)]
    figure = made(RasterPart(levels, CENTRED, to_rgba), RegionPx(0, 0, 512, 512), 4.0)
    expected = cv2.resize(picture, (128, 128), interpolation=cv2.INTER_AREA)
    assert max(shape[0] for shape in read) <= 256, "the half, not the whole"
    assert np.abs(figure.astype(int) - expected).max() <= 2


@given(
    y=st.integers(0, 60),
    x=st.integers(0, 60),
    downsample=st.sampled_from([0.5, 1.0, 1.5, 2.0, 3.7]),
    side=st.integers(4, 30),
)
def test_a_cell_lies_where_it_is_on_the_slide(y, x, downsample, side):
    """Cells of 20 px that begin at (10, 15): each pixel shows the cell that its centre lies in."""
    values = np.arange(8 * 9, dtype=np.float32).reshape(8, 9)
    to_px = np.array([[20, 0, 10 + 10.0], [0, 20, 15 + 10.0], [0, 0, 1]])

    def to_rgba(block):
        return np.repeat(block[..., None] / 100, 4, axis=-1) * (1, 1, 1, 0) + (0, 0, 0, 1)

    frame = FigureFrame(
        RegionPx(y, x, round(side * 4 * downsample), round(side * 4 * downsample)), downsample
    )
    figure = result_of(
        iter_figure(frame, [RasterPart([values], to_px, to_rgba, smooth=False)], background=(0, 0, 0))
    )
    rows, cols = frame.shape
    place_y = y + (np.arange(rows) + 0.5) * downsample
    place_x = x + (np.arange(cols) + 0.5) * downsample
    row, col = np.floor((place_y - 10) / 20).astype(int), np.floor((place_x - 15) / 20).astype(int)
    inside = ((row >= 0) & (row < 8))[:, None] & ((col >= 0) & (col < 9))[None]
    expected = np.where(inside, values[np.clip(row, 0, 7)][:, np.clip(col, 0, 8)] / 100 * 255, 0)
    far = lambda place, origin: np.abs((place - origin + 10) % 20 - 10) > downsample  # noqa: E731 -- off edges
    sure = far(place_y, 10)[:, None] & far(place_x, 15)[None]
    assert np.abs(figure[..., 0] - expected)[sure].max(initial=0) <= 1


def test_a_shape_has_its_area_and_place():
    triangle = np.array([(100, 100), (100, 500), (400, 100)], float)
    red = np.array([1, 0, 0, 1], np.float32)
    part = ShapesPart([Shape(triangle, True, np.zeros(4, np.float32), red, 1.0)])
    for downsample in (1.0, 2.5):
        figure = made(part, RegionPx(0, 0, 600, 600), downsample)
        amount = 1 - figure[..., 1] / 255
        assert amount.sum() * downsample**2 == pytest.approx(60_000, rel=0.02)
        rows, cols = np.nonzero(amount > 0.5)
        assert (rows.min() * downsample, cols.min() * downsample) == pytest.approx(
            (100, 100), abs=downsample + 1
        )


def test_faces_and_lines_have_their_opacity():
    square = np.array([(10, 10), (10, 90), (90, 90), (90, 10)], float)
    shape = Shape(square, True, np.array([0, 0, 1, 1.0]), np.array([1, 0, 0, 0.5]), 4.0)
    figure = made(ShapesPart([shape], opacity=0.5), RegionPx(0, 0, 100, 100)).astype(int)
    assert figure[50, 50] == pytest.approx((255, 191, 191), abs=1)
    assert figure[50, 10][0] == pytest.approx(127, abs=36), "half of the blue line"
    assert (figure[2, 2] == 255).all()
    line = Shape(square, False, np.array([0, 0, 0, 1.0]), np.array([1, 0, 0, 1.0]), 2.0)
    assert (made(ShapesPart([line]), RegionPx(0, 0, 100, 100))[50, 50] == 255).all(), "a line has no face"


def test_blending():
    def gray(value, alpha):
        return lambda block: np.broadcast_to(
            np.array([value, value, value, alpha], np.float32), (*block.shape[:2], 4)
        )

    block = np.zeros((4, 4), np.uint8)
    region = RegionPx(0, 0, 4, 4)
    for blending, alpha, expected in (
        ("translucent", 0.5, 151),
        ("additive", 1.0, 200),
        ("opaque", 1.0, 100),
    ):
        part = RasterPart([block], CENTRED, gray(100 / 255, alpha), blending=blending)
        background = (100,) * 3 if blending == "additive" else (201,) * 3
        assert (np.abs(made(part, region, background=background).astype(int) - expected) <= 1).all(), blending


def test_it_is_the_slide(slide_path):
    with open_slide(slide_path) as slide:
        region = RegionPx(300, 500, 200, 300)
        part = RasterPart(slide.pyramid(), CENTRED, rgba)
        assert (made(part, region) == slide.read_region(0, region)).all()


def test_what_cannot_be_made_is_refused():
    with pytest.raises(InvalidParameterError, match="show nothing"):
        FigureFrame(RegionPx(0, 0, 0, 5), 1)
    with pytest.raises(InvalidParameterError, match="too large"):
        FigureFrame(RegionPx(0, 0, 100_000, 100_000), 1)
    with pytest.raises(InvalidParameterError, match="positive"):
        FigureFrame(RegionPx(0, 0, 5, 5), 0)


def test_it_stops_between_bands():
    token = CancellationToken()
    job = iter_figure(FigureFrame(RegionPx(0, 0, 1000, 10), 1), [], token=token)
    next(job)
    token.cancel()
    with pytest.raises(CancelledError):
        next(job)


@given(st.floats(1e-3, 1e7))
def test_a_scale_bar_is_as_long_as_it_may_be(most):
    length = nice_length(most)
    assert length <= most * (1 + 1e-6) < 2.5 * length * (1 + 1e-6)
    assert float(f"{length:e}"[0]) in (1, 2, 5)


def test_lengths_are_read_as_people_write_them():
    assert [format_length(um) for um in (50, 0.5, 2000)] == ["50 µm", "0.5 µm", "2 mm"]


def write(text: str, height: int) -> np.ndarray:
    return np.full((height, 6 * len(text)), 255, np.uint8)


def test_the_scale_bar_is_as_long_as_it_says():
    figure = np.full((300, 400, 3), 100, np.uint8)
    um = draw_scale_bar(figure, 0.5, write, 72)
    assert um == 50
    black = (figure == 0).all(axis=2)
    bottom = np.nonzero(black.any(axis=1))[0].max()
    assert black[bottom].sum() == 100, "50 um are 100 px of 0.5 um"


def test_no_scale_bar_where_there_is_no_room():
    figure = np.full((8, 8, 3), 100, np.uint8)
    assert draw_scale_bar(figure, 0.5, write, 300) == 0
    assert (figure == 100).all()


def test_a_legend_has_its_colours_and_breaks_its_lines():
    bar = np.repeat(np.linspace(0, 255, 50).astype(np.uint8)[:, None], 3, axis=1)
    entries = [
        LegendEntry("Classes", tuple((f"class {n}", (200, n, 0)) for n in range(9))),
        LegendEntry("Score", bar=bar, ends=("0", "1")),
    ]
    wide, narrow = (legend_strip(entries, width, write, 72) for width in (2000, 200))
    assert narrow.shape[0] > wide.shape[0]
    for strip in (wide, narrow):
        colors = {tuple(color) for color in strip.reshape(-1, 3)}
        assert {(200, n, 0) for n in range(9)} <= colors
    assert legend_strip([], 100, write, 72).shape == (0, 100, 3)


FACTS = FigureFacts(300, 0.5, "a.svs", (1, 2, 3, 4))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_files_hold_pixels_print_size_and_pixel_size(tmp_path, suffix):
    picture, path = noise(30, 40), tmp_path / f"figure.{suffix}"
    write_figure(path, picture, FACTS)
    with Image.open(path) as image:
        assert (np.asarray(image) == picture).all()
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        text = image.info.get("Description") or image.tag_v2[IMAGE_DESCRIPTION]
    assert json.loads(text) == FACTS.to_dict()
    assert json.loads(text)["um_per_px"] == 0.5
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_what_is_no_figure_file_is_refused(tmp_path):
    with pytest.raises(InvalidParameterError, match="PNG or TIFF"):
        write_figure(tmp_path / "figure.pdf", noise(3, 3), FACTS)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError):
        write_figure(tmp_path / "file" / "figure.png", noise(3, 3), FACTS)
