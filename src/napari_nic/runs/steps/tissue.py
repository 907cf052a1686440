"""Find the tissue of a slide once for all encoders, and make the small pictures that show it."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import cv2
import numpy as np

from napari_nic.errors import StoreError
from napari_nic.geometry import Placement
from napari_nic.jobs import Progress
from napari_nic.runs.bench import Bench, Made, Step
from napari_nic.runs.pictures import save_jpeg, save_mask
from napari_nic.runs.settings import Task
from napari_nic.slides import Slide
from napari_nic.tissue import TissueMask, iter_find_tissue
from napari_nic.viewing import iter_thumbnail

MASK, THUMBNAIL, OUTLINED = "tissue.png", "thumbnail.jpg", "outlined.jpg"

SIDE_PX = 320
"""Longer side of the small pictures."""

_MOST_SMALLEST_LEVEL = 2**25
"""Pixels of the smallest level beyond which a slide is not read once more for a small picture."""

_OUTLINE = (0, 120, 60)
_METHOD, _ORIGIN, _STEP = "method", "origin_um", "step_um"


def run(_task: Task, bench: Bench) -> Generator[Progress, None, Made]:
    """Write the mask, one bit an element, and two small pictures of the slide."""
    slide = bench.slide()
    mask = yield from iter_find_tissue(slide, workers=bench.settings.threads or 2, token=bench.token)
    outputs = [bench.own(MASK)]
    save_mask(mask.mask, outputs[0])
    outputs += yield from _small_pictures(slide, mask, bench)
    pixel = slide.require_pixel_size()
    facts = {
        _METHOD: mask.method,
        _ORIGIN: list(mask.placement.origin_um),
        _STEP: list(mask.placement.step_um),
        "area_mm2": mask.area_um2 / 1e6,
        "shape": list(slide.levels[0].shape),
        "um_per_px": [pixel.y, pixel.x],
        "reader": slide.reader,
        "notices": list(slide.notices),
    }
    if mask.mask.any():
        return Made(outputs, facts)
    return Made(outputs, facts, "empty", "no tissue was found on this slide")


def load_mask(bench: Bench) -> TissueMask:
    """Read the mask that was found.

    Raises
    ------
    StoreError
        If it cannot be read.
    """
    facts = bench.tasks["tissue"].facts
    file = bench.own(MASK)
    found = cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_GRAYSCALE)
    if found is None:
        raise StoreError("the mask of the tissue cannot be read", path=file, hint="remove this file")
    (top, left), (high, wide) = facts[_ORIGIN], facts[_STEP]
    return TissueMask(np.asarray(found) > 0, Placement((top, left), (high, wide)), facts[_METHOD])


def _small_pictures(slide: Slide, mask: TissueMask, bench: Bench) -> Generator[Progress, None, list[Path]]:
    smallest = slide.levels[-1].shape
    if smallest[0] * smallest[1] > _MOST_SMALLEST_LEVEL:
        return []
    shown = slide.with_hatching(lambda _error: None)  # whoever needs such a tile says that it is damaged
    picture = yield from iter_thumbnail(shown, SIDE_PX, token=bench.token)
    save_jpeg(picture, bench.own(THUMBNAIL))
    size = (picture.shape[1], picture.shape[0])
    small = cv2.resize(mask.mask.view(np.uint8), size, interpolation=cv2.INTER_AREA)
    lines, _ = cv2.findContours((small > 0).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    outlined = cv2.drawContours(picture.copy(), lines, -1, _OUTLINE, 1, cv2.LINE_AA)
    save_jpeg(np.asarray(outlined, np.uint8), bench.own(OUTLINED))
    return [bench.own(THUMBNAIL), bench.own(OUTLINED)]


STEP = Step(run)
