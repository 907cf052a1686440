"""Masks of tissue as pictures: written for a slide, painted in any program, and read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import shapely

from napari_nic.annotations import covered_share, disjoint
from napari_nic.descriptions import is_finite
from napari_nic.disk import check_regular, replacing
from napari_nic.errors import AnnotationError, InvalidParameterError
from napari_nic.geometry import Placement
from napari_nic.jobs import CancellationToken
from napari_nic.names import MASK_SUFFIXES, exists, has_suffix, is_folder
from napari_nic.pipeline.outlines import read_tissue
from napari_nic.slides import Slide
from napari_nic.tissue import TissueMask

MASK_SUFFIX = ".tissue.png"
"""Behind the slide's name, in a folder of masks."""

MOST_PIXELS = 85_000_000
"""Of a picture; larger masks are written at half the resolution."""

OUTLINES_UM = 4.0
"""Outlines are drawn on elements of this side."""

_KEY = "napari-nic mask"


def is_mask_picture(path: Path) -> bool:
    """Whether a file is taken for a picture of a mask: no JPEG, whose black is not quite black."""
    return any(has_suffix(path, suffix) for suffix in MASK_SUFFIXES)


def write_mask(tissue: TissueMask, slide: Slide, path: Path) -> None:
    """Write a mask as PNG: white on tissue, black on glass; where it lies and of which slide stands inside.

    Parameters
    ----------
    tissue : TissueMask
    slide : Slide
    path : Path
        ``.png``. What is there is replaced when the new one is whole.

    Raises
    ------
    InvalidParameterError
        If it is to be no PNG.
    StoreError
        If it cannot be written.
    """
    from PIL import Image, PngImagePlugin

    if not has_suffix(path, ".png"):
        raise InvalidParameterError("masks of tissue are written as PNG", path=path, expected=".png")
    mask, step = tissue.mask, tissue.placement.step_um
    while mask.size > MOST_PIXELS:
        mask, step = _halved(mask), (2 * step[0], 2 * step[1])
    record = {
        "origin_um": list(tissue.placement.origin_um),
        "step_um": list(step),
        "slide": slide.fingerprint,
        "method": tissue.method,
    }
    text = PngImagePlugin.PngInfo()
    text.add_text(_KEY, json.dumps(record))
    picture = Image.fromarray(mask.astype(np.uint8) * np.uint8(255))
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG", pnginfo=text)


def _halved(mask: np.ndarray) -> np.ndarray:
    """Tissue where any of 2 x 2 elements is."""
    padded = np.pad(mask, [(0, side % 2) for side in mask.shape])
    return np.asarray(padded[::2, ::2] | padded[1::2, ::2] | padded[::2, 1::2] | padded[1::2, 1::2])


def read_mask(slide: Slide, path: Path, *, token: CancellationToken | None = None) -> TissueMask:
    """Read a mask of a slide's tissue: a picture, or outlines in any annotation format.

    Parameters
    ----------
    slide : Slide
        Its pixel size must be known.
    path : Path
        A picture (PNG, TIFF), in which what is not 0 is tissue: one that :func:`write_mask` wrote, or of any
        program; then it shows the whole slide. Or outlines, as of :func:`read_tissue`.
        Or a folder that holds one of these for the slide.
    token : CancellationToken, optional

    Raises
    ------
    AnnotationError
        If it cannot be read, is of another slide, or has other proportions.
    MissingPixelSizeError
        If the slide's pixel size is not known.
    """
    if is_folder(path) and exists(path / f"{slide.name}{MASK_SUFFIX}"):
        path = path / f"{slide.name}{MASK_SUFFIX}"
    if not is_mask_picture(path):
        return _of_outlines(slide, path, token)
    values, record = _read_picture(path)
    mask = values != 0 if values.ndim == 2 else (values[..., :3] != 0).any(2)
    if record is None:
        return TissueMask(mask, _whole_slide(slide, mask.shape, path), f"painted in {path.name}")
    if record["slide"] != slide.fingerprint:
        raise AnnotationError(
            "this mask was made of another slide",
            path=path,
            expected=f"{slide.path.name} ({slide.fingerprint[:19]})",
            found=str(record["slide"])[:19],
            hint="make one of this slide: napari-nic tissue mask",
        )
    placement = Placement(tuple(record["origin_um"]), tuple(record["step_um"]))
    return TissueMask(mask, placement, f"{path.name}, at first {record['method']}")


def _of_outlines(slide: Slide, path: Path, token: CancellationToken | None) -> TissueMask:
    outlines = read_tissue(slide, path, token=token)
    pixel, level = slide.require_pixel_size(), slide.levels[0]
    scale = np.array([pixel.x, pixel.y]) / OUTLINES_UM
    shape = (int(np.ceil(level.height * scale[1])), int(np.ceil(level.width * scale[0])))
    areas = disjoint(outlines.annotations.polygons(), token=token)
    share = covered_share(shapely.transform(areas, lambda points: points * scale), shape, token=token)
    return TissueMask(share > 0, Placement((0.0, 0.0), (OUTLINES_UM, OUTLINES_UM)), outlines.method)


def _read_picture(path: Path) -> tuple[np.ndarray, dict[str, Any] | None]:
    """Return a picture's values and what stands in it of its place."""
    from PIL import Image

    check_regular(path, AnnotationError)
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise AnnotationError(
                    "the picture of the mask is too large",
                    path=path,
                    expected=f"at most {MOST_PIXELS:,} pixels",
                    found=f"{picture.width:,} x {picture.height:,}",
                    hint="save it smaller: it need not be as fine as the slide",
                )
            return np.asarray(picture), _record(picture.info.get(_KEY), path)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise AnnotationError(
            "the picture of the mask cannot be read",
            path=path,
            expected="PNG or TIFF, 0 on glass",
            found=str(error),
        ) from error


def _record(text: Any, path: Path) -> dict[str, Any] | None:
    if not isinstance(text, str):
        return None
    try:
        record = json.loads(text)
        pairs = [*record["origin_um"], *record["step_um"]]
        fits = len(record["origin_um"]) == len(record["step_um"]) == 2 and all(map(is_finite, pairs))
        if not fits or min(record["step_um"]) <= 0 or not isinstance(record["slide"], str):
            return _refused(path, text)
        return {**record, "method": str(record["method"])[:200]}
    except (ValueError, TypeError, LookupError, RecursionError):
        return _refused(path, text)


def _refused(path: Path, text: str) -> NoReturn:
    raise AnnotationError("what this mask says of its place is damaged", path=path, found=text[:200])


def _whole_slide(slide: Slide, shape: tuple[int, ...], path: Path) -> Placement:
    """Where a picture of the whole slide lies; refused if its proportions are others."""
    pixel, level = slide.require_pixel_size(), slide.levels[0]
    expected = level.width * shape[0] / level.height
    if abs(shape[1] - expected) > max(1, level.width / level.height):
        raise AnnotationError(
            "the picture of the mask has other proportions than the slide",
            path=path,
            expected=f"{level.width:,} x {level.height:,} px, or the same made smaller",
            found=f"{shape[1]:,} x {shape[0]:,} px",
            hint="it must show the whole slide",
        )
    return Placement((0.0, 0.0), (level.height * pixel.y / shape[0], level.width * pixel.x / shape[1]))
