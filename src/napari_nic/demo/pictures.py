"""Pictures of a slide with one overlay, the annotated outlines and a legend, for where there is no viewer."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import shapely
from PIL import Image, ImageDraw, ImageFont

from napari_nic.annotations import AnnotationSet
from napari_nic.disk import replacing
from napari_nic.explain import Overlay, color_table
from napari_nic.geometry import PixelSize, Placement
from napari_nic.slides import Overview

OPACITY = 0.6
FOOT_PX = 132
MARGIN_PX = 16
BAR_PX = (260, 18)
LINE_PX, TITLE_PX, TEXT_PX = 20, 20, 15
OUTLINE_PX = 3
INK, PAPER = (40, 40, 40), (255, 255, 255)


def slide_picture(
    overview: Overview,
    pixel: PixelSize,
    *,
    overlay: Overlay | None = None,
    annotations: AnnotationSet | None = None,
    title: str = "",
    note: str = "",
) -> np.ndarray:
    """Draw a slide.

    Parameters
    ----------
    overview : Overview
        The slide, small.
    pixel : PixelSize
        Of level 0, the frame of `annotations`.
    overlay : Overlay, optional
        Laid over it, where its mask says; its title, colour bar or legend, and note come below.
    annotations : AnnotationSet, optional
        Areas are outlined in their colours.
    title, note : str
        Instead of the overlay's name and note.

    Returns
    -------
    ndarray of uint8, (rows, cols, 3)
        RGB; the foot adds rows to the overview's.
    """
    image = overview.image.copy()
    if overlay is not None:
        rgba = _on_pixels(overlay, overview.placement, image.shape[:2])
        share = rgba[..., 3:].astype(np.float32) * np.float32(OPACITY / 255)
        image = np.rint(image * (1 - share) + rgba[..., :3] * share).astype(np.uint8)
        title, note = title or overlay.name, note or overlay.note
    if annotations is not None:
        _outline(image, annotations, pixel, overview.placement)
    foot = _foot(image.shape[1], overlay, annotations, title, note)
    return np.concatenate([image, foot])


def save_picture(picture: np.ndarray, path: Path) -> Path:
    """Write an RGB picture as PNG.

    Raises
    ------
    StoreError
        If the file cannot be written.
    """
    with replacing(path) as temporary:
        Image.fromarray(picture, "RGB").save(temporary, format="PNG")
    return path


def _on_pixels(overlay: Overlay, placement: Placement, shape: tuple[int, int]) -> np.ndarray:
    """Sample an overlay at the centres of the overview's pixels: (rows, cols, 4), nearest cell."""
    rgba = overlay.to_rgba()
    at = []
    for axis, size in enumerate(shape):
        centers = placement.origin_um[axis] + (np.arange(size) + 0.5) * placement.step_um[axis]
        cells = (centers - overlay.placement.origin_um[axis]) / overlay.placement.step_um[axis]
        at.append(np.floor(cells).astype(np.intp))
    inside = [(index >= 0) & (index < size) for index, size in zip(at, rgba.shape, strict=False)]
    rows, cols = (np.clip(index, 0, size - 1) for index, size in zip(at, rgba.shape, strict=False))
    sampled = rgba[rows][:, cols]
    sampled[~(inside[0][:, None] & inside[1][None, :])] = 0
    return sampled


def _outline(image: np.ndarray, annotations: AnnotationSet, pixel: PixelSize, placement: Placement) -> None:
    """Draw the rings of all areas."""
    scale = np.array([pixel.x / placement.step_um[1], pixel.y / placement.step_um[0]])
    for annotation in annotations.annotations:
        if not annotation.is_area:
            continue
        boundary = shapely.boundary(annotation.geometry)
        rings = [
            np.rint(shapely.get_coordinates(r) * scale).astype(np.int32) for r in shapely.get_parts(boundary)
        ]
        for color, width in ((PAPER, OUTLINE_PX + 2), (annotations.colors[annotation.label], OUTLINE_PX)):
            cv2.polylines(image, rings, isClosed=True, color=color, thickness=width, lineType=cv2.LINE_AA)


def _foot(
    width: int, overlay: Overlay | None, annotations: AnnotationSet | None, title: str, note: str
) -> np.ndarray:
    """Draw title, keys and note on white."""
    sheet = Image.new("RGB", (width, FOOT_PX), PAPER)
    draw = ImageDraw.Draw(sheet)
    text = ImageFont.load_default(TEXT_PX)
    draw.text((MARGIN_PX, 8), title, fill=INK, font=ImageFont.load_default(TITLE_PX))
    keys = list(overlay.legend) if overlay is not None else []
    if annotations is not None:
        keys += [(f"{label} (annotated)", annotations.colors[label]) for label in annotations.labels()]
    left = _keys(draw, keys, width, text)
    if overlay is not None and overlay.limits is not None:
        _bar(sheet, draw, overlay, left, text)
    per_line = max(20, int((width - 2 * MARGIN_PX) / draw.textlength("n", font=text) * 1.08))
    for index, line in enumerate(textwrap.wrap(note, per_line)[:4]):
        draw.text((MARGIN_PX, 42 + index * LINE_PX), line, fill=INK, font=text)
    return np.asarray(sheet)


def _keys(
    draw: ImageDraw.ImageDraw,
    keys: Sequence[tuple[str, tuple[int, int, int]]],
    right: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> int:
    """Draw colours and their meaning from the right; return where they start."""
    for label, color in reversed(keys):
        right -= MARGIN_PX + int(draw.textlength(label, font=font))
        draw.text((right, 11), label, fill=INK, font=font)
        right -= 24
        draw.rectangle((right, 12, right + 16, 28), fill=color, outline=INK)
    return right


def _bar(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    overlay: Overlay,
    right: int,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Draw the colour bar with the values at its ends."""
    low, high = (f"{limit:.3g}" for limit in overlay.limits or (0.0, 1.0))
    high = f"{high} {overlay.unit}".strip()
    right -= 2 * MARGIN_PX + int(draw.textlength(high, font=font))
    draw.text((right + 6, 11), high, fill=INK, font=font)
    left = right - BAR_PX[0]
    table = color_table(overlay.colormap)
    columns = np.linspace(0, len(table) - 1, BAR_PX[0]).round().astype(np.intp)
    sheet.paste(
        Image.fromarray(np.broadcast_to(table[columns], (BAR_PX[1], BAR_PX[0], 3)).copy()), (left, 11)
    )
    draw.text((left - 6 - int(draw.textlength(low, font=font)), 11), low, fill=INK, font=font)
